package testfiles

import (
	"fmt"
	"slices"
	"testing"
)

// recorder takes the errors of a test.
type recorder struct {
	testing.TB
	errors []string
}

func (*recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func TestSame(t *testing.T) {
	want := map[string]string{"a": "1", "b": ""}
	for _, c := range []struct {
		got    map[string]string
		errors []string
	}{
		{map[string]string{"a": "1", "b": ""}, nil},
		{map[string]string{"a": "22", "b": ""}, []string{"x: a differs from that of an undisturbed run (2 and 1 bytes)"}},
		{map[string]string{"a": "1"}, []string{"x: b is missing"}},
		{map[string]string{"a": "1", "b": "", "c": ""}, []string{"x: c is extra"}},
	} {
		r := &recorder{TB: t}
		Same(r, "x", c.got, want)
		if !slices.Equal(r.errors, c.errors) {
			t.Errorf("%v: errors %q, want %q", c.got, r.errors, c.errors)
		}
	}
}
