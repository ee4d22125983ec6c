package tasks

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
)

//go:embed tasks.tsv
var tasksTSV string

//go:embed mmlu_subjects.tsv
var mmluSubjectsTSV string

//go:embed exams_subjects.tsv
var examsSubjectsTSV string

// MMLUSubjects maps a subset of Arabic MMLU to the Arabic name in its column `subject`.
// ExamsSubjects maps the prefixes of EXAMS ids. Both were recovered from the published
// prompt digests.
var (
	MMLUSubjects  = pairs(mmluSubjectsTSV)
	ExamsSubjects = pairs(examsSubjectsTSV)
)

func pairs(tsv string) map[string]string {
	m := map[string]string{}
	for _, f := range tsvRows(tsv, 2) {
		m[f[0]] = f[1]
	}
	return m
}

// tsvRows splits an embedded table into rows of fields, without the header.
func tsvRows(tsv string, fields int) [][]string {
	var rows [][]string
	for line := range strings.Lines(tsv) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(f) != fields {
			panic("tasks: an embedded table has a broken line: " + line)
		}
		rows = append(rows, f)
	}
	return rows[1:]
}

const (
	native     = "OALL/AlGhafa-Arabic-LLM-Benchmark-Native"
	translated = "OALL/AlGhafa-Arabic-LLM-Benchmark-Translated"
)

var tables = func() map[Leaderboard][]Task {
	v1 := build()
	return map[Leaderboard][]Task{V1: v1, V2: buildV2(v1)}
}()

func build() []Task {
	var all []Task
	for _, f := range tsvRows(tasksTSV, 4) {
		key := strings.TrimSuffix(f[0], "|0")
		suite, name, _ := strings.Cut(key, "|")
		t := define(suite, name)
		t.Docs, _ = strconv.Atoi(f[1])
		t.Choices, _ = strconv.Atoi(f[2])
		t.PromptsDigest = f[3]
		all = append(all, t)
	}
	return sorted(all)
}

// sorted sorts tasks by their keys.
func sorted(all []Task) []Task {
	slices.SortFunc(all, func(a, b Task) int { return strings.Compare(a.Key(), b.Key()) })
	return all
}

// define returns a task with the properties of its family.
func define(suite, name string) Task {
	minusOne, yes := -1, true
	t := Task{
		Leaderboard: V1, Suite: suite, Name: name, Metric: AccNorm, Splits: []string{"test", "validation"},
		EvalSplit: "test", FewShotSplit: "validation", GenerationSize: &minusOne,
	}
	_, t.Subset, _ = strings.Cut(name, ":")
	switch t.Family() {
	case "arabic_mmlu":
		t.Repo, t.PromptName, t.Prompt = "OALL/Arabic_MMLU", "mmlu_arabic", arabicMMLU
		t.Splits, t.FewShotSplit = []string{"test", "dev"}, "dev"
	case "acva":
		t.Repo, t.PromptName, t.Prompt = "OALL/ACVA", "acva", acva
	case "alghafa":
		t.Repo, t.PromptName, t.Prompt = native, alghafaTexts, alghafa
	case "arabic_exams":
		t.Repo, t.PromptName, t.Prompt = "OALL/Arabic_EXAMS", "arabic_exams", arabicExams
		t.Subset, t.GenerationSize = "default", nil
	case "xstory_cloze":
		t.Repo, t.PromptName, t.Prompt = "juletxara/xstory_cloze", "storycloze", storyCloze
		t.Splits, t.EvalSplit, t.FewShotSplit = []string{"training", "eval"}, "eval", ""
		t.Metric, t.StopSequence, t.TrustDataset = Acc, []string{"\n"}, &yes
	default:
		t.Repo, t.Subset, t.GenerationSize = translated, name, nil
		t.PromptName, t.Prompt = alghafaTexts, alghafa
		if p, ok := translatedPrompts[name]; ok {
			t.PromptName, t.Prompt = p.name, p.prompt
		}
	}
	return t
}

var translatedPrompts = map[string]struct {
	name   string
	prompt Prompt
}{
	"boolq_ar":           {"boolq_prompt_arabic", boolQ},
	"copa_ext_ar":        {"copa_prompt_arabic", copa},
	"hellaswag_okapi_ar": {"hellaswag_prompt_arabic", hellaSwag},
	"toxigen_ar":         {"toxigen_prompt_arabic", toxiGen},
	"sciq_ar":            {"sciq_prompt_arabic", sciQ},
}
