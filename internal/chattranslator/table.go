package chattranslator

import (
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"barka/internal/badinput"
	"barka/internal/lines"
)

// Term is an entry of a glossary, or an example: a text and its translation.
type Term struct{ Source, Target string }

// ReadPairs reads a file with a text and its translation per line, separated by a tab.
// Empty lines and lines that begin with # are skipped. Without a path there are no pairs.
func ReadPairs(path string) (pairs []Term, err error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	defer f.Close()
	for line, err := range lines.Read(path, f) {
		if err != nil {
			return nil, err
		}
		text := strings.TrimPrefix(string(line.Data), "\ufeff")
		if strings.TrimSpace(text) == "" || strings.HasPrefix(text, "#") {
			continue
		}
		source, target, found := strings.Cut(text, "\t")
		source, target = strings.TrimSpace(source), strings.TrimSpace(target)
		if !found || source == "" || target == "" || strings.Contains(target, "\t") {
			return nil, line.Errorf("expected a text and its translation, separated by one tab")
		}
		pairs = append(pairs, Term{source, target})
	}
	if len(pairs) == 0 {
		return nil, badinput.Errorf("%s has no entries; expected a text and its translation per line, separated by a tab", path)
	}
	return pairs, nil
}

// Glossary finds terms in texts.
type Glossary struct {
	// byFirst has the entries by the first letter or digit of their folded source, the
	// longest first.
	byFirst map[rune][]entry
}

type entry struct {
	folded string
	term   Term
}

// NewGlossary returns a glossary. An entry whose source occurs twice is an error.
func NewGlossary(terms []Term) (*Glossary, error) {
	g := &Glossary{byFirst: map[rune][]entry{}}
	seen := map[string]string{}
	for _, t := range terms {
		folded := strings.ToLower(t.Source)
		if target, twice := seen[folded]; twice && target != t.Target {
			return nil, badinput.Errorf("glossary: %q has two translations, %q and %q", t.Source, target, t.Target)
		} else if twice {
			continue
		}
		seen[folded] = t.Target
		first, _ := utf8.DecodeRuneInString(folded)
		g.byFirst[first] = append(g.byFirst[first], entry{folded, t})
	}
	for _, entries := range g.byFirst {
		slices.SortStableFunc(entries, func(a, b entry) int { return len(b.folded) - len(a.folded) })
	}
	return g, nil
}

// In returns the entries that occur in a text as whole words, whatever their case, in the
// order of their occurrence. Where entries overlap, the longest counts.
func (g *Glossary) In(text string) (found []Term) {
	if g == nil {
		return nil
	}
	folded := strings.ToLower(text)
	seen := map[string]bool{}
	for at := 0; at < len(folded); {
		r, size := utf8.DecodeRuneInString(folded[at:])
		if e := g.at(folded, at, r); e != nil {
			if !seen[e.folded] {
				seen[e.folded] = true
				found = append(found, e.term)
			}
			at += len(e.folded)
			continue
		}
		at += size
	}
	return found
}

// at returns the longest entry that begins at a place of a folded text.
func (g *Glossary) at(text string, at int, first rune) *entry {
	before, _ := utf8.DecodeLastRuneInString(text[:at])
	if wordRune(before) && wordRune(first) {
		return nil
	}
	for i, e := range g.byFirst[first] {
		rest, ok := strings.CutPrefix(text[at:], e.folded)
		last, _ := utf8.DecodeLastRuneInString(e.folded)
		after, _ := utf8.DecodeRuneInString(rest)
		if ok && !(wordRune(last) && wordRune(after)) {
			return &g.byFirst[first][i]
		}
	}
	return nil
}

func wordRune(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_')
}
