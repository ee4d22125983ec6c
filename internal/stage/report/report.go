// Package report writes an HTML page about a run: a picture of what every stage
// read, wrote and rejected, a few rows in both languages, rejected rows, tokens,
// how the training went, the evaluations before and after it with tests of their
// difference, the audit, times and payments, and what was made from what. The
// page needs no other file and no network. It supports text in both directions,
// dark mode and paper. Nothing in it is a script.
package report

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"os"
	"path/filepath"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/htmlpage"
)

// Options names what goes into the page. Everything but Out may be empty and
// is then left out.
type Options struct {
	// Out is the page to write, an .html file.
	Out   string
	Title string
	// Facts are lines under the title: recipe, machine, versions.
	Facts []Fact
	// Stages are dataset directories in the order of the run.
	Stages []string
	// Training is a training output directory or its metrics.jsonl.
	Training string
	// Base and Tuned are leaderboard_*.json files of evaluations, or
	// directories that hold one (the newest counts).
	Base, Tuned string
	// Samples is a translated dataset: rows with messages and messages_en.
	Samples string
	// SampleRows is how many of its rows are shown; 0 means 5.
	SampleRows int
	// From and To are the languages of the samples, codes such as eng_Latn.
	// They decide how the rows are laid out; empty ones are taken from the
	// translation among Stages and Samples, if there is one.
	From, To string
	// Audit is an output directory of barka audit.
	Audit string
	// Times is how long each stage took.
	Times []Time
	// Origin is what else is known about the run.
	Origin Origin
}

// Fact is a name and what it is.
type Fact struct{ Name, Value string }

//go:embed report.html
var pageText string

var page = htmlpage.New(pageText, template.FuncMap{"thousands": thousands, "share": percent, "scores": newScores})

// content is what the template shows.
type content struct {
	Title       string
	Facts       []Fact
	Tiles       []tile
	Picture     template.HTML
	Stages      []stage
	Rejected    []rejection
	Tokens      *tokenTable
	Training    *training
	Leaderboard *comparison
	Audit       *audited
	Costs       *costs
	Provenance  *provenance
	Samples     []sample
	From, To    tongue // of the samples
}

// scores is a table of the page: of the leaderboard's rows, whole, with their
// standard errors and the average, or of tasks.
type scores struct {
	Leaderboard *comparison
	Rows        []row
	Heading     string
	Whole       bool
}

func newScores(c *comparison, rows []row, heading string, whole bool) scores {
	return scores{c, rows, heading, whole}
}

// tile is a number at the head of the page.
type tile struct{ Value, Label, Note string }

// Write reads everything and writes the page in one piece.
func Write(ctx context.Context, o Options) error {
	if o.Out == "" {
		return badinput.Errorf("report: no output file; --out names the page to write")
	}
	c, err := gather(ctx, o)
	if err != nil {
		return err
	}
	text, err := htmlpage.Render(page, c)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(o.Out), 0o755); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := atomicfile.WriteFile(o.Out, []byte(text)); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

func gather(ctx context.Context, o Options) (*content, error) {
	c := &content{Title: o.Title, Facts: o.Facts}
	if c.Title == "" {
		c.Title = "Barka run"
	}
	manifests, p, err := c.readStages(ctx, &o)
	if err != nil {
		return nil, err
	}
	if c.Tokens, err = readTokens(c.Stages, o.Stages); err != nil {
		return nil, err
	}
	if c.Audit, err = readAudit(o.Audit, c.Stages); err != nil {
		return nil, err
	}
	c.Costs = newCosts(o.Times, o.Stages, manifests)
	c.Provenance = newProvenance(o.Origin, p, o.Stages, manifests)
	if c.Tokens != nil {
		c.Provenance.Licences = c.Tokens.Licences()
	}
	if o.Training != "" {
		if c.Training, err = readTraining(o.Training); err == nil {
			err = c.Provenance.addTraining(o.Training)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := c.readEvaluations(ctx, o.Base, o.Tuned); err != nil {
		return nil, err
	}
	if err := c.readSamples(ctx, &o); err != nil {
		return nil, err
	}
	c.From, c.To = tongueOf(o.From), tongueOf(o.To)
	c.Picture = p.picture(boxesOf(c))
	c.Tiles = tiles(c)
	return c, nil
}

// readStages reads the manifests of the stages, and a few rejected rows of each.
func (c *content) readStages(ctx context.Context, o *Options) (manifests []*dataset.Manifest, p *pipeline, err error) {
	for _, dir := range o.Stages {
		m, err := dataset.ReadManifest(dir)
		if err != nil {
			return nil, nil, err
		}
		manifests = append(manifests, m)
		s := stageOf(dir, m)
		c.Stages = append(c.Stages, s)
		o.learnLanguages(m)
		rejected, err := readRejected(ctx, dir, s)
		if err != nil {
			return nil, nil, err
		}
		c.Rejected = append(c.Rejected, rejected...)
	}
	p, err = newPipeline(ctx, o.Stages, manifests)
	return manifests, p, err
}

// readEvaluations reads one or two evaluations, and tests the difference of two.
func (c *content) readEvaluations(ctx context.Context, base, tuned string) (err error) {
	if base == "" && tuned == "" {
		return nil
	}
	if c.Leaderboard, err = readComparison(base, tuned); err != nil || !c.Leaderboard.Two() {
		return err
	}
	t, why, err := readTests(ctx, base, tuned)
	if t != nil {
		c.Leaderboard.attach(t)
	}
	c.Leaderboard.NoTests = why
	return err
}

// readSamples reads the rows that the page shows.
func (c *content) readSamples(ctx context.Context, o *Options) (err error) {
	if o.Samples == "" {
		return nil
	}
	if c.Samples, err = readSamples(ctx, o.Samples, o.SampleRows); err != nil {
		return err
	}
	m, err := dataset.ManifestIfAny(o.Samples) // a file of rows has none
	if m != nil {
		o.learnLanguages(m)
	}
	return err
}

// learnLanguages takes the languages that are not named from a translation.
func (o *Options) learnLanguages(m *dataset.Manifest) {
	from, to := translated(m)
	o.From, o.To = cmp.Or(o.From, from), cmp.Or(o.To, to)
}

// tiles picks the numbers to begin with.
func tiles(c *content) []tile {
	var out []tile
	if n := len(c.Stages); n > 0 {
		last := c.Stages[n-1]
		out = append(out, tile{thousands(last.Out), "rows after " + last.Name, ""})
		if tokens := last.tokens(); tokens > 0 {
			out = append(out, tile{thousands(tokens), "tokens in " + last.Name, ""})
		}
	}
	if t := c.Training; t != nil {
		out = append(out, tile{fmt.Sprintf("%.3f", t.LastLoss), "training loss at the end", fmt.Sprintf("%.3f at "+
			"the start, %s steps", t.FirstLoss, thousands(int64(t.Steps)))})
	}
	if t := c.Training; t != nil && t.HasVal {
		out = append(out, tile{fmt.Sprintf("%.3f", t.BestVal), "best validation loss", fmt.Sprintf("at step %s", thousands(int64(t.BestStep)))})
	}
	if l := c.Leaderboard; l != nil {
		out = append(out, l.tiles()...)
	}
	return out
}

// tiles are the average of the leaderboard's rows if all were run, and the difference of two models.
func (c *comparison) tiles() (out []tile) {
	if c.Average.Shown() {
		note := ""
		if c.Two() {
			note = fmt.Sprintf("%s before", htmlpage.Score(c.Average.Base))
		}
		out = append(out, tile{htmlpage.Score(c.Average.last()), "leaderboard average", note})
	}
	if t := c.Tests; t != nil {
		note := "not significant"
		if t.Significant() {
			note = fmt.Sprintf("significant, p = %s", htmlpage.P(t.All.McNemar))
		}
		out = append(out, tile{htmlpage.Points(t.All.Change()), fmt.Sprintf("points, from %s to %s", htmlpage.Percent(t.All.A),
			htmlpage.Percent(t.All.B)), note})
	}
	return out
}
