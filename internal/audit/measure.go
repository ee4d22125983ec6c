package audit

import (
	"slices"
	"unicode/utf8"
)

// Task holds the counts of a task. Rows and accuracies are those of the evaluated split;
// defects are those of both splits.
type Task struct {
	Task string `json:"task"`
	Rows int    `json:"rows"`
	// Gold[i] counts the rows whose right answer is number i. Random is the accuracy
	// of guessing, and Majority that of always giving the most common right answer.
	// Longest and Shortest are those of always choosing the option with the most or
	// fewest characters, the first among equals.
	Gold     []int   `json:"gold"`
	Random   float64 `json:"random"`
	Majority float64 `json:"majority"`
	Longest  float64 `json:"longest"`
	Shortest float64 `json:"shortest"`
	// FixedLengths holds the lengths in characters of options that all rows share. If
	// they differ, division by the length favours the longest.
	FixedLengths []int `json:"fixed_lengths,omitempty"`
	// Clean counts the rows without a defect. Repeated rows, whose wording may just be
	// common, and rows in a training set do not count as defective here.
	Clean int `json:"clean"`

	Broken        int `json:"broken"`
	Duplicates    int `json:"duplicates"`
	Contradictory int `json:"contradictory"`
	Repeated      int `json:"repeated"`
	SameOptions   int `json:"same_options"`
	Leaked        int `json:"leaked"` // only in the evaluated split
	// Contaminated counts the evaluated rows that one training row holds, at least up
	// to the threshold.
	Contaminated int `json:"in_training"`

	family string
	fixed  []string // the options that all rows share
}

// Biased reports whether division by length favours one of the fixed options.
func (t *Task) Biased() bool {
	return len(t.FixedLengths) > 0 && slices.Min(t.FixedLengths) != slices.Max(t.FixedLengths)
}

// measure counts answers and finds out whether the options are fixed.
func (t *Task) measure(items []item) {
	fixed := len(items) > 1
	for i := range items {
		fixed = fixed && slices.Equal(items[i].options, items[0].options)
	}
	if fixed {
		t.fixed = items[0].options
		for _, o := range t.fixed {
			t.FixedLengths = append(t.FixedLengths, utf8.RuneCountInString(o))
		}
	}
	var longest, shortest int
	for i := range items {
		it := &items[i]
		it.fixed = fixed
		if !it.test {
			continue
		}
		t.Rows++
		t.Random += 1 / float64(len(it.options))
		for len(t.Gold) < len(it.options) {
			t.Gold = append(t.Gold, 0)
		}
		t.Gold[it.gold]++
		long, short := 0, 0
		for j, o := range it.options {
			n := utf8.RuneCountInString(o)
			if n > utf8.RuneCountInString(it.options[long]) {
				long = j
			}
			if n < utf8.RuneCountInString(it.options[short]) {
				short = j
			}
		}
		if long == it.gold {
			longest++
		}
		if short == it.gold {
			shortest++
		}
	}
	if t.Rows == 0 {
		return
	}
	n := float64(t.Rows)
	t.Random /= n
	t.Majority = float64(slices.Max(t.Gold)) / n
	t.Longest, t.Shortest = float64(longest)/n, float64(shortest)/n
}

// Family holds the counts of the tasks with a common name, such as acva, over the rows of
// all splits.
type Family struct {
	Family string `json:"family"`
	Tasks  int    `json:"tasks"`
	Rows   int    `json:"rows"`
	// Distinct counts rows that differ in question, options or answer, and
	// Questions those that differ in question and options. A contradictory
	// question has more than one answer.
	Distinct               int `json:"distinct"`
	Questions              int `json:"questions"`
	ContradictoryQuestions int `json:"contradictory_questions"`
	ContradictoryRows      int `json:"contradictory_rows"`
	Repeated               int `json:"repeated"`
	SameOptions            int `json:"same_options"`
	Leaked                 int `json:"leaked"` // only in the evaluated splits
	// Evaluated counts the rows of the evaluated splits, and Clean those of them
	// without a defect.
	Evaluated int `json:"evaluated"`
	Clean     int `json:"clean"`
	// Majority and Constant are means over the tasks, like the leaderboard's scores:
	// Majority that of Task.Majority, Constant[i] that of the accuracy of always
	// giving answer number i, if all tasks have as many answers. Answers holds their
	// texts, if all rows of all tasks share them.
	Majority float64   `json:"majority"`
	Constant []float64 `json:"constant,omitempty"`
	Answers  []string  `json:"answers,omitempty"`
}

// Best returns the number of the best constant answer and its accuracy. ok is false if
// the tasks have different numbers of answers.
func (f *Family) Best() (answer int, accuracy float64, ok bool) {
	for i, a := range f.Constant {
		if a > accuracy {
			answer, accuracy = i, a
		}
	}
	return answer, accuracy, len(f.Constant) > 0
}

// baselines computes the means over the family's tasks.
func (f *Family) baselines(members []*Task) {
	n := float64(len(members))
	f.Constant, f.Answers = make([]float64, len(members[0].Gold)), members[0].fixed
	for _, t := range members {
		f.Majority += t.Majority / n
		if len(t.Gold) != len(f.Constant) {
			f.Constant = nil
		}
		if !slices.Equal(t.fixed, f.Answers) {
			f.Answers = nil
		}
		for i := range f.Constant {
			f.Constant[i] += float64(t.Gold[i]) / float64(max(1, t.Rows)) / n
		}
	}
}

func (r *Report) families(items []item) {
	byName, members := map[string]*Family{}, map[string][]*Task{}
	for _, t := range r.Tasks {
		members[t.family] = append(members[t.family], t)
		f := byName[t.family]
		if f == nil {
			f = &Family{Family: t.family}
			byName[t.family] = f
			r.Families = append(r.Families, f)
		}
		f.Tasks++
		f.ContradictoryRows += t.Contradictory
		f.Repeated += t.Repeated
		f.SameOptions += t.SameOptions
		f.Leaked += t.Leaked
	}
	distinct, questions := map[string]bool{}, map[string]string{}
	contradictory := map[string]bool{}
	for i := range items {
		it := &items[i]
		f := byName[it.task.family]
		f.Rows++
		if it.test {
			f.Evaluated++
			if !it.found {
				f.Clean++
				it.task.Clean++
			}
		}
		asked := it.task.family + "\x00" + it.question + "\x00" + it.sortedOptions()
		if key := asked + "\x00" + it.answer(); !distinct[key] {
			distinct[key] = true
			f.Distinct++
		}
		first, known := questions[asked]
		switch {
		case !known:
			questions[asked] = it.answer()
			f.Questions++
		case first != it.answer() && !contradictory[asked]:
			contradictory[asked] = true
			f.ContradictoryQuestions++
		}
	}
	for _, f := range r.Families {
		f.baselines(members[f.Family])
	}
}
