package decontaminate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/rowlog"
)

// Estimate is what Plan finds.
type Estimate struct {
	Rows         int            `json:"rows"`
	Contaminated int            `json:"contaminated"`
	Tasks        map[string]int `json:"tasks"` // contaminated rows by the task of the question
	Questions    int            `json:"questions"`
	TooShort     int64          `json:"questions_too_short"`
	Absent       []string       `json:"absent,omitempty"` // tasks and originals without data
}

// Plan counts the rows that Run would remove or flag.
func Plan(ctx context.Context, o Options, dirs []string, path string) (e Estimate, err error) {
	from, _, err := o.prepare(dirs, path)
	if err != nil {
		return e, err
	}
	q, err := from.read(ctx)
	if err != nil {
		return e, err
	}
	temporary, err := os.MkdirTemp("", "barka-decontaminate-")
	if err != nil {
		return e, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temporary)) }()
	log, err := rowlog.Open(filepath.Join(temporary, "verdicts"))
	if err != nil {
		return e, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	s := o.search(q)
	rows := dataset.Rows[dataset.Instruction](ctx, path)
	if err := s.fill(ctx, log, rows, func(int, bool) {}); err != nil {
		return e, err
	}
	e = Estimate{Rows: log.Len(), Tasks: map[string]int{}, Questions: len(q.texts), TooShort: s.tooShort(), Absent: q.absent}
	for record, err := range log.All() {
		if err != nil {
			return e, err
		}
		if len(record) == 0 {
			continue
		}
		var m Match
		if err := json.Unmarshal(record, &m); err != nil {
			return e, err
		}
		e.Contaminated++
		e.Tasks[m.Task]++
	}
	return e, nil
}

// Explanation is a question that a row holds, with the places in both.
type Explanation struct {
	Match
	// Question and Texts have the shared sequences between ⟦ and ⟧. Texts are those of
	// the row's messages that hold some.
	Question string   `json:"question"`
	Texts    []string `json:"texts"`
}

// Explain returns the questions that the row with an id holds, none for a clean row. A row
// that the dataset lacks is an error.
func Explain(ctx context.Context, o Options, dirs []string, path, id string) ([]Explanation, error) {
	from, _, err := o.prepare(dirs, path)
	if err != nil {
		return nil, err
	}
	q, err := from.read(ctx)
	if err != nil {
		return nil, err
	}
	for r, err := range dataset.Rows[dataset.Instruction](ctx, path) {
		if err != nil {
			return nil, err
		}
		if r.ID != id {
			continue
		}
		s := o.search(q)
		by := s.index.NewSearcher()
		var out []Explanation
		found, numbers := s.all(by, r)
		for i, m := range found {
			mark := func(text string) string { return s.index.Mark(numbers[i], text, "⟦", "⟧") }
			x := Explanation{Match: m, Question: mark(q.texts[numbers[i]].Text)}
			for _, text := range texts(r) {
				if marked := mark(text); marked != text {
					x.Texts = append(x.Texts, marked)
				}
			}
			out = append(out, x)
		}
		return out, nil
	}
	return nil, badinput.Errorf("%s has no row with the id %q", path, id)
}

// String lays the explanation out for people.
func (x Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %.0f %% of its sequences\n", x.where(), 100*x.Share)
	fmt.Fprintf(&b, "  question: %s\n", strings.ReplaceAll(x.Question, "\n", "\n            "))
	for _, text := range x.Texts {
		fmt.Fprintf(&b, "  row:      %s\n", strings.ReplaceAll(text, "\n", "\n            "))
	}
	return b.String()
}
