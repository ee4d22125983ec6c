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
	c      cutter
	memory *memory
	queue  *queue
}

func newWorker(o Options, t Translator) *worker { return &worker{o: o, t: t, c: o.cutter(t)} }

// start begins to translate what the memory lacks. stop ends it.
func (w *worker) start(ctx context.Context, m *memory) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	w.memory, w.queue = m, newQueue(ctx, w.t, m)
	return func() {
		cancel()
		w.queue.close()
	}
}

// row translates a record.
func (w *worker) row(ctx context.Context, r dataset.Instruction) ([]dataset.Instruction, error) {
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
		var requests []request
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
				requests = append(requests, lacks...)
			}
		}
		if len(requests) == 0 {
			return nil
		}
		if err := w.queue.translate(ctx, requests); err != nil {
			return err
		}
		pending = open
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
		text, translated, err := w.message(segments[i])
		if err != nil {
			return r, err
		}
		for _, s := range translated {
			for _, f := range s.Flags {
				if slices.Contains(w.o.RejectFlags, f) {
					return r, &dataset.Reject{Reason: f, Detail: s.Source}
				}
			}
			s.Message = int32(i)
			r.Segments = append(r.Segments, s.Segment)
		}
		messages[i] = chat.Message{Role: m.Role, Content: text}
		if strings.TrimSpace(text) == "" {
			return r, &dataset.Reject{Reason: "empty_translation", Detail: fmt.Sprintf("message %d", i)}
		}
	}
	r.Messages = messages
	return r, nil
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
		translated = append(translated, LineSegment{dataset.Segment{Source: s.Text, Target: a.text, Score: a.tr.Score, Flags: a.check.Flags,
			Kind: string(s.Kind), Rung: a.rung}, a.tr.Cut, a.tr.Alternatives})
		b.WriteString(a.text)
	}
	return b.String(), translated, nil
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
	w := newWorker(o, t)
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
