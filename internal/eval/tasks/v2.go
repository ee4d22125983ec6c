package tasks

import (
	_ "embed"
	"strings"
)

//go:embed tasks_v2.tsv
var tasksV2TSV string

// buildV2 returns the tasks of version 2. EXAMS and AlGhafa are those of version 1, but
// AlGhafa's options are scored by their indices.
func buildV2(v1 []Task) []Task {
	kept := map[string]Task{}
	for _, t := range v1 {
		kept[t.Key()] = t
	}
	var all []Task
	yes := true
	for _, f := range tsvRows(tasksV2TSV, 1) {
		suite, name, _ := strings.Cut(f[0], "|")
		t, ok := kept[f[0]]
		if !ok {
			t = defineV2(suite, name)
		}
		t.Leaderboard, t.TrustDataset = V2, &yes
		all = append(all, t.Scoring(Indices))
	}
	return sorted(all)
}

// defineV2 returns a task of a family that is new in version 2, with the family's
// properties.
func defineV2(suite, name string) Task {
	t := Task{
		Suite: suite, Name: name, Metric: AccNorm, Splits: []string{"test"}, EvalSplit: "test", FewShotSplit: "dev",
	}
	generated := -1
	_, t.Subset, _ = strings.Cut(name, ":")
	switch t.Family() {
	case "arabic_mmlu":
		t.Repo, t.PromptName, t.Prompt = "MBZUAI/ArabicMMLU", "arabic_mmlu_pfn", nativeMMLU
	case "arabic_mmlu_ht":
		t.Repo, t.PromptName, t.Prompt = "MBZUAI/human_translated_arabic_mmlu", "arabic_mmlu_ht_pfn", humanMMLU
		t.FewShotSplit = ""
	case "madinah_qa":
		t.Repo, t.PromptName, t.Prompt = "MBZUAI/MadinahQA", "madinah_qa_pfn", madinahQA
	case "aratrust":
		t.Repo, t.PromptName, t.Prompt = "asas-ai/AraTrust-categorized", "aratrust_pfn", araTrust
		t.Splits, t.EvalSplit, t.FewShotSplit = []string{"train"}, "train", ""
	case "alrage_qa":
		t.Repo, t.PromptName, t.Prompt = "OALL/ALRAGE", "qa_prompt_arabic", alrage
		t.Splits, t.EvalSplit, t.FewShotSplit = []string{"train"}, "train", ""
		t.Subset, t.Metric, t.StopSequence, generated = "default", Judged, []string{}, 200
	}
	t.GenerationSize = &generated
	return t
}
