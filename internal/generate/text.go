package generate

import (
	"bytes"

	"barka/internal/tokenizer"
)

// answer is the text of tokens as they come, cut before the first of its stop
// strings, wherever tokens end.
type answer struct {
	stream  *tokenizer.Stream
	stops   []string
	longest int // bytes of the longest stop string
	text    []byte
	told    int               // bytes of text that tell has been given
	tell    func(text string) // may be nil
}

func newAnswer(t *tokenizer.Tokenizer, stops []string, tell func(string)) *answer {
	a := &answer{stream: t.Stream(true), tell: tell}
	for _, s := range stops {
		if s != "" {
			a.stops, a.longest = append(a.stops, s), max(a.longest, len(s))
		}
	}
	return a
}

// push takes a token and reports whether a stop string has come.
func (a *answer) push(token int32) bool { return a.add(a.stream.Push(token), false) }

// end takes what the tokens left unfinished, which may hold a stop string too.
func (a *answer) end() bool { return a.add(a.stream.Flush(), true) }

func (a *answer) add(piece string, last bool) bool {
	// What was searched before holds no stop string, but maybe a beginning.
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
		safe -= a.begun()
	}
	if a.tell != nil && safe > a.told {
		a.tell(string(a.text[a.told:safe]))
		a.told = safe
	}
	return cut >= 0
}

// begun is the length of the longest end of the text with which a stop string
// begins.
func (a *answer) begun() int {
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
