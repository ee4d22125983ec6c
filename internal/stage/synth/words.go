package synth

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"barka/internal/nearest"
	"barka/internal/prose"
)

// source holds what a text may be about: the words, names and numbers of the passage, its
// title and what the user asked.
type source struct {
	words   map[string]bool // stems of content words
	numbers map[string]bool
	more    *source
}

func newSource(texts ...string) source {
	s := source{map[string]bool{}, map[string]bool{}, nil}
	for _, t := range texts {
		for _, w := range contentWords(t) {
			s.words[w] = true
			if bare := withoutProclitic(w); bare != "" {
				s.words[bare] = true
			}
		}
		for _, w := range strings.FieldsFunc(prose.Fold(t), notWord) {
			if n, ok := spelled[w]; ok {
				s.numbers[n] = true
			}
		}
		for _, n := range numbers(t) {
			s.numbers[n] = true
		}
	}
	return s
}

// with returns the source with another text.
func (s source) with(text string) source {
	more := newSource(text)
	more.more = &s
	return more
}

// has reports whether the source has a stem.
func (s source) has(stem string) bool {
	if s.words[stem] || s.words[withoutProclitic(stem)] {
		return true
	}
	return s.more != nil && s.more.has(stem)
}

func (s source) hasNumber(n string) bool { return s.numbers[n] || s.more != nil && s.more.hasNumber(n) }

// share returns the share of a text's content words that the source has; 1 if it has none.
func (s source) share(text string) float64 {
	words := contentWords(text)
	known := 0
	for _, w := range words {
		if s.has(w) {
			known++
		}
	}
	if len(words) == 0 {
		return 1
	}
	return float64(known) / float64(len(words))
}

// unknownNumber returns a number of the text that the source lacks, or "".
func (s source) unknownNumber(text string) string {
	for _, n := range numbers(listNumber.ReplaceAllString(text, "")) {
		if !s.hasNumber(n) {
			return n
		}
	}
	return ""
}

// unknownName returns a capitalised word inside a sentence that the source lacks, or one
// that begins a sentence as its subject, or "".
func (s source) unknownName(text string) string {
	for _, m := range name.FindAllStringSubmatch(text, -1) {
		for _, w := range strings.FieldsFunc(m[1], notWord) {
			if unicode.IsUpper([]rune(w)[0]) && s.lacks(w) {
				return w
			}
		}
	}
	for _, m := range subject.FindAllStringSubmatch(text, -1) {
		if s.lacks(m[1]) && !s.hasVariant(m[1]) {
			return m[1]
		}
	}
	return ""
}

func (s source) lacks(word string) bool {
	folded := prose.Fold(word)
	return len([]rune(word)) > 2 && !stopWords[folded] && !s.has(stem(folded))
}

// hasVariant reports whether the source has a word that differs in one letter, as spellings
// do, or of which this is another form.
func (s source) hasVariant(word string) bool {
	w := stem(prose.Fold(word))
	for known := range s.words {
		if nearest.Within(w, known, 1) || len(w) > 5 && len(known) > 5 && w[:5] == known[:5] {
			return true
		}
	}
	return s.more != nil && s.more.hasVariant(word)
}

var (
	// name finds words that stand behind a word or a comma, so that a capital is no sentence's.
	name = regexp.MustCompile(`[\pL\pN,;)] +["“'(]?(\p{Lu}[\pL\pM'’-]*)`)
	// subject finds a single word that begins a sentence and is followed by its verb.
	subject = regexp.MustCompile(`(?:^|[.!?]\s+|\n)(\p{Lu}[\pL'’-]+) ` +
		`(?:is|was|has|had|did|became|wrote|said|argued|founded|invented|discovered)\b`)
	number     = regexp.MustCompile(`\p{Nd}+(?:[.,٫٬]\p{Nd}+)*`)
	listNumber = regexp.MustCompile(`(?m)^\s*[-*(]*\p{Nd}{1,2}[.):]`)
	possessive = regexp.MustCompile(`['’]s?(?:\P{L}|$)`)
)

// numbers returns a text's numbers in ASCII digits, without separators.
func numbers(text string) (all []string) {
	for _, m := range number.FindAllString(text, -1) {
		var b strings.Builder
		for _, r := range m {
			if d, ok := prose.Digit(r); ok {
				b.WriteRune('0' + d)
			}
		}
		all = append(all, b.String())
	}
	return all
}

// spelled has the numbers that English and Arabic write as words, folded.
var spelled = map[string]string{"one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7",
	"eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12", "hundred": "100", "thousand": "1000",
	"واحد": "1", "واحده": "1", "اثنان": "2", "اثنين": "2", "اثنتان": "2", "اثنتين": "2", "ثلاث": "3", "ثلاثه": "3", "اربع": "4",
	"اربعه": "4", "خمس": "5", "خمسه": "5", "ست": "6", "سته": "6", "سبع": "7", "سبعه": "7", "ثمان": "8", "ثماني": "8", "ثمانيه": "8",
	"تسع": "9", "تسعه": "9", "عشر": "10", "عشره": "10", "مئه": "100", "مائه": "100", "الف": "1000"}

// contentWords returns the stems of the words that carry meaning.
func contentWords(text string) (words []string) {
	for _, w := range strings.FieldsFunc(possessive.ReplaceAllString(prose.Fold(text), " "), notWord) {
		if len([]rune(w)) > 2 && !stopWords[w] && !unicode.IsDigit([]rune(w)[0]) {
			words = append(words, stem(w))
		}
	}
	return words
}

func notWord(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r) }

// endings that stem takes off, the longer ones first.
var endings = []string{"isation", "ization", "ements", "ations", "ities", "ation", "ingly", "ement", "ments", "ness", "ment",
	"ions", "able", "ible", "ally", "ical", "ied", "ies", "ing", "ity", "ion", "ers", "ian", "ive", "ous", "ed", "er", "es",
	"ly", "al", "ic", "an", "s", "e", "y"}

// stem takes one ending off an English word that leaves at least four letters, or the
// article and an ending off an Arabic word.
func stem(word string) string {
	if r, _ := utf8.DecodeRuneInString(word); unicode.Is(unicode.Arabic, r) {
		return stemArabic(word)
	}
	for _, e := range endings {
		if s, ok := strings.CutSuffix(word, e); ok && len(s) >= 4 {
			return s
		}
	}
	return word
}

// stopWords carry no meaning of their own, or only that of a question.
var stopWords = func() map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(`a about above according after again against all almost also although am among an and another
		any are around as at be became because become been before being below besides between both but by came can cannot
		come comes could describe describes did difference do does doing done down during each either else even ever every
		example examples explain false few first for from further gave get give given gives had happen happened has have having
		he her here hers him his how however i if important in into is it its itself just know known like made main mainly make
		makes many may me mean meaning means might more most much must my name near need never no nor not now of off often on
		once one only option or other others our out over own part particular per primary purpose question questions rather
		role said same say says several shall she should significance since so some something specific still such tell term
		text than that the their them then there these they thing things this those three through thus to too topic topics
		toward true two type types under understand until up upon us use used uses using various very was way ways we well were
		what when where whether which while who whom whose why will with within without word would yes yet you your answer
		answers`) {
		m[w] = true
	}
	for w := range strings.FieldsSeq(arabicStopWords) {
		m[prose.Fold(w)] = true
	}
	return m
}()
