package overlap

import (
	"slices"
	"strings"

	"barka/internal/eval/tasks"
	"barka/internal/pytext"
)

// columns lists the columns of a question's text, by the name of the prompt. Those in
// passages hold a passage to read, which other questions may share.
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

var passages = []string{"passage", "support", "Context"}

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

// Texts returns the parts of a benchmark's question: the passage to read, if there is one,
// the question, and the texts of its options. Parts of the question are on separate lines.
// doc is the question as the evaluation asks it.
func Texts(t tasks.Task, row tasks.Row, doc tasks.Doc) (passage, question string, options []string) {
	if cols, ok := columns[t.PromptName]; ok {
		var shown, asked []string
		for _, c := range cols {
			if slices.Contains(passages, c) {
				shown = append(shown, c)
			} else {
				asked = append(asked, c)
			}
		}
		passage, question = text(row, shown...), text(row, asked...)
	} else {
		// A story's prompt consists of its sentences.
		question = Squeeze(doc.Query)
	}
	options = slices.Clone(doc.Choices)
	if cols, ok := labelled[t.PromptName]; ok {
		options = optionTexts(row, cols)
	}
	for i, o := range options {
		options[i] = Squeeze(o)
	}
	return passage, question, options
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
			parts = append(parts, Squeeze(pytext.Value(v)))
		}
	}
	return strings.Join(parts, "\n")
}

// Squeeze replaces every run of white space with one space.
func Squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }
