package lighteval

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"barka/internal/eval/evaltest"
	"barka/internal/pytext"
)

// published has lines of a published result file (google/gemma-2-9b-it, 4 July 2024):
// number of questions, acc_norm and its standard error.
var published = []struct {
	key           string
	n             int
	value, stderr float64
}{
	{"community|acva:Algeria|0", 195, 0.7025641025641025, 0.0328200171783881},
	{"community|acva:Comoros|0", 45, 0.4, 0.07385489458759965},
	{"community|acva:Yemen|0", 10, 0.5, 0.16666666666666666},
	{"community|alghafa:mcq_exams_test_ar|0", 557, 0.3770197486535009, 0.020553311001569808},
	{"community|alghafa:meta_ar_dialects|0", 5395, 0.4031510658016682, 0.006678987742224282},
	{"community|alghafa:meta_ar_msa|0", 895, 0.4402234636871508, 0.01660256461504994},
	{"community|alghafa:multiple_choice_facts_truefalse_balanced_task|0", 75, 0.52, 0.05807730170189531},
	{"community|alghafa:multiple_choice_grounded_statement_soqal_task|0", 150, 0.64, 0.03932313218491396},
	{"community|alghafa:multiple_choice_grounded_statement_xglue_mlqa_task|0", 150, 0.54, 0.040830308521485996},
	{"community|alghafa:multiple_choice_rating_sentiment_no_neutral_task|0", 7995, 0.818511569731082, 0.004310769600006414},
	{"community|alghafa:multiple_choice_rating_sentiment_task|0", 5995, 0.5641367806505421, 0.00640484980273765},
	{"community|alghafa:multiple_choice_sentiment_task|0", 1720, 0.39244186046511625, 0.011777243283058179},
	{"community|arabic_exams|0", 537, 0.5065176908752328, 0.02159487569233193},
	{"community|copa_ext_ar|0", 90, 0.6, 0.05192907868894985},
}

func TestStandardError(t *testing.T) {
	for _, p := range published {
		right := int(math.Round(p.value * float64(p.n)))
		xs := make([]float64, p.n)
		for i := range right {
			xs[i] = 1
		}
		if got := Mean(xs); got != p.value {
			t.Errorf("%s: mean %v, published %v", p.key, got, p.value)
		}
		// The last digits depend on the order of right and wrong answers, which the file
		// does not contain.
		if got := standardError(xs); math.Abs(got-p.stderr) > 1e-13*p.stderr*math.Sqrt(float64(p.n)) {
			t.Errorf("%s: standard error %v, published %v", p.key, got, p.stderr)
		}
	}
}

func TestAverages(t *testing.T) {
	var results []Result
	for _, p := range published {
		if strings.Contains(p.key, "alghafa") {
			results = append(results, Result{p.key, []Metric{{"acc_norm", p.value}, {"acc_norm_stderr", p.stderr}}})
		}
	}
	got := withAverages(results)
	want := Result{"community|alghafa:_average|0", []Metric{{"acc_norm", 0.5217204987765622}, {"acc_norm_stderr", 0.022728718716993505}}}
	if diff := cmp.Diff(want, got[len(results)], cmp.AllowUnexported(Result{}, Metric{})); diff != "" {
		t.Errorf("published average of AlGhafa:\n%s", diff)
	}
	if got[len(got)-1].Key != "all" || len(got) != len(results)+2 {
		t.Errorf("%d results, the last is %s", len(got), got[len(got)-1].Key)
	}
}

// TestReferenceRoundTrip: the writer reproduces the reference's file, with every digit.
// White space of the stored copy is folded, so Barka's is folded too.
func TestReferenceRoundTrip(t *testing.T) {
	text, parsed := evaltest.Reference(t)
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

// TestReferenceAggregates recomputes the reference's averages, counts and digests of
// digests from its lines; every digit must be equal.
func TestReferenceAggregates(t *testing.T) {
	_, want := evaltest.Reference(t)
	var results []Result
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
		if diff := cmp.Diff(toResult(f.Key, f.Value.(pytext.Object)), got[i], cmp.AllowUnexported(Result{}, Metric{})); diff != "" {
			t.Errorf("%s:\n%s", f.Key, diff)
		}
	}
	for key, n := range map[string]int{"community|arabic_mmlu:abstract_algebra|0": 100,
		"community|arabic_mmlu:anatomy|0": 135, "lighteval|xstory_cloze:ar|0": 1511} {
		m := toResult(key, all.Get(key).(pytext.Object)).Metrics
		xs := make([]float64, n)
		for i := range int(math.Round(m[0].Value * float64(n))) {
			xs[i] = 1
		}
		if got := Mean(xs); got != m[0].Value {
			t.Errorf("%s: mean %v, published %v", key, got, m[0].Value)
		}
		if got := standardError(xs); math.Abs(got-m[1].Value) > 1e-14 {
			t.Errorf("%s: standard error %v, published %v", key, got, m[1].Value)
		}
	}
}

func toResult(key string, o pytext.Object) Result {
	t := Result{Key: key}
	for _, f := range o {
		t.Metrics = append(t.Metrics, Metric{f.Key, f.Value.(float64)})
	}
	return t
}
