package segment

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// translate adds text to be translated, cut to the bound, or keeps it.
func (w *splitter) translate(s stretch, kind Kind) {
	if kept := w.kept(s); kept != "" {
		w.keep(s.text, kept)
		return
	}
	seg := Segment{Text: s.text, Kind: kind, Spans: s.spans}
	if w.o.MaxTokens > 0 && w.o.Count != nil && w.o.Count(w.o.Form.Mask(seg)) > w.o.MaxTokens {
		if at := cutAt(s.mask); at > 0 && at < len(s.mask) {
			w.sentence(s.slice(0, at), Clause)
			w.sentence(s.slice(at, len(s.text)), Clause)
			return
		}
	}
	w.segments = append(w.segments, seg)
}

// kept returns the kind of a text in which there is nothing to translate: spans alone, no
// letters, letters of the target's script, a lone letter or unit. "" is a text to translate.
func (w *splitter) kept(s stretch) Kind {
	letters, target, done := 0, 0, 0
	count := func(part string) {
		for _, r := range part {
			if unicode.IsLetter(r) {
				letters++
				if w.o.Target != nil && unicode.Is(w.o.Target, r) {
					target++
				}
			}
		}
	}
	for _, p := range s.spans {
		count(s.text[done:p.Start])
		done = p.End
	}
	count(s.text[done:])
	switch {
	case letters == 0 && len(s.spans) > 0:
		return Span
	case letters == 0:
		return Symbol
	case 10*target >= 9*letters:
		return Native
	case len(s.text) <= longestMeasure && measure(s.mask):
		return Symbol
	}
	return ""
}

// longestMeasure bounds, in bytes, the texts that are looked at for letters and units.
const longestMeasure = 64

var (
	quantity = regexp.MustCompile(`^[-+~≈<>≤≥(\[]*[$€£¥]?[\d.,:/×^²³%]+$`)
	joint    = regexp.MustCompile(`^(-?[\d.,]+)([A-Za-zµμΩ°℃℉²³/^]+\d?)$`)
	formula  = regexp.MustCompile(`^[A-Z][A-Za-z]{0,3}(?:\d+[A-Z]?[a-z]?)+[+-]?$`)
)

// Units of measurement. The first ones are known without a number before them.
var (
	clearUnits = set(`kg mg km cm mm ml mL kW kWh MW GW Hz kHz MHz GHz KB MB GB TB kB kJ kPa mph km/h m/s m/s² m/s^2 km² m² m³ cm² cm³ km/hr
		°C °F ℃ ℉ µm μm nm Ω kΩ mol/L g/mL g/cm³ USD EUR`)
	units = set(`m g s h l L A V W J N K C F T t ft in yd mi oz lb lbs hr hrs min sec ms cal kcal mol Pa atm bar rpm dB eV m/s N/m J/kg`)
)

// measure reports whether a text is made of numbers, units, lone letters and names of
// substances such as H2O alone.
func measure(s string) bool {
	number, words := false, 0
	for word := range strings.FieldsSeq(s) {
		words++
		bare := strings.Trim(word, `.,;:!?()[]"'`)
		m := joint.FindStringSubmatch(bare)
		switch {
		case bare == "" || quantity.MatchString(word) || quantity.MatchString(bare):
			number = number || strings.ContainsAny(bare, "0123456789")
		case clearUnits[bare], number && units[bare], formula.MatchString(bare):
		case m != nil && (clearUnits[m[2]] || units[m[2]]):
			number = true
		case utf8.RuneCountInString(bare) == 1 && words <= 2:
		case !strings.ContainsFunc(bare, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }):
		default:
			return false
		}
	}
	return true
}

// cutAt finds the best place to cut a long sentence: the clause mark nearest
// the middle, else the space nearest to it.
func cutAt(s string) int {
	for _, marks := range []string{";:", ",،؛–—", " "} {
		best, middle := -1, len(s)/2
		for i, r := range s {
			end := i + utf8.RuneLen(r)
			if r == utf8.RuneError || !strings.ContainsRune(marks, r) || end >= len(s) {
				continue
			}
			if marks != " " && !unicode.IsSpace(rune(s[end])) {
				continue // inside a number or a word
			}
			if best < 0 || abs(end-middle) < abs(best-middle) {
				best = end
			}
		}
		// A cut near the edge would not help.
		if best > len(s)/8 && best < len(s)-len(s)/8 {
			return best
		}
	}
	return -1
}

func abs(x int) int {
	if x < 0 {
		return -x
	}
	return x
}
