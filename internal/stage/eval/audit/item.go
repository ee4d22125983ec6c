package audit

import (
	"slices"
	"strings"

	"barka/internal/pytext"
	"barka/internal/stage/eval/tasks"
)

// item is one question, in the parts that are compared.
type item struct {
	task  *Task
	split string
	row   int
	test  bool // in the split that is evaluated
	// question includes the passage it is about. fixed marks options that are
	// the same for every row, such as true and false.
	question string
	options  []string
	gold     int
	fixed    bool
}

// columns of a question's text, by the name of the prompt.
var columns = map[string][]string{
	"mmlu_arabic":             {"question"},
	"arabic_exams":            {"question"},
	"acva":                    {"question"},
	"alghafa_prompt":          {"query"},
	"boolq_prompt_arabic":     {"passage", "question"},
	"copa_prompt_arabic":      {"premise", "question"},
	"hellaswag_prompt_arabic": {"ctx"},
	"toxigen_prompt_arabic":   {"text"},
	"sciq_prompt_arabic":      {"support", "question"},
}

// lettered prompts score letters; what the letters stand for is in columns.
var lettered = []string{"mmlu_arabic", "arabic_exams"}

func newItem(task *Task, t tasks.Task, split string, n int, test bool, row tasks.Row, doc tasks.Doc) item {
	it := item{task: task, split: split, row: n, test: test, options: doc.Choices, gold: doc.Gold}
	if cols, ok := columns[t.PromptName]; ok {
		it.question = text(row, cols...)
	} else {
		// A story's prompt is nothing but its sentences.
		it.question = squeeze(doc.Query)
	}
	if slices.Contains(lettered, t.PromptName) {
		it.options = make([]string, 4)
		for i, c := range []string{"A", "B", "C", "D"} {
			it.options[i] = text(row, c)
		}
	} else {
		it.options = slices.Clone(doc.Choices)
		for i, c := range it.options {
			it.options[i] = squeeze(c)
		}
	}
	return it
}

// text joins columns, which exist since the row made a question.
func text(row tasks.Row, columns ...string) string {
	var parts []string
	for _, c := range columns {
		if v, err := row.Get(c); err == nil && v != nil {
			parts = append(parts, squeeze(pytext.Value(v)))
		}
	}
	return strings.Join(parts, "\n")
}

// squeeze makes every run of white space one space.
func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// sortedOptions is the same for two orders of the same options.
func (it *item) sortedOptions() string {
	sorted := slices.Clone(it.options)
	slices.Sort(sorted)
	return strings.Join(sorted, "\x00")
}

func (it *item) answer() string { return it.options[it.gold] }
