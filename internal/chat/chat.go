// Package chat renders conversations in the formats that models were trained
// on: Gemma 2, Llama 3 and ChatML. A model's format is recognised from the
// Jinja text of its tokenizer_config.json, which is never executed.
package chat

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"barka/internal/badinput"
	"barka/internal/tokenizer"
)

// Message is one turn: role is system, user or assistant.
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// Template is a model's chat format.
type Template struct {
	Name string
	// bos begins every conversation; "" if the format has none.
	bos string
	// begin and end mark a turn; after follows end; header, which llama3 has
	// not, follows begin.
	begin, end, after string
	header            func(role string) string
	// system handles system messages: refuse, or a default for conversations
	// that have none.
	refuseSystem  bool
	defaultSystem string
	strict        bool // roles must alternate, user first
	trim          bool // white space around contents goes
	stop          []string
}

// For returns the chat format of a tokenizer's model.
func For(t *tokenizer.Tokenizer) (*Template, error) {
	jinja := t.ChatTemplate()
	switch {
	case jinja == "":
		return nil, badinput.Errorf("the model has no chat template in tokenizer_config.json; use an instruction-tuned model, or copy the chat_template of one whose tokens this tokenizer has; generate --raw needs none")
	case strings.Contains(jinja, "<think>"):
		// Reasoning models rewrite earlier answers; none of ours do.
	case strings.Contains(jinja, "<start_of_turn>"):
		return gemma, nil
	case strings.Contains(jinja, "<|start_header_id|>"):
		if strings.Contains(jinja, "Cutting Knowledge Date") {
			return llama31, nil
		}
		return llama3, nil
	case strings.Contains(jinja, "<|im_start|>"):
		return chatMLOf(t, jinja), nil
	}
	return nil, badinput.Errorf("the model's chat template is none of the supported formats (%s); generate --raw needs none", supported)
}

const supported = "gemma, llama3, llama3.1, chatml"

// Named returns a format by its name, for base models, whose tokenizers have
// its tokens and no template: gemma, llama3, llama3.1 or chatml.
func Named(name string) (*Template, error) {
	for _, c := range []*Template{gemma, llama3, llama31, chatML} {
		if c.Name == name {
			return c, nil
		}
	}
	return nil, badinput.Errorf("chat format %q is not one of %s", name, supported)
}

// ChatML templates differ in the system message they add where there is none,
// in trimming, and in a token that begins the text.
var (
	chatMLSystem = regexp.MustCompile(`<\|im_start\|>system(?:\\n|\n)([^'"{}<]+)<\|im_end\|>`)
	trimsContent = regexp.MustCompile(`content['"]?\]?\s*\|\s*trim`)
)

func chatMLOf(t *tokenizer.Tokenizer, jinja string) *Template {
	c := *chatML
	if m := chatMLSystem.FindStringSubmatch(jinja); m != nil {
		c.defaultSystem = m[1]
	}
	c.trim = trimsContent.MatchString(jinja)
	if strings.Contains(jinja, "bos_token") {
		c.bos, _ = t.Token(t.Special().BOS)
	}
	return &c
}

var gemma = &Template{
	Name: "gemma", bos: "<bos>", begin: "<start_of_turn>", end: "<end_of_turn>", after: "\n",
	header: func(role string) string {
		if role == "assistant" {
			role = "model"
		}
		return role + "\n"
	},
	refuseSystem: true, strict: true, trim: true, stop: []string{"<end_of_turn>", "<eos>"},
}

var llama3 = &Template{
	Name: "llama3", bos: "<|begin_of_text|>", begin: "<|start_header_id|>", end: "<|eot_id|>",
	trim: true, stop: []string{"<|eot_id|>", "<|end_of_text|>"},
}

// llama31 always has a system turn that names two dates; the template's own
// fixed day is used, so that prompts do not change from day to day.
var llama31 = &Template{
	Name: "llama3.1", bos: "<|begin_of_text|>", begin: "<|start_header_id|>", end: "<|eot_id|>",
	trim: true, stop: []string{"<|eot_id|>", "<|end_of_text|>", "<|eom_id|>"},
	defaultSystem: llamaDates,
}

const llamaDates = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"

var chatML = &Template{
	Name: "chatml", begin: "<|im_start|>", end: "<|im_end|>", after: "\n",
	header: func(role string) string { return role + "\n" }, stop: []string{"<|im_end|>", "<|endoftext|>"},
}

// part is a stretch of a rendered conversation: a special token, or plain
// text of which the first head bytes belong to the format.
type part struct {
	special string
	text    string
	head    int
	trained bool // belongs to an assistant's answer
}

// parts lays a conversation out. With generation the assistant's turn is
// opened at the end.
func (c *Template) parts(messages []Message, generation bool) ([]part, error) {
	messages, err := c.check(messages)
	if err != nil {
		return nil, err
	}
	var ps []part
	if c.bos != "" {
		ps = append(ps, part{special: c.bos})
	}
	for _, m := range messages {
		trained := m.Role == "assistant"
		ps = append(ps, c.open(m.Role)...)
		last := &ps[len(ps)-1]
		content := m.Content
		// The system message of llama3.1 keeps the blank line after the dates.
		if c.trim && !(c.Name == "llama3.1" && m.Role == "system") {
			content = strip(content)
		}
		last.text += content
		last.trained = trained
		ps = append(ps, part{special: c.end, trained: trained})
		if c.after != "" {
			ps = append(ps, part{text: c.after, head: len(c.after)})
		}
	}
	if generation {
		ps = append(ps, c.open("assistant")...)
	}
	return ps, nil
}

// strip removes the white space that Python's str.strip does: Unicode's, and
// the four information separators of ASCII.
func strip(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f })
}

// open begins a turn; its last part is text that the content continues.
func (c *Template) open(role string) []part {
	if strings.HasPrefix(c.Name, "llama3") {
		return []part{{special: c.begin}, {text: role, head: len(role)}, {special: "<|end_header_id|>"}, {text: "\n\n", head: 2}}
	}
	h := c.header(role)
	return []part{{special: c.begin}, {text: h, head: len(h)}}
}

// check verifies roles and adds the format's own system message.
func (c *Template) check(messages []Message) ([]Message, error) {
	for i, m := range messages {
		switch m.Role {
		case "user", "assistant":
		case "system":
			if c.refuseSystem {
				return nil, badinput.Errorf("message %d: the %s format has no system messages", i, c.Name)
			}
			if i > 0 {
				return nil, badinput.Errorf("message %d: a system message must come first", i)
			}
		default:
			return nil, badinput.Errorf("message %d: role %q, expected system, user or assistant", i, m.Role)
		}
		if want := []string{"user", "assistant"}[i%2]; c.strict && m.Role != want {
			return nil, badinput.Errorf("message %d: role %s, expected %s: turns must alternate and begin with the user", i, m.Role, want)
		}
	}
	switch {
	case c.Name == "llama3.1":
		system := ""
		if len(messages) > 0 && messages[0].Role == "system" {
			system, messages = strip(messages[0].Content), messages[1:]
		}
		return append([]Message{{"system", llamaDates + system}}, messages...), nil
	case c.defaultSystem != "" && (len(messages) == 0 || messages[0].Role != "system"):
		return append([]Message{{"system", c.defaultSystem}}, messages...), nil
	}
	return messages, nil
}

// Render returns the conversation as text; with generation it ends where the
// assistant's answer begins.
func (c *Template) Render(messages []Message, generation bool) (string, error) {
	ps, err := c.parts(messages, generation)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, p := range ps {
		b.WriteString(p.special)
		b.WriteString(p.text)
	}
	return b.String(), nil
}

// Encode returns the conversation's tokens and, for each, whether it belongs
// to an assistant's answer, the token that ends the turn included. Special
// tokens come from the format alone: the text of a message cannot forge them.
// Where no message contains such text the tokens are those of Render's text.
func (c *Template) Encode(t *tokenizer.Tokenizer, messages []Message, generation bool) (tokens []int32, trained []bool, err error) {
	ps, err := c.parts(messages, generation)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range ps {
		if p.special != "" {
			id, ok := t.ID(p.special)
			if !ok {
				return nil, nil, badinput.Errorf("the tokenizer has no token %s, which the %s chat format needs", p.special, c.Name)
			}
			tokens, trained = append(tokens, id), append(trained, p.trained)
			continue
		}
		o := tokenizer.EncodeOptions{NoParseSpecial: true, Inner: len(tokens) > 0}
		ids := t.EncodeOptions(p.text, o)
		head := t.EncodeOptions(p.text[:p.head], o)
		own := 0 // tokens that lie wholly in the format's part
		for own < len(head) && own < len(ids) && ids[own] == head[own] {
			own++
		}
		for i, id := range ids {
			tokens, trained = append(tokens, id), append(trained, p.trained && i >= own)
		}
	}
	return tokens, trained, nil
}

// Stop returns the tokens that end an answer.
func (c *Template) Stop(t *tokenizer.Tokenizer) ([]int32, error) {
	var ids []int32
	for _, s := range c.stop {
		if id, ok := t.ID(s); ok {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("the tokenizer has none of the tokens %s that end an answer", strings.Join(c.stop, ", "))
	}
	return ids, nil
}
