package review

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/badinput/badinputtest"
	"barka/internal/chat"
)

func file(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "review.jsonl")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

var talk = []chat.Message{{Role: "user", Content: "ما القهوة؟"}, {Role: "assistant", Content: "مشروب."}}

const edited = `"messages":[{"role":"user","content":"ما القهوة؟"},{"role":"assistant","content":"القهوة مشروب."}]`

// TestApply: each verdict does what it says, once, to the row that it is about; a
// verdict about other messages, or about no row, is reported and does nothing.
func TestApply(t *testing.T) {
	d := Digest(talk)
	a, err := Open(t.Context(), file(t,
		`{"id":"a","digest":"`+d+`","verdict":"accept"}`,
		`{"id":"r","digest":"`+d+`","verdict":"accept","reviewer":"Amal"}`,
		`{"id":"e","digest":"`+d+`","verdict":"edit",`+edited+`}`,
		`{"id":"s","digest":"0123456789abcdef","verdict":"reject"}`,
		`{"id":"u","digest":"`+d+`","verdict":"reject"}`,
		`{"id":"r","digest":"`+d+`","verdict":"reject","reviewer":"Amal","note":"wrong"}`)) // her later line counts
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "s", "none"} {
		if got, rejected := a.Apply(id, talk); rejected != nil || !slices.Equal(got, talk) {
			t.Errorf("%s: %v, %v", id, got, rejected)
		}
	}
	if got, rejected := a.Apply("e", talk); rejected != nil || got[1].Content != "القهوة مشروب." {
		t.Errorf("edit: %v, %v", got, rejected)
	}
	if _, rejected := a.Apply("r", talk); rejected == nil || rejected.Reason != "review_rejected" || rejected.Detail != "by Amal: wrong" {
		t.Errorf("reject: %v", rejected)
	}
	want := map[string]int64{"review_accepted": 1, "review_edited": 1, "review_stale": 1, "review_unknown": 1}
	for name, n := range want {
		if a.Counts()[name] != n {
			t.Errorf("%s: %d, want %d", name, a.Counts()[name], n)
		}
	}
	notes := strings.Join(a.Notes(), "\n")
	if !strings.Contains(notes, "changed since: s;") || !strings.Contains(notes, "not in the sets to mix: u") {
		t.Errorf("notes: %s", notes)
	}
}

// TestNoReview: without a file nothing is applied, counted or noted.
func TestNoReview(t *testing.T) {
	a, err := Open(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if got, rejected := a.Apply("a", talk); rejected != nil || !slices.Equal(got, talk) || a.Counts() != nil || a.Notes() != nil {
		t.Errorf("%v %v %v %v", got, rejected, a.Counts(), a.Notes())
	}
}

// TestDigest: the digest is of roles and contents, in order.
func TestDigest(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range [][]chat.Message{nil, talk, talk[:1], {talk[1], talk[0]}, {{Role: "userم", Content: "ا القهوة؟"}, talk[1]}} {
		seen[Digest(m)] = true
	}
	if len(seen) != 5 {
		t.Errorf("%d digests of 5 conversations", len(seen))
	}
}

// TestBadReviews: a line that cannot be applied is refused with its number.
func TestBadReviews(t *testing.T) {
	const good = `{"id":"x","digest":"d","verdict":"accept","reviewer":"A"}`
	for line, words := range map[string][]string{
		`{"id":"a","digest":"d","verdict":"maybe"}`:                                           {`"maybe"`, "accept, edit or reject"},
		`{"digest":"d","verdict":"accept"}`:                                                   {"no id"},
		`{"id":"a","verdict":"accept"}`:                                                       {"no digest", `"a"`},
		`{"id":"a","digest":"d","verdict":"edit"}`:                                            {"edited messages", "no_answer"},
		`{"id":"a","digest":"d","verdict":"edit","messages":[{"role":"user","content":"x"}]}`: {"no_answer"},
		`{"id":"a","digest":"d","verdict":"reject",` + edited + `}`:                           {"only an edit"},
		`{"id":"a","digest":"d","verdict":"edit","messages":[{"role":"u","colour":"red"}]}`:   {"colour"},
		`{"id":"a","digest":"d","verdct":"accept"}`:                                           {"verdct", "verdict"},
		`{"id":"x","digest":"d","verdict":"reject","reviewer":"B"}`:                           {"reviewer A", "reviewer B", "disagree", "line 1"},
		`{"id":"x","digest":"d","verdict":"reject"}`:                                          {"without a name", "disagree"},
		`{"id":"x"`: {"unexpected end"},
	} {
		_, err := Open(t.Context(), file(t, good, line))
		badinputtest.Want(t, err, append(words, "line 2")...)
	}
	_, err := Open(t.Context(), filepath.Join(t.TempDir(), "none.jsonl"))
	badinputtest.Want(t, err, "none.jsonl")
}
