package leaderboard

import (
	"math"
	"strings"
	"testing"

	"barka/internal/eval/lighteval"
	"barka/internal/eval/record"
	"barka/internal/eval/tasks"
)

// asked returns a task whose scores choose the first option of every question.
func asked(name string, questions ...tasks.Doc) *record.Task {
	task, _ := tasks.Lookup(tasks.V1, name)
	r := &record.Task{Task: task, Original: len(questions)}
	for _, d := range questions {
		q := record.Question{Doc: d, Answer: new(record.Answer)}
		for i := range d.Choices {
			q.Answer.Scores = append(q.Answer.Scores, record.Score{LogProb: -1 - float64(i)})
		}
		r.Questions = append(r.Questions, q)
	}
	lighteval.Measure(&record.Run{Tasks: []*record.Task{r}})
	return r
}

// TestConstantAnswers: the best single answer is a text if all questions have the same
// ones, in any order, and otherwise a number.
func TestConstantAnswers(t *testing.T) {
	yes, no := "صح", "خطأ"
	a := baseline(asked("community|acva:Iraq", tasks.Doc{Choices: []string{yes, no}, Gold: 0},
		tasks.Doc{Choices: []string{no, yes}, Gold: 1}, tasks.Doc{Choices: []string{yes, no},
			Gold: 1}, tasks.Doc{Choices: []string{yes, no}, Gold: 0}))
	if len(a.Answers) != 2 || a.Answers[0] != (Answer{yes, 0.75}) || a.Majority != 0.75 || a.Constant[0] != 0.5 {
		t.Errorf("%+v", a)
	}
	b := baseline(asked("community|acva:Oman", tasks.Doc{Choices: []string{no, yes}, Gold: 0}))
	if best := bestConstant([]Baseline{a, b}); best != (Answer{no, 0.625}) {
		t.Errorf("over two tasks %+v; the means are 0.375 and 0.625", best)
	}
	other := baseline(asked("community|copa_ext_ar", tasks.Doc{Choices: []string{"1", "2"}, Gold: 1},
		tasks.Doc{Choices: []string{"3", "4"}, Gold: 1}))
	if other.Answers != nil || other.Constants()[1] != (Answer{"option 2", 1}) {
		t.Errorf("%+v", other)
	}
	if best := bestConstant([]Baseline{other}); best != (Answer{"option 2", 1}) {
		t.Errorf("%+v", best)
	}
	if best := bestConstant([]Baseline{{Random: math.NaN()}}); !math.IsNaN(best.Share) {
		t.Errorf("without choices: %+v", best)
	}
}

// TestBiasNotes: if division by length decides, a note names the favoured answer.
func TestBiasNotes(t *testing.T) {
	yes, no := "صح", "خطأ"
	r := asked("community|acva:Iraq", tasks.Doc{Choices: []string{yes, no}, Gold: 0})
	r.Questions[0].Answer.Scores = []record.Score{{LogProb: -2.1}, {LogProb: -3}} // -1.05 and -1 per character
	notes := strings.Join(Table{Tasks: []Baseline{baseline(r)}}.Notes(), "\n")
	for _, want := range []string{"acc is 100.00 and acc_norm 0.00", "favours \u2068خطأ\u2069 (3) over \u2068صح\u2069 (2)"} {
		if !strings.Contains(notes, want) {
			t.Errorf("notes lack %q:\n%s", want, notes)
		}
	}
	row := Row{Name: "ACVA", Score: 48.98, Constant: 60.49, ConstantAnswer: yes}
	if notes := strings.Join(Table{Rows: []Row{row}}.Notes(), "\n"); !strings.Contains(notes,
		"48.98 is no more than always answering \u2068صح\u2069 would score, 60.49") {
		t.Error(notes)
	}
}
