package main

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"barka/internal/badinput"
	"barka/internal/bidi"
	"barka/internal/dataset"
	"barka/internal/look"
)

type showCmd struct {
	Path string `arg:"" help:"Dataset directory, also an unfinished one (.partial), .parquet or .jsonl file, or the directory of a run."`

	selectFlags
	Limit  int `short:"n" help:"Largest number of rows; 0 is all." default:"10"`
	Skip   int `help:"Rows to pass over." default:"0"`
	Sample int `help:"Rows to take from all over the input, chosen by --seed; 0 is off." default:"0"`

	Columns []string `help:"Columns to show, in this order; all columns of a kind are in the help of docs/data.md." placeholder:"NAME"`
	layoutFlags
	Right  bool `help:"Align right-to-left lines at the right margin."`
	Beside bool `help:"Put the source beside its translation, not below it."`
}

// selectFlags choose rows.
type selectFlags struct {
	ID       []string     `name:"id" help:"Ids of rows." placeholder:"ID"`
	Where    []string     `sep:"none" help:"Condition: COLUMN=VALUE, COLUMN!=VALUE or COLUMN~TEXT (contains); repeatable." placeholder:"CONDITION"`
	Rejected rejectedFlag `help:"Rejected rows instead of the kept ones; with =REASON[,REASON] those with a reason." placeholder:"REASON"`
}

// layoutFlags say how text is laid out on a terminal.
type layoutFlags struct {
	Bidi  string `help:"Right-to-left text: isolate, reorder (terminals without bidirectional text), none, or auto, which is isolate on a terminal and none elsewhere." enum:"auto,isolate,reorder,none" default:"auto"`
	Width int    `help:"Cells of a line; default: the terminal's width." placeholder:"CELLS"`
}

// style returns the style of rows that the flags ask for.
func (f layoutFlags) style(a *app) look.Style {
	s := look.Style{Width: f.Width, Colour: a.ui.Colour()}
	if s.Width <= 0 {
		s.Width = a.ui.Width()
	}
	switch {
	case f.Bidi == "reorder":
		s.Mode = bidi.Reorder
	case f.Bidi == "isolate" || f.Bidi == "auto" && a.ui.Terminal():
		s.Mode = bidi.Isolate
	}
	return s
}

// rejectedFlag is a flag with an optional value: --rejected, or --rejected=REASON.
type rejectedFlag struct {
	on      bool
	reasons []string
}

// IsBool makes the value optional.
func (rejectedFlag) IsBool() bool { return true }

// Decode reads the value, if there is one.
func (r *rejectedFlag) Decode(ctx *kong.DecodeContext) error {
	r.on = true
	if t := ctx.Scan.Peek(); t.Type == kong.FlagValueToken {
		value, _ := ctx.Scan.Pop().Value.(string)
		for reason := range strings.SplitSeq(value, ",") {
			if reason = strings.TrimSpace(reason); reason != "" {
				r.reasons = append(r.reasons, reason)
			}
		}
	}
	return nil
}

func (showCmd) Help() string {
	return `Prints rows with their conversation, the source below its translation, and where they come from.
Control characters and invisible ones in the rows are written out, such as \u202e.

Arabic is written in logical order, each line in an isolate, and code, formulas, Latin words and
numbers in isolates inside it. A terminal that shows letters apart and in the wrong order needs
--bidi reorder.

Given the directory of a run, it lists the datasets there. Given the directory OUT.partial of a stage
that is not finished, it prints what wiki, synth or translate have made so far; the other stages write
their rows at the end.

Examples:

  barka show data/clean --sample 5 --beside
  barka show data/clean --rejected=script --where form=reading
  barka show data/train --where messages~قهوة --json`
}

func (c *showCmd) Run(a *app) error {
	path, sel, err := c.selection(c.Path)
	if err != nil {
		return err
	}
	sel.Skip, sel.Limit, sel.Sample, sel.Seed = c.Skip, c.Limit, c.Sample, a.Seed
	if sel.Skip < 0 || sel.Limit < 0 || sel.Sample < 0 {
		return usagef("show: --skip, --limit and --sample must not be negative")
	}
	u, _, err := look.Unfinished(path)
	if err != nil {
		return err
	}
	if u == nil {
		if isRun, err := c.sets(a, path); isRun || err != nil {
			return err
		}
	}
	style := c.style(a)
	style.Right, style.Beside, style.Columns = c.Right, c.Beside, c.Columns
	shown := 0
	for row, err := range sel.Read(a.ctx, path) {
		if err != nil {
			return err
		}
		shown++
		if a.JSON {
			err = a.ui.Print("", only(row.Columns, c.Columns))
		} else {
			err = a.ui.Styled(style.Row(row) + "\n")
		}
		if err != nil {
			return err
		}
	}
	if u != nil && shown == 0 {
		a.ui.Infof("%s is not finished, and no row so far matches", u.Stage)
		return nil
	}
	if u != nil {
		a.ui.Infof("%s is not finished: rows stand in the order in which they were done", u.Stage)
		return nil
	}
	c.remark(a, path, shown)
	return nil
}

// selection returns the rows that the flags choose, and the directory or file in which they
// are.
func (f selectFlags) selection(path string) (string, look.Selection, error) {
	s := look.Selection{IDs: f.ID, Reasons: f.Rejected.reasons}
	for _, text := range f.Where {
		c, err := look.ParseCondition(text)
		if err != nil {
			return "", s, usagef("--where: %v", err)
		}
		s.Where = append(s.Where, c)
	}
	if !f.Rejected.on {
		return path, s, nil
	}
	if u, _, err := look.Unfinished(path); u != nil || err != nil {
		return filepath.Join(path, dataset.RejectedDir), s, err
	}
	m, err := dataset.ReadManifest(path)
	if err != nil {
		return "", s, badinput.Errorf("--rejected: %w", err)
	}
	for _, reason := range s.Reasons {
		if m.Counts["rejected_"+reason] == 0 {
			return "", s, badinput.Errorf("%s: no row was rejected as %s (%s)", path, reason, countsText(m.Counts))
		}
	}
	if m.Counts[dataset.RejectedDir] == 0 {
		return "", s, badinput.Errorf("%s: no row was rejected", path)
	}
	return filepath.Join(path, dataset.RejectedDir), s, nil
}

// sets lists the datasets in the directory of a run. It reports whether path is one.
func (c *showCmd) sets(a *app, path string) (isRun bool, err error) {
	if dir, err := badinput.IsDir(path); !dir || err != nil || dataset.HasManifest(path) {
		return false, nil // reading it reports the error
	}
	sets, err := look.Sets(path)
	if err != nil || len(sets) == 0 {
		return false, err
	}
	var rows [][]any
	for _, s := range sets {
		rows = append(rows, []any{s.Dir, s.Manifest.Stage, s.Manifest.Rows, s.Manifest.Counts["rejected"]})
	}
	if err := a.ui.Table([]string{"dataset", "stage", "rows", "rejected"}, rows); err != nil {
		return true, err
	}
	a.ui.Infof("barka show %s prints rows", filepath.Join(path, sets[len(sets)-1].Dir))
	return true, nil
}

// remark says how many rows there are beside those shown.
func (c *showCmd) remark(a *app, path string, shown int) {
	plain := len(c.ID)+len(c.Where)+len(c.Rejected.reasons) == 0
	all, err := 0, error(nil)
	if plain && !a.JSON {
		all, err = dataset.Count(path)
	}
	switch {
	case shown == 0:
		a.ui.Infof("no row matches")
	case err != nil || !plain || a.JSON || shown >= all:
	case c.Sample > 0:
		a.ui.Infof("%d of %d rows; another --seed takes others", shown, all)
	case c.Skip+shown < all:
		a.ui.Infof("%d of %d rows; --skip %d shows the next", shown, all, c.Skip+shown)
	}
}

// only returns the named columns of a row, all if there are no names.
func only(columns map[string]any, names []string) map[string]any {
	if len(names) == 0 {
		return columns
	}
	out := maps.Clone(columns)
	maps.DeleteFunc(out, func(name string, _ any) bool { return !slices.Contains(names, name) })
	return out
}
