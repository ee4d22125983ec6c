// Package translate turns instructions into another language, message by
// message: each is cut into sentences and structure, the sentences are
// translated, each different one once, and put back where they stood. The
// source stays beside the translation.
package translate

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/diskmap"
	"barka/internal/durable"
	"barka/internal/segment"
	"barka/internal/tokenizer"
)

// version changes when the same options would give another output; changed
// says how the last one differs.
const (
	version = 2
	changed = "the settings of beam search belong to a dataset since then, and text that spells a special token is translated as text"
)

// Translator translates plain text; it need not be safe for concurrent use.
type Translator interface {
	// Name identifies the model in provenance.
	Name() string
	// Translate returns a translation of each text, in order; onDone, if not
	// nil, is called after each.
	Translate(ctx context.Context, texts []string, onDone func()) ([]Translation, error)
	// CountTokens returns the tokens of a text as the model takes it.
	CountTokens(text string) int
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
	// Alternatives are the next best outputs, if the translator was asked for
	// several.
	Alternatives []Alternative `json:",omitempty"`
}

// Alternative is another output for a text.
type Alternative struct {
	Text  string  `json:"text"`
	Score float32 `json:"score"`
}

// Options are everything that changes what translate writes.
type Options struct {
	Model string `json:"model"` // the translator's name
	// ModelDigest identifies its weights, if they are available.
	ModelDigest string `json:"model_digest,omitempty"`
	From        string `json:"from"` // NLLB's or M2M-100's codes; rows have NLLB's
	To          string `json:"to"`
	Decoding
	// MaxTokens is the longest sentence given to the model, in its tokens.
	MaxTokens int `json:"max_tokens"`
	// Whole gives each message to the model in one piece, as the original
	// did, structure and all.
	Whole bool `json:"whole"`
	// ArabicPunctuation replaces , ; ? between Arabic words by ، ؛ ؟.
	ArabicPunctuation bool `json:"arabic_punctuation"`
	// RejectFlags drops records of which a sentence has one of these flags.
	RejectFlags []string `json:"reject_flags"`
}

// Defaults are the settings of the BARKA models, but for sentence splitting.
func Defaults() Options {
	return Options{From: "eng_Latn", To: "arb_Arab", Decoding: DefaultDecoding(), MaxTokens: 128, RejectFlags: []string{FlagCut}}
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
	for _, f := range o.RejectFlags {
		if _, ok := flagMeanings[f]; !ok {
			return badinput.Errorf("translate: reject_flags: %q is no flag; flags: %s", f, strings.Join(Flags(), ", "))
		}
	}
	return nil
}

// script is the target language's script, by the last four letters of NLLB's
// code.
func script(code string) *unicode.RangeTable {
	code = tokenizer.NLLBCode(code)
	switch {
	case strings.HasSuffix(code, "_Arab"):
		return unicode.Arabic
	case strings.HasSuffix(code, "_Cyrl"):
		return unicode.Cyrillic
	case strings.HasSuffix(code, "_Hebr"):
		return unicode.Hebrew
	case strings.HasSuffix(code, "_Grek"):
		return unicode.Greek
	case strings.HasSuffix(code, "_Deva"):
		return unicode.Devanagari
	}
	return nil
}

// plan is a message cut up; needed lists the texts to translate, in order.
type plan struct {
	pieces []segment.Piece
}

func (o Options) plan(text string, count func(string) int) plan {
	if o.Whole {
		return plan{[]segment.Piece{{Text: text, Translate: strings.TrimSpace(text) != ""}}}
	}
	return plan{segment.Split(text, segment.Options{MaxTokens: o.MaxTokens, Count: count, MinWords: 3, Target: script(o.To)})}
}

// Estimate is what a run will translate.
type Estimate struct {
	Rows     int   `json:"rows"`
	Segments int   `json:"segments"`
	Distinct int   `json:"distinct"`
	Tokens   int64 `json:"source_tokens"` // of the distinct segments
}

// Plan counts the work without doing it. The keys of the segments are in temporary files.
func Plan(ctx context.Context, o Options, t Translator, path string) (e Estimate, err error) {
	if err := require(path); err != nil {
		return e, err
	}
	dir, err := os.MkdirTemp("", "barka-translate-")
	if err != nil {
		return e, err
	}
	defer os.RemoveAll(dir)
	seen, err := diskmap.Open(filepath.Join(dir, "segments-"), diskmap.Options{})
	if err != nil {
		return e, err
	}
	defer seen.Close()
	for row, err := range dataset.Rows[dataset.Instruction](ctx, path) {
		if err != nil {
			return e, err
		}
		e.Rows++
		for _, m := range row.Messages {
			for _, p := range o.plan(m.Content, t.CountTokens).pieces {
				if !p.Translate {
					continue
				}
				e.Segments++
				first, err := seen.Add(dataset.KeyOf(p.Text), diskmap.Value{})
				if err != nil {
					return e, err
				}
				if first {
					e.Distinct++
					e.Tokens += int64(t.CountTokens(p.Text))
				}
			}
		}
	}
	return e, nil
}

// require refuses an input that does not hold instructions.
func require(path string) error {
	if err := dataset.Require(path, dataset.Instructions); err != nil {
		return fmt.Errorf("translate: %w", err)
	}
	return nil
}

// batchSegments is about how many sentences go to the translator together.
const batchSegments = 64

// Run translates the instructions in env.In["instructions"].
func Run(ctx context.Context, o Options, t Translator, env durable.Env) (*dataset.Manifest, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	path := env.In["instructions"]
	if err := require(path); err != nil {
		return nil, err
	}
	total, err := dataset.CountSome(path)
	if err != nil {
		return nil, err
	}
	o.Model = t.Name()
	id := durable.Identity{Stage: "translate", Version: version, Changed: changed, Options: o}
	mo := durable.MapOptions[dataset.Instruction]{
		Key: func(r dataset.Instruction) string { return r.ID }, Workers: 1, Progress: env.Progress, Total: total,
	}
	size := func(r dataset.Instruction) int {
		n := 0
		for _, m := range r.Messages {
			n += 1 + len(m.Content)/80
		}
		return n
	}
	return durable.Execute(ctx, env, id, func(run *durable.Run) (durable.Final, error) {
		w := &worker{o: o, t: t, memory: newMemory(run.Journal())}
		if err := durable.MapBatch(ctx, run, dataset.Rows[dataset.Instruction](ctx, path), mo, size, batchSegments, w.batch); err != nil {
			return durable.Final{}, err
		}
		return totals(run)
	})
}

// totals counts the sentences of the rows that are kept, and those with each
// flag. Sentences that the model did not read to their end are worth a note.
func totals(run *durable.Run) (durable.Final, error) {
	counts := map[string]int64{"segments": 0}
	for r, err := range durable.Outputs[dataset.Instruction](run) {
		if err != nil {
			return durable.Final{}, err
		}
		counts["segments"] += int64(len(r.Segments))
		for _, s := range r.Segments {
			for _, flag := range s.Flags {
				counts["flagged_"+flag]++
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

// worker translates batches of records.
type worker struct {
	o      Options
	t      Translator
	memory memory
}

// memory is the translation memory of a run: a sentence is translated once, however often
// it occurs, also across interruptions. The journal has all sentences; the latest ones
// are kept in memory too.
type memory struct {
	journal       *durable.Journal // nil keeps all sentences in memory
	known, before map[string]Translation
}

// memorySentences is how many sentences known holds before it takes the place of before.
const memorySentences = 16 << 10

func newMemory(j *durable.Journal) memory { return memory{journal: j, known: map[string]Translation{}} }

func (m *memory) get(text string) (Translation, bool, error) {
	if tr, ok := m.known[text]; ok || m.journal == nil {
		return tr, ok, nil
	}
	tr, ok := m.before[text]
	if !ok {
		var err error
		if ok, err = m.journal.Get(memoryKey(text), &tr); !ok || err != nil {
			return tr, false, err
		}
	}
	m.keep(text, tr)
	return tr, true, nil
}

func (m *memory) put(text string, tr Translation) error {
	m.keep(text, tr)
	return m.journal.Put(memoryKey(text), tr)
}

func (m *memory) keep(text string, tr Translation) {
	if len(m.known) >= memorySentences && m.journal != nil {
		m.known, m.before = map[string]Translation{}, m.known
	}
	m.known[text] = tr
}

func memoryKey(text string) string { return "segment " + dataset.ContentID(text) }

func (w *worker) batch(ctx context.Context, rows []dataset.Instruction) ([][]dataset.Instruction, []error) {
	out, errs := make([][]dataset.Instruction, len(rows)), make([]error, len(rows))
	if err := w.learn(ctx, rows); err != nil {
		for i := range errs {
			errs[i] = err
		}
		return out, errs
	}
	for i, r := range rows {
		row, err := w.record(r)
		if errs[i] = err; err == nil {
			out[i] = []dataset.Instruction{row}
		}
	}
	return out, errs
}

// learn translates the sentences of rows that the memory does not know.
func (w *worker) learn(ctx context.Context, rows []dataset.Instruction) error {
	var texts []string
	asked := map[string]bool{}
	for _, r := range rows {
		for _, m := range r.Messages {
			for _, p := range w.o.plan(m.Content, w.t.CountTokens).pieces {
				if !p.Translate || asked[p.Text] {
					continue
				}
				_, known, err := w.memory.get(p.Text)
				if err != nil {
					return err
				}
				if !known {
					asked[p.Text] = true
					texts = append(texts, p.Text)
				}
			}
		}
	}
	if len(texts) == 0 {
		return nil
	}
	translations, err := ask(ctx, w.t, texts)
	if err != nil {
		return err
	}
	for i, tr := range translations {
		if err := w.memory.put(texts[i], tr); err != nil {
			return err
		}
	}
	return nil
}

// ask translates texts and checks that there is a translation of each.
func ask(ctx context.Context, t Translator, texts []string) ([]Translation, error) {
	translations, err := t.Translate(ctx, texts, nil)
	if err == nil && len(translations) != len(texts) {
		err = fmt.Errorf("translator %s returned %d translations of %d texts", t.Name(), len(translations), len(texts))
	}
	return translations, err
}

// record puts a translated record together.
func (w *worker) record(r dataset.Instruction) (dataset.Instruction, error) {
	if len(r.Messages) == 0 {
		return r, &dataset.Reject{Reason: "no_messages"}
	}
	r.MessagesEN, r.Language, r.Translator = r.Messages, tokenizer.NLLBCode(w.o.To), w.t.Name()
	r.Segments = nil
	messages := make([]chat.Message, len(r.Messages))
	for i, m := range r.Messages {
		if strings.TrimSpace(m.Content) == "" {
			return r, &dataset.Reject{Reason: "empty_message", Detail: fmt.Sprintf("message %d", i)}
		}
		var b strings.Builder
		for _, p := range w.o.plan(m.Content, w.t.CountTokens).pieces {
			if !p.Translate {
				b.WriteString(p.Text)
				continue
			}
			tr, _, err := w.memory.get(p.Text)
			if err != nil {
				return r, err
			}
			seg := dataset.Segment{Message: int32(i), Source: p.Text, Target: w.o.finish(tr.Text), Score: tr.Score}
			seg.Flags = w.o.check(p.Text, seg.Target, tr)
			for _, f := range seg.Flags {
				for _, bad := range w.o.RejectFlags {
					if f == bad {
						return r, &dataset.Reject{Reason: f, Detail: p.Text}
					}
				}
			}
			r.Segments = append(r.Segments, seg)
			b.WriteString(seg.Target)
		}
		messages[i] = chat.Message{Role: m.Role, Content: b.String()}
		if strings.TrimSpace(messages[i].Content) == "" {
			return r, &dataset.Reject{Reason: "empty_translation", Detail: fmt.Sprintf("message %d", i)}
		}
	}
	r.Messages = messages
	return r, nil
}

// LineSegment is a translated unit of a line.
type LineSegment struct {
	dataset.Segment
	Cut          int           `json:"cut,omitempty"`          // source tokens that did not fit into the model
	Alternatives []Alternative `json:"alternatives,omitempty"` // as the translator gave them
}

// Lines translates plain lines, the structure of each kept: what the command
// line does with its standard input.
func Lines(ctx context.Context, o Options, t Translator, lines []string) ([]string, [][]LineSegment, error) {
	w := &worker{o: o, t: t, memory: newMemory(nil)}
	var texts []string
	for _, l := range lines {
		for _, p := range o.plan(l, t.CountTokens).pieces {
			if _, ok := w.memory.known[p.Text]; p.Translate && !ok {
				w.memory.known[p.Text] = Translation{}
				texts = append(texts, p.Text)
			}
		}
	}
	translations, err := ask(ctx, t, texts)
	if err != nil {
		return nil, nil, err
	}
	for i, tr := range translations {
		w.memory.known[texts[i]] = tr
	}
	out, segs := make([]string, len(lines)), make([][]LineSegment, len(lines))
	for i, l := range lines {
		var b strings.Builder
		for _, p := range o.plan(l, t.CountTokens).pieces {
			if !p.Translate {
				b.WriteString(p.Text)
				continue
			}
			tr := w.memory.known[p.Text]
			seg := dataset.Segment{Source: p.Text, Target: o.finish(tr.Text), Score: tr.Score}
			seg.Flags = o.check(p.Text, seg.Target, tr)
			segs[i] = append(segs[i], LineSegment{seg, tr.Cut, tr.Alternatives})
			b.WriteString(seg.Target)
		}
		out[i] = b.String()
	}
	return out, segs, nil
}
