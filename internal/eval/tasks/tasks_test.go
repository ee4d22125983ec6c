package tasks

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"

	"barka/internal/badinput"
	"barka/internal/pyrandom"
)

func TestTable(t *testing.T) {
	docs, requests := 0, 0
	digests := xxhash.New()
	repos := map[string]int{}
	for _, task := range All(V1) {
		docs += task.Docs
		requests += task.Docs * task.Choices
		digests.WriteString(task.PromptsDigest)
		repos[task.Repo]++
	}
	// The published run's own counts and digest.
	if docs != 85887 || requests != 287315 {
		t.Errorf("%d questions, %d choices; want 85887, 287315", docs, requests)
	}
	if got := digests.Sum64(); got != 0xf3f05fc95b7ed68f {
		t.Errorf("digest of the table %016x, want f3f05fc95b7ed68f", got)
	}
	want := map[string]int{"OALL/Arabic_MMLU": 57, "OALL/ACVA": 58, "OALL/Arabic_EXAMS": 1, native: 9, translated: 11,
		"juletxara/xstory_cloze": 1}
	if diff := cmp.Diff(want, repos); diff != "" {
		t.Error(diff)
	}
	if len(MMLUSubjects) != 57 || len(ExamsSubjects) != 5 {
		t.Errorf("%d and %d subjects, want 57 and 5", len(MMLUSubjects), len(ExamsSubjects))
	}
}

func row(pairs ...any) Row {
	var r Row
	for i := 0; i < len(pairs); i += 2 {
		r.Columns = append(r.Columns, pairs[i].(string))
		r.Values = append(r.Values, pairs[i+1])
	}
	return r
}

// promptCase is a row of a task and its expected question.
type promptCase struct {
	task string
	row  Row
	want Doc
}

// cases holds a synthetic row for every prompt function. The expected prompts of MMLU,
// EXAMS and ACVA are verified by the published digests; the others follow the
// specification's templates character by character.
var cases = []promptCase{
	{"community|arabic_mmlu:anatomy", row("question", "كم؟", "A", "1", "B", "2", "C", "3", "D", "4", "answer", "C", "subject", "علم_الفلك"),
		Doc{"الأسئلة التالية هي أسئلة متعددة الإختيارات مع الجواب الصحيح حول علم الفلك. \n\nكم؟\nأ. 1\nب. 2\nج. 3\nد. 4\nالإجابة:",
			"الأسئلة التالية هي أسئلة متعددة الإختيارات مع الجواب الصحيح حول علم الفلك. \n\n", arabicLetters, 2}},
	{"community|arabic_exams", row("id", "x", "question", "كم؟", "A", "1", "B", "2", "C", "3", "D", "4", "answer",
		"A", "subject", "العلوم"),
		Doc{"الأسئلة التالية هي أسئلة متعددة الإختيارات مع الجواب الصحيح حول العلوم. \n\nالسؤال: كم؟\n أ) 1\n\n ب) " +
			"2\n\n ج) 3\n\n د) 4\n\nالإجابة:",
			"الأسئلة التالية هي أسئلة متعددة الإختيارات مع الجواب الصحيح حول العلوم. \n\n", arabicLetters, 0}},
	{"community|acva:Iraq", row("id", "Iraq-1", "question", "بغداد عاصمة العراق.", "answer", "صح"),
		Doc{"السؤال: بغداد عاصمة العراق.\nالإجابة:", "", []string{"صح", "خطأ"}, 0}},
	{"community|race_ar", row("query", "س", "sol1", "ا", "sol2", "ب ب", "sol3", "ج", "label", "1"),
		Doc{"الأسئلة التالية هي أسئلة متعددة الإختيارات مع الجواب الصحيح\n\nالسؤال: س\n0) ا\n1) ب ب\n2) ج\nالإجابة:",
			"الأسئلة التالية هي أسئلة متعددة الإختيارات مع الجواب الصحيح\n\n", []string{"ا", "ب ب", "ج"}, 1}},
	{"community|boolq_ar", row("question", "س؟", "passage", "نص", "answer", false),
		Doc{"بناء على المقطع التالي، أجب عن السؤال ب نعم أو لا\n    المقطع :\n    نص\n    السؤال:\n    س؟\n    الإجابة:\n    ",
			"بناء على المقطع التالي، أجب عن السؤال ب نعم أو لا", []string{"نعم", "لا"}, 1}},
	{"community|copa_ext_ar", row("premise", "سقط", "choice1", "زلق", "choice2", "نام", "question", "cause", "label", int64(0)),
		Doc{"سقط، لأن :\n0) زلق\n1) نام\nالإجابة:", "", []string{"زلق", "نام"}, 0}},
	{"community|hellaswag_okapi_ar", row("ctx", "[header] نص [a\nb]", "endings", `['[x] أ', "ب's"]`, "label", "1"),
		Doc{"بناء على السياق التالي، اختر النهاية الصحيحة من الاقتراحات التالية\n    السياق:\n     نص [a\nb]\n    " +
			"الاقتراحات:\n\n    0)  أ\n1) ب's\nالإجابة:",
			"بناء على السياق التالي، اختر النهاية الصحيحة من الاقتراحات التالية", []string{" أ", "ب's"}, 1}},
	{"community|toxigen_ar", row("text", "نص", "toxicity_ai", 3.0, "toxicity_human", 2.6),
		Doc{"هل العبارة التالية تحض على الكراهية؟ قم بالرد بـ\"نعم\" أو \"لا\".\n    العبارة:\n    'نص'\n    الإجابة:\n    ",
			`هل العبارة التالية تحض على الكراهية؟ قم بالرد بـ"نعم" أو "لا".`, []string{"لا", "نعم"}, 1}},
	// random.Random(1234).shuffle(["ا", "ب", "ج", "د"]) in CPython.
	{"community|sciq_ar", row("support", "نص", "question", "س", "correct_answer", "د", "distractor1", "ا",
		"distractor2", "ب", "distractor3", "ج"),
		Doc{"بناءً على السياق أدناه، اختر الإجابة الصحيحة للسؤال التالي من قائمة الاقتراحات\n    السياق:\n    نص\n    " +
			"السؤال:\n    س\n    الإجابات المحتملة:\n\n    0) ب\n1) ج\n2) ا\n3) د\nالإجابة:",
			"بناءً على السياق أدناه، اختر الإجابة الصحيحة للسؤال التالي من قائمة الاقتراحات", []string{"ب", "ج", "ا", "د"}, 3}},
	{"lighteval|xstory_cloze:ar", row("input_sentence_1", "ا.", "input_sentence_2", "ب.", "input_sentence_3", "ج.",
		"input_sentence_4", "د.", "sentence_quiz1", "ه.", "sentence_quiz2", "و.", "answer_right_ending", int64(2)),
		Doc{"ا. ب. ج. د.", "", []string{" ه.", " و."}, 1}},
	{"lighteval|xstory_cloze:ar", row("InputStoryid", "1", "InputSentence1", "ا.", "InputSentence2", "ب.",
		"InputSentence3", "ج.", "InputSentence4", "د.", "RandomFifthSentenceQuiz1", "ه.", "RandomFifthSentenceQuiz2",
		"و.", "AnswerRightEnding", "1"),
		Doc{"ا. ب. ج. د.", "", []string{" ه.", " و."}, 0}},
}

func TestPrompts(t *testing.T) { checkPrompts(t, V1, cases) }

// checkPrompts compares the questions of a leaderboard's cases. Every prompt function must
// have one.
func checkPrompts(t *testing.T, board Leaderboard, cases []promptCase) {
	t.Helper()
	seen := map[string]bool{}
	for _, c := range cases {
		task, ok := Lookup(board, c.task)
		if !ok {
			t.Fatalf("no task %s", c.task)
		}
		seen[task.PromptName] = true
		got, err := task.Prompt(c.row, pyrandom.New(SciQSeed))
		if err != nil {
			t.Errorf("%s: %v", c.task, err)
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s:\n%s", c.task, diff)
		}
		if !strings.HasPrefix(got.Query, got.Instruction) {
			t.Errorf("%s: the prompt does not begin with its instruction", c.task)
		}
	}
	for _, task := range All(board) {
		if !seen[task.PromptName] {
			t.Errorf("prompt function %s has no case", task.PromptName)
		}
	}
}

func TestBadRows(t *testing.T) {
	for _, c := range []struct {
		task string
		row  Row
		want string
	}{
		{"community|acva:Iraq", row("question", "س"), `column "answer" is missing; the file has question`},
		{"community|acva:Iraq", row("question", "س", "answer", "نعم"), "expected one of صح, خطأ"},
		{"community|acva:Iraq", row("question", nil, "answer", "صح"), `column "question" is null`},
		{"community|arabic_mmlu:anatomy", row("question", "س", "A", "1", "B", "2", "C", "3", "D", "4", "answer", "E",
			"subject", "x"), "expected one of A, B, C, D"},
		{"community|race_ar", row("query", "س", "sol1", "ا", "sol2", "", "label", "0"), "choice 1 (counted from 0) is empty"},
		{"community|race_ar", row("query", "س", "sol1", "ا", "sol2", "ب", "label", "2"), "the right answer is number 2"},
		{"community|race_ar", row("query", "س", "sol1", "ا", "sol2", "ب", "label", "-1"), "the right answer is number -1"},
		{"community|race_ar", row("query", "س", "sol1", "ا", "option2", "ب", "label", "0"), `unexpected column "option2"`},
		{"community|race_ar", row("query", "س", "sol1", "ا", "label", "0"), "1 choices"},
		{"community|boolq_ar", row("question", "س", "passage", "ن", "answer", "maybe"), "expected true or false"},
		{"community|copa_ext_ar", row("premise", "س", "choice1", "ا", "choice2", "ب", "question", "why", "label",
			"0"), "expected one of cause, effect"},
		{"community|hellaswag_okapi_ar", row("ctx", "س", "endings", "['ا', 'ب'", "label", "0"), "not closed"},
		{"community|hellaswag_okapi_ar", row("ctx", "س", "endings", `['ا', '[ب]']`, "label", "0"), "is empty"},
		{"community|toxigen_ar", row("text", "س", "toxicity_ai", "high", "toxicity_human", 1.0), "expected a number"},
		{"lighteval|xstory_cloze:ar", row("input_sentence_1", "ا"), `column "input_sentence_2" is missing`},
	} {
		task, _ := Lookup(V1, c.task)
		_, err := task.Prompt(c.row, pyrandom.New(SciQSeed))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.task, err, c.want)
		}
	}
}

func TestParseList(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tasks.txt")
	list := "# a comment\n\ncommunity|race_ar|0|1\r\nlighteval|xstory_cloze:ar|0|0\n" +
		"community|race_ar|5|1\ncommunity|race_ar|0|1\n"
	if err := os.WriteFile(path, []byte(list), 0o644); err != nil {
		t.Fatal(err)
	}
	type selection struct {
		Key   string
		Shots []Shots
	}
	for arg, want := range map[string][]selection{
		path: {{"community|race_ar", []Shots{{0, true}, {5, true}}}, {"lighteval|xstory_cloze:ar", []Shots{{0, false}}}},
		"lighteval|xstory_cloze:ar|0|0, community|copa_ext_ar|2|0": {{"community|copa_ext_ar", []Shots{{2, false}}},
			{"lighteval|xstory_cloze:ar", []Shots{{0, false}}}},
		"race_ar,acva:Iraq":                  {{"community|acva:Iraq", []Shots{{0, true}}}, {"community|race_ar", []Shots{{0, true}}}},
		"community|arabic_mmlu_mt:anatomy|0": {{"community|arabic_mmlu:anatomy", []Shots{{0, false}}}},
		// If one task is only in version 2, the others are taken from version 2 too.
		"community|arabic_mmlu:Islamic Studies (High School)|0|0,arabic_exams": {
			{"community|arabic_exams", []Shots{{0, false}}}, {"community|arabic_mmlu:Islamic Studies (High School)", []Shots{{0, false}}}},
	} {
		selections, err := ParseList(arg)
		if err != nil {
			t.Errorf("%s: %v", arg, err)
			continue
		}
		var got []selection
		for _, s := range selections {
			got = append(got, selection{s.Task.Key(), s.Shots})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", arg, diff)
		}
	}
	for group, want := range map[string]int{"oall": 137, "leaderboard": 135, "acva": 58, "arabic_mmlu": 57,
		"alghafa": 9, DefaultList(V1): 137,
		"oall-v2": 118, DefaultList(V2): 118, "oall-v2:arabic_mmlu": 40, "arabic_mmlu_ht": 57, "madinah_qa": 2, "aratrust": 8,
		"oall-v2:alghafa": 9, "arabic_mmlu,alrage_qa": 41} {
		arg := strings.ReplaceAll(group, "\n", ",")
		if got, err := ParseList(arg); err != nil || len(got) != want {
			t.Errorf("%.20s: %d tasks, %v; want %d", arg, len(got), err, want)
		}
	}
	for arg, want := range map[string]string{
		"rase_ar":                                     `did you mean "race_ar"`,
		"community|race|0|1":                          `no task "community|race"`,
		"community|race_ar|x|1":                       `number of shots is "x"`,
		"community|race_ar|-1|1":                      `number of shots is "-1"`,
		"community|race_ar|0|yes":                     `truncate is "yes"`,
		"community|race_ar":                           "2 fields",
		"community|race_ar|0|1,community|race_ar|0|0": "selected twice",
		"race_ar,aratrust":                            `"aratrust" belongs to version oall-v2`,
		"aratrust,race_ar":                            `"race_ar" belongs to version oall `,
		"acva,arabic_exams,alrage_qa":                 `run them separately`,
		"aratrust,rase_ar":                            `did you mean "race_ar"`,
		"aratrust:Trustfullness":                      `did you mean "aratrust:Trustfulness"`,
		"":                                            "the task list is empty",
		"no/such/file.txt":                            "no such file",
	} {
		if _, err := ParseList(arg); !badinput.Is(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want bad input with %q", arg, err, want)
		}
	}
}

func TestWithShots(t *testing.T) {
	selected, err := ParseList("race_ar, community|piqa_ar|0|0, community|piqa_ar|2|1")
	if err != nil {
		t.Fatal(err)
	}
	got := WithShots(selected, 5)
	if len(got) != 2 || len(got[0].Shots) != 1 || got[0].Shots[0] != (Shots{5, false}) || got[1].Shots[0] != (Shots{5, true}) {
		t.Errorf("WithShots: %+v", got)
	}
	if len(selected[0].Shots) != 2 {
		t.Errorf("the selection itself changed: %+v", selected)
	}
}

func TestWriteList(t *testing.T) {
	var b strings.Builder
	if err := WriteList(&b); err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(" {2,}").ReplaceAllString(b.String(), "\t")
	for _, want := range []string{"oall\t137 tasks\t85887 questions", "acva\t58 tasks\t8710 questions", "\nrace_ar\t",
		"OALL/ACVA", "oall-v2\t118 tasks\n", "oall-v2:arabic_mmlu\t40 tasks\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the list lacks %q", want)
		}
	}
	// Every printed name is accepted, with the meaning that the list gives.
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if f[0] == "" {
			continue
		}
		got, err := ParseList(f[0])
		if err != nil {
			t.Error(err)
			continue
		}
		if strings.HasPrefix(f[0], string(V2)) != (got[0].Task.Leaderboard == V2) {
			t.Errorf("%s is a task of version %s", f[0], got[0].Task.Leaderboard)
		}
		if n, ok := strings.CutSuffix(f[1], " tasks"); ok && n != fmt.Sprint(len(got)) {
			t.Errorf("%s: %s tasks listed, %d taken", f[0], n, len(got))
		}
	}
}

func FuzzParseList(f *testing.F) {
	f.Add("community|race_ar|0|1,acva")
	f.Add("# x")
	f.Fuzz(func(t *testing.T, s string) {
		selections, err := parseEntries(strings.Split(s, ","), func(int) string { return "entry" })
		if err == nil && len(selections) == 0 {
			t.Errorf("%q: no tasks and no error", s)
		}
	})
}

func TestExampleSplit(t *testing.T) {
	for name, want := range map[string]string{
		"arabic_mmlu:anatomy": "dev", "acva:Yemen": "validation", "xstory_cloze:ar": "training", "oall-v2:arabic_mmlu_ht:anatomy": "",
	} {
		found, err := ParseList(name)
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %v, %v", name, found, err)
		}
		if got := found[0].Task.ExampleSplit(); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
