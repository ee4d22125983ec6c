package eval

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
)

func TestSignTest(t *testing.T) {
	// Computed with exact fractions.
	for _, c := range []struct {
		a, b int
		want float64
	}{{0, 0, 1}, {3, 3, 1}, {0, 5, 0.0625}, {2, 10, 0.03857421875}, {30, 60, 0.002060265680963076}, {400, 500, 0.0009564441369189461}} {
		if got := signTest(c.a, c.b); math.Abs(got-c.want) > 1e-9*c.want {
			t.Errorf("signTest(%d, %d) = %v, want %v", c.a, c.b, got, c.want)
		}
		if signTest(c.a, c.b) != signTest(c.b, c.a) {
			t.Errorf("signTest(%d, %d) is not symmetric", c.a, c.b)
		}
	}
}

func TestCompare(t *testing.T) {
	run := func(list string, change func(*Options)) string {
		o := fixtureOptions(t, list)
		m := newHashModel()
		if change != nil {
			change(&o)
		}
		if o.JobID != "" { // another model: other hashes
			m.tokenizer = characterTokenizer{}
		}
		out, err := Run(t.Context(), m, o, nil)
		if err != nil {
			t.Fatal(err)
		}
		return out.DetailsDir
	}
	a := run("copa_ext_ar,acva:Iraq,piqa_ar", nil)
	b := run("copa_ext_ar,acva:Iraq,boolq_ar", func(o *Options) { o.JobID = "other" })
	c, err := Compare(a, b)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Tasks) != 2 || len(c.Rows) != 1 || c.Rows[0].Task != "COPA" || strings.Join(c.OnlyA, "") != "community|piqa_ar|0" || strings.Join(c.OnlyB, "") != "community|boolq_ar|0" {
		t.Errorf("%+v", c)
	}
	for _, d := range c.Tasks {
		n := float64(d.Questions)
		if math.Abs((d.B-d.A)*n-float64(d.OnlyB-d.OnlyA)) > 1e-9 || d.StdErr < 0 || d.P <= 0 || d.P > 1 {
			t.Errorf("%+v", d)
		}
	}
	if !strings.Contains(c.Markdown(), "| COPA |") || c.Average.Questions != 0 {
		t.Error(c.Markdown())
	}
	same, err := Compare(a, a)
	if err != nil || len(same.Tasks) != 3 || same.Tasks[0].P != 1 || same.Tasks[0].StdErr != 0 {
		t.Errorf("a run against itself: %+v, %v", same, err)
	}
	fewer := run("copa_ext_ar", func(o *Options) { o.MaxSamples = 2 })
	for name, other := range map[string]string{"fewer questions": fewer, "no details": t.TempDir(), "nothing in common": run("sciq_ar", nil)} {
		if _, err := Compare(a, other); !badinput.Is(err) {
			t.Errorf("%s: error %v, want bad input", name, err)
		}
	}
	if _, err := Compare(filepath.Join(a, "none"), a); !badinput.Is(err) {
		t.Errorf("no such directory: error %v", err)
	}
}

// TestCombine checks a mean of two tasks by hand.
func TestCombine(t *testing.T) {
	d := combine("x", []Difference{{A: 0.2, B: 0.4, StdErr: 0.03, Questions: 5, OnlyB: 1}, {A: 0.6, B: 0.6, StdErr: 0.04, Questions: 7, OnlyA: 2}})
	if math.Abs(d.B-d.A-0.1) > 1e-12 || math.Abs(d.StdErr-0.025) > 1e-12 || d.Questions != 12 || d.OnlyA != 2 {
		t.Errorf("%+v", d)
	}
	// Four standard errors.
	if math.Abs(d.P-6.334248366623973e-05) > 1e-12 {
		t.Errorf("p = %v", d.P)
	}
}

// TestMetricOf: details of barka and of lighteval to 0.4 hold the metric under
// its name, those of lighteval from 0.5 Python's str() of that.
func TestMetricOf(t *testing.T) {
	for _, c := range []struct {
		metrics any
		want    float64
		ok      bool
	}{
		{map[string]any{"acc_norm": int64(1)}, 1, true},
		{map[string]any{"llm_as_judge": 0.4}, 0.4, true},
		{"{'acc': 1}", 1, true},
		{"{'llm_as_judge': 0.25}", 0.25, true},
		{"{'acc': 1, 'f1': 0}", 0, false},
		{map[string]any{"acc": int64(1), "f1": 0.5}, 0, false},
		{map[string]any{"acc": "1"}, 0, false},
		{nil, 0, false},
	} {
		if got, ok := metricOf(c.metrics); got != c.want || ok != c.ok {
			t.Errorf("metricOf(%v) = %v, %v, want %v, %v", c.metrics, got, ok, c.want, c.ok)
		}
	}
}
