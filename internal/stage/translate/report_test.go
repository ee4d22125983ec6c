package translate

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/durable"
)

// TestReport: a report counts what the rows record, shows the worst segments and the dropped
// rows, and the page escapes them.
func TestReport(t *testing.T) {
	var lines []string
	for i := range 60 {
		lines = append(lines, fmt.Sprintf(`{"id":"%d","messages":[{"role":"user","content":"This is the sentence that has number %d."}]}`, i, i))
	}
	lines = append(lines, `{"id":"bad","messages":[{"role":"user","content":"Look at <this> 100 & that."}]}`)
	in := filepath.Join(t.TempDir(), "in.jsonl")
	if err := os.WriteFile(in, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	outputs := map[Request]Translation{}
	for i := range 60 {
		n := fmt.Sprint(i)
		good := Translation{Text: "هذه هي الجملة ذات الرقم " + n + ".", Score: -float32(i) / 100}
		if i == 7 {
			good.Unknown = 1
		}
		if i == 8 {
			good = Translation{Text: "لا رقم في هذه الجملة أبدا.", Alternatives: []Alternative{{Text: good.Text, Score: -0.9}}}
		}
		outputs[Request{Text: "This is the sentence that has number " + n + "."}] = good
	}
	out := filepath.Join(t.TempDir(), "out")
	env := durable.Env{Out: out, In: map[string]string{"instructions": in}}
	if _, err := Run(t.Context(), Defaults(), with(&choosy{outputs: outputs}), env); err != nil {
		t.Fatal(err)
	}
	r, err := NewReport(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	if r.Rows != 60 || r.Dropped != 1 || r.Segments != 60 || r.Repeated != 0 || r.Rungs[RungWhole] != 59 || r.Rungs[RungNBest] != 1 ||
		r.Retried[FlagDigits] != 1 || r.Flags[FlagUnknown] != 1 || r.Reasons[FlagDigits] != 1 || r.Translator != "scripted" {
		t.Errorf("%+v", r)
	}
	sum := int64(0)
	for _, n := range r.Scores.Counts {
		sum += n
	}
	if sum != 60 || r.Scores.Counts[19] < 15 {
		t.Errorf("scores: %v", r.Scores)
	}
	if len(r.Lowest) != worstSegments || r.Lowest[0].Score != -0.9 || r.Lowest[1].Row != "59" ||
		!slices.IsSortedFunc(r.Lowest, func(a, b Shown) int { return int(1000 * (a.Score - b.Score)) }) {
		t.Errorf("lowest: %+v", r.Lowest)
	}
	if len(r.Flagged) != 1 || r.Flagged[0].Row != "7" || len(r.Lost) != 1 || r.Lost[0].Row != "bad" ||
		!strings.HasPrefix(r.Lost[0].Detail, FlagDigits+": ") {
		t.Errorf("flagged %+v, lost %+v", r.Flagged, r.Lost)
	}
	page, err := r.HTML()
	if err != nil || !strings.Contains(page, "&lt;this&gt;") || strings.Contains(page, "<this>") || !strings.Contains(page, "unknown_tokens") {
		t.Errorf("%v: %.2000s", err, page)
	}
	if _, err := NewReport(t.Context(), in); err == nil || !badinput.Is(err) {
		t.Errorf("a report of lines: %v", err)
	}
}
