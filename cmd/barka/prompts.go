package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/jsonl"
)

// promptLine is a line of prompts as JSON. What is nil is as the flags say.
type promptLine struct {
	ID                json.RawMessage `json:"id"`
	Prompt            *string         `json:"prompt"`
	Messages          []chat.Message  `json:"messages"`
	MaxTokens         *int            `json:"max_tokens"`
	Temperature       *float64        `json:"temperature"`
	TopK              *int            `json:"top_k"`
	TopP              *float64        `json:"top_p"`
	MinP              *float64        `json:"min_p"`
	RepetitionPenalty *float64        `json:"repetition_penalty"`
	Stop              stops           `json:"stop"`
	Seed              *int64          `json:"seed"`
}

// stops is one string or several, as in the OpenAI API.
type stops []string

func (s *stops) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*s = stops{one}
		return nil
	}
	var several []string
	if err := json.Unmarshal(data, &several); err != nil {
		return fmt.Errorf("stop: expected a string or a list of strings")
	}
	*s = several
	return nil
}

// prompts calls f for each line of a file, or of standard input for "-", that
// is not blank, and says where it stands. They are JSON if the name says so
// or the first one is an object.
func (a *app) prompts(input string, f func(where string, p *promptLine) error) error {
	asJSON, first := jsonl.Has(input), true
	one := func(where, line string) error {
		if err := a.ctx.Err(); err != nil || strings.TrimSpace(line) == "" {
			return err
		}
		if first {
			asJSON = asJSON || strings.HasPrefix(strings.TrimSpace(line), "{") && json.Valid([]byte(line))
			first = false
		}
		if !asJSON {
			return f(where, &promptLine{Prompt: &line})
		}
		var p promptLine
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			return badinput.Errorf("%s: %w", where, err)
		}
		if (p.Prompt == nil) == (len(p.Messages) == 0) {
			return badinput.Errorf("%s: expected either prompt, a string, or messages, a list", where)
		}
		return f(where, &p)
	}
	if input == "-" {
		return a.lines(func(n int, line string) error { return one(fmt.Sprintf("standard input, line %d", n), line) })
	}
	for line, err := range jsonl.Lines(input) {
		if err != nil {
			return err
		}
		if err := one(fmt.Sprintf("%s: line %d", input, line.Number), string(line.Data)); err != nil {
			return err
		}
	}
	return nil
}
