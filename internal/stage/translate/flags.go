package translate

import (
	"slices"
	"strings"
	"unicode"

	"barka/internal/prose"
	"barka/internal/segment"
)

// Flags of a translated sentence. They warn; Options.RejectFlags makes some
// of them reasons to drop a record.
const (
	FlagCut       = "source_cut"     // the source did not fit into the model
	FlagHitMax    = "hit_max"        // the output ran into the length limit
	FlagUnknown   = "unknown_tokens" // the source has characters the model lacks
	FlagEmpty     = "empty"          // nothing came out
	FlagCopied    = "copied"         // the output is the source
	FlagRepeated  = "repeated"       // four words in a row occur four times
	FlagDigits    = "digits"         // the numbers of source and output differ
	FlagScript    = "script"         // less than three quarters of the letters are the target's
	FlagRatio     = "length_ratio"   // much longer or shorter than the source
	FlagUnkInText = "unk_in_output"  // the output holds an unknown-token mark
	// Of a sentence whose placeholders did not come back as they were; its pieces were
	// translated instead.
	FlagSpanLost     = string(segment.Lost)
	FlagSpanDoubled  = string(segment.Doubled)
	FlagSpanInvented = string(segment.Invented)
	FlagSpanCrossed  = string(segment.Crossed)

	minRatioLength = 20 // shorter sources have any ratio
)

var flagMeanings = map[string]bool{
	FlagCut: true, FlagHitMax: true, FlagUnknown: true, FlagEmpty: true, FlagCopied: true, FlagRepeated: true,
	FlagDigits: true, FlagScript: true, FlagRatio: true, FlagUnkInText: true,
	FlagSpanLost: true, FlagSpanDoubled: true, FlagSpanInvented: true, FlagSpanCrossed: true,
}

// Flags lists the flags, sorted.
func Flags() []string {
	var fs []string
	for f := range flagMeanings {
		fs = append(fs, f)
	}
	slices.Sort(fs)
	return fs
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
	add(strings.EqualFold(strings.TrimSpace(source), strings.TrimSpace(target)), FlagCopied)
	add(repeated(target), FlagRepeated)
	add(!slices.Equal(numbers(source), numbers(target)), FlagDigits)
	if s := script(o.To); s != nil {
		letters, own := 0, 0
		for _, r := range target {
			if unicode.IsLetter(r) {
				letters++
				if unicode.Is(s, r) {
					own++
				}
			}
		}
		add(4*own < 3*letters, FlagScript)
	}
	a, b := len([]rune(source)), len([]rune(target))
	add(a >= minRatioLength && (5*b < 2*a || b > 3*a), FlagRatio)
	add(strings.Contains(target, "<unk>") || strings.Contains(target, "⁇"), FlagUnkInText)
	return flags
}

// repeated reports four words in a row that occur four times.
func repeated(s string) bool {
	words := strings.Fields(s)
	seen := map[string]int{}
	for i := 0; i+4 <= len(words); i++ {
		k := strings.Join(words[i:i+4], " ")
		if seen[k]++; seen[k] >= 4 {
			return true
		}
	}
	return false
}

// numbers returns the runs of digits of a text, in any digit script, as ASCII
// and sorted.
func numbers(s string) []string {
	var out []string
	var cur []byte
	for _, r := range s + " " {
		if d, ok := prose.Digit(r); ok {
			cur = append(cur, '0'+byte(d))
			continue
		}
		if len(cur) > 0 {
			out, cur = append(out, string(cur)), nil
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
