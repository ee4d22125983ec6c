package convert

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// shown is what a template may use of a row.
type shown struct {
	Title, Subject, Passage string
	Stem, Ask               string // what the set asks, and the words that convert adds behind it
	Question                string // both, on a line each
	Answer, Fact            string // the set's own answer; a sentence that supports the right option
	List                    string // the options with numbers, for prompts

	options []string
	gold    int
	verdict *bool
}

func show(it item, ask string) shown {
	s := shown{Title: it.title, Subject: it.subject, Passage: it.context, Stem: it.question, Ask: ask,
		Answer: it.answer, Fact: it.reason, options: it.options, gold: it.gold, verdict: it.verdict}
	s.Question = strings.TrimRight(s.Stem+"\n"+ask, "\n")
	if len(it.options) > 0 {
		s.List = list(it.options, "1.")
	}
	return s
}

// styles are the marks before options: a digit or a letter with its sign, or a dash.
var styles = []string{"1.", "1)", "A.", "A)", "-"}

// mark returns the mark of option i.
func mark(style string, i int) string {
	style = strings.ReplaceAll(style, "A", string(rune('A'+i)))
	return strings.ReplaceAll(style, "1", strconv.Itoa(i+1))
}

// list puts every option on a line of its own, behind its mark.
func list(options []string, style string) string {
	lines := make([]string, len(options))
	for i, o := range options {
		lines[i] = mark(style, i) + " " + o
	}
	return strings.Join(lines, "\n")
}

// Options are all options, a line each.
func (s shown) Options(style string) (string, error) {
	if err := s.choice("Options"); err != nil {
		return "", err
	}
	if !slices.Contains(styles, style) {
		return "", fmt.Errorf("Options %q: the styles are %s", style, strings.Join(styles, " "))
	}
	return list(s.options, style), nil
}

// Right is the right option behind its mark.
func (s shown) Right(style string) (string, error) {
	if err := s.choice("Right"); err != nil {
		return "", err
	}
	if !slices.Contains(styles, style) {
		return "", fmt.Errorf("Right %q: the styles are %s", style, strings.Join(styles, " "))
	}
	return mark(style, s.gold) + " " + s.options[s.gold], nil
}

// Text is the right option alone.
func (s shown) Text() (string, error) {
	if err := s.choice("Text"); err != nil {
		return "", err
	}
	return s.options[s.gold], nil
}

// Number, Letter and Ordinal name the right option: 2, B, second.
func (s shown) Number() (string, error) { return mark("1", s.gold), s.choice("Number") }

// Letter is described at Number.
func (s shown) Letter() (string, error) { return mark("A", s.gold), s.choice("Letter") }

// Ordinal is described at Number.
func (s shown) Ordinal() (string, error) {
	if err := s.choice("Ordinal"); err != nil {
		return "", err
	}
	return ordinals[s.gold], nil
}

// Say is the first text if the answer is yes or true, else the second.
func (s shown) Say(yes, no string) (string, error) {
	switch {
	case s.verdict == nil:
		return "", fmt.Errorf("Say: the set's answers are not true or false")
	case *s.verdict:
		return yes, nil
	}
	return no, nil
}

func (s shown) choice(method string) error {
	if len(s.options) == 0 {
		return fmt.Errorf("%s: the set has no options", method)
	}
	return nil
}
