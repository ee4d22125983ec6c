package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// cutLarge removes the values of model.vocab and model.merges from the text of a
// tokenizer.json. They are nearly all of it and have their own, faster readers. If it
// cannot follow the text, it leaves it unchanged.
func cutLarge(data []byte) (rest, vocab, merges []byte) {
	s := scan{data: data}
	var cuts [2][2]int // of vocab and merges
	ok := s.object(func(key []byte) bool {
		if string(key) != "model" || s.peek() != '{' {
			return s.skip()
		}
		return s.object(func(key []byte) bool {
			start, first := s.at, s.peek()
			if !s.skip() {
				return false
			}
			if string(key) == "vocab" && first == '{' {
				cuts[0] = [2]int{start, s.at}
			}
			if string(key) == "merges" && first == '[' {
				cuts[1] = [2]int{start, s.at}
			}
			return true
		})
	})
	if !ok {
		return data, nil, nil // the general reader reports the error
	}
	vocab, merges = data[cuts[0][0]:cuts[0][1]], data[cuts[1][0]:cuts[1][1]]
	if cuts[0][0] > cuts[1][0] {
		cuts[0], cuts[1] = cuts[1], cuts[0]
	}
	at := 0
	for _, c := range cuts {
		if c[1] > 0 {
			rest = append(append(rest, data[at:c[0]]...), "null"...)
			at = c[1]
		}
	}
	return append(rest, data[at:]...), vocab, merges
}

// readVocab reads {"token": id, …}.
func readVocab(data []byte) (map[string]int32, error) {
	s := scan{data: data, text: string(data)}
	vocab := make(map[string]int32, bytes.Count(data, []byte{':'}))
	bad := ""
	ok := s.object(func(key []byte) bool {
		token := string(key)
		if s.keyText != "" {
			token = s.keyText // shares one string with all keys
		}
		start := s.at
		for s.at < len(data) && (data[s.at] >= '0' && data[s.at] <= '9' || data[s.at] == '-') {
			s.at++
		}
		id, err := strconv.ParseInt(string(data[start:s.at]), 10, 32)
		if err != nil {
			bad = token
			return false
		}
		vocab[token] = int32(id)
		return true
	})
	switch {
	case bad != "":
		return nil, fmt.Errorf("model.vocab: token %q needs a whole number as id", bad)
	case !ok:
		return nil, fmt.Errorf("model.vocab: invalid at byte %d of %d; expected {\"token\": id, …}", s.at, len(data))
	}
	return vocab, nil
}

// readMerges reads ["a b", …] or [["a", "b"], …] and calls f for each.
func readMerges(data []byte, f func(a, b []byte)) error {
	s := scan{data: data}
	i := 0
	var failed error
	var buffers [2][]byte // copies, because the scanner reuses its memory
	ok := s.array(func() bool {
		var pair [2][]byte
		if s.peek() == '[' {
			n := 0
			ok := s.array(func() bool {
				t, ok := s.string()
				if n < 2 {
					buffers[n] = append(buffers[n][:0], t...)
					pair[n] = buffers[n]
				}
				n++
				return ok
			})
			if !ok || n != 2 {
				return false
			}
		} else {
			line, ok := s.string()
			if !ok {
				return false
			}
			a, b, found := bytes.Cut(line, []byte{' '})
			if !found || bytes.IndexByte(b, ' ') >= 0 {
				failed = fmt.Errorf("model.merges[%d]: %q, expected two tokens and one space", i, line)
				return false
			}
			pair = [2][]byte{a, b}
		}
		f(pair[0], pair[1])
		i++
		return true
	})
	if failed == nil && !ok {
		failed = fmt.Errorf("model.merges[%d]: expected \"a b\" or [\"a\", \"b\"]", i)
	}
	return failed
}

// scan walks over JSON without building values.
type scan struct {
	data    []byte
	text    string // data as a string, or ""
	at      int
	keyText string // the last key as part of text; "" if it has escapes
	scratch string
}

// peek skips white space and returns the next byte, 0 at the end.
func (s *scan) peek() byte {
	for s.at < len(s.data) {
		switch c := s.data[s.at]; c {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return c
		}
	}
	return 0
}

func (s *scan) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.at++
	return true
}

// object calls f at the value of each key.
func (s *scan) object(f func(key []byte) bool) bool {
	return s.list('{', '}', func() bool {
		s.peek()
		start := s.at
		key, ok := s.string()
		s.keyText = ""
		if s.text != "" && len(key) == s.at-start-2 {
			s.keyText = s.text[start+1 : s.at-1]
		}
		if !ok || !s.take(':') {
			return false
		}
		s.peek()
		return f(key)
	})
}

// array calls f at each element.
func (s *scan) array(f func() bool) bool {
	return s.list('[', ']', func() bool { s.peek(); return f() })
}

func (s *scan) list(open, end byte, f func() bool) bool {
	if !s.take(open) {
		return false
	}
	if s.take(end) {
		return true
	}
	for {
		if !f() {
			return false
		}
		if s.take(end) {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}

// string reads a string; the bytes are valid until the next call.
func (s *scan) string() ([]byte, bool) {
	start := s.at
	if !s.skipString() {
		return nil, false
	}
	raw := s.data[start+1 : s.at-1]
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw, true
	}
	if json.Unmarshal(s.data[start:s.at], &s.scratch) != nil {
		return nil, false
	}
	return []byte(s.scratch), true
}

func (s *scan) skipString() bool {
	if s.peek() != '"' {
		return false
	}
	for i := s.at + 1; i < len(s.data); i++ {
		switch s.data[i] {
		case '\\':
			i++
		case '"':
			s.at = i + 1
			return true
		}
	}
	return false
}

// skip skips a value.
func (s *scan) skip() bool {
	depth := 0
	for {
		switch c := s.peek(); c {
		case 0:
			return false
		case '"':
			if !s.skipString() {
				return false
			}
		case '{', '[':
			depth++
			s.at++
			continue
		case '}', ']':
			depth--
			s.at++
			if depth < 0 {
				return false
			}
		case ',', ':':
			s.at++
			if depth == 0 {
				return false
			}
			continue
		default: // a number, true, false or null
			for s.at < len(s.data) && bytes.IndexByte([]byte(" \t\r\n,:]}[{\""), s.data[s.at]) < 0 {
				s.at++
			}
		}
		if depth == 0 {
			return true
		}
	}
}
