package eval

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"barka/internal/pytext"
)

// reference reads the published result file of pythia-70m.
func reference(t *testing.T) (text []byte, parsed pytext.Object) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(sharedOALL(t), "reference_results", "pythia-70m_results_2024-06-28T14-20-00.json"))
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return text, decodeOrdered(t, d).(pytext.Object)
}

// decodeOrdered decodes JSON with the order of keys and the text of numbers.
func decodeOrdered(t *testing.T, d *json.Decoder) any {
	t.Helper()
	token, err := d.Token()
	if err != nil {
		t.Fatal(err)
	}
	switch token {
	case json.Delim('{'):
		o := pytext.Object{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				t.Fatal(err)
			}
			o.Set(key.(string), decodeOrdered(t, d))
		}
		d.Token()
		return o
	case json.Delim('['):
		list := []any{}
		for d.More() {
			list = append(list, decodeOrdered(t, d))
		}
		d.Token()
		return list
	}
	if n, ok := token.(json.Number); ok && !strings.ContainsAny(n.String(), ".eE") {
		i, _ := n.Int64()
		return int(i)
	} else if ok {
		f, _ := n.Float64()
		return f
	}
	return token
}

// TestReferenceRoundTrip: the writer gives back the reference's file, its
// numbers to the digit. The copy kept here is folded, so white space is
// compared by folding ours too.
func TestReferenceRoundTrip(t *testing.T) {
	text, parsed := reference(t)
	written, err := pytext.JSON(parsed)
	if err != nil {
		t.Fatal(err)
	}
	fold := func(b []byte) string {
		var out bytes.Buffer
		if err := json.Compact(&out, b); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if diff := cmp.Diff(fold(text), fold(written)); diff != "" {
		t.Error(diff)
	}
}

// keys lists the paths of an ordered object, with the kind of each value.
func keys(prefix string, v any, out []string) []string {
	o, ok := v.(pytext.Object)
	if !ok {
		return append(out, fmt.Sprintf("%s %T", prefix, v))
	}
	for _, f := range o {
		out = keys(prefix+"/"+f.Key, f.Value, out)
	}
	return out
}

// TestResultLayout runs the same three tasks as the reference's file: equal
// keys in equal order with equal kinds of values, and equal config_tasks but
// for the number of questions.
func TestResultLayout(t *testing.T) {
	_, want := reference(t)
	out, err := Run(t.Context(), newHashModel(), fixtureOptions(t, "community|arabic_mmlu:abstract_algebra|0|1,community|arabic_mmlu:anatomy|0|1,lighteval|xstory_cloze:ar|0|0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out.ResultsPath)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	got := decodeOrdered(t, d).(pytext.Object)
	wantKeys := keys("", want, nil)
	gotKeys := keys("", got, nil)
	// The folded copy left out config_tasks of anatomy.
	gotKeys = without(gotKeys, "/config_tasks/community|arabic_mmlu:anatomy/")
	wantKeys = without(wantKeys, "/config_tasks/community|arabic_mmlu:anatomy/")
	if diff := cmp.Diff(wantKeys, gotKeys); diff != "" {
		t.Errorf("keys:\n%s", diff)
	}
	for _, key := range []string{"community|arabic_mmlu:abstract_algebra", "lighteval|xstory_cloze:ar"} {
		w := want.Get("config_tasks").(pytext.Object).Get(key).(pytext.Object)
		g := got.Get("config_tasks").(pytext.Object).Get(key).(pytext.Object)
		for _, f := range w {
			if !strings.HasSuffix(f.Key, "num_docs") {
				if diff := cmp.Diff(f.Value, g.Get(f.Key)); diff != "" {
					t.Errorf("%s %s:\n%s", key, f.Key, diff)
				}
			}
		}
	}
}

func without(list []string, prefix string) []string {
	var out []string
	for _, s := range list {
		if !strings.HasPrefix(s, prefix) {
			out = append(out, s)
		}
	}
	return out
}

// TestReferenceAggregates recomputes the reference's averages, counts and
// digests of digests from its own lines, to the digit.
func TestReferenceAggregates(t *testing.T) {
	_, want := reference(t)
	var results []taskResult
	var summaries []summary
	all := want.Get("results").(pytext.Object)
	for _, f := range want.Get("summary_tasks").(pytext.Object) {
		o := f.Value.(pytext.Object)
		s := summary{task: f.Key, truncated: o.Get("truncated").(int), nonTruncated: o.Get("non_truncated").(int),
			padded: o.Get("padded").(int), nonPadded: o.Get("non_padded").(int), fewer: o.Get("num_truncated_few_shots").(int)}
		for i, name := range hashNames {
			s.hashes[i] = o.Get("hashes").(pytext.Object).Get(name).(string)
		}
		summaries = append(summaries, s)
		results = append(results, toResult(f.Key, all.Get(f.Key).(pytext.Object)))
	}
	if diff := cmp.Diff(want.Get("summary_general"), any(overall(summaries))); diff != "" {
		t.Errorf("summary_general:\n%s", diff)
	}
	got := withAverages(results)
	for i, f := range all {
		if diff := cmp.Diff(toResult(f.Key, f.Value.(pytext.Object)), got[i], cmp.AllowUnexported(taskResult{}, metric{})); diff != "" {
			t.Errorf("%s:\n%s", f.Key, diff)
		}
	}
	for key, n := range map[string]int{"community|arabic_mmlu:abstract_algebra|0": 100, "community|arabic_mmlu:anatomy|0": 135, "lighteval|xstory_cloze:ar|0": 1511} {
		m := toResult(key, all.Get(key).(pytext.Object)).metrics
		xs := make([]float64, n)
		for i := range int(math.Round(m[0].value * float64(n))) {
			xs[i] = 1
		}
		if got := mean(xs); got != m[0].value {
			t.Errorf("%s: mean %v, published %v", key, got, m[0].value)
		}
		if got := standardError(xs); math.Abs(got-m[1].value) > 1e-14 {
			t.Errorf("%s: standard error %v, published %v", key, got, m[1].value)
		}
	}
}

func toResult(key string, o pytext.Object) taskResult {
	t := taskResult{key: key}
	for _, f := range o {
		t.metrics = append(t.metrics, metric{f.Key, f.Value.(float64)})
	}
	return t
}
