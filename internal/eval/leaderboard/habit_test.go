package leaderboard

import (
	"math"
	"strings"
	"testing"
)

// picks returns answers to questions with the given choices.
func picks(choices []string, chosen, gold string) []Pick {
	var out []Pick
	for i := range chosen {
		out = append(out, Pick{Choices: choices, Chosen: int(chosen[i] - '0'), Gold: int(gold[i] - '0')})
	}
	return out
}

// TestHabit: one answer to all or nearly all questions is remarkable, by its text or its
// position, unless it is nearly always right or there are few questions.
func TestHabit(t *testing.T) {
	two := []string{"صح", "خطأ"}
	turned := picks(two, "00000000", "01010101")
	for i := 1; i < len(turned); i += 2 {
		turned[i] = Pick{Choices: []string{"خطأ", "صح"}, Chosen: 1, Gold: 1}
	}
	var others, written, nothing []Pick
	for range 10 {
		i := len(others)
		others = append(others, Pick{Choices: []string{string(rune('a' + 2*i)), string(rune('b' + 2*i))}, Chosen: 1, Gold: i % 2})
		written = append(written, Pick{Written: "لا  أعرف"})
		nothing = append(nothing, Pick{})
	}
	for name, c := range map[string]struct {
		picks  []Pick
		answer string
		right  float64
		want   bool
	}{
		"all":             {picks(two, "00000000", "01010101"), "صح", 0.5, true},
		"few":             {picks(two, "0000000", "0101010"), "صح", 4. / 7, false},
		"one other":       {picks(two, "00000001", "01010101"), "صح", 0.5, false},
		"nearly all":      {picks(two, "00000000000000000001", "01010101010101010101"), "صح", 0.5, true},
		"rightly":         {picks(two, "11111111", "11111111"), "خطأ", 1, false},
		"always wrong":    {picks(two, "11111111", "00000000"), "خطأ", 0, true},
		"in other places": {turned, "صح", 1, false},
		"place":           {others, "option 2", 0.5, true},
		"written":         {written, "لا  أعرف", math.NaN(), true},
		"nothing written": {nothing, "", math.NaN(), true},
	} {
		h := NewHabit("community|x:y|0", c.picks)
		if h.Answer != c.answer || h.Remarkable() != c.want || math.IsNaN(h.Right) != math.IsNaN(c.right) ||
			math.Abs(h.Right-c.right) > 1e-12 {
			t.Errorf("%s: %+v, remarkable %v", name, h, h.Remarkable())
		}
	}
	if h := NewHabit("t", nothing); h.Short() != "(nothing)" {
		t.Errorf("%q", h.Short())
	}
	same := NewHabit("community|acva:Iraq|0", picks(two, "00000000", "01010101"))
	other, none := same, same
	other.Task, none.Task, none.Share = "community|acva:Oman|0", "community|acva:Yemen|0", 0.5
	judged := NewHabit("community|alrage_qa|0", written)
	got := strings.Join(SameAnswers([]Habit{same, judged, other, none}), "\n")
	if want := "acva: in 2 of 3 tasks (16 questions) the model gives the same answer to all or nearly all questions, " +
		"\u2068صح\u2069.\nalrage_qa: the model answers \u2068لا أعرف\u2069 to all of 10 questions."; got != want {
		t.Errorf("%s\nexpected\n%s", got, want)
	}
}
