package train

import (
	"encoding/binary"

	"barka/internal/tokenizer"
)

// Preview is a sample as the run takes it: a conversation, a text or an answer of a pair.
type Preview struct {
	Source  string    `json:"source"`         // file and row
	Side    string    `json:"side,omitempty"` // chosen or rejected
	Step    int       `json:"step"`           // that takes it first, from 1
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

// Preview returns the samples of the first n units in the run's order.
func (e *Estimate) Preview(o Options, tok *tokenizer.Tokenizer, seed int64, n int) ([]Preview, error) {
	var all []Preview
	c := newCourse(e.Data, o, seed)
	for step := range e.Steps {
		for _, u := range c.at(step) {
			if n--; n < 0 {
				return all, nil
			}
			for k, i := range e.Data.samples(u) {
				p, err := e.Data.preview(int(i), tok)
				if err != nil {
					return nil, err
				}
				p.Step = step + 1
				if e.Data.paired {
					p.Side = []string{"chosen", "rejected"}[k]
				}
				all = append(all, *p)
			}
		}
	}
	return all, nil
}

// preview decodes a sample.
func (d *Data) preview(i int, tok *tokenizer.Tokenizer) (*Preview, error) {
	words, err := d.tokens.words(i)
	if err != nil {
		return nil, err
	}
	e := d.tokens.index[i]
	p := &Preview{Source: d.source(int32(i)), Tokens: int(e.tokens), Trained: int(e.trained)}
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
