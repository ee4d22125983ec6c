package convert

import (
	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/prose"
)

// script counts the rows that are written in another script than that of the
// language they are declared to be in.
type script struct{ rows, other int64 }

// minLetters is the least text that a script is judged by: shorter rows are
// numbers, names and option letters.
const minLetters = 20

// add counts a row. Single words of another script, and translations out of a
// language, are no contradiction: more than half of the letters must be.
func (s *script) add(r dataset.Instruction) {
	letters, own := 0, 0
	for _, m := range r.Messages {
		l, o := prose.Letters(m.Content, r.Language)
		letters, own = letters+l, own+o
	}
	if letters < minLetters {
		return
	}
	s.rows++
	if 2*own < letters {
		s.other++
	}
}

// check refuses a set of which more than half of the rows contradict the
// language: the declaration is then wrong, not single rows.
func (s *script) check(language, data string) error {
	if 2*s.other <= s.rows {
		return nil
	}
	return badinput.Errorf("%s: %d of %d rows are mostly in another script than that of %s; state their language by "+
		"--language, or language in a recipe, such as arb_Arab",
		data, s.other, s.rows, language)
}
