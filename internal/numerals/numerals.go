// Package numerals finds the numbers of a text: those in digits of any script, and those in
// English or Arabic words, cardinal or ordinal ("the 19th century" is "القرن التاسع عشر").
package numerals

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"barka/internal/prose"
)

// Numbers are the numbers of a text as ASCII digits without marks between groups, each
// in the order of the text.
type Numbers struct {
	// Digits has those written in digits. A word for a thousand, a million or more behind one
	// multiplies it: "300 ألف" is 300000.
	Digits []string
	// Decades has those of Digits that an "s" follows, as 1930s.
	Decades []string
	// Words has those written in words.
	Words []string
}

// Of returns the numbers of a text.
func Of(text string) Numbers {
	s := scanner{}
	runes := []rune(text)
	for i := 0; i < len(runes); {
		start := i
		switch {
		case isDigit(runes, i):
			var n []byte
			for i < len(runes) && (isDigit(runes, i) || IsGroup(runes, i)) {
				if d, ok := prose.Digit(runes[i]); ok {
					n = append(n, '0'+byte(d))
				}
				i++
			}
			s.digits(string(n), runes[i:])
		case isWord(runes[i]):
			for i < len(runes) && isWord(runes[i]) {
				i++
			}
			s.word(prose.Fold(string(runes[start:i])))
		default:
			if r := runes[i]; r != '-' && !unicode.IsSpace(r) {
				s.end()
			}
			i++
		}
	}
	s.end()
	return s.Numbers
}

// IsGroup reports whether a mark between groups of three digits is at a place behind a digit:
// exactly three digits follow it.
func IsGroup(runes []rune, i int) bool {
	return strings.ContainsRune(",٬'’\u00a0\u202f", runes[i]) &&
		isDigit(runes, i+1) && isDigit(runes, i+2) && isDigit(runes, i+3) && !isDigit(runes, i+4)
}

func isDigit(runes []rune, i int) bool {
	if i >= len(runes) {
		return false
	}
	_, ok := prose.Digit(runes[i])
	return ok
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsMark(r) || r == 'ـ' }

// scanner collects numbers. sum and part are the number whose words are being read: its
// thousands, and what is below them.
type scanner struct {
	Numbers
	sum, part int
	open      bool // words of a number precede
	inDigits  bool // the last thing was a number in digits
}

func (s *scanner) digits(n string, rest []rune) {
	s.end()
	s.Digits = append(s.Digits, n)
	if after := strings.TrimPrefix(strings.TrimPrefix(string(rest[:min(len(rest), 3)]), "'"), "’"); strings.HasPrefix(after, "s") {
		if next := []rune(after + " ")[1]; !isWord(next) {
			s.Decades = append(s.Decades, n)
		}
	}
	s.inDigits = true
}

// end ends a number in words.
func (s *scanner) end() {
	if s.open {
		s.Words = append(s.Words, strconv.Itoa(s.sum+s.part))
	}
	s.sum, s.part, s.open, s.inDigits = 0, 0, false, false
}

func (s *scanner) word(w string) {
	v, ok := lookUp(w)
	switch {
	case !ok && (w == "and" || w == "و") && s.open:
	case !ok:
		s.end()
	case v >= 1000 && v != 2000 && s.inDigits:
		s.Digits[len(s.Digits)-1] += strconv.Itoa(v)[1:]
		s.end()
	case v >= 1000:
		if s.sum > 0 && s.part == 0 {
			s.end()
		}
		s.sum, s.part, s.open = s.sum+max(s.part, 1)*v, 0, true
	case v == 100 && s.part > 0 && s.part < 10:
		s.part *= 100
	default:
		if !s.takes(v) {
			s.end()
		}
		s.part, s.open, s.inDigits = s.part+v, true, false
	}
}

// takes reports whether a value below 1000 can belong to the number before it, as 5 to "twenty"
// and 20 to "خمسة و".
func (s *scanner) takes(v int) bool {
	tens, units := s.part%100/10, s.part%10
	switch {
	case v >= 100:
		return s.part == 0
	case v >= 10 && v%10 == 0:
		return tens == 0 && (units > 0 || s.part == 0 || s.part >= 100)
	case v >= 10:
		return tens == 0 && units == 0
	default:
		return units == 0 && tens != 1
	}
}

// lookUp returns the value of a folded word, without the particles that Arabic writes before it.
func lookUp(w string) (int, bool) {
	for _, particles := range [][]string{{"و", "ف"}, {"ب", "ل", "ك"}, {"ال", "ل"}} {
		if v, ok := values[w]; ok {
			return v, true
		}
		for _, p := range particles {
			if rest, ok := strings.CutPrefix(w, p); ok {
				w = rest
				break
			}
		}
	}
	v, ok := values[w]
	return v, ok
}

// values has the value of each folded word.
var values = func() map[string]int {
	m := map[string]int{}
	add := func(v int, words string) {
		for w := range strings.FieldsSeq(words) {
			m[prose.Fold(w)] = v
		}
	}
	english := strings.Fields(`one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
		seventeen eighteen nineteen`)
	ordinals := strings.Fields(`first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth
		fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth`)
	for i := range english {
		add(i+1, english[i]+" "+ordinals[i])
	}
	for i, w := range strings.Fields("twent thirt fort fift sixt sevent eight ninet") {
		add(10*(i+2), w+"y "+w+"ieth "+w+"ies")
	}
	add(1, "واحد واحدة أحد إحدى حادي حادية أول أولى")
	add(2, "اثنان اثنين اثنتان اثنتين اثنا اثني اثنتا اثنتي ثان ثاني ثانية")
	add(10, "عشر عشرة عاشر عاشرة")
	for i, w := range strings.Fields("ثلاث/ثالث أربع/رابع خمس/خامس ست/سادس سبع/سابع ثمان/ثامن تسع/تاسع") {
		cardinal, ordinal, _ := strings.Cut(w, "/")
		add(i+3, cardinal+" "+cardinal+"ة "+ordinal+" "+ordinal+"ة")
		for _, ending := range strings.Fields("ون ين ينيات ينات") {
			add(10*(i+3), cardinal+ending)
		}
		add(100*(i+3), cardinal+"مائة "+cardinal+"مئة")
	}
	add(8, "ثماني ثمانية")
	add(800, "ثمانيمائة ثمانيمئة")
	add(20, "عشرون عشرين عشرينيات عشرينات")
	add(60, "ستون ستين ستينيات ستينات")
	add(100, "hundred hundredth مئة مائة")
	add(200, "مئتان مئتين مائتان مائتين")
	add(1000, "thousand ألف ألفا آلاف")
	add(2000, "ألفان ألفين")
	add(1e6, "million مليون مليونا ملايين")
	add(1e9, "billion مليار مليارا مليارات بليون بلايين")
	add(1e12, "trillion تريليون تريليونا تريليونات")
	return m
}()

// Explains reports whether two texts have the same numbers, in any order: what only one of
// them has in digits, the other has in words. A decade such as 1930s may be its two last
// digits in words.
func Explains(a, b Numbers) bool {
	return explained(a, b) && explained(b, a)
}

func explained(a, b Numbers) bool {
	digits, words := counts(b.Digits), counts(b.Words)
	for _, n := range a.Digits {
		switch {
		case digits[n] > 0:
			digits[n]--
		case words[n] > 0:
			words[n]--
		case len(n) == 4 && words[n[2:]] > 0 && slices.Contains(a.Decades, n):
			words[n[2:]]--
		default:
			return false
		}
	}
	return true
}

func counts(all []string) map[string]int {
	m := map[string]int{}
	for _, n := range all {
		m[n]++
	}
	return m
}
