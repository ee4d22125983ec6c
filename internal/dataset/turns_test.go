package dataset

import (
	"testing"

	"barka/internal/chat"
)

func TestCheckTurns(t *testing.T) {
	talk := func(roles ...string) (out []chat.Message) {
		for _, r := range roles {
			out = append(out, chat.Message{Role: r, Content: "text"})
		}
		return out
	}
	empty := talk("system", "user", "assistant")
	empty[0].Content = " \n"
	for _, c := range []struct {
		messages []chat.Message
		want     string
	}{
		{talk("user", "assistant"), ""},
		{talk("user", "assistant", "user", "assistant"), ""},
		{talk("system", "user", "assistant"), ""},
		{nil, "no_answer"},
		{talk("system"), "no_answer"},
		{talk("user"), "no_answer"},
		{talk("user", "assistant", "user"), "no_answer"},
		{talk("system", "user"), "no_answer"},
		{talk("assistant", "user"), "role_order"},
		{talk("user", "assistant", "system", "assistant"), "role_order"},
		{talk("user", "tool"), "role_order"},
		{empty, "empty_message"},
	} {
		got := ""
		if r := CheckTurns(c.messages); r != nil {
			got = r.Reason
		}
		if got != c.want {
			t.Errorf("%v: %q, want %q", c.messages, got, c.want)
		}
	}
}
