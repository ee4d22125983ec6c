package tokenizer

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

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

// matcher finds added tokens in text, leftmost and longest first.
type matcher struct {
	byFirst [256][]addedToken // by first byte, longest content first
	any     bool
}

func (m *matcher) add(t addedToken) {
	if t.Content == "" {
		return
	}
	m.byFirst[t.Content[0]] = append(m.byFirst[t.Content[0]], t)
	m.any = true
}

func (m *matcher) ready() {
	for i := range m.byFirst {
		slices.SortStableFunc(m.byFirst[i], func(a, b addedToken) int { return cmp.Compare(len(b.Content), len(a.Content)) })
	}
}

// split calls f for each stretch of plain text (id -1) and each token, with
// the byte where it starts.
func (m *matcher) split(text string, noSpecial bool, f func(part string, start int, id int32)) {
	if !m.any {
		if text != "" {
			f(text, 0, -1)
		}
		return
	}
	done := 0
	for i := 0; i < len(text); {
		t := m.at(text, i, noSpecial)
		if t == nil {
			i++
			continue
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

func (m *matcher) at(text string, i int, noSpecial bool) *addedToken {
	list := m.byFirst[text[i]]
	for j := range list {
		if (!noSpecial || !list[j].Special) && strings.HasPrefix(text[i:], list[j].Content) {
			return &list[j]
		}
	}
	return nil
}

func wordBefore(s string) bool { r, _ := utf8.DecodeLastRuneInString(s); return s != "" && wordRune(r) }
func wordAfter(s string) bool  { r, _ := utf8.DecodeRuneInString(s); return s != "" && wordRune(r) }

// wordRune is \w: alphabetic characters, marks, digits, connecting
// punctuation and join controls (UTS #18).
func wordRune(r rune) bool {
	return unicode.In(r, unicode.L, unicode.Nl, unicode.M, unicode.Nd, unicode.Pc, unicode.Other_Alphabetic) || r == '\u200c' || r == '\u200d'
}
