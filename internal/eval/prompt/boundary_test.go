package prompt

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"

	"barka/internal/benchdata"
	"barka/internal/eval/evaltest"
	"barka/internal/eval/record"
)

func TestRequests(t *testing.T) {
	chars := evaltest.Characters{BOS: true}
	type border struct {
		tok     Tokenizer
		border  record.TokenBoundary
		context string
		choice  string
		want    record.Request
	}
	word := func(s string) []int32 { return evaltest.Words{}.Encode(s, true) }
	for name, c := range map[string]border{
		"plain": {chars, record.Joint, "ab:", "c", record.Request{Context: []int32{2, 'a', 'b', ':'},
			Continuation: []int32{'c'}}},
		"white space moves": {chars, record.Joint, "ab:\n \u00a0", "c", record.Request{Context: []int32{2, 'a', 'b', ':'},
			Continuation: []int32{'\n', ' ', 0xa0, 'c'}}},
		"empty prompt": {chars, record.Joint, "", "cd", record.Request{Context: []int32{evaltest.EOS},
			Continuation: []int32{2, 'c', 'd'}}},
		"pairwise": {chars, record.Pairwise, "ab: ", "c", record.Request{Context: []int32{2, 'a', 'b', ':'},
			Continuation: []int32{' ', 'c'}}},
		"merged token is lost": {evaltest.Words{}, record.Joint, "one two:", "three",
			record.Request{Context: word("one two:"), Continuation: []int32{}}},
		"merged token, more follows": {evaltest.Words{}, record.Joint, "one two:", "three four",
			record.Request{Context: word("one two:"), Continuation: word(" four")}},
		"guarded": {evaltest.Words{}, record.Guarded, "one two:", "three", record.Request{Context: word("one"),
			Continuation: word(" two:three")}},
		"pairwise words": {evaltest.Words{}, record.Pairwise, "one two:", "three",
			record.Request{Context: word("one two:"), Continuation: word("three")}},
	} {
		got, err := Requests(c.tok, c.border, c.context, []string{c.choice})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.Equal(got[0].Context, c.want.Context) || !slices.Equal(got[0].Continuation, c.want.Continuation) {
			t.Errorf("%s: %v, want %v", name, got[0], c.want)
		}
	}
	if _, err := Requests(evaltest.Characters{}, record.Joint, " \n", []string{"x"}); err == nil {
		t.Error("a prompt of white space, and no beginning token: no error")
	}
}

// TestBordersOfRealTokens applies the rules of the three modes by hand to the tokens that
// the tokenizers library gives for these texts with this tokenizer. Whole runs cannot be
// compared, as TestPublishedTokens does for record.Joint: there are no published runs in
// the later modes on available data.
func TestBordersOfRealTokens(t *testing.T) {
	tok := evaltest.DemoTokenizer(t)
	for _, c := range []struct {
		context, choice string
		whole           []int32
		want            map[record.TokenBoundary]record.Request
	}{
		// No token spans the boundary: all modes agree.
		{"الإجابة:", "صح", []int32{2, 433, 373, 380, 548, 377, 289, 389, 381}, map[record.TokenBoundary]record.Request{
			record.Joint:    {Context: []int32{2, 433, 373, 380, 548, 377, 289}, Continuation: []int32{389, 381}},
			record.Guarded:  {Context: []int32{2, 433, 373, 380, 548, 377, 289}, Continuation: []int32{389, 381}},
			record.Pairwise: {Context: []int32{2, 433, 373, 380, 548, 377, 289}, Continuation: []int32{389, 381}},
		}},
		// White space at the end first moves to the choice.
		{"الإجابة:\n    ", "نعم", []int32{2, 433, 373, 380, 548, 377, 289, 7, 501, 401, 1486}, map[record.TokenBoundary]record.Request{
			record.Joint:    {Context: []int32{2, 433, 373, 380, 548, 377, 289}, Continuation: []int32{7, 501, 401, 1486}},
			record.Guarded:  {Context: []int32{2, 433, 373, 380, 548, 377, 289}, Continuation: []int32{7, 501, 401, 1486}},
			record.Pairwise: {Context: []int32{2, 433, 373, 380, 548, 377, 289}, Continuation: []int32{7, 501, 401, 1486}},
		}},
		// كت|اب spans it instead of كت|ا and ب: the ب is lost.
		{"كتا", "ب جديد", []int32{2, 1108, 548, 639, 865}, map[record.TokenBoundary]record.Request{
			record.Joint:    {Context: []int32{2, 1108, 375}, Continuation: []int32{639, 865}},
			record.Guarded:  {Context: []int32{2, 1108, 375}, Continuation: []int32{639, 865}},
			record.Pairwise: {Context: []int32{2, 1108, 375}, Continuation: []int32{376, 639, 865}},
		}},
		// م|دي and نة become م|د|ين|ة.
		{"مدي", "نة", []int32{2, 400, 383, 482, 377}, map[record.TokenBoundary]record.Request{
			record.Joint:    {Context: []int32{2, 400, 549}, Continuation: []int32{482, 377}},
			record.Guarded:  {Context: []int32{2, 400, 549}, Continuation: []int32{482, 377}},
			record.Pairwise: {Context: []int32{2, 400, 549}, Continuation: []int32{1440}},
		}},
		// ك|م and ا become ك|ما, the same number of tokens: none is left for the choice,
		// unless the guard gives it the last one.
		{"كم", "ا", []int32{2, 398, 561}, map[record.TokenBoundary]record.Request{
			record.Joint:    {Context: []int32{2, 398, 400}},
			record.Guarded:  {Context: []int32{2, 398}, Continuation: []int32{561}},
			record.Pairwise: {Context: []int32{2, 398, 400}, Continuation: []int32{375}},
		}},
	} {
		if whole := tok.Encode(c.context+c.choice, true); !slices.Equal(whole, c.whole) {
			t.Errorf("%q: tokens %v, want %v", c.context+c.choice, whole, c.whole)
		}
		for _, border := range record.TokenBoundaries {
			got, err := Requests(tok, border, c.context, []string{c.choice})
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

// TestBordersOfTokenizersLibrary compares with the results of testdata/borders.py for
// questions cut between any two characters.
func TestBordersOfTokenizersLibrary(t *testing.T) {
	tok := evaltest.DemoTokenizer(t)
	table, err := os.ReadFile("../testdata/borders.tsv")
	if err != nil {
		t.Fatal(err)
	}
	got := "border\tcases\tempty\tdigest\n"
	for _, border := range record.TokenBoundaries {
		var lines []byte
		cases, empty := 0, 0
		for _, subset := range []string{"Algeria", "Arabic_Calligraphy"} {
			rows, err := benchdata.Read([]string{evaltest.Demo(t) + "/data/benchmarks/OALL/ACVA/" + subset + "/test.jsonl"})
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range rows.Rows {
				question := row[slices.Index(rows.Columns, "question")].(string)
				for i := range question {
					if strings.TrimSpace(question[:i]) == "" {
						continue
					}
					reqs, err := Requests(tok, border, question[:i], []string{question[i:]})
					if err != nil {
						t.Fatal(err)
					}
					lines = fmt.Appendf(lines, "%s %s\n", list(reqs[0].Context), list(reqs[0].Continuation))
					cases++
					if len(reqs[0].Continuation) == 0 {
						empty++
					}
				}
			}
		}
		got += fmt.Sprintf("%s\t%d\t%d\t%016x\n", border, cases, empty, xxhash.Sum64(lines))
	}
	if diff := cmp.Diff(string(table), got); diff != "" {
		t.Error(diff)
	}
}

// list writes tokens as Python does.
func list(tokens []int32) string {
	out := make([]string, len(tokens))
	for i, t := range tokens {
		out[i] = fmt.Sprint(t)
	}
	return "[" + strings.Join(out, ", ") + "]"
}
