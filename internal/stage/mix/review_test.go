package mix

import (
	"context"
	"path/filepath"
	"testing"

	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/review"
	"barka/internal/testfiles"
)

// TestReview: a rejected row goes to rejected/ with the reviewer's note, an edit
// replaces the messages in both spellings, and another review is another output.
func TestReview(t *testing.T) {
	rows := rowsOf("a", 4)
	verdict := func(i int, v string, messages ...chat.Message) review.Verdict {
		return review.Verdict{ID: rows[i].ID, Digest: review.Digest(rows[i].Messages), Verdict: v, Messages: messages,
			Note: "note", Reviewer: "Amal"}
	}
	o := Defaults()
	o.Review = testfiles.JSONLines(t, verdict(0, review.Reject), verdict(1, review.Accept),
		verdict(2, review.Edit, chat.Message{Role: "user", Content: "سؤال"}, chat.Message{Role: "assistant", Content: "أفضل"}),
		review.Verdict{ID: "gone", Digest: "d", Verdict: review.Reject})
	dir, m := mix(t, o, 1, testfiles.JSONLines(t, rows...))
	for name, want := range map[string]int64{"out": 3, "rejected_review_rejected": 1, "review_edited": 1, "review_accepted": 1,
		"review_unknown": 1, "review_stale": 0} {
		if m.Counts[name] != want {
			t.Errorf("%s is %d, want %d", name, m.Counts[name], want)
		}
	}
	if len(m.Notes) != 1 {
		t.Errorf("notes %q", m.Notes)
	}
	for _, c := range read(t, dir) {
		if c.ID == rows[0].ID {
			t.Error("the rejected row is in the mix")
		}
		if c.ID == rows[2].ID && (c.Messages[1].Content != "أفضل" || c.Conversations[1].Value != "أفضل") {
			t.Errorf("the edit is not in the mix: %+v", c)
		}
	}
	for r, err := range dataset.Rows[map[string]any](context.Background(), filepath.Join(dir, "rejected")) {
		if err != nil || r["reason"] != "review_rejected" || r["detail"] != "by Amal: note" {
			t.Errorf("%v, %v", r, err)
		}
	}
	if m.Inputs["--review"].Digest == "" {
		t.Error("the review does not belong to the identity")
	}
}
