package literals

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// most bounds the strings of a set, and mostRunes the characters of a class that is spelt out.
const (
	most      = 512
	mostRunes = 8
)

// need is what a part of an expression requires of a text.
type need struct {
	exact []string // all texts that the part matches, nil if there are too many
	one   []string // strings of which any match contains one, nil if none are known
}

// required returns strings of which any match of the expression contains one, in lower case
// as far as they are ASCII; nil if none are known.
func required(expression string) []string {
	set := needOf(parsed(expression)).best()
	if strings.Contains(expression, "(?i") && set != nil {
		set = append(set, "ſ", "\u212A") // which count as s and k where case does not
	}
	return set
}

func parsed(expression string) *syntax.Regexp {
	re, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		panic(err) // it was compiled before
	}
	return re
}

func needOf(re *syntax.Regexp) need {
	switch re.Op {
	case syntax.OpLiteral:
		return need{exact: []string{lower(string(re.Rune))}}
	case syntax.OpCharClass:
		return need{exact: spelt(re.Rune)}
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText,
		syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return need{exact: []string{""}}
	case syntax.OpCapture:
		return needOf(re.Sub[0])
	case syntax.OpQuest:
		if sub := needOf(re.Sub[0]); sub.exact != nil {
			return need{exact: append(sub.exact, "")}
		}
	case syntax.OpPlus:
		return need{one: needOf(re.Sub[0]).best()}
	case syntax.OpRepeat:
		if re.Min > 0 {
			return need{one: needOf(re.Sub[0]).best()}
		}
	case syntax.OpConcat:
		return concat(re.Sub)
	case syntax.OpAlternate:
		return alternate(re.Sub)
	}
	return need{}
}

// spelt returns the characters of a class, nil if they are many.
func spelt(ranges []rune) (set []string) {
	for i := 0; i < len(ranges); i += 2 {
		if ranges[i+1]-ranges[i] >= mostRunes {
			return nil
		}
		for r := ranges[i]; r <= ranges[i+1]; r++ {
			set = append(set, lower(string(r)))
		}
	}
	if slices.Sort(set); len(set) > 2*mostRunes {
		return nil
	}
	return slices.Compact(set)
}

func concat(subs []*syntax.Regexp) need {
	run, whole := []string{""}, true // what the last parts match together, and whether they are all
	var one []string
	for _, re := range subs {
		sub := needOf(re)
		if sub.exact != nil && len(run)*len(sub.exact) <= most {
			run = cross(run, sub.exact)
			continue
		}
		whole = false
		one = better(better(one, run), sub.best())
		if run = sub.exact; run == nil {
			run = []string{""}
		}
	}
	if whole {
		return need{exact: run}
	}
	return need{one: better(one, run)}
}

func cross(heads, tails []string) (all []string) {
	for _, h := range heads {
		for _, t := range tails {
			all = append(all, h+t)
		}
	}
	return all
}

func alternate(subs []*syntax.Regexp) (n need) {
	exact, known := true, true
	for _, re := range subs {
		sub := needOf(re)
		n.exact = append(n.exact, sub.exact...)
		n.one = append(n.one, sub.best()...)
		exact, known = exact && sub.exact != nil, known && sub.best() != nil
	}
	if !exact || len(n.exact) > most {
		n.exact = nil
	}
	if !known {
		n.one = nil
	}
	return n
}

// best returns the better of the sets of which a match contains one.
func (n need) best() []string { return better(n.one, n.exact) }

// better returns the set that fewer texts are likely to have: the one of longer strings, or of
// fewer if both have some length. It returns nil if both may have an empty string.
func better(a, b []string) []string {
	x, y := shortest(a), shortest(b)
	if x < y || x == y && len(a) > len(b) {
		a, x = b, y
	}
	if x == 0 {
		return nil
	}
	return a
}

// enough is the length from which strings are seldom found by chance.
const enough = 3

// shortest returns the number of characters of the shortest string, at most enough.
func shortest(set []string) int {
	if len(set) == 0 {
		return 0
	}
	n := enough
	for _, s := range set {
		n = min(n, utf8.RuneCountInString(s))
	}
	return n
}

// lower replaces capital letters of ASCII.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] |= 0x20
		}
	}
	return string(b)
}

// longest returns the number of bytes of the longest match of an expression, and whether it has
// a bound.
func longest(re *syntax.Regexp) (n int, ok bool) {
	switch re.Op {
	case syntax.OpLiteral:
		return utf8.UTFMax * len(re.Rune), true
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return utf8.UTFMax, true
	case syntax.OpStar, syntax.OpPlus:
		return 0, false
	case syntax.OpRepeat:
		n, ok = longest(re.Sub[0])
		return n * re.Max, ok && re.Max >= 0
	}
	ok = true
	for _, sub := range re.Sub {
		k, bounded := longest(sub)
		if ok = ok && bounded; re.Op == syntax.OpAlternate {
			n = max(n, k)
		} else {
			n += k
		}
	}
	return n, ok
}
