package translate

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"barka/internal/numerals"
	"barka/internal/prose"
	"barka/internal/segment"
	"barka/internal/tokenizer"
)

// Flags of a translated sentence. Those that Options.acts names make the ladder try another
// way, and drop the record if none passes. The others warn.
const (
	FlagCut       = "source_cut"     // the source did not fit into the model
	FlagHitMax    = "hit_max"        // the output ran into the length limit
	FlagUnknown   = "unknown_tokens" // the source has characters the model lacks
	FlagEmpty     = "empty"          // nothing came out
	FlagCopied    = "copied"         // the output is the source
	FlagRepeated  = "repeated"       // words or letters repeat, and not in the source
	FlagDigits    = "digits"         // the numbers of source and output differ
	FlagScript    = "script"         // less than three quarters of the letters are the target's
	FlagRatio     = "length_ratio"   // much longer or shorter than the source
	FlagUnkInText = "unk_in_output"  // the output holds an unknown-token mark
	FlagScore     = "low_score"      // the mean log-probability is below Options.MinScore
	FlagIgnored   = "ignored"        // much of the source got no attention, so that it may be missing
	// Of a sentence whose placeholders did not come back as they were.
	FlagSpanLost     = string(segment.Lost)
	FlagSpanDoubled  = string(segment.Doubled)
	FlagSpanInvented = string(segment.Invented)
	FlagSpanCrossed  = string(segment.Crossed)
)

// Profiles of checks.
const (
	ChecksOff     = "off"
	ChecksDefault = "default"
	ChecksStrict  = "strict"
)

// spanFlags act in every profile: a sentence without its code or link is no translation.
var spanFlags = []string{FlagSpanLost, FlagSpanDoubled, FlagSpanInvented, FlagSpanCrossed}

// profiles are the flags that act, besides those of spans.
var profiles = map[string][]string{
	ChecksOff:     nil,
	ChecksDefault: {FlagHitMax, FlagEmpty, FlagCopied, FlagRepeated, FlagDigits, FlagScript, FlagRatio, FlagUnkInText, FlagScore},
	ChecksStrict: {FlagHitMax, FlagEmpty, FlagCopied, FlagRepeated, FlagDigits, FlagScript, FlagRatio, FlagUnkInText, FlagScore,
		FlagCut, FlagUnknown, FlagIgnored},
}

// Profiles lists the names of the profiles.
func Profiles() []string { return slices.Sorted(maps.Keys(profiles)) }

// Flags lists the flags, sorted.
func Flags() []string {
	return slices.Sorted(slices.Values(append(slices.Clone(profiles[ChecksStrict]), spanFlags...)))
}

// acts returns the flags that act.
func (o Options) acts() map[string]bool {
	acts := map[string]bool{}
	for _, f := range slices.Concat(spanFlags, o.RejectFlags) {
		acts[f] = true
	}
	if !o.Whole { // a whole message is translated as it was in the original
		for _, f := range profiles[o.Checks] {
			acts[f] = true
		}
	}
	return acts
}

// Attends reports whether it matters which source tokens an output ignores. Without checks it
// does not, unless the flag acts by itself.
func (o Options) Attends() bool {
	return o.MaxIgnored < 1 && (o.Checks != ChecksOff || slices.Contains(o.RejectFlags, FlagIgnored))
}

// check returns the flags of a sentence.
func (o Options) check(source, target string, tr Translation) []string {
	var flags []string
	add := func(is bool, flag string) {
		if is {
			flags = append(flags, flag)
		}
	}
	add(tr.Cut > 0, FlagCut)
	add(tr.HitMax, FlagHitMax)
	add(tr.Unknown > 0, FlagUnknown)
	if strings.TrimSpace(target) == "" {
		return append(flags, FlagEmpty)
	}
	add(copied(source, target, o.To), FlagCopied)
	add(repeated(target) && !repeated(source), FlagRepeated)
	add(!sameNumbers(source, target), FlagDigits)
	add(!inScript(source, target, o.To), FlagScript)
	add(unlikely(source, target), FlagRatio)
	add(strings.Contains(target, "<unk>") || strings.Contains(target, "⁇"), FlagUnkInText)
	add(float64(tr.Ignored) > o.MaxIgnored, FlagIgnored)
	add(o.MinScore != 0 && float64(tr.Score) < o.MinScore, FlagScore)
	return flags
}

// sameScriptWords is how many words a copy has at least if both languages share a script:
// names and loan words are the same in both.
const sameScriptWords = 4

func copied(source, target, to string) bool {
	source, target = strings.TrimSpace(source), strings.TrimSpace(target)
	return strings.EqualFold(source, target) && (script(to) != nil || len(strings.Fields(source)) >= sameScriptWords)
}

// inScript reports whether three quarters of the letters are in the target's script, if it
// is known. Names that the source has in the same letters do not count up to half of all.
func inScript(source, target, to string) bool {
	tables := prose.Scripts(tokenizer.NLLBCode(to))
	if tables == nil {
		return true
	}
	latin := tables[0] == unicode.Latin
	letters, own, names := 0, 0, 0
	for _, r := range target {
		if unicode.IsLetter(r) {
			letters++
			if unicode.In(r, tables...) {
				own++
			}
		}
	}
	if 4*own >= 3*letters || 2*own < letters {
		return 4*own >= 3*letters
	}
	foreign := func(r rune) bool { return unicode.IsLetter(r) && !unicode.In(r, tables...) }
	known := map[string]bool{}
	for _, w := range strings.FieldsFunc(source, func(r rune) bool { return !foreign(r) }) {
		known[w] = latin || strings.ContainsFunc(w, unicode.IsUpper) // other Latin words should have been translated
	}
	for _, w := range strings.FieldsFunc(target, func(r rune) bool { return !foreign(r) }) {
		if known[w] {
			names += utf8.RuneCountInString(w)
		}
	}
	return 4*own >= 3*(letters-names)
}

// minRatioLength is the length of the shortest source whose ratio is looked at; ratioSlack is
// how much shorter than in proportion a translation may be: that of "She took her own life." is
// one word of Arabic.
const minRatioLength, ratioSlack = 20, 6

// unlikely reports whether the target has less than two fifths or more than three times the
// length of the source.
func unlikely(source, target string) bool {
	a, b := prose.Width(source), prose.Width(target)
	return a >= minRatioLength && (5*(b+ratioSlack) < 2*a || b > 3*a)
}

// repeated reports a word four times in a row, a phrase three times, four words in a row that
// occur four times, a letter five times in a row, two to four letters four times within a word,
// or letters that repeat with a longer period for a stretch.
func repeated(s string) bool {
	words, runes := strings.Fields(s), []rune(s)
	hasLetter := func(w string) bool { return strings.ContainsFunc(w, unicode.IsLetter) }
	for period := 1; period <= 6; period++ {
		if loops(words, period, max(3, 2*period), hasLetter) {
			return true
		}
	}
	seen := map[string]int{}
	for i := 0; i+4 <= len(words); i++ {
		k := strings.Join(words[i:i+4], " ")
		if seen[k]++; seen[k] >= 4 {
			return true
		}
	}
	inWord := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsMark(r) }
	for period := 1; period <= 4; period++ {
		if loops(runes, period, max(4, 3*period), inWord) {
			return true
		}
	}
	for period := 5; period <= 8; period++ {
		if loops(runes, period, 32, func(r rune) bool { return inWord(r) || unicode.IsSpace(r) }) {
			return true
		}
	}
	return false
}

// loops reports whether this many items in a row count and are those a period before them.
func loops[T comparable](s []T, period, again int, counts func(T) bool) bool {
	run := 0
	for i := period; i < len(s); i++ {
		if run++; s[i] != s[i-period] || !counts(s[i]) {
			run = 0
		}
		if run >= again {
			return true
		}
	}
	return false
}

// sameNumbers reports whether two texts have the same numbers in any order, in any digits.
// Where the digits differ, marks between thousands do not count, and a number may be in words
// in one of the texts: 19th is التاسع عشر, 300,000 is 300 ألف.
func sameNumbers(a, b string) bool {
	return slices.Equal(digits(a), digits(b)) || numerals.Explains(numerals.Of(a), numerals.Of(b))
}

// digits returns the runs of digits of a text, in any digit script, as ASCII and sorted.
func digits(s string) (out []string) {
	var run []byte
	for _, r := range s + " " {
		if d, ok := prose.Digit(r); ok {
			run = append(run, '0'+byte(d))
		} else if len(run) > 0 {
			out, run = append(out, string(run)), nil
		}
	}
	slices.Sort(out)
	return out
}

// finish applies the punctuation option.
func (o Options) finish(s string) string {
	if !o.ArabicPunctuation {
		return s
	}
	rs := []rune(s)
	for i, r := range rs {
		p, ok := map[rune]rune{',': '،', ';': '؛', '?': '؟'}[r]
		if ok && i > 0 && unicode.Is(unicode.Arabic, rs[i-1]) {
			rs[i] = p
		}
	}
	return string(rs)
}
