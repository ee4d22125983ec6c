package tokenizer

import (
	"cmp"
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxAdded bounds the length of an added token in bytes, and thereby the bytes that
// are examined at each position of a text.
const maxAdded = 4096

// addedToken is an entry of added_tokens.
type addedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// addedTokens are matched before the model sees the text.
type addedTokens struct {
	raw, normalized matcher
	ids             map[string]int32
	texts           map[int32]string
	special         map[int32]bool
}

func newAddedTokens(tokens []addedToken, norm normalizer) *addedTokens {
	a := &addedTokens{ids: map[string]int32{}, texts: map[int32]string{}, special: map[int32]bool{}}
	for _, t := range tokens {
		if _, ok := a.ids[t.Content]; ok {
			continue // the first of equal tokens counts
		}
		a.ids[t.Content], a.texts[t.ID] = t.ID, t.Content
		if t.Special {
			a.special[t.ID] = true
		}
		if t.Content == "" {
			continue
		}
		if !t.Normalized {
			a.raw.add(t)
			continue
		}
		if norm != nil {
			t.Content = norm.normalize(t.Content)
		}
		a.normalized.add(t)
	}
	a.raw.ready()
	a.normalized.ready()
	return a
}

// matcher finds added tokens in text, the leftmost first and there the longest.
type matcher struct {
	byFirst [256][]addedToken // by first byte, sorted by content
	second  [256][4]uint64    // by first byte: the set of second bytes
	alone   [256]bool         // by first byte: it is a token
	only    string            // the first byte of all tokens, if it is the same
	any     bool
}

func (m *matcher) add(t addedToken) {
	if t.Content == "" {
		return
	}
	c := t.Content[0]
	m.byFirst[c] = append(m.byFirst[c], t)
	if len(t.Content) == 1 {
		m.alone[c] = true
	} else {
		m.second[c][t.Content[1]>>6] |= 1 << (t.Content[1] & 63)
	}
	if first := t.Content[:1]; !m.any {
		m.only = first
	} else if m.only != first {
		m.only = ""
	}
	m.any = true
}

func (m *matcher) ready() {
	for i := range m.byFirst {
		slices.SortStableFunc(m.byFirst[i], func(a, b addedToken) int { return strings.Compare(a.Content, b.Content) })
	}
}

func content(t *addedToken) string { return t.Content }
func itself(s *string) string      { return *s }

// prefixesOf calls yield with the items of a sorted list whose strings are prefixes
// of s, the shortest first and equal ones in order. It takes O(log n) steps for
// each byte of the longest one.
func prefixesOf[T any](list []T, of func(*T) string, s string, yield func(*T)) {
	for n := 1; n <= len(s) && len(list) > 0; n++ {
		// The remaining items share n-1 bytes with s; shorter items have been passed.
		c := s[n-1]
		from := sort.Search(len(list), func(i int) bool { return of(&list[i])[n-1] >= c })
		list = list[from:]
		list = list[:sort.Search(len(list), func(i int) bool { return of(&list[i])[n-1] > c })]
		for len(list) > 0 && len(of(&list[0])) == n {
			yield(&list[0])
			list = list[1:]
		}
	}
}

// longestPrefix returns the longest item of a sorted list that is a prefix of s, the
// first among equals, or nil.
func longestPrefix[T any](list []T, of func(*T) string, s string) (longest *T) {
	prefixesOf(list, of, s, func(t *T) {
		if longest == nil || len(of(t)) > len(of(longest)) {
			longest = t
		}
	})
	return longest
}

// split calls f for each stretch of plain text (id -1) and each token, with its
// byte offset. forged, if not nil, reports whether a special token at these bytes
// is plain text, and where to search for the next one.
func (m *matcher) split(text string, forged func(start, end int) (next int, is bool), f func(part string, start int, id int32)) {
	if !m.any {
		if text != "" {
			f(text, 0, -1)
		}
		return
	}
	done := 0
	for i := 0; i < len(text); {
		var t *addedToken
		if i, t = m.next(text, i); t == nil {
			break
		}
		if t.Special && forged != nil {
			var next int
			if t, next = m.allowed(text, i, forged); t == nil {
				i = next
				continue
			}
		}
		start, end := i, i+len(t.Content)
		if t.SingleWord && (wordBefore(text[:start]) || wordAfter(text[end:])) {
			i = end
			continue
		}
		if t.LStrip {
			start = max(len(strings.TrimRightFunc(text[:start], unicode.IsSpace)), done)
		}
		if t.RStrip {
			end = len(text) - len(strings.TrimLeftFunc(text[end:], unicode.IsSpace))
		}
		if start > done {
			f(text[done:start], done, -1)
		}
		f(text[start:end], start, t.ID)
		done, i = end, end
	}
	if done < len(text) {
		f(text[done:], done, -1)
	}
}

// allowed returns the longest token at i that is not forged, or where to search for
// the next one. A forged token hides shorter ones, unless it lies only partly in
// text that may not contain special tokens.
func (m *matcher) allowed(text string, i int, forged func(start, end int) (int, bool)) (t *addedToken, next int) {
	var found []*addedToken
	prefixesOf(m.byFirst[text[i]], content, text[i:], func(t *addedToken) { found = append(found, t) })
	// The longest first, equal ones in order.
	slices.SortStableFunc(found, func(a, b *addedToken) int { return cmp.Compare(len(b.Content), len(a.Content)) })
	for _, t := range found {
		end := i + len(t.Content)
		if !t.Special {
			return t, 0
		}
		next, is := forged(i, end)
		if !is {
			return t, 0
		}
		if next == end {
			return nil, end
		}
	}
	return nil, i + 1
}

// next returns the first position at or after i at which a token starts, and the
// longest token there, or nil.
func (m *matcher) next(text string, i int) (int, *addedToken) {
	for ; i < len(text); i++ {
		if m.only != "" {
			n := strings.IndexByte(text[i:], m.only[0])
			if n < 0 {
				break
			}
			i += n
		}
		c := text[i]
		if !m.alone[c] {
			if i+1 >= len(text) {
				break
			}
			if d := text[i+1]; m.second[c][d>>6]>>(d&63)&1 == 0 {
				continue
			}
		}
		if t := longestPrefix(m.byFirst[c], content, text[i:]); t != nil {
			return i, t
		}
	}
	return len(text), nil
}

func wordBefore(s string) bool { r, _ := utf8.DecodeLastRuneInString(s); return s != "" && wordRune(r) }
func wordAfter(s string) bool  { r, _ := utf8.DecodeRuneInString(s); return s != "" && wordRune(r) }

// wordRune is \w: alphabetic characters, marks, digits, connecting
// punctuation and join controls (UTS #18).
func wordRune(r rune) bool {
	return unicode.In(r, unicode.L, unicode.Nl, unicode.M, unicode.Nd, unicode.Pc, unicode.Other_Alphabetic) ||
		r == '\u200c' || r == '\u200d'
}
