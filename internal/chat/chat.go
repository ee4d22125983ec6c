// Package chat turns conversations into tokens with a model's chat template,
// which is executed (package jinja), as transformers' apply_chat_template does.
//
// One thing differs on purpose: the text of a message that spells a control
// token, such as <|im_end|>, stays text, so that data cannot forge turns.
// Where no message spells one the tokens equal those of apply_chat_template.
package chat

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"barka/internal/badinput"
	"barka/internal/jinja"
	"barka/internal/tokenizer"
)

// Message is one turn of a conversation. Role is system, user or assistant.
type Message struct {
	Role    string `json:"role" parquet:"role"`
	Content string `json:"content" parquet:"content"`
}

// Options vary how conversations are rendered.
type Options struct {
	// Format names one of Formats, for models that have no template; ""
	// means the model's own.
	Format string
	// Date is what templates get as today, YYYY-MM-DD; "" means DefaultDate.
	Date string
	// Thinking is the variable enable_thinking of reasoning models: on or
	// off; "" leaves it to the template, as apply_chat_template does.
	Thinking string
	// From and To are the languages of a translator's template, such as TranslateGemma's:
	// codes that the template knows. The content of a user's message is then a list of one
	// mapping of type, source_lang_code, target_lang_code and text. "" gives it as text.
	From string `json:",omitempty"`
	To   string `json:",omitempty"`
}

// Validate reports the first option that is none.
func (o Options) Validate() error {
	if _, err := o.day(); err != nil {
		return badinput.Errorf("chat date %q: expected YYYY-MM-DD", o.Date)
	}
	if o.Format != "" && formats[o.Format] == "" {
		return badinput.Errorf("chat format %q is not one of %s", o.Format, strings.Join(Formats(), ", "))
	}
	if o.Thinking != "" && o.Thinking != "on" && o.Thinking != "off" {
		return badinput.Errorf("thinking is %q, expected on or off", o.Thinking)
	}
	if (o.From == "") != (o.To == "") {
		return badinput.Errorf("from is %q and to is %q: a translator's chat template needs both languages", o.From, o.To)
	}
	return nil
}

func (o Options) day() (time.Time, error) {
	return time.Parse(time.DateOnly, cmp.Or(o.Date, DefaultDate))
}

// DefaultDate is the day on which chat templates are rendered: the one that
// Llama's templates name where they are given none. Today's date would make
// the same command give other tokens tomorrow.
const DefaultDate = "2024-07-26"

// Template is a model's chat format. It can be used concurrently.
type Template struct {
	tok       *tokenizer.Tokenizer
	program   *jinja.Template
	variables map[string]jinja.Value
	day       time.Time
	from, to  string // see Options
	digest    string
}

// For returns the chat format of a tokenizer's model.
func For(t *tokenizer.Tokenizer) (*Template, error) { return Open(t, Options{}) }

// Open returns the chat format of a tokenizer's model, or the one that the
// options name. A model without a template and a template that cannot be
// executed are errors.
func Open(t *tokenizer.Tokenizer, o Options) (*Template, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Format != "" {
		text, err := source(o.Format, t)
		if err != nil {
			return nil, err
		}
		return compile(t, text, o)
	}
	text := t.ChatTemplate()
	if text == "" {
		return nil, badinput.Errorf("the model has no chat template (chat_template.jinja, or a default chat_template in "+
			"tokenizer_config.json); use an instruction-tuned model, or put the template of one with the same tokens "+
			"beside it as chat_template.jinja; generate and train take --chat-format %s, generate --raw needs none",
			strings.Join(Formats(), "|"))
	}
	return compile(t, text, o)
}

func compile(t *tokenizer.Tokenizer, source string, o Options) (*Template, error) {
	if o.From != "" && !strings.Contains(source, "source_lang_code") {
		return nil, badinput.Errorf("the model's chat template asks for no languages (source_lang_code); leave out --from and --to")
	}
	c := &Template{tok: t, from: o.From, to: o.To}
	var err error
	if c.program, err = jinja.Parse(source); err != nil {
		return nil, badinput.Errorf("the model's chat template cannot be executed: %w; generate and train take "+
			"--chat-format in its place, generate --raw needs none", err)
	}
	if c.day, err = o.day(); err != nil {
		return nil, err
	}
	c.setVariables(o)
	c.digest, err = digest(source, t.SpecialTexts(), o)
	return c, err
}

// setVariables are those that do not depend on the conversation.
func (c *Template) setVariables(o Options) {
	c.variables = map[string]jinja.Value{"tools": nil, "documents": nil}
	for name, v := range c.tok.SpecialTexts() {
		switch v := v.(type) {
		case string:
			c.variables[name] = jinja.NewText(v, 0)
		case []string:
			list := jinja.NewList()
			for _, s := range v {
				list.Items = append(list.Items, jinja.NewText(s, 0))
			}
			c.variables[name] = list
		}
	}
	if o.Thinking != "" {
		c.variables["enable_thinking"] = o.Thinking == "on"
	}
}

// digest identifies what rendering depends on besides the conversation. The
// date counts where the template asks for one.
func digest(source string, special map[string]any, o Options) (string, error) {
	if o.Date = cmp.Or(o.Date, DefaultDate); !strings.Contains(source, "strftime_now") {
		o.Date = ""
	}
	o.Format = "" // source holds it
	data, err := json.Marshal([]any{source, special, o})
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8]), err
}

// Digest identifies the template, the tokenizer's special tokens and the
// options: together with a conversation they give its text.
func (c *Template) Digest() string { return c.digest }

// run executes the template. The origin of message i's content is i+1.
func (c *Template) run(messages []Message, generation bool) (jinja.Output, error) {
	vars := make(map[string]jinja.Value, len(c.variables)+2)
	for k, v := range c.variables {
		vars[k] = v
	}
	list := jinja.NewList()
	for i, m := range messages {
		switch m.Role {
		case "system", "user", "assistant":
		default: // a role becomes part of control tokens in some templates
			return jinja.Output{}, badinput.Wrap(&Refused{fmt.Sprintf("message %d: role %q, expected system, user or assistant", i,
				m.Role)})
		}
		list.Items = append(list.Items, jinja.NewDict().
			Set("role", jinja.NewText(m.Role, 0)).Set("content", c.content(m, jinja.Origin(i+1))))
	}
	vars["messages"], vars["add_generation_prompt"] = list, generation
	out, err := c.program.Render(vars, c.day)
	var e *jinja.Error
	switch {
	case errors.As(err, &e) && e.Raised:
		return out, badinput.Wrap(&Refused{"the model's chat template refuses this conversation: " + e.Message})
	case err != nil:
		return out, badinput.Errorf("the model's chat template fails on this conversation: %w", err)
	}
	return out, nil
}

// content is what the template gets as the content of a message.
func (c *Template) content(m Message, origin jinja.Origin) jinja.Value {
	text := jinja.NewText(m.Content, origin)
	if c.from == "" || m.Role != "user" {
		return text
	}
	return jinja.NewList(jinja.NewDict().Set("type", jinja.NewText("text", 0)).
		Set("source_lang_code", jinja.NewText(c.from, 0)).Set("target_lang_code", jinja.NewText(c.to, 0)).Set("text", text))
}

// Refused is a conversation whose roles are not taken, mostly by the template
// itself: one with a system message where the model knows none, or turns that
// do not alternate.
type Refused struct{ Reason string }

// Error implements error.
func (r *Refused) Error() string { return r.Reason }

// Render returns the conversation as text; with generation it ends where the
// assistant's answer begins.
func (c *Template) Render(messages []Message, generation bool) (string, error) {
	out, err := c.run(messages, generation)
	return out.Text.String(), err
}
