package recipe

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"barka/internal/backend"
	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/hub"
	"barka/internal/llm"
	"barka/internal/stage/convert"
	"barka/internal/stage/decontaminate"
	"barka/internal/stage/filter"
	"barka/internal/stage/mix"
	"barka/internal/stage/synth"
	"barka/internal/stage/translate"
	"barka/internal/stage/wiki"
	"barka/internal/translationmemory"
)

// set is a dataset of instructions on its way to the mix. The set of synth has no
// name; the others have their names in the recipe.
type set struct{ name, path string }

// dir is the directory of a stage's output for the set.
func (s set) dir(stage string) string {
	if s.name == "" {
		return stage
	}
	return stage + "-" + s.name
}

// title names a stage's work on the set.
func (s set) title(stage string) string {
	if s.name == "" {
		return stage
	}
	return stage + " " + s.name
}

// done reports a stage's dataset to the user. some reports whether it has rows.
func (c *chain) done(title, out string, m *dataset.Manifest) (path string, some bool) {
	path = c.path(out)
	c.made = append(c.made, path)
	step := DatasetStep(title, path, m, time.Since(c.start))
	if some = m.Rows > 0; !some && len(m.Notes) == 0 {
		step.Notes = append(step.Notes, "made no rows"+why(step.Made))
	}
	c.Say(step)
	c.start = time.Now()
	return path, some
}

// why lists the reasons of rejected rows.
func why(m *Made) string {
	if m.Rejected == 0 {
		return ""
	}
	return fmt.Sprintf(": %d are rejected (%s)", m.Rejected, reasons(m.Reasons))
}

// nothing returns the error for a stage that made no rows. The later stages
// would succeed without rows.
func (c *chain) nothing(stage string, m *dataset.Manifest, dir string) error {
	text := ""
	if m != nil {
		text = why(DatasetStep(stage, dir, m, 0).Made)
	}
	return badinput.Errorf("%s made no rows%s; look at %s, change the settings of the stage, and run again with --restart",
		stage, text, c.path(dir))
}

// keep passes the sets that still have rows to the next stage.
func (c *chain) keep(st stage, sets []set) error {
	if len(sets) == 0 && len(c.sets) > 0 && len(c.r.Inputs.Mix) == 0 {
		return c.nothing(st.name, nil, c.sets[0].dir(st.dir))
	}
	c.sets = sets
	return nil
}

func (c *chain) wiki(ctx context.Context, st stage) error {
	o := c.r.wikiOptions()
	if o.Tokenizer != "" {
		tok, err := c.tokenizer(o.Tokenizer)
		if err != nil {
			return err
		}
		o.Tokens = func(text string) int { return len(tok.Encode(text, false)) }
	}
	var judge *wiki.Judge
	if o.Relevance {
		client, digest, err := c.client(c.r.Models.Generator)
		if err != nil {
			return err
		}
		judge = &wiki.Judge{Client: client, Digest: digest}
	}
	m, err := wiki.Run(ctx, o, judge, c.env(st.dir, nil))
	if err != nil {
		return err
	}
	var some bool
	if c.passages, some = c.done(st.name, st.dir, m); !some {
		return c.nothing(st.name, m, st.dir)
	}
	return nil
}

// wikiOptions returns the options of the wiki block with resolved paths.
func (r *Recipe) wikiOptions() wiki.Options {
	o := *r.Wiki
	o.Dump, o.Data, o.Index, o.TitleFile = r.path(o.Dump), r.path(o.Data), r.path(o.Index), r.path(o.TitleFile)
	o.RelevancePrompt, o.Templates = r.path(o.RelevancePrompt), r.path(o.Templates)
	if o.Cache != wiki.NoCache {
		o.Cache = r.path(o.Cache)
	}
	return o
}

func (c *chain) synth(ctx context.Context, st stage) error {
	o := c.r.synthOptions()
	models, err := c.synthModels(&o)
	if err != nil {
		return err
	}
	env := c.env(st.dir, map[string]string{"passages": c.passages})
	env.Retry = c.Retry
	m, err := synth.Run(ctx, o, models, env)
	if err != nil {
		return err
	}
	if text := synth.Money(m); text != "" {
		c.Progress.Note("synth: " + text)
	}
	path, some := c.done(st.name, st.dir, m)
	if some {
		c.sets = append(c.sets, set{"", path})
		return nil
	}
	if c.r.hasInstructions() || len(c.r.Inputs.Mix) > 0 {
		return nil // other sets have instructions
	}
	return c.nothing(st.name, m, st.dir)
}

// synthOptions returns the options of the synth block with resolved paths, and what the
// models decide.
func (r *Recipe) synthOptions() synth.Options {
	o := *r.Synth
	if !synth.IsBuiltIn(o.Prompts) {
		o.Prompts = r.path(o.Prompts)
	}
	o.Judge = r.Models.Judge.Model
	o.Concurrency = llm.Places(r.Models.Generator.servers(), r.Models.Generator.Concurrency)
	return o
}

// synthModels returns the clients that write questions and answers and that score them. A
// local model is loaded by its first request; the digest of its weights is set in the
// options.
func (c *chain) synthModels(o *synth.Options) (m synth.Models, err error) {
	generator, judge := c.r.Models.Generator, c.r.Models.Judge
	if m.Generator, o.ModelDigest, err = c.client(generator); err != nil || judge.Model == "" {
		return m, err
	}
	if !generator.remote() && !judge.remote() && c.r.model(generator.Model) == c.r.model(judge.Model) {
		m.Judge, o.JudgeDigest = m.Generator, o.ModelDigest
		return m, nil
	}
	m.Judge, o.JudgeDigest, err = c.client(judge)
	return m, err
}

// client returns a client of a model here or behind endpoints, with the digest of the
// weights of one that is here.
func (c *chain) client(g Generator) (llm.Client, string, error) {
	if servers := g.servers(); len(servers) > 0 {
		p, err := llm.NewPool(g.Model, servers, llm.Options{Note: c.Progress.Note})
		return p, "", err
	}
	dir := c.r.model(g.Model)
	digest, err := c.Engine.Digest(dir)
	client := c.Engine.LazyChat(g.Model, dir)
	c.owns(client)
	return client, digest, err
}

// convertSet converts a benchmark.
func (c *chain) convertSet(ctx context.Context, b *Convert, out string) (*dataset.Manifest, error) {
	o, data := c.r.convertOptions(b), c.r.convertData(b)
	if c.Hub != nil {
		source, err := b.Locate(ctx, c.Hub, data)
		if err == nil && source.Plan != nil { // the cache lost what Check found
			_, err = c.Hub.Fetch(ctx, source.Plan)
		}
		if err != nil {
			return nil, err
		}
		data, o.Source = source.Data, source.Repo
	}
	var client llm.Client
	if o.AsksModel() {
		var err error
		if client, o.ModelDigest, err = c.client(c.r.Models.Generator); err != nil {
			return nil, err
		}
	}
	return convert.Run(ctx, o, client, c.env(out, c.r.convertInputs(b, data)))
}

// convert converts the benchmarks, and adds the instructions from outside.
func (c *chain) convert(ctx context.Context, st stage) error {
	for _, name := range slices.Sorted(maps.Keys(c.r.Convert)) {
		s := set{name: name}
		m, err := c.convertSet(ctx, c.r.Convert[name], s.dir(st.dir))
		if err != nil {
			return err
		}
		var some bool
		if s.path, some = c.done(s.title(st.name), s.dir(st.dir), m); some {
			c.sets = append(c.sets, s)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.r.Inputs.Instructions)) {
		c.sets = append(c.sets, set{name, c.r.path(c.r.Inputs.Instructions[name])})
	}
	if len(c.sets) == 0 && len(c.r.Convert) > 0 && len(c.r.Inputs.Mix) == 0 {
		return c.nothing(st.name, nil, st.dir+"-"+slices.Sorted(maps.Keys(c.r.Convert))[0])
	}
	return nil
}

func (c *chain) translate(ctx context.Context, st stage) error {
	o := *c.r.Translate
	name := c.r.Models.Translator
	t, err := c.Engine.LazyTranslator(name, c.r.model(name), backend.TranslatorOptions{
		From: o.From, To: o.To, Decoding: o.Decoding, NumReturn: o.Hypotheses(), Attention: o.Attends(),
		Seed: c.r.Seed})
	if err != nil {
		return err
	}
	c.owns(t)
	if o.ModelDigest, err = c.Engine.Digest(c.r.model(name)); err != nil {
		return err
	}
	tools := translate.Tools{Translator: t}
	by, err := c.openSecond()
	if err != nil {
		return err
	}
	if by != nil {
		tools.Second, tools.ForgetSecond = by, c.r.Models.Second.remote() && c.Memory == ""
		if o.SecondDigest, err = by.Digest(); err != nil {
			return err
		}
	}
	tools.Memory, err = translationmemory.Choose(c.Memory, func(err error) { c.Log.Warn(err.Error()) })
	if err != nil {
		return err
	}
	if tools.Memory != nil {
		c.owns(tools.Memory)
	}
	return c.each(st, func(s set, env durable.Env) (*dataset.Manifest, error) {
		if slices.Contains(c.r.Models.Second.Sets, s.inputName()) {
			o, tools := bySecond(o, tools, by)
			return translate.Run(ctx, o, tools, env)
		}
		return translate.Run(ctx, o, tools, env)
	})
}

func (c *chain) filter(ctx context.Context, st stage) error {
	earlier := map[string]string{}
	return c.each(st, func(_ set, env durable.Env) (*dataset.Manifest, error) {
		if c.r.Filter.AcrossSets {
			maps.Copy(env.In, earlier)
		}
		m, err := filter.Run(ctx, *c.r.Filter, env)
		if err == nil && m.Rows > 0 {
			earlier[fmt.Sprintf("%s%03d %s", dataset.EarlierInput, len(earlier)+1, filepath.Base(env.Out))] = env.Out
		}
		return m, err
	})
}

func (c *chain) decontaminate(ctx context.Context, st stage) error {
	o, dirs := c.decontaminateOptions(c.r)
	return c.each(st, func(_ set, env durable.Env) (*dataset.Manifest, error) { return decontaminate.Run(ctx, o, dirs, env) })
}

// decontaminateOptions returns the options of the block with resolved paths, and the
// directories of the benchmarks.
func (w *Runner) decontaminateOptions(r *Recipe) (o decontaminate.Options, dirs []string) {
	o = r.Decontaminate.Options
	if o.Tasks == "" && r.Eval != nil {
		o.Tasks = r.Eval.Tasks
	}
	o.Tasks = cmp.Or(o.Tasks, decontaminate.Defaults().Tasks)
	if path := r.path(o.Tasks); isFile(path) {
		o.Tasks = path
	}
	o.Originals = slices.Clone(o.Originals)
	for i, name := range o.Originals {
		if path := r.path(name); isFile(path) {
			o.Originals[i] = path
		}
	}
	if r.Eval != nil && r.Eval.Data == "" {
		o.Revisions = w.pins(r)
	}
	data := r.Decontaminate.Data
	if data == "" && r.Eval != nil {
		data = r.Eval.Data
	}
	if data != "" {
		dirs = append(dirs, r.path(data))
	}
	return o, append(dirs, hub.CacheDir())
}

// each runs a stage over every set.
func (c *chain) each(st stage, run func(set, durable.Env) (*dataset.Manifest, error)) error {
	var kept []set
	for _, s := range c.sets {
		m, err := run(s, c.env(s.dir(st.dir), map[string]string{"instructions": s.path}))
		if err != nil {
			return err
		}
		var some bool
		if s.path, some = c.done(s.title(st.name), s.dir(st.dir), m); some {
			kept = append(kept, s)
		}
	}
	return c.keep(st, kept)
}

func (c *chain) mix(ctx context.Context, st stage) error {
	in := map[string]string{}
	for _, s := range c.sets {
		in[s.inputName()] = s.path
	}
	for name, p := range c.r.Inputs.Mix {
		in[name] = c.r.path(p)
	}
	counters := map[string]mix.Counter{}
	for _, name := range c.r.tokenizers() {
		tok, err := c.tokenizer(name)
		if err != nil {
			return err
		}
		counters[name] = func(s string) int { return len(tok.Encode(s, c.r.Mix.CountSpecial)) }
	}
	o := *c.r.Mix
	o.Review = c.r.path(c.r.Inputs.Review)
	m, err := mix.Run(ctx, o, counters, c.env(st.dir, in))
	if err != nil {
		return err
	}
	if _, some := c.done(st.name, st.dir, m); !some {
		return c.nothing(st.name, m, st.dir)
	}
	return nil
}

// mainSet is the mix's name for the set of synth.
const mainSet = "main"

// named returns the set of a name in the mix.
func named(name string) set {
	if name == mainSet {
		name = ""
	}
	return set{name: name}
}

func (s set) inputName() string {
	if s.name == "" {
		return mainSet
	}
	return s.name
}
