package lighteval

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"barka/internal/eval/evaltest"
)

func TestMetrics(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		xs   []float64
		want int
	}{{[]float64{1, 3, 3}, 1}, {[]float64{2, nan, 5, nan}, 1}, {[]float64{-1, math.Inf(-1)}, 0}, {[]float64{nan, 1}, 0}} {
		if got := argmax(c.xs); got != c.want {
			t.Errorf("argmax(%v) = %d, want %d", c.xs, got, c.want)
		}
	}
	// صح has 2 characters and خطأ 3, which favours the longer one.
	choices := []string{"صح", "خطأ"}
	if got := AccuracyNorm([]float64{-2, -2.9}, choices, 1); got != 1 {
		t.Error("-2.9 over 3 characters lost to -2 over 2")
	}
	if got := Accuracy([]float64{-2, -2.9}, 0); got != 1 {
		t.Error("-2 lost to -2.9")
	}
	// A leading space counts as a character.
	if got := AccuracyNorm([]float64{-3, -2.1}, []string{" ab", "ab"}, 0); got != 1 {
		t.Error("-3 over 3 characters lost to -2.1 over 2")
	}
}

// metricCase is one of the reference's own test cases, with one question.
type metricCase struct {
	Name   string `json:"name"`
	Params struct {
		K int `json:"k"`
	} `json:"metric_params"`
	Doc struct {
		Choices []string        `json:"choices"`
		Gold    json.RawMessage `json:"gold_index"`
	} `json:"doc"`
	Response struct {
		LogProbs []float64 `json:"logprobs"`
	} `json:"model_response"`
	Want json.RawMessage `json:"expected_output"`
}

// TestReferenceMetricCases runs the reference's own cases of metrics that report
// whether the most likely choice is right: accuracy, and with one right answer F1,
// recall at 1 and a reciprocal rank of 1. Cases with several right answers are skipped,
// because no task has them.
func TestReferenceMetricCases(t *testing.T) {
	dir := filepath.Join(evaltest.SharedOALL(t), "lighteval-metric-cases")
	for file, suite := range map[string]struct {
		key string
		ran int // cases with one right answer
	}{
		"loglikelihood_acc.json": {"acc", 11}, "loglikelihood_f1.json": {"loglikelihood_f1", 12},
		"recall_at_k.json": {"recall:k=1", 1}, "mrr.json": {"mrr", 3},
	} {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		var read struct {
			Cases []metricCase `json:"test_cases"`
		}
		if err := json.Unmarshal(data, &read); err != nil {
			t.Fatal(err)
		}
		ran := 0
		for _, c := range read.Cases {
			var gold int
			if json.Unmarshal(c.Doc.Gold, &gold) != nil || c.Params.K > 1 {
				continue
			}
			var want map[string]float64
			if err := json.Unmarshal(c.Want, &want); err != nil {
				t.Fatal(err)
			}
			ran++
			if got := Accuracy(c.Response.LogProbs, gold); (got == 1) != (want[suite.key] == 1) {
				t.Errorf("%s, %s: %d, want %v", file, c.Name, got, want[suite.key])
			}
		}
		if ran != suite.ran {
			t.Errorf("%s: %d of %d cases ran, expected %d", file, ran, len(read.Cases), suite.ran)
		}
	}
}

// TestReferenceCorpusCase: a correlation of 1 means that every question is right.
func TestReferenceCorpusCase(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(evaltest.SharedOALL(t), "lighteval-metric-cases", "mcc.json"))
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		Cases []struct {
			Docs []struct {
				Gold int `json:"gold_index"`
			} `json:"docs"`
			Responses []struct {
				LogProbs []float64 `json:"logprobs"`
			} `json:"model_responses"`
			Want float64 `json:"expected_output"`
		} `json:"test_cases"`
	}
	if err := json.Unmarshal(data, &read); err != nil || len(read.Cases) != 1 || read.Cases[0].Want != 1 || len(read.Cases[0].Docs) != 3 {
		t.Fatalf("%+v, %v", read, err)
	}
	for i, d := range read.Cases[0].Docs {
		if Accuracy(read.Cases[0].Responses[i].LogProbs, d.Gold) != 1 {
			t.Errorf("question %d is wrong", i+1)
		}
	}
}

// TestMark compares with the reference's process_judge_response (lighteval
// 895d904a), rewritten in Python and run there.
func TestMark(t *testing.T) {
	for judgement, want := range map[string]float64{
		"8": 0.8, "8/10": 0, "8.": 0.8, "7.5\n": 0.75, "الدرجة: 9": 0.9, "10.": 1, "11": 1, "-3": 0, "٧": 0.7, "8، جيد 4": 0.4,
		"": 0, "1.2.3 4": 0.4, "التقييم 0 من 10": 0, ".5": 0.05, "Score 100": 1,
	} {
		got, _ := Mark(judgement)
		if math.Abs(got-want) > 1e-15 {
			t.Errorf("%q: %v, want %v", judgement, got, want)
		}
	}
	for judgement, want := range map[string]bool{"0": true, "8/10": false, ".": false, "": false, "عشرة": false} {
		if _, ok := Mark(judgement); ok != want {
			t.Errorf("%q is a mark: %v, want %v", judgement, ok, want)
		}
	}
}
