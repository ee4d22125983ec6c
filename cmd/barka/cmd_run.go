package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"barka/internal/bench"
	"barka/internal/hub"
	"barka/internal/printable"
	"barka/internal/recipe"
	"barka/internal/ui"
)

type runCmd struct {
	Recipe  string  `arg:"" help:"Recipe file."`
	Out     string  `help:"Working directory; default: runs/NAME, by the recipe's name." placeholder:"DIR"`
	Restart bool    `help:"Discard stages made with other options."`
	Other   bool    `name:"allow-other-device" help:"Continue a training that began on another --device; its bits are those of no single device."`
	Retry   bool    `name:"retry-rejected" help:"Let synth ask again about passages whose requests failed."`
	Memory  string  `help:"Translation memory; off is none, default: one in the user's cache directory, for all runs." placeholder:"FILE|off"`
	DryRun  bool    `help:"Check the recipe and all it names, and estimate every stage; run nothing."`
	Probe   int     `help:"Sentences that --dry-run translates to estimate the time of translate, if its data are there; 0 translates none." default:"48"`
	Price   float64 `name:"price-per-hour" help:"Price of this machine per hour, for the cost that --dry-run prints." placeholder:"PRICE"`
	Contact string  `help:"Your mail address or page, for the operators of the wiki." env:"BARKA_CONTACT" placeholder:"ADDRESS"`
}

func (runCmd) Help() string {
	return `Runs the stages that the recipe has, in the order wiki, synth, convert, translate, filter,
decontaminate, mix, train, merge, eval, report and publish. An interrupted run is resumed by the same
command.

Example: barka run recipes/quickstart.yaml`
}

func (c *runCmd) Run(a *app) error {
	r, err := recipe.Open(c.Recipe)
	if err != nil {
		return err
	}
	if c.Out == "" {
		c.Out = runDirectory(r)
	}
	if err := a.needContact(r, c.Contact); err != nil {
		return err
	}
	if !(c.Price >= 0) || math.IsInf(c.Price, 0) || c.Price > 0 && !c.DryRun {
		return usagef("--price-per-hour is %g, expected a number of at least 0, with --dry-run", c.Price)
	}
	if c.DryRun {
		return a.planRecipe(r, c.Out, c.Probe, c.Price)
	}
	return a.runRecipe(r, c.Out, c.Memory, func(w *recipe.Runner) {
		w.Restart, w.Retry, w.AllowOtherDevice = c.Restart, c.Retry, c.Other
	})
}

// runDirectory is the default of --out.
func runDirectory(r *recipe.Recipe) string { return filepath.Join("runs", cmp.Or(r.Name, "unnamed")) }

// needContact names the operator of a recipe's wiki reader, unless the recipe does.
func (a *app) needContact(r *recipe.Recipe, given string) (err error) {
	if w := r.Wiki; w != nil && w.API != "" && w.Contact == "" {
		w.Contact, err = a.contact(given)
	}
	return err
}

// contact returns the address that a wiki's operators are given: the one given, or what the
// user types on a terminal, or "".
func (a *app) contact(given string) (string, error) {
	if given != "" || !a.ui.Terminal() || !term.IsTerminal(int(os.Stdin.Fd())) {
		return given, nil
	}
	fmt.Fprint(a.stderr, "Wikis ask for an address of whoever reads many pages. Your mail address or page: ")
	line, err := bufio.NewReader(a.stdin).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", err
	}
	return strings.TrimSpace(line), nil
}

// planRecipe prints what a run would do and everything that would stop it.
func (a *app) planRecipe(r *recipe.Recipe, out string, probe int, price float64) error {
	w, checked, plan, err := a.plan(r, out, probe)
	if err != nil {
		return err
	}
	if _, err := a.printPlan(w, plan, price); err != nil {
		return err
	}
	a.reportChecked(checked)
	return checked.Err()
}

// plan checks a recipe and estimates its stages.
func (a *app) plan(r *recipe.Recipe, out string, probe int) (*recipe.Runner, *recipe.Checked, []recipe.Planned, error) {
	w, err := a.runner(r, out)
	if err != nil {
		return nil, nil, nil, err
	}
	w.Probe = probe
	checked, err := w.Check(a.ctx, r)
	if err != nil {
		return nil, nil, nil, err
	}
	plan, err := w.Plan(a.ctx, r, checked)
	return w, checked, plan, err
}

// printPlan lists the stages with their estimated work, time and memory, and the sum.
func (a *app) printPlan(w *recipe.Runner, plan []recipe.Planned, price float64) (total, error) {
	ceilings := bench.QuickCeilings(w.Engine.Host(), a.Threads)
	rows := make([][]any, len(plan))
	sum := total{Price: price}
	for i, p := range plan {
		seconds, time := leastTime(p, ceilings)
		sum.add(p, seconds)
		if p.Done {
			p.Work, time = "done", ""
		}
		if a.JSON {
			row := struct {
				recipe.Planned
				Seconds float64 `json:"seconds_at_least,omitempty"`
				Where   string  `json:"where"`
			}{p, seconds, p.Out}
			if err := a.ui.Print("", row); err != nil {
				return sum, err
			}
			continue
		}
		memory := ""
		if p.Memory > 0 {
			memory = printable.Bytes(p.Memory)
		}
		rows[i] = []any{p.Stage, p.Work, time, memory, p.Out}
	}
	if !a.JSON {
		if err := a.ui.Table([]string{"stage", "work", "time", "memory", "where"}, rows); err != nil {
			return sum, err
		}
	}
	a.ui.Event("ceilings", fmt.Sprintf("times are lower bounds from this machine's ceilings, measured now: arithmetic at "+
		"%.0f GFLOP/s (f32), %.0f GFLOP/s (bf16) and %.0f GOP/s (int8), weights read at %.1f GB/s; "+
		"memory is that of weights, caches and activations",
		ceilings.F32/1e9, ceilings.BF16/1e9, ceilings.I8/1e9, ceilings.Read/1e9), ceilings)
	a.ui.Event("total", sum.text(), sum)
	return sum, nil
}

// total is the time of a whole recipe, and its cost at a price per hour.
type total struct {
	Seconds float64 `json:"seconds_at_least"`
	Price   float64 `json:"price_per_hour,omitempty"`
	Cost    float64 `json:"cost_at_least,omitempty"`
	// Unknown are the stages to run that have no estimate of their time.
	Unknown []string `json:"without_estimate,omitempty"`
}

// add counts a stage with its least time.
func (t *total) add(p recipe.Planned, seconds float64) {
	switch {
	case p.Done:
		return
	case seconds == 0:
		t.Unknown = append(t.Unknown, p.Stage)
	}
	t.Seconds += seconds
	t.Cost = t.Seconds / 3600 * t.Price
}

func (t *total) text() string {
	text := "all stages: at least " + ui.Duration(time.Duration(t.Seconds*float64(time.Second)))
	if t.Price > 0 {
		text += fmt.Sprintf(", which costs at least %.2f at %g per hour", t.Cost, t.Price)
	}
	if len(t.Unknown) > 0 {
		text += "; without " + strings.Join(t.Unknown, ", ") + ", which have no estimate"
	}
	return text
}

// leastTime returns a lower bound of a stage's time, as a number and as text.
func leastTime(p recipe.Planned, c bench.Ceilings) (seconds float64, text string) {
	e := p.Effort
	speed := map[string]float64{"f32": c.F32, "bf16": c.BF16, "int8": c.I8}[e.DType]
	if speed > 0 {
		seconds = max(e.FLOP/speed, e.Read/c.Read)
	}
	seconds = max(seconds, e.Waits)
	switch {
	case e.Seconds > 0:
		return seconds, "about " + ui.Duration(time.Duration(e.Seconds*float64(time.Second))) + " (timed)"
	case seconds == 0 && e.Elsewhere:
		return 0, "as the endpoint answers"
	case seconds == 0 && p.Tokens > 0:
		return 0, "unknown without the model"
	case seconds == 0:
		return 0, ""
	case e.Elsewhere:
		return seconds, fmt.Sprintf("at least %s (rate limit)", ui.Duration(time.Duration(seconds*float64(time.Second))))
	}
	return seconds, "at least " + ui.Duration(time.Duration(seconds*float64(time.Second)))
}

// runner returns the runner that checks, plans and runs a recipe.
func (a *app) runner(r *recipe.Recipe, out string) (*recipe.Runner, error) {
	client, err := a.hub("")
	return &recipe.Runner{Out: out, Engine: a.engine(r.DType), Hub: client, Progress: a.ui.Progress(), Log: a.log(),
		Kernels: a.kernels(), Checkpoint: checkpointSignal(), Peak: a.peak()}, err
}

// reportChecked prints the downloads and warnings of a check.
func (a *app) reportChecked(c *recipe.Checked) {
	for _, p := range c.Downloads {
		a.reportDownload(p)
	}
	for _, w := range c.Warnings {
		a.ui.Warnf("%v", w)
	}
}

// ready checks a recipe, downloads its models and checks them too, so that a run
// that cannot succeed fails before it has cost hours or money.
func (a *app) ready(w *recipe.Runner, r *recipe.Recipe) error {
	checked, err := w.Check(a.ctx, r)
	if err != nil {
		return err
	}
	if err := checked.Err(); err != nil {
		return err
	}
	if len(checked.Downloads) > 0 {
		for _, model := range r.LocalModels() {
			if err := a.ensure(weights(model)); err != nil {
				return err
			}
		}
		for _, model := range r.Tokenizers() {
			if err := a.ensure(tokenizerOf(model)); err != nil {
				return err
			}
		}
		if err := a.fetchDatasets(w, checked.Downloads); err != nil {
			return err
		}
		if checked, err = w.Check(a.ctx, r); err != nil {
			return err
		}
	}
	a.reportChecked(checked)
	return checked.Err()
}

// fetchDatasets downloads the plans that are of datasets.
func (a *app) fetchDatasets(w *recipe.Runner, plans []*hub.Plan) error {
	for _, p := range plans {
		if p.Repo.Kind != hub.Dataset {
			continue
		}
		a.reportDownload(p)
		if _, err := w.Hub.Fetch(a.ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// runRecipe runs a recipe and reports each stage when it finishes.
func (a *app) runRecipe(r *recipe.Recipe, out, memory string, set func(*recipe.Runner)) error {
	w, err := a.runner(r, out)
	if err != nil {
		return err
	}
	if err := a.ready(w, r); err != nil {
		return err
	}
	set(w)
	return a.runAll(w, r, memory)
}

// runAll runs the stages of a recipe that is ready.
func (a *app) runAll(w *recipe.Runner, r *recipe.Recipe, memory string) error {
	start := time.Now()
	var steps []recipe.Step
	w.Memory, w.Say = memory, func(s recipe.Step) {
		steps = append(steps, s)
		a.reportStage(s)
	}
	if err := w.Run(a.ctx, r); err != nil {
		return err
	}
	return a.summary(r, w.Out, steps, time.Since(start))
}

// reportStage reports a finished stage.
func (a *app) reportStage(s recipe.Step) {
	a.ui.Event("stage", fmt.Sprintf("%-11s %s → %s (%s)", s.Stage, s.Text(), s.Out, seconds(s.Seconds)), s)
	a.warn(s.Stage, s.Notes)
}

// finished writes the event of a stage that a verb ran by itself. Without --json the
// verb's own output says the same.
func (a *app) finished(s recipe.Step) {
	if a.JSON {
		a.ui.Event("stage", "", s)
	}
}

func seconds(s float64) string { return ui.Duration(time.Duration(s * float64(time.Second))) }

// summary prints what each stage made, and where.
func (a *app) summary(r *recipe.Recipe, out string, steps []recipe.Step, took time.Duration) error {
	if a.JSON {
		for _, s := range steps {
			// The three columns of the table, beside the numbers.
			row := struct {
				recipe.Step
				Text  string `json:"made"`
				Where string `json:"where"`
			}{s, s.Text(), s.Out}
			if err := a.ui.Print("", row); err != nil {
				return err
			}
		}
		return nil
	}
	rows := make([][]any, len(steps))
	for i, s := range steps {
		rows[i] = []any{s.Stage, s.Text(), s.Out}
	}
	if err := a.ui.Table([]string{"stage", "made", "where"}, rows); err != nil {
		return err
	}
	for _, s := range steps {
		a.warn(s.Stage, s.Notes) // again: they scrolled away hours ago
	}
	a.ui.Infof("%s finished in %s; look at %s", r.Name, ui.Duration(took), filepath.Join(out, "report.html"))
	return nil
}
