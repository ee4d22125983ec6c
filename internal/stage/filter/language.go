package filter

import (
	"fmt"
	"math"
	"strings"
	"unicode"

	"barka/internal/langid"
	"barka/internal/prose"
)

// minLetters is the number of letters from which a message's script and language count. A name
// or two in a short answer say nothing of them.
const minLetters = 30

func script(r *examined) finding {
	if r.o.MinScriptShare == 0 {
		return skip(off)
	}
	arabic := strings.HasSuffix(r.Language, "_Arab")
	return r.least(r.o.MinScriptShare, every, func(_ int, t *text) (float64, string) {
		if len(t.string) < minLetters {
			return math.NaN(), ""
		}
		if arabic && mostlyArabic(t.string, r.o.MinScriptShare) {
			return 1, ""
		}
		letters, own := prose.LettersOf(t.words(), r.Language)
		if letters < minLetters {
			return math.NaN(), ""
		}
		share := float64(own) / float64(letters)
		if share < r.o.MinScriptShare && 2*own > letters { // names may keep their letters
			share = float64(own) / float64(max(letters-nameLetters(t.string), 1))
		}
		return share, ""
	})
}

// mostlyArabic reports whether the share of Arabic letters among all characters but signs of
// ASCII is at least share, whatever names and formulas the text has.
func mostlyArabic(s string, share float64) bool {
	own, other := 0, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 0xD8 && c <= 0xDB:
			own++
			i++
		case 'a' <= c|0x20 && c|0x20 <= 'z':
			other++
		case c >= 0xC0:
			other++ // the first byte of a character
		}
	}
	return own >= 2*minLetters && float64(own) >= share*float64(own+other)
}

// nameLetters counts the letters of Latin words with a capital at their beginning.
func nameLetters(s string) (n int) {
	inside, capital := false, false
	for _, c := range s {
		latin := unicode.Is(unicode.Latin, c)
		if latin && !inside {
			capital = unicode.IsUpper(c)
		}
		if inside = latin || inside && (c == '\'' || c == '’' || c == '-'); latin && capital {
			n++
		}
	}
	return n
}

// modelled are the languages of rows whose name in package langid is another: the dialects of
// Arabic are Arabic, and so on.
var modelled = map[string]string{
	"ara_Arab": "arb_Arab", "arz_Arab": "arb_Arab", "ary_Arab": "arb_Arab", "arq_Arab": "arb_Arab", "acm_Arab": "arb_Arab",
	"acq_Arab": "arb_Arab", "aeb_Arab": "arb_Arab", "ajp_Arab": "arb_Arab", "apc_Arab": "arb_Arab", "apd_Arab": "arb_Arab",
	"ars_Arab": "arb_Arab", "ayl_Arab": "arb_Arab", "pes_Arab": "fas_Arab", "prs_Arab": "fas_Arab", "pbt_Arab": "pus_Arab",
	"zsm_Latn": "ind_Latn", "msa_Latn": "ind_Latn", "mzn_Arab": "glk_Arab",
}

// language measures the probability of the row's language.
func language(r *examined) finding {
	if r.o.MinLanguage == 0 {
		return skip(off)
	}
	want := r.Language
	if to, ok := modelled[want]; ok {
		want = to
	}
	if !langid.Knows(want) {
		return skip(notThisOne)
	}
	return r.least(r.o.MinLanguage, every, func(_ int, t *text) (float64, string) {
		if len(t.string) < minLetters {
			return math.NaN(), ""
		}
		g := langid.Identify(t.words())
		if g.Letters < minLetters || !strings.HasSuffix(g.Language, want[3:]) {
			return math.NaN(), "" // formulas and names may outweigh a short question: rule script judges
		}
		p, _ := g.Of(want)
		if g.Language == want {
			return p, ""
		}
		return p, fmt.Sprintf("%s with %.2f", g.Language, g.Probability)
	})
}
