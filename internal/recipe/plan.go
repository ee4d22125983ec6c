package recipe

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"barka/internal/local"
	"barka/internal/stage/synth"
	"barka/internal/stage/translate"
	"barka/internal/stage/wiki"
)

// Planned is a stage that Run would run.
type Planned struct {
	Stage string `json:"stage"`
	Out   string `json:"out"`
	// Done: its output is complete; a run looks whether it is still of these
	// options.
	Done bool `json:"done"`
	// Work is what it will do, as far as its input is there to count.
	Work string `json:"work,omitempty"`
}

// Plan says what Run would do and what it would cost, and changes nothing.
func (w *Runner) Plan(ctx context.Context, r *Recipe) ([]Planned, error) {
	c := &chain{Runner: w, r: r}
	var plan []Planned
	add := func(stage, out, made string, work func() (string, error)) error {
		p := Planned{Stage: stage, Out: c.path(out)}
		p.Done = exists(filepath.Join(p.Out, made))
		if !p.Done && work != nil {
			var err error
			if p.Work, err = work(); err != nil {
				return err
			}
		}
		plan = append(plan, p)
		return nil
	}
	if err := c.planData(ctx, add); err != nil {
		return nil, err
	}
	if r.Train != nil {
		if err := add("train", adapterDir, "adapter_model.safetensors", nil); err != nil {
			return nil, err
		}
		if r.Merge {
			if err := add("merge", mergedDir, "config.json", nil); err != nil {
				return nil, err
			}
		}
	}
	if r.Eval != nil && (r.Eval.Base || r.Train == nil) {
		if err := add("eval base", baseEvalDir, evaluatedFile, nil); err != nil {
			return nil, err
		}
	}
	if r.Eval != nil && r.Train != nil {
		if err := add("eval tuned", tunedEvalDir, evaluatedFile, nil); err != nil {
			return nil, err
		}
	}
	return plan, add("report", reportFile, "", nil)
}

// manifest is the file that a finished dataset directory has.
const manifest = "manifest.json"

// planData plans the stages that write datasets.
func (c *chain) planData(ctx context.Context, add func(stage, out, made string, work func() (string, error)) error) error {
	r := c.r
	if r.Wiki != nil {
		if err := add("wiki", passagesDir, manifest, func() (string, error) { return planWiki(r.wikiOptions()) }); err != nil {
			return err
		}
	}
	if r.Synth != nil {
		in := c.path(passagesDir)
		if r.Wiki == nil {
			in = r.path(r.Inputs.Passages)
		}
		if err := add("synth", instructionsDir, manifest, func() (string, error) { return planSynth(ctx, *r.Synth, in) }); err != nil {
			return err
		}
		c.sets = append(c.sets, set{"", c.path(instructionsDir)})
	}
	for _, name := range slices.Sorted(maps.Keys(r.Convert)) {
		s := set{name, c.path(instructionsDir + "-" + name)}
		if err := add(s.title("convert"), s.dir(instructionsDir), manifest, nil); err != nil {
			return err
		}
		c.sets = append(c.sets, s)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Inputs.Instructions)) {
		c.sets = append(c.sets, set{name, r.path(r.Inputs.Instructions[name])})
	}
	for _, s := range c.sets {
		if r.Translate != nil {
			if err := add(s.title("translate"), s.dir(translatedDir), manifest, func() (string, error) { return c.planTranslate(ctx, s.path) }); err != nil {
				return err
			}
		}
		if r.Filter != nil {
			if err := add(s.title("filter"), s.dir(cleanDir), manifest, nil); err != nil {
				return err
			}
		}
	}
	if r.Mix != nil {
		return add("mix", mixDir, manifest, nil)
	}
	return nil
}

// planWiki asks no wiki: a dry run of the recipe stays offline.
func planWiki(o wiki.Options) (string, error) {
	if o.Dump == "" {
		return "", nil
	}
	e, err := wiki.Plan(context.Background(), o)
	return fmt.Sprintf("a dump of %d MB", e.Bytes>>20), err
}

func planSynth(ctx context.Context, o synth.Options, passages string) (string, error) {
	if !exists(filepath.Join(passages, manifest)) {
		return "", nil
	}
	e, err := synth.Plan(ctx, o, passages)
	return fmt.Sprintf("%d passages, %d calls, about %d prompt tokens, at most %d completion tokens", e.Passages, e.Calls, e.PromptTokens, e.MaxTokens), err
}

func (c *chain) planTranslate(ctx context.Context, instructions string) (string, error) {
	if !exists(filepath.Join(instructions, manifest)) {
		return "", nil
	}
	o := *c.r.Translate
	t, err := local.LazyTranslator(c.Engine, c.r.Models.Translator, c.r.model(c.r.Models.Translator), local.TranslatorOptions{From: o.From, To: o.To, Decoding: o.Decoding})
	if err != nil {
		return "", err
	}
	e, err := translate.Plan(ctx, o, t, instructions)
	return fmt.Sprintf("%d sentences, %d of them different, %d source tokens", e.Segments, e.Distinct, e.Tokens), err
}
