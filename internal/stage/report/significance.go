package report

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"barka/internal/compare"
	"barka/internal/htmlpage"
)

// tests are the tests of significance between the two evaluations.
type tests struct {
	All   compare.Difference // over the questions of all tasks
	Notes []string

	rows, tasks map[string]compare.Difference // by the names of rows
}

// level is the p-value below which a difference is called significant.
const level = 0.05

// readTests pairs the answers of two evaluations. Without their details it returns a sentence
// that says why there is no test. Files that are there and cannot be read are an error.
func readTests(ctx context.Context, base, tuned string) (*tests, string, error) {
	c, err := compared(base, tuned)
	if ctx.Err() != nil {
		return nil, "", ctx.Err()
	}
	if unreadable(err) {
		return nil, "", err
	}
	if err != nil {
		return nil, fmt.Sprintf("No test of significance: %v", err), nil
	}
	t := &tests{All: c.All, Notes: c.Notes, rows: map[string]compare.Difference{}, tasks: map[string]compare.Difference{}}
	for _, d := range c.Rows {
		t.rows[d.Task] = d
	}
	for _, d := range c.Tasks {
		t.tasks[htmlpage.ShortTask(d.Task)] = d
	}
	return t, "", nil
}

// unreadable reports whether an error is the system's about a file that is there. A page that left
// out what the file has would look complete.
func unreadable(err error) bool {
	return errors.As(err, new(syscall.Errno)) && !errors.Is(err, fs.ErrNotExist)
}

func compared(base, tuned string) (*compare.Comparison, error) {
	a, err := compare.Open(base)
	if err != nil {
		return nil, err
	}
	b, err := compare.Open(tuned)
	if err != nil {
		return nil, err
	}
	return compare.Compare(a, b, compare.Options{Common: true})
}

// Significant reports whether the difference over all questions is.
func (t *tests) Significant() bool { return t.All.McNemar < level }

// Class is the style of the difference over all questions: up, down, or same for one that may
// be chance.
func (t *tests) Class() string {
	switch {
	case !t.Significant():
		return "same"
	case t.All.B > t.All.A:
		return "up"
	}
	return "down"
}

// Verdict is the result in words.
func (t *tests) Verdict() string {
	switch {
	case !t.Significant():
		return "not significant: so small a difference may be chance"
	case t.All.B > t.All.A:
		return "a significant gain"
	}
	return "a significant loss"
}

// attach gives the rows and tasks of the page their tests.
func (c *comparison) attach(t *tests) {
	c.Tests = t
	for i, r := range c.Rows {
		if d, ok := t.rows[r.Name]; ok && r.Mark == "" {
			c.Rows[i].Test, c.Rows[i].P = &d, d.Bootstrap
		}
	}
	for i, r := range c.Tasks {
		if d, ok := t.tasks[r.Name]; ok && !r.Apart {
			c.Tasks[i].Test, c.Tasks[i].P = &d, d.McNemar
		}
	}
}

// Sure reports whether the difference is significant after the correction for the number of
// rows or tasks.
func (r row) Sure() bool { return r.Test != nil && r.Test.Holm < level }
