package generate

import (
	"bytes"

	"barka/internal/tokenizer"
)

// answer decodes the text of tokens as they come and cuts it before the first
// stop string. A stop string may start and end inside tokens.
type answer struct {
	stream  *tokenizer.Stream
	stops   []string
	longest int // bytes of the longest stop string
	text    []byte
	sent    int               // bytes of text that onText was called with
	onText  func(text string) // may be nil
}

func newAnswer(t *tokenizer.Tokenizer, stops []string, onText func(string)) *answer {
	a := &answer{stream: t.Stream(true), onText: onText}
	for _, s := range stops {
		if s != "" {
			a.stops, a.longest = append(a.stops, s), max(a.longest, len(s))
		}
	}
	return a
}

// push adds a token and reports whether the text now contains a stop string.
func (a *answer) push(token int32) bool { return a.add(a.stream.Push(token), false) }

// end adds the text of incomplete characters and reports whether it completes a
// stop string.
func (a *answer) end() bool { return a.add(a.stream.Flush(), true) }

func (a *answer) add(piece string, last bool) bool {
	// The text searched before contains no stop string, but may end in the start
	// of one.
	from := max(0, len(a.text)-a.longest+1)
	a.text = append(a.text, piece...)
	cut := -1
	for _, s := range a.stops {
		if i := bytes.Index(a.text[from:], []byte(s)); i >= 0 && (cut < 0 || from+i < cut) {
			cut = from + i
		}
	}
	safe := len(a.text)
	switch {
	case cut >= 0:
		a.text, safe = a.text[:cut], cut
	case !last:
		safe -= a.partial()
	}
	if a.onText != nil && safe > a.sent {
		a.onText(string(a.text[a.sent:safe]))
		a.sent = safe
	}
	return cut >= 0
}

// partial returns the length of the longest suffix of the text that is a proper
// prefix of a stop string.
func (a *answer) partial() int {
	n := 0
	for _, s := range a.stops {
		for k := min(len(s)-1, len(a.text)); k > n; k-- {
			if bytes.HasSuffix(a.text, []byte(s[:k])) {
				n = k
			}
		}
	}
	return n
}
