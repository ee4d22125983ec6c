package translate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/segment"
	"barka/internal/tokenizer"
)

// worker translates records. Several goroutines use it.
type worker struct {
	o      Options
	t      Translator
	second Model  // nil: none
	to     string // target language of the rows, "" for Options.To
	title  Term   // the row's title, if it is known in the target language
	c      cutter
	acts   map[string]bool // flags for which another rung is tried
	others bool            // all hypotheses are wanted
	memory *memory
	queue  *queue
	backup *queue // of the second translator
}

func newWorker(o Options, t Tools) *worker {
	return &worker{o: o, t: t.Translator, second: t.Second, c: o.cutter(t.Translator), acts: o.acts(), others: o.NumReturn > 1}
}

// into returns a worker for rows of another target language. They share the memory and the
// queue.
func (w *worker) into(to string) *worker {
	if to == "" || tokenizer.NLLBCode(to) == tokenizer.NLLBCode(w.o.To) {
		return w
	}
	other := *w
	other.to, other.o.To = to, to
	other.c.o.Target = script(to)
	return &other
}

// ask returns a request for a text. A model that takes terms gets the row's title, if the text
// has it.
func (w *worker) ask(via route, text string) request {
	r := request{via: via, text: text, to: w.to}
	m := Model(w.t)
	if via == second {
		m = w.second
	}
	if _, guided := m.(Guided); guided && w.title.Source != "" && strings.Contains(strings.ToLower(text), strings.ToLower(w.title.Source)) {
		r.term = w.title
	}
	return r
}

// of returns the worker for a row, which knows its title.
func (w *worker) of(r dataset.Instruction) *worker {
	if r.TargetTitle == "" || tokenizer.NLLBCode(r.TargetLanguage) != tokenizer.NLLBCode(w.o.To) {
		return w
	}
	other := *w
	other.title = Term{bare(r.Title), bare(r.TargetTitle)}
	return &other
}

// bare returns a title without what tells it apart from others: Mercury of Mercury (planet).
func bare(title string) string {
	if at := strings.LastIndex(title, " ("); at > 0 && strings.HasSuffix(title, ")") {
		title = title[:at]
	}
	return strings.TrimSpace(title)
}

// start begins to translate what the memory lacks. stop ends it.
func (w *worker) start(ctx context.Context, m *memory) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	w.memory, w.queue = m, newQueue(ctx, w.t, m)
	if w.second != nil {
		w.backup = newQueue(ctx, w.second, m)
	}
	return func() {
		cancel()
		w.queue.close()
		if w.backup != nil {
			w.backup.close()
		}
	}
}

// row translates a record.
func (w *worker) row(ctx context.Context, r dataset.Instruction) ([]dataset.Instruction, error) {
	w = w.of(r)
	messages := make([][]segment.Segment, len(r.Messages))
	for i, m := range r.Messages {
		messages[i] = w.c.cut(m.Content)
	}
	if err := w.learn(ctx, slices.Concat(messages...)); err != nil {
		return nil, err
	}
	row, err := w.record(r, messages)
	if err != nil {
		return nil, err
	}
	return []dataset.Instruction{row}, nil
}

// learn translates what the memory lacks, until every segment is settled.
func (w *worker) learn(ctx context.Context, segments []segment.Segment) error {
	pending := segments
	for {
		var needs, backup []need
		var open []segment.Segment
		for _, s := range pending {
			if !s.Translated() {
				continue
			}
			_, lacks, err := w.settle(s)
			if err != nil {
				return err
			}
			if len(lacks) > 0 {
				open = append(open, s)
			}
			for _, r := range lacks {
				if r.via == second {
					backup = append(backup, need{r, nil})
				} else {
					needs = append(needs, need{r, w.needsOthers(s, r)})
				}
			}
		}
		if len(open) == 0 {
			return nil
		}
		if err := w.queue.translate(ctx, needs); err != nil {
			return err
		}
		if len(backup) > 0 {
			if err := w.backup.translate(ctx, backup); err != nil {
				return err
			}
		}
		pending = open
	}
}

// needsOthers returns what reports whether the other hypotheses of a segment's request may be
// needed.
func (w *worker) needsOthers(s segment.Segment, r request) func(Translation) bool {
	switch {
	case w.others || r.via == every:
		return func(Translation) bool { return true }
	case r.via != usual || !w.whole(s) || r.text != w.c.o.Form.Mask(s):
		return nil
	}
	return func(tr Translation) bool {
		a := w.unmask(s, tr)
		w.examine(s, &a)
		return len(a.reasons) > 0
	}
}

// record puts a translated record together.
func (w *worker) record(r dataset.Instruction, segments [][]segment.Segment) (dataset.Instruction, error) {
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
		text, translated, err := w.passed(segments[i], i)
		if err != nil {
			return r, err
		}
		r.Segments = append(r.Segments, translated...)
		messages[i] = chat.Message{Role: m.Role, Content: text}
		if strings.TrimSpace(text) == "" {
			return r, &dataset.Reject{Reason: "empty_translation", Detail: fmt.Sprintf("message %d", i)}
		}
	}
	r.Messages = messages
	return r, nil
}

// passed puts the text with a number together. It rejects a row if a check of a segment failed.
func (w *worker) passed(segments []segment.Segment, number int) (string, []dataset.Segment, error) {
	text, translated, err := w.message(segments)
	if err != nil {
		return "", nil, err
	}
	var all []dataset.Segment
	for _, s := range translated {
		for _, f := range s.Flags {
			if w.acts[f] {
				return "", nil, &dataset.Reject{Reason: f, Detail: fmt.Sprintf("%.500q became %.500q (%s)", s.Source, s.Target, s.Rung)}
			}
		}
		s.Message, s.Alternatives = int32(number), s.Alternatives[:max(0, min(len(s.Alternatives), w.o.NumReturn-1))]
		all = append(all, s.Segment)
	}
	return text, all, nil
}

// message puts a text together from its segments, whose translations the memory knows.
func (w *worker) message(segments []segment.Segment) (string, []LineSegment, error) {
	var b strings.Builder
	var translated []LineSegment
	for _, s := range segments {
		if !s.Translated() {
			b.WriteString(s.Text)
			continue
		}
		a, lacks, err := w.settle(s)
		if err == nil && len(lacks) > 0 {
			err = fmt.Errorf("no translation of %.80q: the journal lost it while the stage was running", lacks[0].text)
		}
		if err != nil {
			return "", nil, err
		}
		translated = append(translated, LineSegment{dataset.Segment{Source: s.Text, Target: a.text, Score: a.tr.Score, Flags: a.flags,
			Kind: string(s.Kind), Rung: a.rung, Retried: a.retried, Translator: w.translator(a.rung), Alternatives: a.tr.Alternatives,
			Ignored: a.tr.Ignored}, a.tr.Cut})
		b.WriteString(a.text)
	}
	return b.String(), translated, nil
}

// translator names the translator of a rung if it is not that of the row.
func (w *worker) translator(rung string) string {
	if rung == RungSecond {
		return w.second.Name()
	}
	return ""
}

// LineSegment is a translated unit of a line.
type LineSegment struct {
	dataset.Segment
	Cut int `json:"cut,omitempty"` // source tokens that did not fit into the model
}

// Lines translates plain lines, the structure of each kept: what the command
// line does with its standard input.
func Lines(ctx context.Context, o Options, t Tools, lines []string) ([]string, [][]LineSegment, error) {
	w := newWorker(o, t)
	w.others = true
	defer w.start(ctx, newMemory(nil, sharedMemory{}))()
	cut := make([][]segment.Segment, len(lines))
	for i, l := range lines {
		cut[i] = w.c.cut(l)
	}
	if err := w.learn(ctx, slices.Concat(cut...)); err != nil {
		return nil, nil, err
	}
	out, segments := make([]string, len(lines)), make([][]LineSegment, len(lines))
	for i := range lines {
		var err error
		if out[i], segments[i], err = w.message(cut[i]); err != nil {
			return nil, nil, err
		}
	}
	return out, segments, nil
}
