package convert

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestStems: a question gets its mark, and a sentence that an option completes gets none.
func TestStems(t *testing.T) {
	for in, want := range map[string][2]string{
		"Which unit measures mass":                         {"Which unit measures mass?", ""},
		"What date is the amount of daylight minimized":    {"What date is the amount of daylight minimized …", askOpen},
		"What is the primary reason my jacket works":       {"What is the primary reason my jacket works?", ""},
		"How many legs does a spider have":                 {"How many legs does a spider have?", ""},
		"A star is far away. Which of these is larger":     {"A star is far away. Which of these is larger?", ""},
		"Which of the following is an example of":          {"Which of the following is an example of …", askOpen},
		"When white clouds appear, the weather will be":    {"When white clouds appear, the weather will be …", askOpen},
		"When an ice cube melts, its state changes from a": {"When an ice cube melts, its state changes from a …", askOpen},
		"What the boy wanted was":                          {"What the boy wanted was …", askOpen},
		"The teeth of a carnivore are MOSTLY -":            {"The teeth of a carnivore are MOSTLY …", askOpen},
		"These petals help the plant because they —":       {"These petals help the plant because they …", askOpen},
		"As a sample of water turns to ice,":               {"As a sample of water turns to ice, …", askOpen},
		"It is likely a(n)":                                {"It is likely a(n) …", askOpen},
		"It is easiest to survive in:":                     {"It is easiest to survive in:", ""},
		"The boy   _   home.":                              {"The boy ____ home.", askGap},
		"What is \"it\"?":                                  {"What is \"it\"?", ""},
		"The word \"run\" means":                           {"The word \"run\" means …", askOpen},
		"He said: \"Stop!\"":                               {"He said: \"Stop!\"", ""},
		"What are the products shown below? HCl + NaOH ->": {"What are the products shown below? HCl + NaOH ->", ""},
		"What can he predict? If pieces break off,":        {"What can he predict? If pieces break off, …", askOpen},
		"What is calculated? q = m × C":                    {"What is calculated? q = m × C", ""},
		"":                                                 {"", ""},
	} {
		if q, ask := stem(in); q != want[0] || ask != want[1] {
			t.Errorf("%q: %q, %q; want %q, %q", in, q, ask, want[0], want[1])
		}
	}
}

// TestGoals: a goal that its solutions complete stays whole, with neither a question mark nor
// a full stop.
func TestGoals(t *testing.T) {
	for in, want := range map[string][2]string{
		"When boiling butter, when it's ready, you can": {"When boiling butter, when it's ready, you can …", askOpen},
		"To cream butter and sugar together, you can":   {"To cream butter and sugar together, you can …", askOpen},
		"If muffins look overcooked you should":         {"If muffins look overcooked you should …", askOpen},
		"To clean a toilet bowl,":                       {"To clean a toilet bowl, …", askOpen},
		"When heating milk to make cheese":              {"When heating milk to make cheese …", askOpen},
		"to make a chili, a cook would need to have,":   {"To make a chili, a cook would need to have, …", askOpen},
		"Remove the cap that is stuck on":               {"Remove the cap that is stuck on …", askOpen},
		"how do I clean car upholstery":                 {"How do I clean car upholstery?", ""},
		"What can I use to go to London the quickest":   {"What can I use to go to London the quickest?", ""},
		"how to dry flowers":                            {"How to dry flowers.", askGoal},
		"How do you properly prepare a steak.":          {"How do you properly prepare a steak?", ""},
		"open a can of soup":                            {"Open a can of soup.", askGoal},
		"Make a vase structure (shell)":                 {"Make a vase structure (shell).", askGoal},
		"ingredients:":                                  {"Ingredients.", askThing}, "peeler": {"Peeler.", askThing},
		"How do you shake something?": {"How do you shake something?", ""},
	} {
		if q, ask := goal(in); q != want[0] || ask != want[1] {
			t.Errorf("%q: %q, %q; want %q, %q", in, q, ask, want[0], want[1])
		}
	}
}

// TestTidyByExpressions compares with the expressions applied to every text.
func TestTidyByExpressions(t *testing.T) {
	every := func(s string) string {
		s = gaps(blanks.ReplaceAllString(strings.ReplaceAll(s, "\r\n", "\n"), " "))
		s = edges.ReplaceAllString(beforePoint.ReplaceAllString(s, "$1$2$3"), "\n")
		return strings.TrimSpace(manyLines.ReplaceAllString(s, "\n\n"))
	}
	rng := rand.New(rand.NewPCG(8, 9))
	pieces := []string{"a", "كلمة", "_", " ", "  ", " ", "\t", "\u00a0", "\n", "\r\n", "\r", ".", ",", ";", "?", "!", "\"", "{", "\xff"}
	for range 20_000 {
		var b strings.Builder
		for range rng.IntN(9) {
			b.WriteString(pieces[rng.IntN(len(pieces))])
		}
		if got, want := tidy(b.String()), every(b.String()); got != want {
			t.Fatalf("%q became %q, expected %q", b.String(), got, want)
		}
	}
}
