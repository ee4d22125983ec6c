package eval

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"barka/internal/badinput"
	"barka/internal/benchdata"
	"barka/internal/eval/tasks"
	"barka/internal/tokenizer"
)

// demoTokenizer is the demonstration's, which is trained on Arabic text, laid
// out as Gemma's, and part of the repository.
func demoTokenizer(t *testing.T) realTokenizer {
	t.Helper()
	text, err := os.ReadFile("../demo/models/gemma2/tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	eos, ok := tok.ID("<eos>")
	if !ok {
		t.Fatal("no <eos>")
	}
	return realTokenizer{tok, eos}
}

// TestModesInResults: what differs from the reference of 2024-05 is in the
// result file, and nothing is when nothing differs.
func TestModesInResults(t *testing.T) {
	for _, c := range []struct {
		list    string
		border  Border
		choices tasks.Choices
		want    map[string]string
	}{
		{"acva:Iraq", "", "", nil},
		{"acva:Iraq", Joint, tasks.Texts, nil},
		{"acva:Iraq", Pairwise, "", map[string]string{"token_border": "pairwise"}},
		{"piqa_ar", Guarded, tasks.Indices, map[string]string{"token_border": "guarded", "alghafa_choices": "index"}},
		{"aratrust:Ethics", "", "", map[string]string{"leaderboard": "oall-v2", "token_border": "guarded", "alghafa_choices": "index"}},
		{"aratrust:Ethics", Joint, tasks.Texts, map[string]string{"leaderboard": "oall-v2", "token_border": "joint", "alghafa_choices": "text"}},
	} {
		o := fixtureOptions(t, c.list)
		o.Border, o.AlGhafa = c.border, c.choices
		out, err := Run(t.Context(), newHashModel(), o, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(out.ResultsPath)
		if err != nil {
			t.Fatal(err)
		}
		var results struct {
			General struct{ Config map[string]string } `json:"config_general"`
		}
		if err := json.Unmarshal(text, &results); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, results.General.Config); diff != "" {
			t.Errorf("%s, %s, %s:\n%s", c.list, c.border, c.choices, diff)
		}
	}
}

// TestModesApart: modes share the journal and nothing else. A score is kept by
// the tokens that were asked, so a run in another mode takes over what is the
// same question to the model and asks the rest: it writes what it would have
// written alone.
func TestModesApart(t *testing.T) {
	list := "alghafa:meta_ar_msa,piqa_ar,acva:Iraq"
	m := newHashModel()
	m.tokenizer = demoTokenizer(t)
	shared := fixtureOptions(t, list)
	outputs := map[string]bool{}
	for _, border := range Borders {
		for _, choices := range tasks.ChoicesOf {
			alone := fixtureOptions(t, list)
			alone.Border, alone.AlGhafa = border, choices
			shared.Border, shared.AlGhafa = border, choices
			a, err := Run(t.Context(), m, alone, nil)
			if err != nil {
				t.Fatal(err)
			}
			b, err := Run(t.Context(), m, shared, nil)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(a.ResultsPath)
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(b.ResultsPath)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s, %s:\n%s", border, choices, diff)
			}
			if a.Reused != 0 || b.Reused == 0 && border != Joint {
				t.Errorf("%s, %s: %d reused alone, %d after other modes", border, choices, a.Reused, b.Reused)
			}
			outputs[string(got)] = true
		}
	}
	if len(outputs) != len(Borders)*len(tasks.ChoicesOf) {
		t.Errorf("%d different results of %d modes", len(outputs), len(Borders)*len(tasks.ChoicesOf))
	}
}

func TestModesRefused(t *testing.T) {
	o := fixtureOptions(t, "acva:Iraq")
	o.AlGhafa = "letters"
	if err := o.Validate(); !badinput.Is(err) {
		t.Errorf("choices %q: %v", o.AlGhafa, err)
	}
	o = fixtureOptions(t, "acva:Iraq")
	o.Tasks = slices.Concat(o.Tasks, fixtureOptions(t, "aratrust").Tasks)
	if err := o.Validate(); err == nil {
		t.Error("tasks of two versions: no error")
	}
}

// TestBordersOfRealTokens: the rules of the three modes worked out by hand on
// what the tokenizers library gives for these texts with this tokenizer.
// There are no published runs in the later modes with data that is at hand, so
// that whole runs cannot be compared, as TestPublishedTokens does for Joint.
func TestBordersOfRealTokens(t *testing.T) {
	tok := demoTokenizer(t)
	for _, c := range []struct {
		context, choice string
		whole           []int32
		want            map[Border]Request
	}{
		// Nothing spans the border: all agree.
		{"الإجابة:", "صح", []int32{2, 433, 373, 380, 548, 377, 289, 389, 381}, map[Border]Request{
			Joint:    {[]int32{2, 433, 373, 380, 548, 377, 289}, []int32{389, 381}},
			Guarded:  {[]int32{2, 433, 373, 380, 548, 377, 289}, []int32{389, 381}},
			Pairwise: {[]int32{2, 433, 373, 380, 548, 377, 289}, []int32{389, 381}},
		}},
		// White space at the end moves to the choice first.
		{"الإجابة:\n    ", "نعم", []int32{2, 433, 373, 380, 548, 377, 289, 7, 501, 401, 1486}, map[Border]Request{
			Joint:    {[]int32{2, 433, 373, 380, 548, 377, 289}, []int32{7, 501, 401, 1486}},
			Guarded:  {[]int32{2, 433, 373, 380, 548, 377, 289}, []int32{7, 501, 401, 1486}},
			Pairwise: {[]int32{2, 433, 373, 380, 548, 377, 289}, []int32{7, 501, 401, 1486}},
		}},
		// كت|اب spans it, in place of كت|ا and ب: the ب is lost.
		{"كتا", "ب جديد", []int32{2, 1108, 548, 639, 865}, map[Border]Request{
			Joint:    {[]int32{2, 1108, 375}, []int32{639, 865}},
			Guarded:  {[]int32{2, 1108, 375}, []int32{639, 865}},
			Pairwise: {[]int32{2, 1108, 375}, []int32{376, 639, 865}},
		}},
		// م|دي and نة become م|د|ين|ة.
		{"مدي", "نة", []int32{2, 400, 383, 482, 377}, map[Border]Request{
			Joint:    {[]int32{2, 400, 549}, []int32{482, 377}},
			Guarded:  {[]int32{2, 400, 549}, []int32{482, 377}},
			Pairwise: {[]int32{2, 400, 549}, []int32{1440}},
		}},
		// ك|م and ا become ك|ما, as many tokens as before: nothing is left for
		// the choice, unless the guard gives it the last one.
		{"كم", "ا", []int32{2, 398, 561}, map[Border]Request{
			Joint:    {[]int32{2, 398, 400}, nil},
			Guarded:  {[]int32{2, 398}, []int32{561}},
			Pairwise: {[]int32{2, 398, 400}, []int32{375}},
		}},
	} {
		if whole := tok.Encode(c.context+c.choice, true); !slices.Equal(whole, c.whole) {
			t.Errorf("%q: tokens %v, want %v", c.context+c.choice, whole, c.whole)
		}
		for _, border := range Borders {
			got, err := requests(tok, border, c.context, []string{c.choice})
			if err != nil {
				t.Fatal(err)
			}
			want := c.want[border]
			if !slices.Equal(got[0].Context, want.Context) || !slices.Equal(got[0].Continuation, want.Continuation) {
				t.Errorf("%q and %q, %s: %v, want %v", c.context, c.choice, border, got[0], want)
			}
		}
	}
}

// TestBordersOfTokenizersLibrary compares with testdata/borders.py: questions
// cut between any two characters.
func TestBordersOfTokenizersLibrary(t *testing.T) {
	tok := demoTokenizer(t)
	table, err := os.ReadFile("testdata/borders.tsv")
	if err != nil {
		t.Fatal(err)
	}
	got := "border\tcases\tempty\tdigest\n"
	for _, border := range Borders {
		var lines []byte
		cases, empty := 0, 0
		for _, subset := range []string{"Algeria", "Arabic_Calligraphy"} {
			rows, err := benchdata.Read([]string{"../demo/data/benchmarks/OALL/ACVA/" + subset + "/test.jsonl"})
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range rows.Rows {
				question := row[slices.Index(rows.Columns, "question")].(string)
				for i := range question {
					if strings.TrimSpace(question[:i]) == "" {
						continue
					}
					reqs, err := requests(tok, border, question[:i], []string{question[i:]})
					if err != nil {
						t.Fatal(err)
					}
					lines = append(appendPadded(lines, reqs[0].Context, 0, 0), ' ')
					lines = append(appendPadded(lines, reqs[0].Continuation, 0, 0), '\n')
					cases++
					empty += count(len(reqs[0].Continuation) == 0)
				}
			}
		}
		got += fmt.Sprintf("%s\t%d\t%d\t%s\n", border, cases, empty, digestText(string(lines)))
	}
	if diff := cmp.Diff(string(table), got); diff != "" {
		t.Error(diff)
	}
}
