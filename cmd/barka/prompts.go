package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"barka/internal/chat"
	"barka/internal/jsonl"
	"barka/internal/lines"
)

// promptLine is one JSON line of prompts. Fields that are nil take the values of
// the flags.
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
		return fmt.Errorf("stop is neither a string nor a list of strings")
	}
	*s = several
	return nil
}

// prompts calls f for each line of a file, or of standard input for "-". Blank
// lines are skipped. The lines are JSON if the file's extension says so or the
// first of them is an object.
func (a *app) prompts(input string, f func(line lines.Line, p *promptLine) error) error {
	in := a.stdinLines()
	if input != "-" {
		in = jsonl.Lines(input)
	}
	asJSON, first := jsonl.Has(input), true
	return a.each(in, func(line lines.Line) error {
		data := bytes.TrimSpace(line.Data)
		if len(data) == 0 {
			return nil
		}
		if first {
			asJSON = asJSON || data[0] == '{' && json.Valid(data)
			first = false
		}
		if !asJSON {
			text := string(line.Data)
			return f(line, &promptLine{Prompt: &text})
		}
		var p promptLine
		if err := jsonl.Strict(data, &p); err != nil {
			return line.Errorf("%w", err)
		}
		if (p.Prompt == nil) == (len(p.Messages) == 0) {
			return line.Errorf("expected either prompt (a string) or messages (a list)")
		}
		return f(line, &p)
	})
}
