package train

import (
	"encoding/binary"

	"barka/internal/tokenizer"
)

// Preview is a conversation as the run takes it.
type Preview struct {
	Source  string    `json:"source"` // file and row
	Step    int       `json:"step"`   // that takes it first, from 1
	Tokens  int       `json:"tokens"`
	Trained int       `json:"trained_tokens"`
	Parts   []Stretch `json:"parts"`
}

// Stretch is text of consecutive tokens that are trained, or are not.
type Stretch struct {
	Text    string `json:"text"` // with control tokens
	Tokens  int    `json:"tokens"`
	Trained bool   `json:"trained"`
}

// Preview returns the first n conversations in the run's order.
func (e *Estimate) Preview(o Options, tok *tokenizer.Tokenizer, seed int64, n int) ([]Preview, error) {
	var all []Preview
	c := newCourse(e.Data, o, seed)
	for step := range e.Steps {
		for _, u := range c.at(step) {
			if len(all) == n {
				return all, nil
			}
			p, err := e.Data.preview(u, tok)
			if err != nil {
				return nil, err
			}
			p.Step = step + 1
			all = append(all, *p)
		}
	}
	return all, nil
}

// preview decodes a unit.
func (d *Data) preview(unit int, tok *tokenizer.Tokenizer) (*Preview, error) {
	words, err := d.tokens.words(unit)
	if err != nil {
		return nil, err
	}
	p := &Preview{Source: d.name(unit), Tokens: d.length(unit), Trained: int(d.tokens.index[unit].trained)}
	text := tok.Stream(false)
	for i := 0; i < len(words); i += 4 {
		w := binary.LittleEndian.Uint32(words[i:])
		trained := w&trainedBit != 0
		if n := len(p.Parts); n == 0 || p.Parts[n-1].Trained != trained {
			p.Parts = append(p.Parts, Stretch{Trained: trained})
		}
		last := &p.Parts[len(p.Parts)-1]
		last.Text += text.Push(int32(w &^ trainedBit))
		last.Tokens++
	}
	p.Parts[len(p.Parts)-1].Text += text.Flush()
	return p, nil
}
