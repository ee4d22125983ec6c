// Package fineweb computes the statistics by which FineWeb-2 filters Arabic web pages, as
// datatrove 0.10.1 does: its Gopher repetition, Gopher quality and FineWeb quality filters, on the
// words of spaCy's Arabic tokenizer.
package fineweb

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Words splits a text as spaCy 3.8.7's tokenizer for Arabic does. Addresses are kept whole by a
// simpler rule than spaCy's, and its special cases that span several words are not applied.
func Words(text string) []string {
	words := make([]string, 0, len(text)/9+1)
	start, plain := -1, true
	for i, r := range text {
		k := kindOf(r)
		switch {
		case k&blank == 0:
			if start < 0 {
				start, plain = i, true
			}
			plain = plain && k&simple != 0
		case start >= 0:
			words, start = word(words, text[start:i], plain), -1
		}
	}
	if start >= 0 {
		words = word(words, text[start:], plain)
	}
	return words
}

// word appends the tokens of a text without blanks.
func word(words []string, s string, plain bool) []string {
	if plain {
		return append(words, s)
	}
	return split(words, s)
}

// kind is what matters of a character.
type kind uint8

const (
	blank  kind = 1 << iota
	simple      // a letter of which words are one token
	mark        // split off both ends of words
	symbol      // of Unicode's class So
)

// kinds are those of the characters below their number.
var kinds = func() (t [0x3100]kind) {
	for r := range t {
		t[r] = kindAt(rune(r))
	}
	return t
}()

func kindOf(r rune) kind {
	if int(r) < len(kinds) {
		return kinds[r]
	}
	return kindAt(r)
}

func kindAt(r rune) (k kind) {
	if space(r) {
		k |= blank
	}
	if r >= 0x621 && r <= 0x652 || 'a' <= r|0x20 && r|0x20 <= 'z' {
		k |= simple
	}
	if strings.ContainsRune(punct, r) || strings.ContainsRune(quotes, r) {
		k |= mark
	}
	if unicode.Is(unicode.So, r) {
		k |= symbol
	}
	return k
}

func space(r rune) bool {
	return r == ' ' || r == '\n' || r >= '\t' && r <= '\r' || r >= 0x1C && r <= 0x1F || r > 0x7F && unicode.IsSpace(r)
}

// split appends the tokens of a text without blanks.
func split(words []string, s string) []string {
	var suffixes []string
	for last := ""; s != "" && s != last && !special(s); {
		last = s
		pre := prefix(s)
		if pre > 0 && special(s[pre:]) {
			words, s = append(words, s[:pre]), s[pre:]
			break
		}
		suf := suffix(s[pre:])
		if suf > 0 && special(s[:len(s)-suf]) {
			suffixes, s = append(suffixes, s[len(s)-suf:]), s[:len(s)-suf]
			break
		}
		if pre > 0 {
			words = append(words, s[:pre])
		}
		if suf > 0 {
			suffixes = append(suffixes, s[len(s)-suf:])
		}
		s = s[pre : len(s)-suf]
	}
	switch {
	case s == "":
	case special(s) || address(s):
		words = append(words, s)
	default:
		words = infixes(words, s)
	}
	for i := len(suffixes) - 1; i >= 0; i-- {
		words = append(words, suffixes[i])
	}
	return words
}

var specialSet = func() map[string]bool {
	m := map[string]bool{}
	for s := range strings.FieldsSeq(specials) {
		m[s] = true
	}
	return m
}()

func special(s string) bool { return len(s) <= 24 && specialSet[s] }

const (
	punct  = "…,:;!?¿؟¡()[]{}<>_#*&。？！，、；：～·।،۔؛٪"
	quotes = "'\"”“`‘´’‚„»«「」『』（）〔〕【】《》〈〉〈〉⟦⟧"
	money  = "$£€¥฿₽﷼₴₠₡₢₣₤₥₦₧₨₩₪₫₭₮₯₰₱₲₳₵₶₷₸₹₺₻₼₾₿"
)

// prefix returns the length of what is split off the beginning, 0 for nothing.
func prefix(s string) int {
	r, size := utf8.DecodeRuneInString(s)
	switch {
	case r == '.':
		n := len(s) - len(strings.TrimLeft(s, "."))
		if n >= 2 {
			return n
		}
		return 0
	case r == '+':
		if len(s) > 1 && s[1] >= '0' && s[1] <= '9' {
			return 0
		}
		return 1
	case r < 0x80 && (r|0x20 >= 'a' && r|0x20 <= 'z' || r >= '0' && r <= '9'):
		for _, c := range []string{"US$", "C$", "A$"} {
			if strings.HasPrefix(s, c) {
				return len(c)
			}
		}
		return 0
	case r >= 0x621 && r <= 0x669:
		return 0
	case kindOf(r)&(mark|symbol) != 0, strings.ContainsRune("§%=—–", r), strings.ContainsRune(money, r):
		return size
	}
	return 0
}

var units = strings.Fields("km km² km³ m m² m³ dm dm² dm³ cm cm² cm³ mm mm² mm³ ha µm nm yd in ft kg g mg µg t lb oz m/s km/h kmh mph " +
	"hPa Pa mbar mb MB kb KB gb GB tb TB T G M K % км км² км³ м м² м³ дм дм² дм³ см см² см³ мм мм² мм³ нм кг г мг м/с км/ч кПа Па мбар " +
	"Кб КБ кб Мб МБ мб Гб ГБ гб Тб ТБ тбكم كم² كم³ م م² م³ سم سم² سم³ مم مم² مم³ كم غرام جرام جم كغ ملغ كوب اكواب")

// suffix returns the length of what is split off the end, 0 for nothing. Arabic has no rule for
// a full stop.
func suffix(s string) int {
	r, size := utf8.DecodeLastRuneInString(s)
	switch {
	case s == "":
		return 0
	case r == '.':
		n := len(s) - len(strings.TrimRight(s, "."))
		if n >= 2 {
			return n
		}
		before := []rune(s[:len(s)-1])
		if k := len(before); k >= 2 && upper(before[k-1]) && upper(before[k-2]) {
			return 1
		}
		return 0
	case r == '…' && strings.HasSuffix(s, "……"):
		return 2 * size
	case r == '$':
		for _, c := range []string{"US$", "C$", "A$"} {
			if strings.HasSuffix(s, c) && afterDigit(s, len(c)) {
				return len(c)
			}
		}
		if afterDigit(s, 1) {
			return 1
		}
		return 0
	case kindOf(r)&mark != 0:
		return size
	case kindOf(r)&simple != 0 && !strings.ContainsAny(s, "0123456789"):
		return 0 // a unit stands behind a number
	case r == '+', strings.ContainsRune(money, r):
		if afterDigit(s, size) {
			return size
		}
		return 0
	}
	longest := 0
	for _, u := range units {
		if len(u) > longest && strings.HasSuffix(s, u) && afterDigit(s, len(u)) {
			longest = len(u)
		}
	}
	return longest
}

func afterDigit(s string, n int) bool {
	return len(s) > n && s[len(s)-n-1] >= '0' && s[len(s)-n-1] <= '9'
}

// alpha, lower and upper are spaCy's classes of letters. Letters without case are of both.
func alpha(r rune) bool {
	if r >= 0x600 && r < 0x700 {
		return r >= 0x620 && r <= 0x64A || r >= 0x66E && r <= 0x6D5 || r >= 0x6E5 && r <= 0x6FF
	}
	return unicode.IsLetter(r)
}

func lower(r rune) bool { return alpha(r) && !unicode.IsUpper(r) }
func upper(r rune) bool { return alpha(r) && !unicode.IsLower(r) }
func digit(r rune) bool { return r >= '0' && r <= '9' }

// infixes appends the parts of a word between dots, hyphens and the like.
func infixes(words []string, s string) []string {
	rs := []rune(s)
	at := func(i int) rune {
		if i < 0 || i >= len(rs) {
			return 0
		}
		return rs[i]
	}
	start := 0
	for i := 0; i < len(rs); {
		n := 0
		r, before, after := rs[i], at(i-1), at(i+1)
		switch {
		case r == '.' && after == '.':
			for at(i+n) == '.' {
				n++
			}
		case r == '…', kindOf(r)&symbol != 0:
			n = 1
		case (r == '+' || r == '-' || r == '*' || r == '^') && digit(before) && (digit(after) || after == '-'):
			n = 1
		case r == '.' && (lower(before) || strings.ContainsRune(quotes, before)) && (upper(after) || strings.ContainsRune(quotes, after)):
			n = 1
		case r == ',' && alpha(before) && alpha(after):
			n = 1
		case strings.ContainsRune("-–—~", r) && alpha(before):
			for _, h := range []string{"-", "–", "—", "--", "---", "——", "~"} {
				if k := len([]rune(h)); strings.HasPrefix(string(rs[i:]), h) && alpha(at(i+k)) {
					n = k
					break
				}
			}
		case strings.ContainsRune(":<>=/", r) && (alpha(before) || digit(before)) && alpha(after):
			n = 1
		}
		if n == 0 {
			i++
			continue
		}
		if i > 0 { // as spaCy: nothing is split off the beginning
			if i != start {
				words = append(words, string(rs[start:i]))
			}
			words = append(words, string(rs[i:i+n]))
			start = i + n
		}
		i += n
	}
	if start < len(rs) {
		words = append(words, string(rs[start:]))
	}
	return words
}

// address reports what looks like an address of the web or of mail.
func address(s string) bool {
	if !strings.Contains(s, ".") {
		return false
	}
	host := s
	if i := strings.Index(s, "://"); i >= 2 {
		host = s[i+3:]
	}
	if i := strings.LastIndexByte(host, '@'); i > 0 {
		host = host[i+1:]
	}
	if i := strings.IndexAny(host, "/?#"); i >= 0 {
		host = host[:i]
	}
	if i := strings.LastIndexByte(host, ':'); i >= 0 && len(host)-i >= 3 && len(host)-i <= 6 && strings.Trim(host[i+1:], "0123456789") == "" {
		host = host[:i]
	}
	labels := strings.Split(host, ".")
	if len(labels) < 2 {
		return false
	}
	for i, l := range labels {
		rs := []rune(l)
		if len(rs) == 0 || i == len(labels)-1 && (len(rs) < 2 || len(rs) > 63) {
			return false
		}
		for k, r := range rs {
			if i == len(labels)-1 {
				if !lower(r) {
					return false
				}
			} else if !(alnum(r) || r >= 0xA1 && r <= 0xFFFF || k > 0 && k < len(rs)-1 && (r == '_' || r == '-')) {
				return false
			}
		}
	}
	return true
}

func alnum(r rune) bool { return digit(r) || 'a' <= r|0x20 && r|0x20 <= 'z' }
