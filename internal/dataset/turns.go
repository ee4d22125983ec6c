package dataset

import (
	"fmt"
	"strings"

	"barka/internal/chat"
)

// CheckTurns returns why messages cannot be trained on, or nil. A conversation
// may start with a system message. Then questions of the user and answers of
// the assistant alternate. None is empty, and the last is an answer. Every
// stage that drops conversations calls CheckTurns, so that no stage drops a row
// that an earlier one has kept.
func CheckTurns(messages []chat.Message) *Reject {
	turns := messages
	if len(turns) > 0 && turns[0].Role == "system" {
		turns = turns[1:]
	}
	system := len(messages) - len(turns)
	if len(turns) < 2 || len(turns)%2 == 1 {
		return &Reject{Reason: "no_answer", Detail: fmt.Sprintf("%d messages", len(messages))}
	}
	for i, m := range messages {
		want := "system"
		if i >= system {
			want = [...]string{"user", "assistant"}[(i-system)%2]
		}
		if m.Role != want {
			return &Reject{Reason: "role_order", Detail: fmt.Sprintf("message %d is of %q, expected %s", i+1, m.Role, want)}
		}
		if strings.TrimSpace(m.Content) == "" {
			return &Reject{Reason: "empty_message", Detail: fmt.Sprintf("message %d", i+1)}
		}
	}
	return nil
}
