package audit

import (
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"barka/internal/eval/tasks"
	"barka/internal/pytext"
)

// item is a question, split into the parts that are compared.
type item struct {
	task  *Task
	split string
	row   int
	test  bool // whether it is in the evaluated split
	// question includes its passage, on a separate line. fixed is set if the options
	// are the same for every row, such as true and false.
	question string
	options  []string
	gold     int
	fixed    bool
	// proof is the text that a training row must hold beside the question: the right
	// answer or, if that is unknown, one of the options.
	proof []string
	found bool // whether it has a defect
	// prompt is a hash of the evaluation's prompt.
	prompt uint64
}

// columns lists the columns of a question's text, by the name of the prompt.
var columns = map[string][]string{
	"mmlu_arabic":             {"question"},
	"arabic_exams":            {"question"},
	"acva":                    {"question"},
	"alghafa_prompt":          {"query"},
	"alghafa_pfn":             {"query"},
	"arabic_mmlu_pfn":         {"Question"},
	"arabic_mmlu_ht_pfn":      {"question"},
	"madinah_qa_pfn":          {"Context", "Question"},
	"aratrust_pfn":            {"Question"},
	"qa_prompt_arabic":        {"question", "candidates"},
	"boolq_prompt_arabic":     {"passage", "question"},
	"copa_prompt_arabic":      {"premise", "question"},
	"hellaswag_prompt_arabic": {"ctx"},
	"toxigen_prompt_arabic":   {"text"},
	"sciq_prompt_arabic":      {"support", "question"},
}

// labelled lists, for prompts that score letters or numbers, the columns of the options'
// texts.
var (
	letters  = []string{"A", "B", "C", "D"}
	options  = []string{"Option 1", "Option 2", "Option 3", "Option 4", "Option 5"}
	labelled = map[string][]string{
		"mmlu_arabic": letters, "arabic_exams": letters, "aratrust_pfn": letters[:3],
		"arabic_mmlu_pfn": options, "madinah_qa_pfn": options, "arabic_mmlu_ht_pfn": {"choices"},
		"alghafa_pfn": {"sol1", "sol2", "sol3", "sol4", "sol5"},
	}
)

func newItem(task *Task, t tasks.Task, split string, n int, test bool, row tasks.Row, doc tasks.Doc) item {
	it := item{task: task, split: split, row: n, test: test, options: slices.Clone(doc.Choices), gold: doc.Gold,
		prompt: xxhash.Sum64String(doc.Query)}
	if cols, ok := columns[t.PromptName]; ok {
		it.question = text(row, cols...)
	} else {
		// A story's prompt consists of its sentences.
		it.question = squeeze(doc.Query)
	}
	if cols, ok := labelled[t.PromptName]; ok {
		it.options = optionTexts(row, cols)
	}
	for i, o := range it.options {
		it.options[i] = squeeze(o)
	}
	it.proof = it.options[it.gold : it.gold+1]
	return it
}

// optionTexts returns the texts in the columns. A column holds one text or a list. Absent
// options have no label either and are skipped.
func optionTexts(row tasks.Row, columns []string) []string {
	var out []string
	for _, c := range columns {
		v, err := row.Get(c)
		if err != nil || strings.HasPrefix(c, "Option ") && (v == nil || v == "") {
			continue
		}
		list, isList := v.([]any)
		if !isList && c == "choices" {
			texts, _ := pytext.StringList(pytext.Value(v))
			out = append(out, texts...)
			continue
		}
		if !isList {
			list = []any{v}
		}
		for _, o := range list {
			out = append(out, pytext.Value(o))
		}
	}
	return out
}

// text joins the texts of columns.
func text(row tasks.Row, columns ...string) string {
	var parts []string
	for _, c := range columns {
		if v, err := row.Get(c); err == nil && v != nil {
			parts = append(parts, squeeze(pytext.Value(v)))
		}
	}
	return strings.Join(parts, "\n")
}

// squeeze replaces every run of white space with one space.
func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// sortedOptions returns a text that does not depend on the order of the options.
func (it *item) sortedOptions() string {
	sorted := slices.Clone(it.options)
	slices.Sort(sorted)
	return strings.Join(sorted, "\x00")
}

func (it *item) answer() string { return it.options[it.gold] }
