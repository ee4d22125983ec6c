package synth

import (
	"cmp"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/llm"
	"barka/internal/testfiles"
)

// TestLeaksAndMeta: wording about the text and about the task, as models wrote
// it, and wording like it that is about a subject.
func TestLeaksAndMeta(t *testing.T) {
	for text, want := range map[string][2]bool{
		"What is a short answer to the following text?":                             {true, false},
		"What does the passage say?":                                                {true, false},
		"What is the answer?":                                                       {false, true},
		"The answer to this question is: The user can't say.":                       {false, true},
		"What question is this?":                                                    {false, true},
		"What is the Answer to the Ultimate Question of Life in the novel?":         {false, false},
		"Why did the question of slavery divide the states?":                        {false, false},
		"How did Darwin answer the question of how species arise?":                  {false, false},
		"Who wrote the text of the anthem of Egypt?":                                {true, false},
		"Which articles follow in the constitution, and what is the first of them?": {false, false},
	} {
		if got := [2]bool{leak.MatchString(text), meta.MatchString(text)}; got != want {
			t.Errorf("%q: leak and meta %v, want %v", text, got, want)
		}
	}
}

var algiers = dataset.Passage{ID: "p", Title: "Algeria", Section: "Capital", Text: "Algiers is the capital of Algeria and its most " +
	"populous city, with 3,500,000 people in 2011. It lies on the Mediterranean coast, because merchants founded it as a harbour " +
	"in the year 944. Its two oldest quarters are the Casbah and Bab El Oued, whose houses climb the steep hills."}

// checked is a record about algiers whose turn is of the shape.
func checked(t *testing.T, shape string, skip ...string) *record {
	t.Helper()
	kind := &Kind{Name: "k", Shape: shape, Ask: "Ask.", Matches: `\b(?:where|what|why|how|which|\d)\b|capital`}
	if err := kind.prepare(); err != nil {
		t.Fatal(err)
	}
	return recordAbout(t, algiers, "What is the Casbah?", "", skip, func(*Prompts) *Kind { return kind })
}

// recordAbout is a record about a passage after one question, with a set of prompts and a kind.
func recordAbout(t *testing.T, p dataset.Passage, asked, set string, skip []string, kind func(*Prompts) *Kind) *record {
	t.Helper()
	prompts, err := LoadPrompts(set)
	if err != nil {
		t.Fatal(err)
	}
	o := Defaults()
	o.MinAnswerWords, o.SkipChecks = 5, skip
	return &record{w: &writer{o: o, prompts: prompts}, passage: p, source: newSource(p.Title, p.Section, p.Text),
		drawn: drawn{kind: kind(prompts)},
		row:   dataset.Instruction{Messages: []chat.Message{{Role: "user", Content: asked}}}}
}

// told is the instruction about an answer.
const told = "Describe the city in two sentences and name its oldest quarters, one after the other."

const choice = "Which city is the capital of Algeria?\nA) Oran\nB) Algiers\nC) Tunis\nD) Bab El Oued"

// TestChecks has a bad text for every check, which passes when that check is left out.
func TestChecks(t *testing.T) {
	type bad struct{ shape, question, answer string } // without an answer the question is checked
	where := "Where does Algiers lie?"
	cases := map[string]bad{
		"empty_question":      {"", " ", ""},
		"encoding_question":   {"", "Where does Algiers\ufffd lie?", ""},
		"long_question":       {"", "Algiers is the capital of Algeria.\n\nWhere does it lie?", ""},
		"no_question_mark":    {"", "Where Algiers lies", ""},
		"leak_question":       {"", "Where does Algiers lie according to the passage?", ""},
		"script_question":     {shapeStatement, "Algiers is the capital.\nAssistant: Yes, Algiers is.", ""},
		"meta_question":       {"", "Algiers is the capital, so what is the answer?", ""},
		"degenerate_question": {"", "What would you like to know about Algiers?", ""},
		"language_question":   {"", "أين تقع مدينة الجزائر Algiers؟", ""},
		"several_questions":   {"", "Where does Algiers lie, and why was it founded?", ""},
		"text_after_question": {"", "Where does Algiers lie? On the coast.", ""},
		"kind_question":       {"", "Did merchants found Algiers?", ""},
		"circular_question":   {"", "What is the difference between the Casbah and the Casbah?", ""},
		"options_question":    {shapeChoice, "Which city is the capital of Algeria?\nA) Algiers\nB) Algiers\nC) Casbah", ""},
		"statement_question":  {shapeStatement, "Is Algiers the capital of Algeria?", ""},
		"unrelated_question":  {"", "How do neural networks learn languages?", ""},
		"repeated_question":   {"", "what is the Casbah?", ""},

		"empty_answer":     {"", where, "Answer: "},
		"encoding_answer":  {"", where, "It lies on the Mediterranean coast \ufffd of Algeria."},
		"short_answer":     {"", where, "On the coast."},
		"leak_answer":      {"", where, "According to the text, it lies on the Mediterranean coast."},
		"script_answer":    {"", where, "It lies on the Mediterranean coast.\nUser: Which coast?"},
		"meta_answer":      {"", where, "The answer to this question is the Mediterranean coast."},
		"refusal_answer":   {"", where, "I'm sorry, but I do not know where Algiers lies."},
		"assistant_answer": {"", where, "Algiers lies on the Mediterranean coast. Let me know which city comes next."},
		"language_answer":  {"", where, "تقع مدينة الجزائر على ساحل البحر الأبيض المتوسط."},
		"option_answer":    {shapeChoice, choice, "B) Casbah, the capital of Algeria."},
		"verdict_answer":   {shapeStatement, "Algiers is the capital.", "Algiers is the capital of Algeria."},
		"echo_question":    {"", where, "Where does Algiers lie? Algiers does lie."},
		"echo_prompt":      {"", where, "Algiers lies there. Describe the city in two sentences and name its oldest quarters."},
		"circular_answer":  {"", where, "Algiers is a city of Algiers. The Mediterranean coast is the Mediterranean coast, where Algiers lies."},
		"repeated_answer": {"", where,
			"It lies on the Mediterranean coast of Algeria. It lies on the Mediterranean coast of Algeria, as it does."},
		"echo_passage":   {"", where, algiers.Text},
		"unknown_number": {"", where, "It lies on the Mediterranean coast since 1830."},
		"unknown_name":   {"", where, "It lies on the coast near Constantine, a city of merchants."},
		"ungrounded_answer": {"", where,
			"It leverages innovative strategies that synergise coastal stakeholders across multinational frameworks."},
	}
	for _, name := range Checks() {
		c, ok := cases[name]
		if !ok {
			t.Errorf("no case for %s", name)
			continue
		}
		shape := cmp.Or(c.shape, shapeQuestion)
		judge := func(r *record) string {
			_, reason := r.checkQuestion(c.question)
			if c.answer != "" {
				_, reason = r.checkAnswer(data{Question: c.question, Answer: told})(c.answer)
			}
			return reason
		}
		if got := judge(checked(t, shape)); got != name {
			t.Errorf("%s: %+v fails by %q", name, c, got)
		}
		if got := judge(checked(t, shape, name)); got == name {
			t.Errorf("%s: the check is not left out", name)
		}
	}
}

// TestGoodTexts: texts that are worth keeping pass every check.
func TestGoodTexts(t *testing.T) {
	for _, c := range []struct{ shape, question, answer, cleaned string }{
		{shapeQuestion, "Where does Algiers lie?", "It lies on the Mediterranean coast of Algeria.", ""},
		{shapeQuestion, "Why was Algiers founded on the coast?", "<think>The text says\nharbour.</think>\n\nSure, here is the answer:\n" +
			"Merchants founded it in 944 as a harbour.", "Merchants founded it in 944 as a harbour."},
		{shapeQuestion, "How many people lived in Algiers in 2011?", "The user asks.</think>About 3.500.000 people lived in the capital.",
			"About 3.500.000 people lived in the capital."},
		{shapeQuestion, "What are the oldest quarters of Algiers?", "1. The Casbah\n2. Bab El Oued, on the hills", ""},
		{shapeStatement, "Algiers has 2 old quarters.", "True. The Casbah and Bab El Oued are its 2 oldest quarters.", ""},
		{shapeChoice, choice, "B) Algiers. It is the capital of Algeria and its most populous city.", ""},
		{shapeQuestion, "What does the name Casbah stand for in Algiers?", "**Answer:** The Casbah is one of its oldest quarters.",
			"The Casbah is one of its oldest quarters."},
	} {
		r := checked(t, c.shape)
		if q, reason := r.checkQuestion(c.question); reason != "" || q != c.question {
			t.Errorf("%q fails by %q: %q", c.question, reason, q)
		}
		if a, reason := r.checkAnswer(data{Question: c.question, Answer: told})(c.answer); reason != "" || a != cmp.Or(c.cleaned, c.answer) {
			t.Errorf("%q fails by %q: %q", c.answer, reason, a)
		}
	}
}

// TestEchoes: texts that repeat themselves, what was said before or the statement they are
// about, and texts like them that do not.
func TestEchoes(t *testing.T) {
	const lies = "Algiers lies on the Mediterranean coast of Algeria, because merchants founded it."
	r := checked(t, shapeQuestion)
	r.row.Messages = append(r.row.Messages, chat.Message{Role: "assistant", Content: lies})
	check := r.checkAnswer(data{Question: "Why does Algiers lie there?"})
	if _, reason := check(lies + " It is old."); reason != "repeated_answer" {
		t.Errorf("an answer that was given before: %q", reason)
	}
	if _, reason := check("Its oldest quarters are the Casbah and Bab El Oued on the Mediterranean coast of Algeria."); reason != "" {
		t.Errorf("a new answer: %q", reason)
	}
	for text, want := range map[string]bool{
		"Algiers is Algiers.": true, "The Casbah is a part of the Casbah.": true, "It is said that law is a specific branch of law.": true,
		"Anthropology is a branch of anthropology that studies the past.": true,
		"The Casbah is a part of Algiers.":                                false, "Algiers is the capital of Algeria.": false,
		"Law is a branch of knowledge, as it is of legal practice.": false, "What is done is done by merchants.": false,
	} {
		if got := circular(text); got != want {
			t.Errorf("%q: circular %v", text, got)
		}
	}
	for text, want := range map[string]bool{
		"What is the name of the country Algeria?": true, "What is the name of the city of Algiers, where it lies?": true,
		"What is the name of the capital of Algeria?": false, "What is the name of the river that crosses Algiers?": false,
	} {
		if got := named.MatchString(text); got != want {
			t.Errorf("%q: named %v", text, got)
		}
	}
	r = checked(t, shapeStatement)
	r.drawn.kind.Messages = []string{"True or false: {{.Question}}"}
	check = r.checkAnswer(data{Question: "True or false: Algiers is the capital of Algeria."})
	if _, reason := check("False: Algiers is the capital of Algeria."); reason != "echo_question" {
		t.Errorf("a verdict without a reason: %q", reason)
	}
	if _, reason := check("True. Algiers is the capital of Algeria and its most populous city."); reason != "" {
		t.Errorf("a verdict with a reason: %q", reason)
	}
	for _, p := range []string{algiers.Text, coffee.Text} { // what people write does not repeat itself
		if repeated(p) > 0 {
			t.Errorf("%q repeats itself: %g", p, repeated(p))
		}
	}
}

// TestDegenerate: questions as small models write them, and questions like them that are
// about a subject.
func TestDegenerate(t *testing.T) {
	for text, want := range map[string]bool{
		"What is the subject? The answer is: Archaeology.":       true,
		"What topic is this?":                                    true,
		"What is your title?":                                    true,
		"What can I do for you?":                                 true,
		"The question would be: What is the overarching theme?":  true,
		"A question to which the whole text is the answer: Why?": true,
		"What is it?": true,
		"What is the question to answer about Algiers?":           true,
		"What is the topic of Anthropology?":                      true,
		"Which field are people, as you are, interested in?":      true,
		"Why is the subject of alchemy History?":                  true,
		"The user asks: Who was Jabir?":                           true,
		"What is the full title of the essay?":                    true,
		"Why did the question of slavery divide the states?":      false,
		"What was the title of the first Barbary ruler?":          false,
		"Which subjects did the school of Algiers teach?":         false,
		"Could you explain how the Casbah was built?":             false,
		"What is the topic that medical anthropology focuses on?": false,
	} {
		if got := degenerate.MatchString(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestUnfinishedThought: a thought without an end has no text behind it.
func TestUnfinishedThought(t *testing.T) {
	_, reason := checked(t, shapeQuestion).checkAnswer(data{Question: "Where?"})("<think>It lies on the coast of Algeria, I think")
	if reason != "empty_answer" {
		t.Errorf("reason %q", reason)
	}
}

// TestRepair: a text that fails is asked for again in the same conversation, with the
// complaint, and the repaired text is counted. Without repair it is asked for afresh.
func TestRepair(t *testing.T) {
	for _, repair := range []int{0, 1, 2} {
		s := &scripted{answer: func(n int, r llm.Request) (llm.Response, error) {
			switch last := r.Messages[len(r.Messages)-1].Content; {
			case strings.Contains(last, "It is too short."):
				return stop("It lies on the Mediterranean coast, because merchants founded it as a harbour.")
			case strings.Contains(last, "Question: "):
				return stop("There.")
			default:
				return stop("Where does Algiers lie?")
			}
		}}
		o := withConcurrency(Defaults(), 1)
		o.LongChars, o.Repair = 1<<20, repair
		o.Prompts = promptDir(t, map[string]string{kindsFile: `
kinds: [{name: where, ask: Ask where.}]
complaints: {short_answer: It is too short.}
`})
		at := testEnv(t, testfiles.JSONLines(t, algiers))
		m, err := Run(context.Background(), o, Models{Generator: s}, at)
		if err != nil {
			t.Fatal(err)
		}
		if repair == 0 {
			if m.Counts["rejected_short_answer"] != 1 || len(s.calls) != 4 || len(s.calls[3].Messages) != 1 {
				t.Errorf("without repair: %v, %d calls", m.Counts, len(s.calls))
			}
			continue
		}
		if m.Counts["out"] != 1 || m.Counts["repaired"] != 1 || m.Counts["repaired_texts"] != 1 || len(s.calls) != 3 {
			t.Fatalf("repair %d: %v, %d calls", repair, m.Counts, len(s.calls))
		}
		said := s.calls[2].Messages
		if len(said) != 3 || said[0] != s.calls[1].Messages[0] || said[1].Content != "There." || said[2].Role != "user" ||
			s.calls[2].Seed == s.calls[1].Seed {
			t.Errorf("asked again with %+v", said)
		}
		if r := read(t, at.Out)[0]; r.Repaired != 1 || r.CompletionTokens != 15 {
			t.Errorf("row %+v", r)
		}
	}
}

// TestRepairIsBounded: a model that never improves is asked attempts × (1 + repair) times,
// and all of its answers are in rejected/.
func TestRepairIsBounded(t *testing.T) {
	s := &scripted{answer: func(int, llm.Request) (llm.Response, error) { return stop("Tell me about Algiers.") }}
	o := Defaults()
	o.LongChars, o.Attempts, o.Repair = 1<<20, 2, 2
	o.Prompts = promptDir(t, map[string]string{kindsFile: "kinds: [{name: a, ask: b}]\ncomplaints: {no_question_mark: It is none.}\n"})
	at := testEnv(t, testfiles.JSONLines(t, algiers))
	m, err := Run(context.Background(), o, Models{Generator: s}, at)
	if err != nil || m.Counts["rejected_no_question_mark"] != 1 || len(s.calls) != 6 {
		t.Fatalf("%v: %v, %d calls", err, m.Counts, len(s.calls))
	}
	for r, err := range dataset.Rows[rejectedRow](context.Background(), filepath.Join(at.Out, "rejected")) {
		if err != nil || len(r.Answers) != 6 || !strings.Contains(r.Detail, "after 6 calls") {
			t.Errorf("%v: %+v", err, r)
		}
	}
}

// TestArabicVerdicts: a verdict stands at the beginning of its answer, also in Arabic, whose
// letters are no word characters for \W.
func TestArabicVerdicts(t *testing.T) {
	for text, want := range map[string]bool{
		"صحيح. تقع المدينة على الساحل.": true, "«خطأ»، فهي في الداخل.": true, "True: it is.": true,
		"تقع المدينة على الساحل، وهذا صحيح.": false, "الجواب خطأ.": false, "It is true.": false,
	} {
		if got := trueFalse.MatchString(text); got != want {
			t.Errorf("%q begins with a verdict: %t", text, got)
		}
	}
}
