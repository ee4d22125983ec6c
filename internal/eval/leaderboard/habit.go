package leaderboard

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Pick is the answer that a model gave to a question: the index of a choice, or a
// written text.
type Pick struct {
	Choices      []string
	Chosen, Gold int
	// Written is the answer to a question without choices.
	Written string
}

// Habit is the answer that a model gave to most questions of a task. The score of
// a model that gives one answer to everything says nothing about its knowledge.
type Habit struct {
	Task      string // suite|task|shots
	Questions int
	// Answer is the answer's text or, if the questions have different answers, its
	// position, such as "option 2".
	Answer string
	// Share is the share of questions with this answer. Right is the share of
	// questions for which it is right; NaN for written answers.
	Share, Right float64
}

// A habit is remarkable if it has at least habitShare of at least habitQuestions
// questions, unless it is right for habitRight of them.
const (
	habitShare     = 0.95
	habitRight     = 0.9
	habitQuestions = 8
)

// Remarkable reports whether the model gave one answer to all or nearly all questions
// although it is not the right one for most.
func (h Habit) Remarkable() bool {
	return h.Questions >= habitQuestions && h.Share >= habitShare && !(h.Right >= habitRight)
}

// Short returns the answer, shortened for a cell of a table.
func (h Habit) Short() string {
	const most = 40
	text := []rune(strings.Join(strings.Fields(h.Answer), " "))
	if len(text) == 0 {
		return "(nothing)"
	}
	if len(text) > most {
		return string(text[:most]) + " …"
	}
	return string(text)
}

// NewHabit counts a task's answers by their texts, and by their positions if the
// questions have different texts.
func NewHabit(task string, picks []Pick) Habit {
	h := Habit{Task: task, Questions: len(picks), Right: math.NaN()}
	texts, places := newTally(), newTally()
	for _, p := range picks {
		if p.Choices == nil {
			texts.add(p.Written, "")
			continue
		}
		texts.add(p.Choices[p.Chosen], textAt(p.Choices, p.Gold))
		places.add(fmt.Sprintf("option %d", p.Chosen+1), fmt.Sprintf("option %d", p.Gold+1))
	}
	best := texts
	if answer, place := texts.most(), places.most(); places.given[place] > texts.given[answer] {
		best = places
	}
	h.Answer = best.most()
	n := float64(len(picks))
	h.Share = float64(best.given[h.Answer]) / n
	if len(places.given) > 0 {
		h.Right = float64(best.right[h.Answer]) / n
	}
	return h
}

// textAt returns a choice's text, or "" if there is no such choice.
func textAt(choices []string, i int) string {
	if i < len(choices) {
		return choices[i]
	}
	return ""
}

// tally counts answers and the questions that each is right for.
type tally struct {
	given, right map[string]int
	order        []string // in order of first occurrence
}

func newTally() *tally { return &tally{given: map[string]int{}, right: map[string]int{}} }

func (t *tally) add(answer, gold string) {
	if t.given[answer] == 0 {
		t.order = append(t.order, answer)
	}
	t.given[answer]++
	t.right[gold]++
}

// most returns the answer given most often, the first among equals.
func (t *tally) most() string {
	best := ""
	for i, answer := range t.order {
		if i == 0 || t.given[answer] > t.given[best] {
			best = answer
		}
	}
	return best
}

// SameAnswers describes the remarkable habits, one sentence per family of
// tasks.
func SameAnswers(habits []Habit) []string {
	tasks, same := map[string]int{}, map[string][]Habit{}
	for _, h := range habits {
		family := familyOf(h.Task)
		tasks[family]++
		if h.Remarkable() {
			same[family] = append(same[family], h)
		}
	}
	var out []string
	for _, family := range slices.Sorted(maps.Keys(same)) {
		hs := same[family]
		questions := 0
		given := newTally()
		for _, h := range hs {
			questions += h.Questions
			given.add(h.Short(), "")
		}
		answer := isolated(given.most())
		if tasks[family] == 1 {
			h := hs[0]
			text := fmt.Sprintf("%s: the model answers %s to %s of %d questions", family, answer, share(h.Share), h.Questions)
			if !math.IsNaN(h.Right) {
				text += fmt.Sprintf("; it is right for %s", share(h.Right))
			}
			out = append(out, text+".")
			continue
		}
		text := fmt.Sprintf("%s: in %d of %d tasks (%d questions) the model gives the same answer to all or nearly all questions",
			family, len(hs), tasks[family], questions)
		if n := given.given[given.most()]; n == len(hs) {
			text += fmt.Sprintf(", %s", answer)
		} else if n > 1 {
			text += fmt.Sprintf(", %s in %d of them", answer, n)
		}
		out = append(out, text+".")
	}
	return out
}

// familyOf returns the family in a name suite|family:subset|shots.
func familyOf(task string) string {
	if parts := strings.Split(task, "|"); len(parts) > 1 {
		task = parts[1]
	}
	family, _, _ := strings.Cut(task, ":")
	return family
}

// share writes a share of questions as "all" or in percent.
func share(f float64) string {
	if f == 1 {
		return "all"
	}
	return fmt.Sprintf("%.1f %%", 100*f)
}
