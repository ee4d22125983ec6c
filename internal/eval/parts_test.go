package eval

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"barka/internal/eval/tasks"
)

func TestRequests(t *testing.T) {
	chars := characterTokenizer{bos: true}
	type border struct {
		tok     Tokenizer
		border  Border
		context string
		choice  string
		want    Request
	}
	word := func(s string) []int32 { return wordTokenizer{}.Encode(s, true) }
	for name, c := range map[string]border{
		"plain":                      {chars, Joint, "ab:", "c", Request{[]int32{2, 'a', 'b', ':'}, []int32{'c'}}},
		"white space moves":          {chars, Joint, "ab:\n \u00a0", "c", Request{[]int32{2, 'a', 'b', ':'}, []int32{'\n', ' ', 0xa0, 'c'}}},
		"empty prompt":               {chars, Joint, "", "cd", Request{[]int32{fakeEOS}, []int32{2, 'c', 'd'}}},
		"pairwise":                   {chars, Pairwise, "ab: ", "c", Request{[]int32{2, 'a', 'b', ':'}, []int32{' ', 'c'}}},
		"merged token is lost":       {wordTokenizer{}, Joint, "one two:", "three", Request{word("one two:"), []int32{}}},
		"merged token, more follows": {wordTokenizer{}, Joint, "one two:", "three four", Request{word("one two:"), word(" four")}},
		"guarded":                    {wordTokenizer{}, Guarded, "one two:", "three", Request{word("one"), word(" two:three")}},
		"pairwise words":             {wordTokenizer{}, Pairwise, "one two:", "three", Request{word("one two:"), word("three")}},
	} {
		got, err := requests(c.tok, c.border, c.context, []string{c.choice})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.Equal(got[0].Context, c.want.Context) || !slices.Equal(got[0].Continuation, c.want.Continuation) {
			t.Errorf("%s: %v, want %v", name, got[0], c.want)
		}
	}
	if _, err := requests(characterTokenizer{}, Joint, " \n", []string{"x"}); err == nil {
		t.Error("a prompt of white space, and no beginning token: no error")
	}
}

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
	if got := accuracyNorm([]float64{-2, -2.9}, choices, 1); got != 1 {
		t.Error("-2.9 over 3 characters lost to -2 over 2")
	}
	if got := accuracy([]float64{-2, -2.9}, 0); got != 1 {
		t.Error("-2 lost to -2.9")
	}
	// A leading space counts as a character.
	if got := accuracyNorm([]float64{-3, -2.1}, []string{" ab", "ab"}, 0); got != 1 {
		t.Error("-3 over 3 characters lost to -2.1 over 2")
	}
}

// metricCase is one of the reference's own, of one question.
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

// TestReferenceMetricCases runs the reference's own cases of metrics that say
// whether the likeliest choice is the right one: accuracy, and with one right
// answer F1, recall at 1, a reciprocal rank of 1. Cases of several right
// answers are left out, as no task of ours has them.
func TestReferenceMetricCases(t *testing.T) {
	dir := filepath.Join(sharedOALL(t), "lighteval-metric-cases")
	for file, suite := range map[string]struct {
		key string
		ran int // cases of one right answer
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
			if got := accuracy(c.Response.LogProbs, gold); (got == 1) != (want[suite.key] == 1) {
				t.Errorf("%s, %s: %d, want %v", file, c.Name, got, want[suite.key])
			}
		}
		if ran != suite.ran {
			t.Errorf("%s: %d of %d cases ran, expected %d", file, ran, len(read.Cases), suite.ran)
		}
	}
}

// TestReferenceCorpusCase: a correlation of 1 is every question right.
func TestReferenceCorpusCase(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(sharedOALL(t), "lighteval-metric-cases", "mcc.json"))
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
		if accuracy(read.Cases[0].Responses[i].LogProbs, d.Gold) != 1 {
			t.Errorf("question %d is wrong", i+1)
		}
	}
}

// published are lines of a published result file (google/gemma-2-9b-it,
// 4 July 2024): questions, acc_norm, its standard error.
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
		if got := mean(xs); got != p.value {
			t.Errorf("%s: mean %v, published %v", p.key, got, p.value)
		}
		// The last digits depend on the order of right and wrong answers,
		// which the file does not tell.
		if got := standardError(xs); math.Abs(got-p.stderr) > 1e-13*p.stderr*math.Sqrt(float64(p.n)) {
			t.Errorf("%s: standard error %v, published %v", p.key, got, p.stderr)
		}
	}
}

func TestAverages(t *testing.T) {
	var results []taskResult
	for _, p := range published {
		if strings.Contains(p.key, "alghafa") {
			results = append(results, taskResult{p.key, []metric{{"acc_norm", p.value}, {"acc_norm_stderr", p.stderr}}})
		}
	}
	got := withAverages(results)
	want := taskResult{"community|alghafa:_average|0", []metric{{"acc_norm", 0.5217204987765622}, {"acc_norm_stderr", 0.022728718716993505}}}
	if diff := cmp.Diff(want, got[len(results)], cmp.AllowUnexported(taskResult{}, metric{})); diff != "" {
		t.Errorf("published average of AlGhafa:\n%s", diff)
	}
	if got[len(got)-1].key != "all" || len(got) != len(results)+2 {
		t.Errorf("%d results, the last is %s", len(got), got[len(got)-1].key)
	}
}

func TestPaddings(t *testing.T) {
	req := func(context, continuation int) Request {
		return Request{make([]int32, context), make([]int32, continuation)}
	}
	// Nine requests make four parts of 9/4+1 = 3 rows, longest first.
	reqs := []Request{req(3, 1), req(10, 2), req(5, 1), req(20, 3), req(4, 4), req(7, 1), req(6, 2), req(2, 0), req(9, 1)}
	got := paddings(reqs, 2, 15)
	want := []padding{
		3: {inputCut: 7, inputPad: 0, continuation: 3},        // 22 read, 15 allowed
		1: {inputPad: 4, continuation: 2, continuationPad: 1}, // batch of rows 3 and 1
		8: {inputPad: 6, continuation: 1},                     // alone in its batch
		4: {inputPad: 0, continuation: 4},                     // second part is 8-1 wide
		5: {inputPad: 0, continuation: 1, continuationPad: 3}, // first among equals by order
		6: {inputPad: 0, continuation: 2},                     // alone in its batch
		2: {inputPad: 0, continuation: 1},                     // third part is 5 wide
		0: {inputPad: 2, continuation: 1},                     // same batch
		7: {inputPad: 3, continuation: 0},                     // alone in its batch
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(padding{})); diff != "" {
		t.Error(diff)
	}
	if got := paddings(nil, 2, 15); len(got) != 0 {
		t.Errorf("no requests: %v", got)
	}
}

func TestListDigest(t *testing.T) {
	var l listDigest
	l.add([]int32{5, 6}, 2, 1)
	l.add(nil, 1, 1)
	l.add([]int32{7}, 0, 1)
	l.add(nil, 0, 1)
	if got, want := l.sum(), digestText("[[5, 6, 1, 1], [1], [7], []]"); got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
	if got := digestText("Algeria"); got != "e8867f1026190925" {
		t.Errorf("xxh64 of Algeria = %s", got)
	}
}

func TestFewShotPrompts(t *testing.T) {
	doc := func(q, answer string) tasks.Doc {
		return tasks.Doc{Query: "I\n" + q, Instruction: "I\n", Choices: []string{answer, "x"}, Gold: 0}
	}
	m := newHashModel()
	task, _ := tasks.Lookup(tasks.V1, "community|acva:Iraq")
	p := prompter{task: task, m: m, pool: []tasks.Doc{doc("q1:", "a1"), doc("q2:", "a2"), doc("q3:", "a3")}}
	for _, c := range []struct {
		doc       tasks.Doc
		shots     tasks.Shots
		length    int
		want      string
		effective int
	}{
		{doc("q:", "a"), tasks.Shots{K: 0}, 8192, "I\nq:", 0},
		{doc("q:", "a"), tasks.Shots{K: 2}, 8192, "I\nq1:a1\n\nq2:a2\n\nq:", 2},
		// The question itself is no example.
		{doc("q1:", "a1"), tasks.Shots{K: 2}, 8192, "I\nq2:a2\n\nq3:a3\n\nq1:", 2},
		// "I q1:a1  q:" is 12 tokens with the beginning token, and
		// generation_size -1 frees one more.
		{doc("q:", "a"), tasks.Shots{K: 2, Truncate: true}, 11, "I\nq1:a1\n\nq:", 1},
		{doc("q:", "a"), tasks.Shots{K: 2, Truncate: true}, 10, "I\nq:", 0},
		// When nothing fits, the count ends at -1, and with it the reference
		// takes all examples but the last.
		{doc("q:", "a"), tasks.Shots{K: 2, Truncate: true}, 3, "I\nq1:a1\n\nq:", -1},
		{doc("q:", "a"), tasks.Shots{K: 0, Truncate: true}, 3, "I\nq:", -1},
		{doc("q:", "a"), tasks.Shots{K: 0}, 3, "I\nq:", 0},
	} {
		m.maxLength = c.length
		got, effective, err := p.prompt(c.doc, c.shots)
		if err != nil || got != c.want || effective != c.effective {
			t.Errorf("%+v at length %d: %q with %d examples, %v; want %q with %d", c.shots, c.length, got, effective, err, c.want, c.effective)
		}
	}
	m.maxLength = 8192
	p.opts.UseChatTemplate = true
	if got, _, _ := p.prompt(doc("q:", "a"), tasks.Shots{K: 1}); got != "<user>I\nq1:</user><assistant>a1</assistant><user>q:</user><assistant>" {
		t.Errorf("chat prompt %q", got)
	}
	p.opts.SystemPrompt = "S"
	if got, _, _ := p.prompt(doc("q:", "a"), tasks.Shots{}); got != "<system>SI\n</system><user>q:</user><assistant>" {
		t.Errorf("chat prompt with a system message %q", got)
	}
}

// TestBalanced compares with the reference's algorithm run in CPython on the
// same pool: questions 0 to 9 with answers b, a, a, c, b, a, c, c, c, d.
func TestBalanced(t *testing.T) {
	var docs []tasks.Doc
	for i, answer := range strings.Split("b a a c b a c c c d", " ") {
		docs = append(docs, tasks.Doc{Query: string(rune('0' + i)), Choices: []string{answer}})
	}
	var got []string
	for _, d := range balanced(docs, 8) {
		got = append(got, d.Query)
	}
	if want := strings.Fields("8 2 0 9 7 5 4 6"); !slices.Equal(got, want) {
		t.Errorf("drew %v, want %v", got, want)
	}
}

func TestModelName(t *testing.T) {
	dir := t.TempDir()
	if got := ModelName(dir); strings.Contains(got, "/") || !strings.HasPrefix(got, "_") {
		t.Errorf("ModelName(%s) = %s", dir, got)
	}
	if got := ModelName("google/gemma-2-9b-it"); got != "google/gemma-2-9b-it" {
		t.Errorf("ModelName of a hub id = %s", got)
	}
}

func TestFormatBytes(t *testing.T) {
	for n, want := range map[int64]string{18483411968: "17.21 GB", 512: "512.0 bytes", 1536: "1.5 KB", 3 << 40: "3.0 TB"} {
		if got := FormatBytes(n); got != want {
			t.Errorf("FormatBytes(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestMarkdownTable(t *testing.T) {
	results := []taskResult{
		{"community|acva:Iraq|0", []metric{{"acc_norm", 0.55294}, {"acc_norm_stderr", 0.05424}}},
		{"lighteval|xstory_cloze:ar|0", []metric{{"acc", 0.5}}},
		{"all", []metric{{"acc_norm", 0.55294}, {"acc_norm_stderr", 0.05424}, {"acc", 0.5}}},
	}
	want := `|           Task            |Version| Metric |Value |   |Stderr|
|---------------------------|------:|--------|-----:|---|-----:|
|all                        |       |acc_norm|0.5529|±  |0.0542|
|                           |       |acc     |0.5000|   |      |
|community:acva:Iraq:0      |      0|acc_norm|0.5529|±  |0.0542|
|lighteval:xstory_cloze:ar:0|      0|acc     |0.5000|   |      |
`
	got := consoleTable(results, map[string]bool{"community|acva:Iraq|0": true, "lighteval|xstory_cloze:ar|0": true})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
