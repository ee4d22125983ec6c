// Package literals finds out in one pass over a text which of many regular expressions may match
// it. It takes from each expression the strings of which any match has one, and looks for all of
// them by the automaton of Aho and Corasick ("Efficient string matching", 1975).
package literals

import (
	"fmt"
	"regexp"
	"slices"
	"unicode/utf8"
)

// Max is the largest number of expressions of a Set.
const Max = 16

// Set is a set of regular expressions.
type Set struct {
	class  [256]uint8 // of bytes; 0 for those that no string has. Letters have one in both cases.
	width  int        // classes
	next   []uint32   // the next state by state and class. A state is a multiple of width.
	first  uint32     // the first state at which strings end
	accept [][]uint8  // expressions whose strings end at the states from first on

	expressions []expression
}

type expression struct {
	*regexp.Regexp
	longest int // bytes of a match, 0 without a bound
	string  int // bytes of the longest string
}

// Found is what Scan found of each expression: the number of bytes up to the end of its first
// string, 0 if the text has none of them.
type Found [Max]uint32

// New returns a set of expressions. It panics if an expression matches texts that have no
// string in common, as (a|b*) does.
func New(expressions ...*regexp.Regexp) *Set {
	if len(expressions) > Max {
		panic(fmt.Sprintf("literals: %d expressions, at most %d", len(expressions), Max))
	}
	t := trie{{}}
	var all []expression
	for i, e := range expressions {
		set := required(e.String())
		if set == nil {
			panic(fmt.Sprintf("literals: %q may match without any of its letters", e))
		}
		x := expression{Regexp: e}
		for _, s := range set {
			t.add(s, uint8(i))
			x.string = max(x.string, len(s))
		}
		if n, ok := longest(parsed(e.String())); ok {
			x.longest = n
		}
		all = append(all, x)
	}
	s := t.set()
	s.expressions = all
	return s
}

// Scan looks for the strings in a text, letters of ASCII in any case.
func (s *Set) Scan(text string) (f Found) {
	state := uint32(0)
	for i := range len(text) {
		if state = s.next[state+uint32(s.class[text[i]])]; state < s.first {
			continue
		}
		for _, e := range s.accept[int(state-s.first)/s.width] {
			if f[e] == 0 {
				f[e] = uint32(i + 1)
			}
		}
	}
	return f
}

// Find returns where expression e is in a text, as its FindStringIndex does. end is what Scan
// found of it, in the text or in a longer one that begins with it. Expressions whose matches
// have a bound look only around their strings.
func (s *Set) Find(e int, text string, end uint32) []int {
	x := &s.expressions[e]
	for at := int(end); at > 0 && at <= len(text); at = s.following(e, text, at) {
		if x.longest == 0 {
			return x.FindStringIndex(text)
		}
		// The characters beside a match matter, too.
		from, to := at-x.longest-2*utf8.UTFMax, at+x.longest+2*utf8.UTFMax
		if x.MatchString(text[max(from, 0):min(to, len(text))]) { // of which the ends may be mistaken for the text's
			return x.FindStringIndex(text)
		}
	}
	return nil
}

// following returns the end of the next string of expression e behind the one that ends at, 0
// if there is none.
func (s *Set) following(e int, text string, at int) int {
	state := uint32(0)
	for i := max(at+1-s.expressions[e].string, 0); i < len(text); i++ {
		state = s.next[state+uint32(s.class[text[i]])]
		if i >= at && state >= s.first && slices.Contains(s.accept[int(state-s.first)/s.width], uint8(e)) {
			return i + 1
		}
	}
	return 0
}
