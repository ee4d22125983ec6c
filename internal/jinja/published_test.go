package jinja

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"barka/internal/testfiles"
)

// turn is a message of the goldens.
type turn struct{ Role, Content string }

// published is a line of testdata/published.jsonl.gz, which
// reference/chat/render.py writes: a template, and what transformers makes of
// conversations with it.
type published struct {
	Name, Template string
	Cases          []struct {
		Conversation string
		Generation   bool
		Thinking     *bool
		Text         *string // nil: transformers refuses
		Refused      string
		Generations  [][2]int
	}
}

type publishedHead struct {
	Variables     map[string]string
	Conversations map[string][]turn
}

func readPublished(t testing.TB) (publishedHead, []published) {
	t.Helper()
	path := os.Getenv("BARKA_CHAT_CASES") // of reference/chat/differential.py
	if path == "" {
		path = filepath.Join("testdata", "published.jsonl.gz")
	}
	lines := testfiles.Lines(t, path)
	var head publishedHead
	if err := json.Unmarshal(lines[0], &head); err != nil {
		t.Fatal(err)
	}
	var out []published
	for _, line := range lines[1:] {
		var p published
		if err := json.Unmarshal(line, &p); err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	if len(out) < 200 {
		t.Fatalf("%d templates", len(out))
	}
	return head, out
}

// goldenVariables are those that transformers passes. The origin of the
// content of message i is i+1.
func goldenVariables(head publishedHead, conversation string, generation bool, thinking *bool) map[string]Value {
	messages := NewList()
	for i, m := range head.Conversations[conversation] {
		messages.Items = append(messages.Items, NewDict().Set("role", Text{s: m.Role}).Set("content", NewText(m.Content, Origin(i+1))))
	}
	vars := map[string]Value{"messages": messages, "tools": nil, "documents": nil, "add_generation_prompt": generation}
	for k, v := range head.Variables {
		vars[k] = Text{s: v}
	}
	if thinking != nil {
		vars["enable_thinking"] = *thinking
	}
	return vars
}

var goldenDay = time.Date(2024, 7, 26, 0, 0, 0, 0, time.UTC)

// TestPublished: every published template renders every conversation as
// transformers does, or both refuse. What is refused at parse time is listed.
func TestPublished(t *testing.T) {
	head, templates := readPublished(t)
	cases, refused := 0, 0
	for _, p := range templates {
		tpl, err := Parse(p.Template)
		if err != nil {
			t.Errorf("%s: %v", p.Name, err)
			continue
		}
		for _, c := range p.Cases {
			cases++
			out, err := tpl.Render(goldenVariables(head, c.Conversation, c.Generation, c.Thinking), goldenDay)
			where := p.Name + " " + c.Conversation
			switch {
			case c.Text == nil && err != nil:
				refused++
				if e := err.(*Error); e.Raised && e.Message != c.Refused {
					t.Errorf("%s: refused with %q, transformers with %q", where, e.Message, c.Refused)
				}
			case c.Text == nil:
				t.Errorf("%s: rendered, transformers refuses: %s", where, c.Refused)
			case err != nil:
				t.Errorf("%s: %v", where, err)
			case out.Text.String() != *c.Text:
				t.Errorf("%s, generation %v:\n got %q\nwant %q", where, c.Generation, out.Text.String(), *c.Text)
			default:
				if os.Getenv("BARKA_CHAT_CASES") == "" { // drawn texts hold what templates replace
					checkOrigins(t, where, head.Conversations[c.Conversation], out.Text)
				}
				checkGenerations(t, where, c.Generations, out)
			}
		}
	}
	t.Logf("%d templates, %d conversations, %d refused by both", len(templates), cases, refused)
}

// checkOrigins: what is of message i is text of its content.
func checkOrigins(t *testing.T, where string, messages []turn, text Text) {
	text.Runs(func(a, b int, origin Origin) {
		if origin != 0 && !strings.Contains(messages[origin-1].Content, text.String()[a:b]) {
			t.Errorf("%s: %q is not in message %d", where, text.String()[a:b], origin-1)
		}
	})
}

func checkGenerations(t *testing.T, where string, want [][2]int, out Output) {
	if len(want) == 0 {
		return // transformers has none either where the mark writes nothing
	}
	chars := func(i int) int { return len([]rune(out.Text.String()[:i])) }
	if len(out.Generations) != len(want) {
		t.Errorf("%s: %d generations, expected %d", where, len(out.Generations), len(want))
		return
	}
	for i, g := range out.Generations {
		if got := [2]int{chars(g[0]), chars(g[1])}; got != want[i] {
			t.Errorf("%s: generation %v, expected %v", where, got, want[i])
		}
	}
}
