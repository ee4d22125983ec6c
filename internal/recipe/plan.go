package recipe

import (
	"context"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/backend"
	"barka/internal/dataset"
	"barka/internal/llm"
	"barka/internal/stage/synth"
	"barka/internal/stage/translate"
	"barka/internal/stage/wiki"
)

// Planned is a stage that Run would run.
type Planned struct {
	Stage string `json:"stage"`
	Out   string `json:"out"`
	// Done is set if the output is complete. A run also checks that it was made
	// with these options.
	Done bool `json:"done"`
	// Work describes what the stage will do.
	Work string `json:"work,omitempty"`
	// Estimated is set if the counts depend on a stage that has not run yet.
	Estimated bool `json:"estimated,omitempty"`
	// Rows counts the rows that it reads or makes, Calls the requests to the
	// generator, and Tokens the tokens that models read and write.
	Rows   int64 `json:"rows,omitempty"`
	Calls  int64 `json:"calls,omitempty"`
	Tokens int64 `json:"tokens,omitempty"`
	Effort
	// Cost is what the endpoints ask at most, by the recipe's prices; nil without prices.
	Cost *synth.Range `json:"cost_at_most,omitempty"`
	// Memory is the memory of models on this machine in bytes; 0 means little or
	// unknown.
	Memory int64 `json:"memory_bytes,omitempty"`
}

// Effort gives lower bounds of a stage's time on this machine, and an estimate where there is
// one.
type Effort struct {
	// FLOP counts the operations of its matrix products in the type DType, Read the
	// bytes of weights that it reads from memory.
	FLOP  float64 `json:"flop,omitempty"`
	Read  float64 `json:"read_bytes,omitempty"`
	DType string  `json:"dtype,omitempty"`
	// Waits is the time that rate limits make it wait, in seconds.
	Waits float64 `json:"waits_seconds,omitempty"`
	// Seconds is the stage's time by what was timed on its own data; 0 if nothing was.
	Seconds float64 `json:"seconds,omitempty"`
	// Elsewhere is set if the work is done behind an endpoint.
	Elsewhere bool `json:"elsewhere,omitempty"`
}

// Figures for the estimates of stages whose input does not exist yet. The first
// three were measured on the first 106 articles of a dump of the English Wikipedia,
// which are long; a stub has a passage or two.
const (
	passagesPerPage = 16.5
	charsPerPassage = 1600
	bytesPerPage    = 16 << 10 // of a compressed dump
	textPerPage     = 56 << 10 // of an uncompressed dump
	// tokensPerCall is a guess of the length of a generator's answer.
	tokensPerCall = 100
	// charsPerToken is the figure that synth.Plan uses.
	charsPerToken = 4
)

// amount counts rows and their characters.
type amount struct {
	rows, chars int64
	estimated   bool
}

func (a amount) tokens() int64 { return a.chars / charsPerToken }

// about marks an estimate.
func (a amount) about() string {
	if a.estimated {
		return "about "
	}
	return ""
}

// text returns the amount with a noun. It returns "" for 0 rows, which means that the
// number is unknown or that Check found a problem.
func (a amount) text(of string) string {
	if a.rows == 0 {
		return ""
	}
	return fmt.Sprintf("%s%d %s", a.about(), a.rows, of)
}

// forecast follows the amount of data through the stages.
type forecast struct {
	*Checked
	w        *Runner
	r        *Recipe
	ctx      context.Context
	plan     []Planned
	passages amount
	sets     []set
	amounts  map[string]amount // of the sets, by path
}

// Plan returns what Run would do and what it would cost. It changes nothing. checked
// is the result of Check.
func (w *Runner) Plan(ctx context.Context, r *Recipe, checked *Checked) ([]Planned, error) {
	f := &forecast{Checked: checked, w: w, r: r, ctx: ctx, amounts: map[string]amount{}}
	if r.Wiki == nil {
		f.passages = f.read(r.path(r.Inputs.Passages))
	}
	for _, st := range stages() {
		if st.wanted(r) {
			st.plan(f, st)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return f.plan, nil
}

func (f *forecast) path(name string) string { return filepath.Join(f.w.Out, name) }

func (f *forecast) add(p Planned) { f.plan = append(f.plan, p) }

// done reports whether a stage is finished, and adds a finished one to the plan.
func (f *forecast) done(st stage) bool { return f.doneFor(set{}, st) }

// doneFor is done for the output of a stage for one set.
func (f *forecast) doneFor(s set, st stage) bool {
	p := Planned{Stage: s.title(st.name), Out: f.path(s.dir(st.dir))}
	p.Done = exists(filepath.Join(p.Out, st.marker))
	if p.Done {
		if m, err := dataset.ReadManifest(p.Out); err == nil {
			p.Rows = m.Rows
		}
		f.add(p)
	}
	return p.Done
}

// read counts the passages at a path. There are none at "".
func (f *forecast) read(path string) amount {
	if path == "" {
		return amount{}
	}
	return read(f.ctx, path, func(p dataset.Passage) int { return len([]rune(p.Text)) })
}

func (f *forecast) wiki(st stage) {
	if f.done(st) {
		f.passages = f.read(f.path(st.dir))
		return
	}
	p := Planned{Stage: st.name, Out: f.path(st.dir), Estimated: true}
	pages, how := f.chosen(&p)
	if pages > 0 {
		f.passages = amount{rows: int64(float64(pages) * passagesPerPage),
			chars: int64(float64(pages) * passagesPerPage * charsPerPassage), estimated: true}
		p.Rows = f.passages.rows
		p.Work = fmt.Sprintf("%s; about %d passages if the articles are long (%.1f passages each)", how, p.Rows, passagesPerPage)
	} else {
		p.Work = how
	}
	f.add(p)
}

// chosen estimates the number of pages to read, and describes the estimate.
func (f *forecast) chosen(p *Planned) (int64, string) {
	o := f.r.wikiOptions()
	e, err := wiki.Size(o)
	if err != nil {
		return 0, "cannot be estimated" // already a problem
	}
	n, most := int64(e.Pages), int64(o.MaxPages)
	how := fmt.Sprintf("%d pages", n)
	switch {
	case f.Checked.pages > 0:
		n = int64(f.Checked.pages)
		how = fmt.Sprintf("%d pages", n)
	case o.Dump != "" && n == 0 && strings.HasSuffix(o.Dump, ".xml"):
		n = max(e.Bytes/textPerPage, 1)
		how = fmt.Sprintf("about %d pages by the size of the dump", n)
	case o.Dump != "" && n == 0:
		n = max(e.Bytes/bytesPerPage, 1)
		how = fmt.Sprintf("about %d pages by the size of the dump", n)
	case len(o.Categories) > 0 || len(o.Search) > 0 || o.Links > 0:
		how = fmt.Sprintf("%d pages, and an unknown number from categories, searches and links", n)
		if most > 0 {
			n = most
		}
	}
	if most > 0 && n > most {
		n, how = most, fmt.Sprintf("%d pages (max_pages)", most)
	}
	if o.API != "" {
		p.Waits = float64(n) * wiki.SecondsPerPage
	}
	return n, how
}

func (f *forecast) synth(st stage) {
	o := f.r.synthOptions()
	s := set{"", f.path(st.dir)}
	f.sets = append(f.sets, s)
	if f.done(st) {
		f.amounts[s.path] = instructions(f.ctx, s.path)
		return
	}
	p := Planned{Stage: st.name, Out: s.path, Estimated: f.passages.estimated}
	e := f.synthEstimate(o)
	p.Rows, p.Calls, p.Tokens = int64(e.Passages), int64(e.Calls), e.PromptTokens+int64(e.Calls)*tokensPerCall
	f.amounts[s.path] = amount{rows: p.Rows, chars: int64(e.Calls) * tokensPerCall * charsPerToken, estimated: true}
	if p.Rows > 0 {
		p.Work = fmt.Sprintf("%s%d passages, %d calls, about %d prompt tokens (of %d characters each), at most "+
			"%d completion tokens, %d if an answer has %d",
			f.passages.about(), e.Passages, e.Calls, e.PromptTokens, charsPerToken, e.MaxTokens, e.Calls*tokensPerCall, tokensPerCall)
	}
	servers := f.r.Models.Generator.servers()
	e.Price(servers, f.r.Models.Judge.servers())
	p.Cost = e.MaxCost
	if p.Work != "" {
		p.Work += e.Extra()
	}
	switch {
	case len(servers) > 0:
		p.Elsewhere = true
		p.Waits = waits(servers, e)
	case f.generator != nil:
		f.generates(&p, e, o.MaxTokens)
	}
	f.add(p)
}

// waits returns the seconds that the endpoints' limits need for all requests and tokens; 0
// if one of them has no limit.
func waits(servers []llm.Server, e synth.Estimate) float64 {
	perMinute := 0.0
	tokens := float64(e.PromptTokens+int64(e.Calls)*tokensPerCall) / float64(max(e.Calls, 1))
	for _, s := range servers {
		rate := math.Inf(1)
		if s.RequestsPerMinute > 0 {
			rate = float64(s.RequestsPerMinute)
		}
		if s.TokensPerMinute > 0 {
			rate = min(rate, float64(s.TokensPerMinute)/tokens)
		}
		perMinute += rate
	}
	return float64(e.Calls) / perMinute * 60
}

// synthEstimate counts calls and tokens for the existing passages, or for the
// estimated number of passages of typical length.
func (f *forecast) synthEstimate(o synth.Options) synth.Estimate {
	path := f.r.path(f.r.Inputs.Passages)
	if f.r.Wiki != nil {
		path = f.path(passagesDir)
	}
	if !f.passages.estimated {
		if e, err := synth.Plan(f.ctx, o, f.r.Seed, path); err == nil {
			return e
		}
		return synth.Estimate{}
	}
	return synth.Expect(o, int(f.passages.rows), charsPerPassage)
}

// generates sets the effort of a generator on this machine. Every token is multiplied
// with all weights; one step of all concurrent conversations reads them once.
func (f *forecast) generates(p *Planned, e synth.Estimate, longest int) {
	s, together := f.generator.Shape, int64(max(min(f.r.Models.Generator.Concurrency, 32), 1))
	p.DType = strings.ToLower(string(s.DType))
	p.FLOP = 2 * float64(s.Parameters) * float64(p.Tokens)
	p.Read = float64(int64(e.Calls)*tokensPerCall/together) * float64(s.Weights)
	prompt := int64(0)
	if e.Calls > 0 {
		prompt = e.PromptTokens / int64(e.Calls)
	}
	p.Memory = s.Weights + together*(prompt+int64(longest))*s.RowBytes()
}

func (f *forecast) convert(st stage) {
	for _, name := range slices.Sorted(maps.Keys(f.r.Convert)) {
		s := set{name: name}
		s.path = f.path(s.dir(st.dir))
		f.sets = append(f.sets, s)
		if f.doneFor(s, st) {
			f.amounts[s.path] = instructions(f.ctx, s.path)
			continue
		}
		e, known := f.converted[name]
		f.amounts[s.path] = amount{rows: int64(e.Rows), chars: e.Chars}
		work := f.amounts[s.path].text("rows")
		switch {
		case !known:
			work = "known when the data are downloaded"
		case e.Calls > 0:
			work += fmt.Sprintf(", %d calls of the generator", e.Calls)
		}
		f.add(Planned{Stage: s.title(st.name), Out: s.path, Rows: int64(e.Rows), Work: work})
	}
	for _, name := range slices.Sorted(maps.Keys(f.r.Inputs.Instructions)) {
		s := set{name, f.r.path(f.r.Inputs.Instructions[name])}
		f.sets = append(f.sets, s)
		f.amounts[s.path] = instructions(f.ctx, s.path)
	}
}

// move sets the path of set i to the output of a stage. The set keeps its amount,
// unless the stage is finished: then it has what the stage made.
func (f *forecast) move(i int, st stage) (to string, done bool) {
	s := f.sets[i]
	to = f.path(s.dir(st.dir))
	f.sets[i].path = to
	f.amounts[to] = f.amounts[s.path]
	if done = f.doneFor(s, st); done {
		f.amounts[to] = instructions(f.ctx, to)
	}
	return to, done
}

func (f *forecast) translate(st stage) {
	for i, s := range f.sets {
		to, done := f.move(i, st)
		if done {
			continue
		}
		a := f.amounts[s.path]
		p := Planned{Stage: s.title(st.name), Out: to, Rows: a.rows, Tokens: a.tokens(), Estimated: a.estimated}
		if a.rows > 0 {
			p.Work = fmt.Sprintf("%s%d rows, about %d source tokens (of %d characters each)", a.about(), a.rows, p.Tokens, charsPerToken)
		}
		if e, ok := f.sentences(s); ok {
			p.Rows, p.Tokens, p.Work = int64(e.Rows), e.Tokens, e.Text()
			if e.Probe != nil {
				p.Seconds = e.Probe.Seconds
			}
		}
		if by := f.r.Models.Second; slices.Contains(by.Sets, s.inputName()) {
			p.Elsewhere = by.remote()
		} else if f.translator != nil {
			f.translates(&p)
		}
		f.add(p)
	}
}

// sentences counts the sentences of an existing set, and times some that the translator gets.
func (f *forecast) sentences(s set) (translate.Estimate, bool) {
	if f.translator == nil || !exists(filepath.Join(s.path, dataset.ManifestName)) && !isFile(s.path) {
		return translate.Estimate{}, false
	}
	probe := f.w.Probe
	if slices.Contains(f.r.Models.Second.Sets, s.inputName()) {
		probe = 0
	}
	o, name := *f.r.Translate, f.r.Models.Translator
	t, err := f.w.Engine.LazyTranslator(name, f.r.model(name), backend.TranslatorOptions{
		From: o.From, To: o.To, Decoding: o.Decoding, NumReturn: o.Hypotheses(), Attention: o.Attends(), Seed: f.r.Seed})
	if err != nil {
		return translate.Estimate{}, false
	}
	defer t.Close()
	e, err := translate.Plan(f.ctx, o, translate.Tools{Translator: t}, s.path, probe)
	if err == nil {
		err = e.Time(f.ctx, t)
	}
	return e, err == nil
}

// translates sets the effort of the translator. Half of its weights encode the
// source; the other half decode as many tokens in every beam.
func (f *forecast) translates(p *Planned) {
	weights, err := f.w.Engine.Weighs(f.translator)
	if err != nil {
		return
	}
	p.DType, _ = f.w.Engine.TypeOf(f.r.model(f.r.Models.Translator))
	p.FLOP = float64(f.translator.Parameters) * float64(p.Tokens) * float64(1+f.r.Translate.Beam)
	p.Memory = weights
}

func (f *forecast) filter(st stage) {
	for i, s := range f.sets {
		to, done := f.move(i, st)
		if done {
			continue
		}
		a := f.amounts[s.path]
		f.add(Planned{Stage: s.title(st.name), Out: to, Rows: a.rows, Estimated: a.estimated, Work: a.text("rows")})
	}
}

// decontaminate is planned as filter: few rows are removed.
func (f *forecast) decontaminate(st stage) { f.filter(st) }

// mixed is the key of the mix in forecast.amounts.
const mixed = mixDir

func (f *forecast) mix(st stage) {
	var all amount
	for _, s := range f.sets {
		a := f.amounts[s.path]
		all.rows, all.chars, all.estimated = all.rows+a.rows, all.chars+a.chars, all.estimated || a.estimated
	}
	for _, name := range slices.Sorted(maps.Keys(f.r.Inputs.Mix)) {
		a := instructions(f.ctx, f.r.path(f.r.Inputs.Mix[name]))
		all.rows, all.chars = all.rows+a.rows, all.chars+a.chars
	}
	train := 1 - f.r.Mix.Validation
	f.amounts[mixed] = amount{int64(float64(all.rows) * train), int64(float64(all.chars) * train), true}
	if f.done(st) {
		return
	}
	f.add(Planned{Stage: st.name, Out: f.path(st.dir), Rows: all.rows, Estimated: all.estimated,
		Work: all.text("rows at most; how many filter and limits drop is not known")})
}

// instructions counts a dataset's rows and the characters of their messages.
func instructions(ctx context.Context, path string) amount {
	return read(ctx, path, func(i dataset.Instruction) int {
		n := 0
		for _, m := range i.Messages {
			n += len([]rune(m.Content))
		}
		return n
	})
}

// read counts a dataset up to the first row that cannot be read, which Check has
// reported.
func read[Row any](ctx context.Context, path string, chars func(Row) int) (a amount) {
	for row, err := range dataset.Rows[Row](ctx, path) {
		if err != nil {
			return a
		}
		a.rows++
		a.chars += int64(chars(row))
	}
	return a
}
