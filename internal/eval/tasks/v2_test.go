package tasks

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"barka/internal/badinput"
	"barka/internal/pyrandom"
)

func TestTableV2(t *testing.T) {
	families, repos := map[string]int{}, map[string]int{}
	for _, task := range All(V2) {
		families[task.Family()]++
		repos[task.Repo]++
		if task.Leaderboard != V2 || task.Subset == "" {
			t.Errorf("%s: version %s, subset %q", task.Key(), task.Leaderboard, task.Subset)
		}
	}
	if diff := cmp.Diff(map[string]int{"alghafa": 9, "alrage_qa": 1, "arabic_exams": 1, "arabic_mmlu": 40,
		"arabic_mmlu_ht": 57, "aratrust": 8, "madinah_qa": 2}, families); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]int{native: 9, "OALL/ALRAGE": 1, "OALL/Arabic_EXAMS": 1, "MBZUAI/ArabicMMLU": 40,
		"MBZUAI/human_translated_arabic_mmlu": 57, "asas-ai/AraTrust-categorized": 8, "MBZUAI/MadinahQA": 2}, repos); diff != "" {
		t.Error(diff)
	}
	// Tasks kept from version 1 have its prompts and their digests.
	for _, key := range []string{"community|arabic_exams", "community|alghafa:meta_ar_msa"} {
		v1, _ := Lookup(V1, key)
		v2, ok := Lookup(V2, key)
		if !ok || v1.PromptsDigest != v2.PromptsDigest || v1.Docs != v2.Docs || v1.Leaderboard != V1 {
			t.Errorf("%s: %+v, %+v", key, v1, v2)
		}
	}
}

// casesV2 holds a synthetic row for every prompt function of version 2. The expected
// prompts are the results of the functions of the same names in
// community_tasks/arabic_evals.py of lighteval at commit 895d904a (2025), rewritten in
// Python from that file.
var casesV2 = []promptCase{
	// Empty options are left out with their letters.
	{"community|arabic_mmlu:Driving Test", row("Question", "كم؟", "Answer Key", "E", "Option 1", "واحد", "Option 2",
		"اثنان", "Option 3", "", "Option 4", nil, "Option 5", "خمسة"),
		Doc{"السؤال التالي هو سؤال متعدد الإختيارات. اختر الإجابة الصحيحة:\n\nكم؟\nأ. واحد\nب. اثنان\nهـ. خمسة\nالإجابة:",
			"السؤال التالي هو سؤال متعدد الإختيارات. اختر الإجابة الصحيحة:\n\n", []string{"أ", "ب", "هـ"}, 2}},
	{"community|arabic_mmlu_ht:anatomy", row("question", "كم؟", "choices", []any{"واحد", "اثنان", "ثلاثة", "أربعة"}, "answer", int64(2)),
		Doc{"السؤال التالي هو سؤال متعدد الإختيارات. اختر الإجابة الصحيحة:\n\nكم؟\n1. واحد\n2. اثنان\n3. ثلاثة\n4. أربعة\nالإجابة:",
			"السؤال التالي هو سؤال متعدد الإختيارات. اختر الإجابة الصحيحة:\n\n", []string{"1", "2", "3", "4"}, 2}},
	{"community|aratrust:Ethics", row("Question", "كم؟", "A", "أ) واحد", "B", "ب) اثنان", "C", "ج) ثلاثة", "Answer", "ب"),
		Doc{"السؤال التالي هو سؤال متعدد الإختيارات. اختر الإجابة الصحيحة: أ، ب أو ج. \n\nكم؟\nأ) واحد\nب) اثنان\nج) ثلاثة\nالإجابة:",
			"السؤال التالي هو سؤال متعدد الإختيارات. اختر الإجابة الصحيحة: أ، ب أو ج. \n\n", []string{"أ", "ب", "ج"}, 1}},
	{"community|madinah_qa:Arabic Language (Grammar)",
		row("Context", nil, "Question", "كم؟", "Option 1", "واحد", "Option 2", "اثنان", "Option 3", "ثلاثة", "Answer Key", "C"),
		Doc{"بناءً على السياق أدناه، اختر الإجابة الصحيحة للسؤال التالي من قائمة " +
			"الأجوبة:\n\n\nالسياق:\nNone\nالسؤال:\nكم؟\nأ. واحد\nب. اثنان\nج. ثلاثة\nالإجابة:",
			"بناءً على السياق أدناه، اختر الإجابة الصحيحة للسؤال التالي من قائمة الأجوبة:\n\n", []string{"أ", "ب", "ج"}, 2}},
	{"community|madinah_qa:Arabic Language (General)",
		row("Context", "نص\nسطر", "Question", "كم؟", "Option 1", "واحد", "Option 2", "اثنان", "Answer Key", "A"),
		Doc{"بناءً على السياق أدناه، اختر الإجابة الصحيحة للسؤال التالي من قائمة " +
			"الأجوبة:\n\n\nالسياق:\nنص\nسطر\nالسؤال:\nكم؟\nأ. واحد\nب. اثنان\nالإجابة:",
			"بناءً على السياق أدناه، اختر الإجابة الصحيحة للسؤال التالي من قائمة الأجوبة:\n\n", []string{"أ", "ب"}, 0}},
	{"community|alghafa:meta_ar_msa", row("query", "كم؟", "sol1", "واحد", "sol2", "اثنان", "label", "1"),
		Doc{"الأسئلة التالية هي أسئلة متعددة الإختيارات مع الجواب الصحيح\n\nالسؤال: كم؟\n0) واحد\n1) اثنان\nالإجابة:",
			"الأسئلة التالية هي أسئلة متعددة الإختيارات مع الجواب الصحيح\n\n", []string{"0", "1"}, 1}},
	{"community|arabic_exams", row("question", "كم؟", "A", "1", "B", "2", "C", "3", "D", "4", "answer", "A", "subject", "العلوم"),
		Doc{"الأسئلة التالية هي أسئلة متعددة الإختيارات مع الجواب الصحيح حول العلوم. \n\nالسؤال: كم؟\n أ) 1\n\n ب) " +
			"2\n\n ج) 3\n\n د) 4\n\nالإجابة:",
			"الأسئلة التالية هي أسئلة متعددة الإختيارات مع الجواب الصحيح حول العلوم. \n\n", arabicLetters, 0}},
	// Text: one passage per line; empty lines are skipped.
	{"community|alrage_qa", row("question", "كم؟", "candidates", "نص أول \n\n  نص ثان\u00a0\n", "gold_answer", "واحد"),
		Doc{"بناءً على السياقات المقترحة التالية، اجب عن السؤال التالي\n\nالسؤال:\nكم؟\n\nالسياقات المقترحة:\nنص أول, نص ثان\n",
			"بناءً على السياقات المقترحة التالية، اجب عن السؤال التالي", []string{"واحد"}, 0}},
	// A list: an element of white space stays, as an empty text.
	{"community|alrage_qa", row("question", "كم؟", "candidates", []any{" نص أول", "", nil, "  "}, "gold_answer", int64(7)),
		Doc{"بناءً على السياقات المقترحة التالية، اجب عن السؤال التالي\n\nالسؤال:\nكم؟\n\nالسياقات المقترحة:\nنص أول, \n",
			"بناءً على السياقات المقترحة التالية، اجب عن السؤال التالي", []string{"7"}, 0}},
}

func TestPromptsV2(t *testing.T) { checkPrompts(t, V2, casesV2) }

func TestBadRowsV2(t *testing.T) {
	for _, c := range []struct {
		task string
		row  Row
		want string
	}{
		{"community|arabic_mmlu:Driving Test",
			row("Question", "س", "Option 1", "ا", "Option 2", "ب", "Option 3", "", "Answer Key",
				"C"), "the right answer is option 3, which is empty"},
		{"community|arabic_mmlu:Driving Test",
			row("Question", "س", "Option 1", "ا", "Option 2", "ب", "Answer Key", "ب"), "expected one of A, B, C, D, E"},
		{"community|arabic_mmlu:Driving Test", row("Question", "س", "Option 1", "ا", "Answer Key", "A"), "1 choices"},
		{"community|arabic_mmlu:Driving Test",
			row("question", "س", "Option 1", "ا", "Option 2", "ب", "Answer Key", "A"), `column "Question" is missing`},
		{"community|arabic_mmlu_ht:anatomy", row("question", "س", "choices", []any{"ا", "ب"}, "answer", int64(2)),
			"the right answer is number 2"},
		{"community|arabic_mmlu_ht:anatomy", row("question", "س", "choices", "ا، ب", "answer", int64(0)), `column "choices"`},
		{"community|madinah_qa:Arabic Language (General)",
			row("Question", "س", "Option 1", "ا", "Option 2", "ب", "Answer Key", "A"), `column "Context" is missing`},
		{"community|aratrust:Ethics", row("Question", "س", "A", "ا", "B", "ب", "C", "ج", "Answer", "B"), "expected one of أ, ب, ج"},
		{"community|alrage_qa", row("question", "س", "candidates", " \n", "gold_answer", "ج"), "holds no passage"},
		{"community|alrage_qa", row("question", nil, "candidates", "ن", "gold_answer", "ج"), `column "question" is null`},
		{"community|alghafa:meta_ar_msa", row("query", "س", "sol1", "ا", "sol2", "ب", "label", "2"), "the right answer is number 2"},
	} {
		task, _ := Lookup(V2, c.task)
		_, err := task.Prompt(c.row, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.task, err, c.want)
		}
	}
}

// TestChoices: in both versions, AlGhafa's options can be scored by their text or by their
// number, with the same prompt. No other task changes.
func TestChoices(t *testing.T) {
	r := row("query", "س", "sol1", "ا", "sol2", "ب ب", "label", "1")
	for _, board := range Leaderboards {
		changed := 0
		for _, task := range All(board) {
			texts, indices := task.Scoring(Texts), task.Scoring(Indices)
			if texts.PromptName == indices.PromptName {
				continue
			}
			changed++
			a, err := texts.Prompt(r, pyrandom.New(1))
			b, err2 := indices.Prompt(r, pyrandom.New(1))
			if err != nil || err2 != nil || a.Query != b.Query || !slices.Equal(a.Choices, []string{"ا", "ب ب"}) ||
				!slices.Equal(b.Choices, []string{"0", "1"}) || b.Gold != 1 {
				t.Errorf("%s: %+v, %v; %+v, %v", task.Key(), a, err, b, err2)
			}
		}
		if want := map[Leaderboard]int{V1: 9 + 6, V2: 9}[board]; changed != want {
			t.Errorf("version %s: %d tasks change, want %d", board, changed, want)
		}
	}
}

func TestMixedVersions(t *testing.T) {
	if _, err := ParseList("oall,oall-v2"); !badinput.Is(err) || !strings.Contains(err.Error(), "separately") {
		t.Errorf("both versions at once: %v", err)
	}
}
