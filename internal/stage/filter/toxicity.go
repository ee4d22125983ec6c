package filter

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"barka/internal/badinput"
)

//go:embed lists
var lists embed.FS

// wordlist is a set of words and phrases, folded.
type wordlist struct {
	hashes map[uint64][]string       // of the first word, to the whole phrases
	ends   [1 << endBits / 64]uint64 // a bit for each hash of the last letters of a first word
	own    *wordlist                 // the words of the user's file alone; nil without one
}

// digest identifies the words.
func (l *wordlist) digest() string {
	var all []string
	for _, phrases := range l.hashes {
		all = append(all, phrases...)
	}
	slices.Sort(all)
	sum := sha256.Sum256([]byte(strings.Join(slices.Compact(all), "\n")))
	return "sha256:" + hex.EncodeToString(sum[:])
}

var listSeed = maphash.MakeSeed()

// builtin are the lists of the program.
var builtin = sync.OnceValue(func() *wordlist {
	l := &wordlist{hashes: map[uint64][]string{}}
	for _, name := range []string{"lists/en.words", "lists/ar.words"} {
		f, err := lists.Open(name)
		if err == nil {
			err = l.read(f)
		}
		if err != nil {
			panic(err) // embedded
		}
	}
	return l
})

// withFile returns the built-in lists with the words of a file, "" for none.
func withFile(path string) (*wordlist, error) {
	if path == "" {
		return builtin(), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, badinput.Errorf("filter: blocklist: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, badinput.MaxSettings))
	if err != nil {
		return nil, badinput.Errorf("filter: blocklist: %w", err)
	}
	l := &wordlist{hashes: map[uint64][]string{}, ends: builtin().ends, own: &wordlist{hashes: map[uint64][]string{}}}
	for h, phrases := range builtin().hashes {
		l.hashes[h] = phrases[:len(phrases):len(phrases)]
	}
	for _, to := range []*wordlist{l, l.own} {
		if err := to.read(bytes.NewReader(data)); err != nil {
			return nil, badinput.Errorf("filter: blocklist %s: %w", path, err)
		}
	}
	return l, nil
}

func (l *wordlist) read(r io.Reader) error {
	s := bufio.NewScanner(r)
	for line := 1; s.Scan(); line++ {
		text := strings.TrimSpace(s.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		if !utf8.ValidString(text) {
			return badinput.Errorf("line %d is not UTF-8", line)
		}
		words := foldWords(nil, text)
		if len(words) == 0 {
			return badinput.Errorf("line %d has no letters: %q", line, text)
		}
		end := uint64(0)
		for _, c := range words[0] {
			end = end<<letterBits | uint64(c)
		}
		at := endHash(end)
		l.ends[at/64] |= 1 << (at % 64)
		h := maphash.String(listSeed, words[0])
		l.hashes[h] = append(l.hashes[h], strings.Join(words, " "))
	}
	return s.Err()
}

// toxicity counts words of the lists.
func toxicity(r *examined) finding {
	if !r.o.Toxicity {
		return skip(off)
	}
	list := r.all.words
	if list == nil {
		list = builtin()
	}
	beyond := beyondList(r.Language)
	if beyond && !r.translated() && list.own == nil {
		return skip(notThisOne)
	}
	return r.most(0, every, func(i int, t *text) (n float64, first string) {
		switch {
		case !beyond:
			n, first = list.count(t.string)
		case list.own != nil:
			n, first = list.own.count(t.string)
		}
		if beyond && n == 0 && r.translated() {
			n, first = builtin().count(r.MessagesEN[i].Content)
		}
		if first != "" {
			first = fmt.Sprintf("%q", first)
		}
		return n, first
	})
}

// beyondList reports whether a language is written like English or Arabic but is another, in
// which words of the built-in list may be harmless: slut is the end in Swedish. Then the English source
// is searched.
func beyondList(language string) bool {
	switch {
	case strings.HasSuffix(language, "_Latn"):
		return language != "eng_Latn"
	case strings.HasSuffix(language, "_Arab"):
		return language != "arb_Arab" && modelled[language] != "arb_Arab"
	}
	return false
}

// count returns how many words and phrases of the list a text has, and the first of them.
func (l *wordlist) count(text string) (n float64, first string) {
	var end uint64 // the last letters of a word
	start := -1
	for i, c := range text {
		switch c := folding(c); {
		case c > 0:
			if end = end<<letterBits | uint64(c); start < 0 {
				start = i
			}
		case c == 0 && start >= 0:
			if l.mayEnd(end) {
				l.match(text[start:], &n, &first)
			}
			end, start = 0, -1
		}
	}
	if start >= 0 && l.mayEnd(end) {
		l.match(text[start:], &n, &first)
	}
	return n, first
}

const (
	letterBits = 21 // of a character, so that the last three make a number
	endBits    = 12
)

// mayEnd reports whether a word may be one of the list, judged by its last three letters, which
// particles leave as they are.
func (l *wordlist) mayEnd(end uint64) bool {
	at := endHash(end)
	return l.ends[at/64]>>(at%64)&1 != 0
}

func endHash(end uint64) uint64 {
	return end & (1<<(3*letterBits) - 1) * 0x9E3779B97F4A7C15 >> (64 - endBits)
}

// match compares the word at the beginning of a text with the list, whole and without its
// particles.
func (l *wordlist) match(text string, n *float64, first *string) {
	var buffer [64]byte
	word := buffer[:0]
	for _, c := range text {
		if c = folding(c); c == 0 {
			break
		}
		if c > 0 {
			word = utf8.AppendRune(word, c)
		}
	}
	for at := 0; ; {
		for _, phrase := range l.hashes[maphash.Bytes(listSeed, word[at:])] {
			if l.follows(text, string(word[at:]), phrase) {
				if *n++; *first == "" {
					*first = phrase
				}
			}
		}
		if at = particle(word, at); at == 0 {
			return
		}
	}
}

// follows reports whether a phrase, whose first word was found at the beginning of text, is
// there as a whole.
func (l *wordlist) follows(text, word, phrase string) bool {
	head, rest, more := strings.Cut(phrase, " ")
	if head != word {
		return false
	}
	if !more {
		return true
	}
	want := strings.Fields(rest)
	got := foldWords(nil, text[:min(len(text), 4*len(phrase)+16)])
	return len(got) > len(want) && strings.Join(got[1:len(want)+1], " ") == rest
}

// particle returns where an Arabic word goes on behind a conjunction, a preposition or the
// article, 0 if it has none of them or is too short.
func particle(word []byte, at int) int {
	rest := string(word[at:])
	for _, p := range []string{"ال", "لل", "و", "ف", "ب", "ك", "ل"} {
		if strings.HasPrefix(rest, p) && utf8.RuneCountInString(rest) >= utf8.RuneCountInString(p)+3 {
			return at + len(p)
		}
	}
	return 0
}

// foldWords appends the folded words of a text.
func foldWords(to []string, text string) []string {
	var b strings.Builder
	for _, c := range text + " " {
		switch c = folding(c); {
		case c > 0:
			b.WriteRune(c)
		case c == 0 && b.Len() > 0:
			to = append(to, b.String())
			b.Reset()
		}
	}
	return to
}

// foldings are the results of foldRune for the Latin, Greek, Cyrillic and Arabic blocks.
var foldings = func() (t [0x700]rune) {
	for c := range t {
		t[c] = foldRune(rune(c))
	}
	return t
}()

func folding(c rune) rune {
	if int(c) < len(foldings) {
		return foldings[c]
	}
	return foldRune(c)
}

// foldRune returns a letter in the form in which words are compared, 0 for what ends a word,
// and -1 for what is left out: marks and tatweel.
func foldRune(c rune) rune {
	switch {
	case c < 0x80:
		if 'A' <= c && c <= 'Z' {
			return c | 0x20
		}
		if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' {
			return c
		}
		return 0
	case c >= 0x64B && c <= 0x655, c == 0x670, c == 0x640:
		return -1
	case c == 'أ' || c == 'إ' || c == 'آ' || c == 'ٱ':
		return 'ا'
	case c == 'ى' || c == 'ی':
		return 'ي'
	case c == 'ک':
		return 'ك'
	case c == 'ة':
		return 'ه'
	case c >= 0x620 && c <= 0x64A:
		return c
	case unicode.IsLetter(c):
		return unicode.ToLower(c)
	case unicode.Is(unicode.Mn, c):
		return -1
	}
	return 0
}
