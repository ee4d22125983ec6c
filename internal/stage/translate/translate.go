// Package translate turns instructions into another language, message by
// message: each is cut into sentences and structure, the sentences are
// translated, each different one once, and put back where they stood. The
// source stays beside the translation.
package translate

import (
	"context"
	"fmt"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/diskmap"
	"barka/internal/durable"
	"barka/internal/prose"
	"barka/internal/segment"
	"barka/internal/tokenizer"
	"barka/internal/translationmemory"
)

// version changes when the same options would give another output; changed
// says how the last one differs.
const (
	version = 9
	changed = "the script of every language is checked since then, and not only of those with other letters than English"
)

// Model translates plain text.
type Model interface {
	// Name identifies the model in provenance.
	Name() string
	// Translate returns a translation of each text, in order; onDone, if not
	// nil, is called after each.
	Translate(ctx context.Context, texts []string, onDone func()) ([]Translation, error)
}

// Translator is a Model with a tokenizer. CountTokens and RoundTrip are called by several
// goroutines.
type Translator interface {
	Model
	// CountTokens returns the tokens of a text as the model takes it.
	CountTokens(text string) int
	// RoundTrip returns what a text is after the model's tokenizer encoded and decoded it.
	RoundTrip(text string) string
}

// Translation is what became of one text.
type Translation struct {
	Text string
	// Score is the log-probability over the length.
	Score float32
	// HitMax: the output was cut at the model's limit. Cut counts source
	// tokens that did not fit, Unknown those the model does not know.
	HitMax       bool
	Cut, Unknown int
	// Ignored is the share of source tokens that got next to no attention, 0 if unknown.
	Ignored float32 `json:",omitempty"`
	// Tokens counts those of the output, start and end among them, if the translator knows; it is not kept.
	Tokens int `json:"-"`
	// Alternatives are the next best outputs, if the translator was asked for
	// several. Dropped is how many the memory did not keep, because the best one passed.
	Alternatives []Alternative `json:",omitempty"`
	Dropped      int           `json:",omitempty"`
}

// Alternative is another output for a text.
type Alternative = dataset.Alternative

// Options are everything that changes what translate writes.
type Options struct {
	Model string `json:"model"` // the translator's name
	// ModelDigest identifies its weights, if they are available.
	ModelDigest string `json:"model_digest,omitempty"`
	From        string `json:"from"` // NLLB's or M2M-100's codes; rows have NLLB's
	To          string `json:"to"`
	Decoding
	// NumReturn is how many outputs of a sentence are kept, the best one among them.
	NumReturn int `json:"num_return"`
	// MaxTokens is the longest sentence given to the model, in its tokens.
	MaxTokens int `json:"max_tokens"`
	// Whole gives each message to the model in one piece, as the original
	// did, structure and all.
	Whole bool `json:"whole"`
	// ArabicPunctuation replaces , ; ? between Arabic words by ، ؛ ؟.
	ArabicPunctuation bool `json:"arabic_punctuation"`
	// Placeholder is how the first protected span of a sentence stands in the text that
	// the model reads. It follows from the tokenizer.
	Placeholder string `json:"placeholder"`
	// Columns are the columns to translate of rows of any schema.
	Columns []string `json:"columns,omitempty"`
	// ToColumn is the column with the target language of a row, by its code; a row without it
	// is translated into To. It is only for rows with Columns.
	ToColumn string `json:"to_column,omitempty"`
	// Checks is a profile: the flags for which other ways to translate a sentence are tried,
	// and the record is dropped if none passes.
	Checks string `json:"checks"`
	// RejectFlags are more such flags.
	RejectFlags []string `json:"reject_flags"`
	// MinScore is the lowest mean log-probability of a sentence; 0 is no bound.
	MinScore float64 `json:"min_score"`
	// MaxIgnored is the largest share of source tokens that an output may leave without
	// attention; 1 is no bound.
	MaxIgnored float64 `json:"max_ignored"`
	// Second names the second translator, "" for none. SecondDigest identifies its weights
	// and all of its settings.
	Second       string `json:"second,omitempty"`
	SecondDigest string `json:"second_digest,omitempty"`
	// SecondFor are the kinds of segments that the second translator gets first. It gets the
	// others when every other way has failed.
	SecondFor []string `json:"second_for,omitempty"`
}

// Defaults are the settings of the BARKA models, but for sentence splitting.
func Defaults() Options {
	return Options{From: "eng_Latn", To: "arb_Arab", Decoding: DefaultDecoding(), NumReturn: 1, MaxTokens: 128, Checks: ChecksDefault,
		MaxIgnored: 0.2, RejectFlags: []string{FlagCut}}
}

// Validate reports the first setting that makes no sense.
func (o Options) Validate() error {
	switch {
	case o.From == "" || o.To == "" || tokenizer.NLLBCode(o.From) == tokenizer.NLLBCode(o.To):
		return badinput.Errorf("translate: from %q to %q: expected two different language codes such as eng_Latn and arb_Arab", o.From,
			o.To)
	case o.MaxTokens < 8 && !o.Whole:
		return badinput.Errorf("translate: max_tokens is %d, expected at least 8", o.MaxTokens)
	}
	if err := o.Decoding.Validate(); err != nil {
		return err
	}
	switch _, ok := profiles[o.Checks]; {
	case o.NumReturn < 1 || o.NumReturn > o.Most():
		return badinput.Errorf("translate: num_return is %d, expected 1 to the number of hypotheses of the search, %d", o.NumReturn, o.Most())
	case !ok:
		return badinput.Errorf("translate: checks is %q, expected one of %s", o.Checks, strings.Join(Profiles(), ", "))
	case !(o.MaxIgnored >= 0 && o.MaxIgnored <= 1):
		return badinput.Errorf("translate: max_ignored is %g, expected 0 to 1 (off)", o.MaxIgnored)
	case math.IsNaN(o.MinScore) || o.MinScore > 0:
		return badinput.Errorf("translate: min_score is %g, expected 0 (off) or less", o.MinScore)
	}
	if err := o.validateSecondFor(); err != nil {
		return err
	}
	for _, f := range o.RejectFlags {
		if !slices.Contains(Flags(), f) {
			return badinput.Errorf("translate: reject_flags: %q is no flag; flags: %s", f, strings.Join(Flags(), ", "))
		}
	}
	return nil
}

func (o Options) validateSecondFor() error {
	kinds := segment.Cuts()
	for _, k := range o.SecondFor {
		if !slices.Contains(kinds, segment.Kind(k)) {
			return badinput.Errorf("translate: second_for: %q is no kind of a segment; kinds: %v", k, kinds)
		}
	}
	if len(o.SecondFor) > 0 && o.Whole {
		return badinput.Errorf("translate: second_for names kinds of segments, but whole messages are not cut; leave one of them out")
	}
	return nil
}

// script is the target language's script, by the last four letters of NLLB's code; nil for the
// Latin one, which the source has too, and for unknown ones.
func script(code string) *unicode.RangeTable {
	tables := prose.Scripts(tokenizer.NLLBCode(code))
	if len(tables) == 0 || tables[0] == unicode.Latin {
		return nil
	}
	return tables[0]
}

// cutter cuts messages into segments for a translator.
type cutter struct {
	o     segment.Options
	whole bool // messages are not cut
}

func (o Options) cutter(t Translator) cutter {
	return cutter{whole: o.Whole, o: segment.Options{MaxTokens: o.MaxTokens, Count: t.CountTokens, MinWords: 3, Target: script(o.To),
		Form: segment.Survives(t.RoundTrip)}}
}

func (c cutter) cut(text string) []segment.Segment {
	switch {
	case !c.whole:
		return segment.Split(text, c.o)
	case strings.TrimSpace(text) == "":
		return []segment.Segment{{Text: text, Kind: segment.Blank}}
	}
	return []segment.Segment{{Text: text, Kind: segment.Whole}}
}

// texts is a set of texts on disk.
type texts struct {
	dir  string
	keys *diskmap.Map
}

func newTexts() (t texts, err error) {
	if t.dir, err = os.MkdirTemp("", "barka-translate-"); err != nil {
		return t, err
	}
	if t.keys, err = diskmap.Open(filepath.Join(t.dir, "segments-"), diskmap.Options{}); err != nil {
		os.RemoveAll(t.dir)
	}
	return t, err
}

// add adds a text, and reports whether it is new.
func (t texts) add(text string) (bool, error) {
	return t.keys.Add(dataset.KeyOf(text), diskmap.Value{})
}

// has reports whether the set has a text.
func (t texts) has(text string) (bool, error) {
	_, ok, err := t.keys.Get(dataset.KeyOf(text))
	return ok, err
}

func (t texts) close() {
	t.keys.Close()
	os.RemoveAll(t.dir)
}

// require refuses an input that does not hold instructions.
func require(path string) error {
	if err := dataset.Require(path, dataset.Instructions); err != nil {
		return fmt.Errorf("translate: %w", err)
	}
	return nil
}

// rowsInWork is how many rows are in work. Their sentences fill the beam search, and memory
// holds no others.
const rowsInWork = 256

// Tools are what a run translates with.
type Tools struct {
	Translator Translator
	// Second translates sentences that Translator does not get right, and those of
	// Options.SecondFor; nil is none.
	Second Model
	// Memory has translations of other runs and gets those of this one; nil is none. It is
	// used only if Options.ModelDigest is known, and does not change the output. ForgetSecond
	// keeps the translations of Second out of it.
	Memory       *translationmemory.File
	ForgetSecond bool
}

// Run translates the instructions in env.In["instructions"].
func Run(ctx context.Context, o Options, tools Tools, env durable.Env) (*dataset.Manifest, error) {
	if err := require(env.In["instructions"]); err != nil {
		return nil, err
	}
	return run(ctx, o, tools, env, instructions)
}

// task is what a run does with rows of a type.
type task[Row any] struct {
	input     string // name in durable.Env.In
	rows      func(ctx context.Context, path string) iter.Seq2[Row, error]
	key       func(Row) string
	texts     func(o Options, r Row) ([]string, error) // to be translated
	worker    func(w *worker, r Row) (*worker, error)  // for the row's target language and title
	segments  func(Row) []dataset.Segment
	translate func(w *worker, ctx context.Context, r Row) ([]Row, error)
}

// instructions is the task of rows with messages.
var instructions = task[dataset.Instruction]{
	input: "instructions", rows: dataset.Rows[dataset.Instruction], key: func(r dataset.Instruction) string { return r.ID },
	texts:    messages,
	worker:   func(w *worker, r dataset.Instruction) (*worker, error) { return w.of(r), nil },
	segments: func(r dataset.Instruction) []dataset.Segment { return r.Segments }, translate: (*worker).row,
}

func messages(_ Options, r dataset.Instruction) (texts []string, err error) {
	for _, m := range r.Messages {
		texts = append(texts, m.Content)
	}
	return texts, nil
}

func run[Row any](ctx context.Context, o Options, tools Tools, env durable.Env, task task[Row]) (*dataset.Manifest, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if len(o.SecondFor) > 0 && tools.Second == nil {
		return nil, badinput.Errorf("translate: second_for is %v, but there is no second translator; name one", o.SecondFor)
	}
	if err := o.checkTargets(tools); err != nil {
		return nil, err
	}
	path := env.In[task.input]
	total, err := dataset.CountSome(path)
	if err != nil {
		return nil, err
	}
	w := newWorker(o, tools)
	w.o.Model, w.o.Placeholder = tools.Translator.Name(), w.c.o.Form.String()
	if tools.Second != nil {
		w.o.Second = tools.Second.Name()
	}
	id := durable.Identity{Stage: "translate", Version: version, Changed: changed, Options: w.o}
	mo := durable.MapOptions[Row]{Key: task.key, Workers: rowsInWork, Progress: env.Progress, Total: total}
	return durable.Execute(ctx, env, id, func(run *durable.Run) (durable.Final, error) {
		shared, err := o.share(ctx, tools, env.Seed)
		if err != nil {
			return durable.Final{}, err
		}
		m := newMemory(run.Journal(), shared)
		m.share = func(to string) (sharedMemory, error) {
			o := o
			o.To = to
			return o.share(ctx, tools, env.Seed)
		}
		stop := w.start(ctx, m)
		count := startCount(ctx, w, task.cut(ctx, w, path))
		mo.Detail = w.memory.detail
		err = durable.Map(ctx, run, task.rows(ctx, path), mo,
			func(ctx context.Context, r Row) ([]Row, error) { return task.translate(w, ctx, r) })
		count.stop()
		stop()
		if err != nil {
			return durable.Final{}, err
		}
		if tools.Memory != nil {
			if err := tools.Memory.Flush(); err != nil {
				return durable.Final{}, err
			}
		}
		w.memory.report(env.Progress)
		return totals(run, task.segments)
	})
}

// totals counts the sentences of the rows that are kept, those that occurred before, and
// those with each flag. Sentences that the model did not read to their end are worth a note.
func totals[Row any](run *durable.Run, segments func(Row) []dataset.Segment) (durable.Final, error) {
	counts := map[string]int64{"segments": 0, "segments_repeated": 0}
	seen, err := newTexts()
	if err != nil {
		return durable.Final{}, err
	}
	defer seen.close()
	for r, err := range durable.Outputs[Row](run) {
		if err != nil {
			return durable.Final{}, err
		}
		all := segments(r)
		counts["segments"] += int64(len(all))
		for _, s := range all {
			if first, err := seen.add(s.Source); err != nil {
				return durable.Final{}, err
			} else if !first {
				counts["segments_repeated"]++
			}
			if s.Rung != RungWhole {
				counts["rung_"+s.Rung]++
			}
			for _, flag := range s.Flags {
				counts["flagged_"+flag]++
			}
			for _, flag := range s.Retried {
				counts["retried_"+flag]++
			}
		}
	}
	f := durable.Final{Counts: counts}
	if n := counts["flagged_"+FlagCut]; n > 0 {
		f.Notes = append(f.Notes, fmt.Sprintf("%d of %d segments are longer than the model reads and lost their end; "+
			"they have the flag %s, and reject_flags in a recipe drops their rows",
			n, counts["segments"], FlagCut))
	}
	return f, nil
}
