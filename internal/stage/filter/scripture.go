package filter

import (
	_ "embed"
	"fmt"
	"math"
	"regexp"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// verses is a Bloom filter of the runs of runLetters letters of the Quran whose hash is even.
// reference/data/quran.py writes it from quran-json 3.1.2 (CC-BY-SA-4.0).
//
//go:embed quran.bin
var verses []byte

const (
	runLetters  = 12
	verseProbes = 5
	// maxForeign is the largest share of a quotation's runs that may be unknown. Spellings differ
	// in a letter here and there, each of which is in 12 runs; of a translation nearly all are.
	maxForeign = 0.5
)

// quotation finds what is quoted as the Quran: between ornate parentheses, or between marks of
// quotation behind the words that introduce a verse.
var quotation = searched(0, `﴿([^﴾﴿]+)﴾|﴾([^﴾﴿]+)﴿`+
	`|(?:قال|يقول|قوله|وقال|ويقول|وقوله|فقال|بقوله|كقوله) (?:الله |ربنا |المولى )?(?:سبحانه )?(?:و)?(?:تعالى|عز `+
	`وجل|جل وعلا|سبحانه|في كتابه|في القرآن|في القران)[^«"“{(\[\n.]{0,40}[«"“{(\[]+([^»"”})\]\n]+)`)

// scripture measures the share of unknown runs of letters in quotations of the Quran. Machine
// translation turns an English rendering of a verse into Arabic that no one recited.
func scripture(r *examined) finding {
	if !r.o.Scripture {
		return skip(off)
	}
	return r.most(maxForeign, every, func(_ int, t *text) (float64, string) {
		if !t.may(quotation) {
			return math.NaN(), ""
		}
		worst, what := math.NaN(), ""
		for _, m := range quotation.FindAllStringSubmatch(t.string, -1) {
			quoted := m[1] + m[2] + m[3]
			for part := range strings.SplitSeq(strings.ReplaceAll(quoted, "...", "…"), "…") {
				share, known := foreign(part)
				if known && !(share <= worst) {
					worst, what = share, fmt.Sprintf("%.80q", part)
				}
			}
		}
		return worst, what
	})
}

// foreign returns the share of a quotation's runs that the Quran does not have. ok is false if
// it is too short to tell.
func foreign(s string) (share float64, ok bool) {
	letters := skeleton(s)
	all, unknown := 0, 0
	for i := range len(letters) - runLetters + 1 {
		h := uint64(0xCBF29CE484222325)
		for _, c := range letters[i : i+runLetters] {
			h = (h ^ uint64(c)) * 0x100000001B3
		}
		if h ^= h >> 32; h&1 == 1 {
			continue
		}
		all++
		for k := range uint64(verseProbes) {
			at := (h>>1 + k*(h>>40|1)) % uint64(8*len(verses))
			if verses[at/8]>>(at%8)&1 == 0 {
				unknown++
				break
			}
		}
	}
	return float64(unknown) / float64(max(all, 1)), all > 0
}

var standsForAlef = regexp.MustCompile(`و\x{670}|ى\x{670}([\x{621}-\x{64A}])`)

// skeleton returns the letters that every spelling of a verse shares: no marks, no alefs, no
// hamza, no blanks.
func skeleton(s string) (letters []rune) {
	for _, c := range norm.NFKC.String(standsForAlef.ReplaceAllString(s, "$1")) {
		switch c {
		case 'ى', 'ئ', 'ی':
			c = 'ي'
		case 'ة':
			c = 'ه'
		case 'ؤ':
			c = 'و'
		case 'ک':
			c = 'ك'
		}
		if c >= 'ب' && c <= 'ي' && c != 'ـ' {
			letters = append(letters, c)
		}
	}
	return letters
}
