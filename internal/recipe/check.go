package recipe

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/backend"
	"barka/internal/badinput"
	"barka/internal/eval"
	"barka/internal/hub"
	"barka/internal/llm"
	"barka/internal/nearest"
	"barka/internal/printable"
	"barka/internal/stage/convert"
	"barka/internal/stage/synth"
	"barka/internal/stage/train"
	"barka/internal/tokenizer"
)

// Checked holds what a check of a recipe found.
type Checked struct {
	// Problems would make a run fail. They include the mistakes in the recipe's
	// text.
	Problems []Problem
	// Warnings do not stop a run, or are about things that could not be checked.
	Warnings []Problem
	// Downloads have to be fetched from the hub before the run. Their content is not
	// checked.
	Downloads []*hub.Plan

	file       string
	base       *backend.Outline
	generator  *backend.Outline
	translator *backend.Outline
	converted  map[string]convert.Estimate
	pages      int // of the dump, 0 if they were not counted
	evaluation *eval.WorkEstimate
	needs      backend.Memory // the evaluation's
	observed   train.Work     // an evaluation during the training
}

// Err returns the problems as one error, or nil if there are none.
func (c *Checked) Err() error {
	list := sorted(c.Problems)
	if len(list) == 0 {
		return nil
	}
	return badinput.Wrap(&Problems{File: c.file, List: list})
}

// checker examines everything that a recipe names.
type checker struct {
	*Checked
	w *Runner
	r *Recipe
	// silent is set when the hub could not be reached; it is not asked again.
	silent bool
}

// Check finds what would stop a run of the recipe before it costs hours or money. It
// examines models, languages, layers, files, titles, benchmarks and tasks. It writes
// nothing and makes no paid requests. It reads all data except large dumps and the
// values of weights.
func (w *Runner) Check(ctx context.Context, r *Recipe) (*Checked, error) {
	k := &checker{w: w, r: r, Checked: &Checked{file: r.file, Problems: slices.Clone(r.doc.problems),
		converted: map[string]convert.Estimate{}}}
	for _, check := range []func(context.Context){
		k.output, k.models, k.wiki, k.convert, k.inputs, k.decontaminate, k.mix, k.training, k.eval, k.publish,
	} {
		check(ctx)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return k.Checked, nil
}

// problem adds an error about a key to the problems; nil adds nothing.
func (k *checker) problem(key string, err error) {
	if err != nil {
		k.Problems = append(k.Problems, k.at(key, err))
	}
}

func (k *checker) warn(key string, err error) {
	if err != nil {
		k.Warnings = append(k.Warnings, k.at(key, err))
	}
}

func (k *checker) at(key string, err error) Problem {
	stage, _, _ := strings.Cut(key, ".") // errors of a stage begin with its name
	return Problem{Line: k.r.doc.line(key), Key: key, Text: key + ": " + strings.TrimPrefix(err.Error(), stage+": ")}
}

func (k *checker) output(context.Context) {
	if info, err := os.Stat(k.w.Out); err == nil && !info.IsDir() {
		k.Problems = append(k.Problems, Problem{Text: fmt.Sprintf("the working directory %s is a file; name a directory with --out", k.w.Out)})
	}
}

// models checks the three models and what the stages need of them.
func (k *checker) models(ctx context.Context) {
	r := k.r
	if r.Synth != nil {
		_, err := synth.LoadPrompts(r.synthOptions().Prompts)
		k.problem("synth.prompts", err)
	}
	if r.Synth != nil || r.convertAsks() || r.wikiAsks() {
		k.generator = k.writes(ctx, r.Models.Generator, "models.generator")
		if r.Synth != nil && r.Models.Judge.Model != "" {
			k.writes(ctx, r.Models.Judge, "models.judge")
		}
	}
	if r.Translate != nil {
		if k.translator = k.look(ctx, "models.translator", r.Models.Translator, r.DType, true); k.translator != nil {
			k.languages(k.translator.Tokenizer)
		}
		k.second(ctx)
	}
	if r.Train != nil || r.Eval != nil {
		k.baseModel(ctx)
	} else if r.Mix != nil && r.Models.Base != "" {
		k.tokenizer(ctx, "models.base", r.Models.Base)
	}
	if r.Mix != nil {
		for i, name := range r.Mix.Tokenizers {
			k.tokenizer(ctx, fmt.Sprintf("mix.tokenizers[%d]", i), name)
		}
	}
}

// writes checks a model that writes texts. It returns what is known of one on this machine.
func (k *checker) writes(ctx context.Context, g Generator, key string) *backend.Outline {
	if g.remote() {
		k.servers(ctx, g, key, "synth", k.made(instructionsDir))
		return nil
	}
	found := k.look(ctx, key+".model", g.Model, k.r.DType, false)
	if found != nil {
		k.problem(key+".model", found.CheckChat())
	}
	return found
}

// servers checks the endpoints of a model for a stage, which may be done already.
func (k *checker) servers(ctx context.Context, g Generator, key, stage string, done bool) {
	for _, s := range g.servers() {
		s.Model = cmp.Or(s.Model, g.Model)
		k.endpoint(ctx, s, key, stage, done)
	}
}

// endpoint asks an endpoint for its models. If the stage is done, it asks nothing.
func (k *checker) endpoint(ctx context.Context, s llm.Server, key, stage string, done bool) {
	at := key + ".endpoint"
	if _, given := k.r.doc.lines[at]; !given {
		at = key + ".endpoints"
	}
	c, err := llm.NewHTTP(llm.Options{BaseURL: s.Endpoint, Model: s.Model, KeyVariable: s.KeyVariable})
	switch {
	case err != nil && s.KeyVariable != "" && strings.Contains(err.Error(), s.KeyVariable):
		k.problem(key+".key_variable", err)
		return
	case err != nil:
		k.problem(at, err)
		return
	case done:
		return
	}
	names, err := c.Models(ctx)
	if err != nil {
		k.problem(at, fmt.Errorf("%s does not answer, so that %s would fail: %w", s.Endpoint, stage, err))
	}
	if len(names) > 0 && !slices.Contains(names, s.Model) {
		hint := strings.Join(names[:min(len(names), 6)], ", ")
		if near := nearest.Name(s.Model, names); near != "" {
			hint = "did you mean " + near + "?"
		}
		k.warn(key+".model", fmt.Errorf("the endpoint does not list %s among its %d models; %s", s.Model, len(names), hint))
	}
}

func (k *checker) baseModel(ctx context.Context) {
	const key = "models.base"
	r := k.r
	if k.base = k.look(ctx, key, r.Models.Base, r.trainDType(), false); k.base == nil {
		return
	}
	if r.Eval != nil {
		k.problem(key, k.base.CheckEval())
	}
	if r.Train == nil {
		return
	}
	k.problem(key, r.Train.CheckChat(k.base.Tokenizer))
	k.problem("train.targets", k.base.CheckTargets(r.Train.Targets))
	o, err := r.training()
	if k.problem("train.adapter", err); err == nil && o.Adapter != "" {
		k.problem("train.adapter", k.base.CheckAdapter(o.Adapter))
	}
	if n := k.base.Shape.MaxPositions; n > 0 && r.Train.MaxLength > n {
		k.warn("train.max_length", fmt.Errorf("%d tokens are allowed, but %s has %d positions; a "+
			"conversation that is longer stops the training", r.Train.MaxLength, r.Models.Base, n))
	}
}

// languages checks that the translator knows the recipe's languages.
func (k *checker) languages(tok *tokenizer.Tokenizer) {
	for _, l := range []struct{ key, code string }{{"translate.from", k.r.Translate.From}, {"language", k.r.Language}} {
		if l.key == "language" && slices.ContainsFunc(k.Problems, func(p Problem) bool { return p.Key == l.key }) {
			continue // already a problem
		}
		_, err := tok.Language(l.code)
		if near := nearest.Name(l.code, tok.Languages()); err != nil && near != "" {
			err = fmt.Errorf("%w; did you mean %s?", err, near)
		}
		k.problem(l.key, err)
	}
}

// look finds a model and reads its outline. It returns nil if it added a problem, or
// if the model has to be downloaded first.
func (k *checker) look(ctx context.Context, key, name, dtype string, encoderDecoder bool) *backend.Outline {
	if !k.find(ctx, key, name, hub.Weights) {
		return nil
	}
	engine := k.w.Engine.As(dtype)
	l, err := engine.Outline(k.r.model(name), encoderDecoder)
	if err != nil {
		k.problem(key, err)
		return nil
	}
	need, err := engine.Weighs(l)
	if total := engine.Total(); err == nil && total > 0 && need > total {
		err = badinput.Errorf("its weights need %s, and %s has %s of memory; set dtype to bf16 or int8, "+
			"or use a smaller model", printable.Bytes(need), engine.Place(), printable.Bytes(total))
	} else if free := engine.Available(); err == nil && free > 0 && need > free {
		k.warn(key, fmt.Errorf("its weights need %s, and %s of memory are free now on %s", printable.Bytes(need), printable.Bytes(free),
			engine.Place()))
	}
	k.problem(key, err)
	return l
}

// tokenizer checks a model of which only the tokenizer is used.
func (k *checker) tokenizer(ctx context.Context, key, name string) {
	if !k.find(ctx, key, name, hub.Tokenizer) {
		return
	}
	dir, err := hub.Resolve(k.r.model(name))
	if err == nil {
		_, err = tokenizer.Load(dir)
	}
	k.problem(key, err)
}

// find reports whether a model is on this machine. If not, it adds the download, or
// the problem why there is none.
func (k *checker) find(ctx context.Context, key, name string, want hub.FileSet) bool {
	if name == "" {
		return false // already a problem
	}
	place := k.r.model(name)
	if !hub.IsID(place) || k.w.Hub == nil || k.silent {
		_, err := hub.Resolve(place)
		k.problem(key, k.nearDirectory(name, err))
		return err == nil
	}
	plan, err := k.w.Hub.Missing(ctx, place, want)
	k.silent = k.silent || hub.IsUnreachable(err)
	k.problem(key, k.nearDirectory(name, err))
	if plan != nil && plan.Missing > 0 {
		k.Downloads = append(k.Downloads, plan)
		return false
	}
	return err == nil
}

// nearDirectory adds to the error about a path of the recipe the most similar name in
// the same directory.
func (k *checker) nearDirectory(name string, err error) error {
	if err == nil {
		return nil
	}
	path := k.r.path(name)
	entries, _ := os.ReadDir(filepath.Dir(path))
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if near := nearest.Name(filepath.Base(path), names); near != "" && near != filepath.Base(path) {
		return fmt.Errorf("%w; did you mean %s?", err, filepath.Join(filepath.Dir(name), near))
	}
	return err
}
