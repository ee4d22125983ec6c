package mix

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/badinput/badinputtest"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/progress"
	"barka/internal/testfiles"
)

// TestWeights: shares are met by whole repetitions and by leaving out, by any of the
// names and units, and do not depend on the order of the inputs.
func TestWeights(t *testing.T) {
	a, b, c := rowsOf("a", 100), rowsOf("b", 40), rowsOf("c", 10)
	for i := range b {
		b[i].Form = dataset.FormReading
		b[i].Messages[1].Content = strings.Repeat("كلمة ", 17) // with the question's 2: 19 words
	}
	paths := []string{testfiles.JSONLines(t, a...), testfiles.JSONLines(t, b...), testfiles.JSONLines(t, c...)}
	for _, test := range []struct {
		name string
		set  func(*Options)
		want map[string]int64 // conversations to train on
		left int64            // left out
		note string
	}{
		{"rows", func(o *Options) { o.Weights = map[string]float64{"a": 5, "b": 4, "c": 1} }, // of 150 rows
			map[string]int64{"a": 75, "b": 60, "c": 15}, 25, ""},
		{"size", func(o *Options) { o.Weights, o.Size = map[string]float64{"a": 0.5, "b": 0.5, "c": 0}, 80 },
			map[string]int64{"a": 40, "b": 40}, 70, ""},
		{"most repeats", func(o *Options) { o.Weights, o.MaxRepeats = map[string]float64{"a": 1, "b": 0, "c": 9}, 3 },
			map[string]int64{"a": 11, "c": 30}, 129, "c has 10 rows to train on and would need 99: it gets 30"},
		{"sources", func(o *Options) {
			o.Weights, o.WeightsBy = map[string]float64{"input0": 1, "input1": 1, "input2": 0}, "source"
		}, map[string]int64{"a": 70, "b": 70}, 40, ""},
		{"forms", func(o *Options) { o.Weights, o.WeightsBy = map[string]float64{"reading": 1, "none": 1}, "form" },
			map[string]int64{"a": 66, "b": 75, "c": 9}, 35, ""},
		{"tokens", func(o *Options) { o.Weights, o.WeightsOf = map[string]float64{"a": 19, "b": 19, "c": 0}, "tokens" },
			map[string]int64{"a": 126, "b": 34}, 16, ""}, // 630 words each, in rows of 5 and of 19
	} {
		o := Defaults()
		test.set(&o)
		dir, m := mix(t, o, 1, paths...)
		got, copies, numbers := map[string]int64{}, map[string]int32{}, map[string]bool{}
		for _, r := range read(t, dir) {
			got[r.Dataset]++
			copies[r.ID]++
			numbers[fmt.Sprint(r.ID, r.Repeat)] = true
		}
		if !maps.Equal(got, test.want) || m.Counts["rejected_over_weight"] != test.left {
			t.Errorf("%s: %v and %d left out, want %v and %d", test.name, got, m.Counts["rejected_over_weight"], test.want, test.left)
		}
		if len(numbers) != int(m.Counts["train"]) {
			t.Errorf("%s: %d different copies in %d rows", test.name, len(numbers), m.Counts["train"])
		}
		least, most := int32(100), int32(0)
		for id, n := range copies {
			if strings.HasPrefix(id, "b-") {
				least, most = min(least, n), max(most, n)
			}
		}
		if most > 0 && most-least > 1 {
			t.Errorf("%s: rows of b occur %d to %d times", test.name, least, most)
		}
		if notes := strings.Join(m.Notes, "\n"); !strings.Contains(notes, test.note) || test.note == "" && notes != "" {
			t.Errorf("%s: notes %q, want %q", test.name, notes, test.note)
		}
		if test.name == "rows" {
			back, _ := mix(t, o, 1, paths[2], paths[0], paths[1])
			if !slices.Equal(ids(read(t, back)), ids(read(t, dir))) {
				t.Error("another order of the inputs gives another mix")
			}
		}
	}
}

// TestWeightsAndValidation: rows that are held back are not repeated, and are not among
// the copies.
func TestWeightsAndValidation(t *testing.T) {
	o := Defaults()
	o.Validation, o.Weights = 0.3, map[string]float64{"a": 1, "b": 3}
	dir, m := mix(t, o, 1, testfiles.JSONLines(t, rowsOf("a", 60)...), testfiles.JSONLines(t, rowsOf("b", 60)...))
	held := ids(read(t, filepath.Join(dir, ValidationName)))
	slices.Sort(held)
	if len(held) == 0 || len(slices.Compact(held)) != int(m.Counts["validation"]) {
		t.Errorf("%d rows held back, of which some twice", len(held))
	}
	if m.Counts["repeated"] == 0 {
		t.Errorf("counts %v, want some repeated", m.Counts)
	}
	for _, id := range ids(read(t, dir)) {
		if slices.Contains(held, id) {
			t.Errorf("%s is on both sides", id)
		}
	}
}

// TestBadWeights: settings that cannot be met are refused, and leave nothing behind that
// another command would stumble over.
func TestBadWeights(t *testing.T) {
	in := map[string]string{"input": testfiles.JSONLines(t, append(rowsOf("a", 10), rowsOf("b", 10)...)...)}
	env := durable.Env{Out: filepath.Join(t.TempDir(), "mix"), In: in, Seed: 1, Progress: progress.Silent}
	weights := func(of string, w map[string]float64) Options {
		o := Defaults()
		o.Weights, o.WeightsOf = w, of
		return o
	}
	both := map[string]float64{"a": 1, "b": 1}
	for i, c := range []struct {
		o    Options
		want []string
	}{
		{weights("", map[string]float64{"a": 1}), []string{"no dataset b", "0 to leave it out"}},
		{weights("", map[string]float64{"a": 1, "b": 1, "c": 1}), []string{"weight of c", "there are: a, b"}},
		{weights("", map[string]float64{"a": -1, "b": 1}), []string{"weight of a is -1"}},
		{weights("", map[string]float64{"a": 0, "b": 0}), []string{"all weights are 0"}},
		{weights("tokens", both), []string{"weights_of is tokens", "0 tokenizers"}},
		{weights("gemma", both), []string{`weights_of is "gemma"`}},
		{Options{Name: "x", Weights: both, WeightsBy: "kind", MaxRepeats: 1}, []string{`weights_by is "kind"`}},
		{Options{Name: "x", Weights: both, MaxRepeats: 101}, []string{"max_repeats is 101"}},
		{Options{Name: "x", Size: 5}, []string{"without weights"}},
		{Options{Name: "x", AtLeast: map[string]int{"a": 11}}, []string{"at_least asks for 11 rows of a", "has 10"}},
		{Options{Name: "x", AtLeast: map[string]int{"z": 1}}, []string{"at_least of z", "datasets there: a, b"}},
		{Options{Name: "x", AtLeast: map[string]int{"a": 5}, Limits: map[string]int{"a": 4}}, []string{"at_least of a is 5"}},
	} {
		_, err := Run(context.Background(), c.o, nil, env)
		if err == nil {
			t.Fatalf("%d: no error", i)
		}
		badinputtest.Want(t, err, c.want...)
	}
	o := weights("", both)
	o.AtLeast = map[string]int{"a": 10}
	if m, err := Run(context.Background(), o, nil, env); err != nil || fmt.Sprint(m.Counts["train"]) != "20" {
		t.Errorf("after the mistakes: %v", err)
	}
}
