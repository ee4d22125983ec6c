package bidi

import (
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// forms are the presentation forms of a letter: isolated, final, initial, medial. A letter
// that does not join the one after it has two.
type forms []rune

// tables returns the forms by letter, and the isolated and final forms of lam-alef by the
// alef. They are read off Unicode's compatibility decompositions: the blocks of
// presentation forms list the forms of a letter one after another, in that order.
var tables = sync.OnceValues(func() (letters map[rune]forms, lamAlef map[rune]forms) {
	letters, lamAlef = map[rune]forms{}, map[rune]forms{}
	for _, block := range [][2]rune{{0xfb50, 0xfbb1}, {0xfbfc, 0xfbff}, {0xfe80, 0xfefc}} {
		for r := block[0]; r <= block[1]; r++ {
			base := []rune(norm.NFKC.String(string(r)))
			switch {
			case len(base) == 1 && base[0] != r:
				letters[base[0]] = append(letters[base[0]], r)
			case len(base) == 2 && base[0] == 'ل':
				lamAlef[base[1]] = append(lamAlef[base[1]], r)
			}
		}
	}
	return letters, lamAlef
})

const (
	tatweel   = 'ـ'
	joiner    = '\u200d'
	nonJoiner = '\u200c'
)

// joined writes Arabic letters in the forms that they have between their neighbours.
// Terminals that do not reorder do not join letters either.
func joined(cs []cluster) []cluster {
	letters, lamAlef := tables()
	var out []cluster
	for i := 0; i < len(cs); i++ {
		r, n := utf8.DecodeRuneInString(cs[i].text)
		f := letters[r]
		if len(f) == 0 {
			out = append(out, cs[i])
			continue
		}
		before := i > 0 && joinsNext(letters, cs[i-1].text)
		if r == 'ل' && i+1 < len(cs) {
			next, m := utf8.DecodeRuneInString(cs[i+1].text)
			if la := lamAlef[next]; len(la) == 2 && !strings.ContainsRune(cs[i].text, nonJoiner) {
				form := la[0]
				if before {
					form = la[1]
				}
				out = append(out, cluster{string(form) + cs[i].text[n:] + cs[i+1].text[m:], cs[i].at})
				i++
				continue
			}
		}
		after := len(f) == 4 && i+1 < len(cs) && joinsNext(letters, cs[i].text) && joinsBefore(letters, cs[i+1].text)
		form := 0
		if before && len(f) > 1 {
			form++
		}
		if after {
			form += 2
		}
		out = append(out, cluster{string(f[form]) + strings.Trim(cs[i].text[n:], string(joiner)+string(nonJoiner)), cs[i].at})
	}
	return out
}

// joinsNext reports whether a letter joins the one after it.
func joinsNext(letters map[rune]forms, c string) bool {
	r, _ := utf8.DecodeRuneInString(c)
	return !strings.ContainsRune(c, nonJoiner) && (r == tatweel || r == joiner || len(letters[r]) == 4)
}

// joinsBefore reports whether a letter joins the one before it.
func joinsBefore(letters map[rune]forms, c string) bool {
	r, _ := utf8.DecodeRuneInString(c)
	return r == tatweel || r == joiner || len(letters[r]) >= 2
}
