// Package review reads and writes review files: what people decided about rows.
//
// A review file has one JSON object per line:
//
//	{"id": "3f2a…", "digest": "9c01…", "verdict": "edit", "messages": […], "note": "…", "reviewer": "…"}
//
// The verdict is accept, edit or reject. An edit has the messages that replace
// those of the row. The digest identifies the messages that the reviewer saw, so
// that a verdict is not applied to a row that has changed since; see Digest. Note
// and reviewer are optional.
package review

import (
	"context"
	"iter"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/jsonl"
)

// The verdicts.
const (
	Accept = "accept"
	Edit   = "edit"
	Reject = "reject"
)

// Verdict is a line of a review file.
type Verdict struct {
	ID       string         `json:"id"`
	Digest   string         `json:"digest"`
	Verdict  string         `json:"verdict"`
	Messages []chat.Message `json:"messages,omitempty"` // of an edit
	Note     string         `json:"note,omitempty"`
	Reviewer string         `json:"reviewer,omitempty"`
}

// Digest identifies the messages of a row: 16 hexadecimal digits.
func Digest(messages []chat.Message) string {
	parts := make([]string, 0, 2*len(messages))
	for _, m := range messages {
		parts = append(parts, m.Role, m.Content)
	}
	return dataset.ContentID(parts...)
}

// Check returns what is wrong with a verdict, or nil.
func (v Verdict) Check() error {
	switch {
	case v.ID == "":
		return badinput.Errorf("no id; a verdict names its row by it")
	case v.Digest == "":
		return badinput.Errorf("no digest; without it a verdict could be applied to a row that has changed since")
	case v.Verdict != Accept && v.Verdict != Edit && v.Verdict != Reject:
		return badinput.Errorf("verdict %q, expected accept, edit or reject", v.Verdict)
	case v.Verdict != Edit && len(v.Messages) > 0:
		return badinput.Errorf("messages with the verdict %s; only an edit replaces messages", v.Verdict)
	case v.Verdict == Edit:
		if why := dataset.CheckTurns(v.Messages); why != nil {
			return badinput.Errorf("the edited messages cannot be trained on: %s, %s", why.Reason, why.Detail)
		}
	}
	return nil
}

// Verdicts holds the verdicts of a file by the rows' ids, in the order of the
// file. A later line of a reviewer about a row replaces the earlier one.
type Verdicts struct {
	byID     map[string]*entry
	order    []string
	replaced int
}

type entry struct {
	Verdict
	line int64
}

// Read reads a review file. Errors name the line. It is an error if two reviewers
// disagree about a row.
func Read(ctx context.Context, path string) (*Verdicts, error) {
	v := &Verdicts{byID: map[string]*entry{}}
	for line, err := range jsonl.Lines(path) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		var next entry
		if err := jsonl.Strict(line.Data, &next.Verdict); err != nil {
			return nil, line.Errorf("%w", err)
		}
		if err := next.Check(); err != nil {
			return nil, line.Errorf("row %q: %w", next.ID, err)
		}
		next.line = int64(line.Number)
		if err := v.add(&next); err != nil {
			return nil, line.Errorf("%w", err)
		}
	}
	return v, nil
}

func (v *Verdicts) add(next *entry) error {
	last, known := v.byID[next.ID]
	switch {
	case !known:
		v.order = append(v.order, next.ID)
	case last.Reviewer == next.Reviewer:
		v.replaced++
	case last.Verdict.Verdict != next.Verdict.Verdict || last.Digest != next.Digest ||
		!slices.Equal(last.Messages, next.Messages):
		return badinput.Errorf("%s and %s disagree about row %q (%s on line %d, %s here); remove one of the lines",
			name(last.Reviewer), name(next.Reviewer), next.ID, last.Verdict.Verdict, last.line, next.Verdict.Verdict)
	}
	v.byID[next.ID] = next
	return nil
}

func name(reviewer string) string {
	if strings.TrimSpace(reviewer) == "" {
		return "a reviewer without a name"
	}
	return "reviewer " + reviewer
}

// Of returns the verdict about a row.
func (v *Verdicts) Of(id string) (Verdict, bool) {
	if v == nil {
		return Verdict{}, false
	}
	e, ok := v.byID[id]
	if !ok {
		return Verdict{}, false
	}
	return e.Verdict, true
}

// All returns the verdicts in the order of the file.
func (v *Verdicts) All() iter.Seq[Verdict] {
	return func(yield func(Verdict) bool) {
		for _, id := range v.order {
			if !yield(v.byID[id].Verdict) {
				return
			}
		}
	}
}

// Len returns the number of rows with a verdict.
func (v *Verdicts) Len() int {
	if v == nil {
		return 0
	}
	return len(v.byID)
}
