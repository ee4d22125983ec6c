package filter

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/dataset"
)

func row(id, question, answer string) dataset.Instruction {
	return dataset.Instruction{ID: id, Form: dataset.FormQuestion, Language: "arb_Arab", FinishReason: "stop",
		Messages: []chat.Message{{Role: "user", Content: question}, {Role: "assistant", Content: answer}},
		MessagesEN: []chat.Message{{Role: "user", Content: "How is coffee served in the Gulf?"},
			{Role: "assistant", Content: "It is brewed light, scented with cardamom, and poured into small cups without handles."}}}
}

const (
	question = "كيف تقدم القهوة في الخليج العربي؟"
	answer   = "تحضر القهوة خفيفة مع الهيل وتصب في فناجين صغيرة بلا مقابض."
)

// with are options without any rule, changed in the rules of every form.
func with(change func(*Rules)) Options {
	var o Options
	o.Each(change)
	return o
}

// check is the reason that a filter with options o gives against r.
func check(t *testing.T, o Options, r dataset.Instruction) dataset.Reject {
	t.Helper()
	got, err := o.Check(r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestReasons changes one thing of a good row at a time.
func TestReasons(t *testing.T) {
	for _, c := range []struct {
		want   string
		o      Options
		change func(*dataset.Instruction)
	}{
		{"", Defaults(), func(r *dataset.Instruction) {}},
		{"", Seed(), func(r *dataset.Instruction) {}},
		{"no_answer", Options{}, func(r *dataset.Instruction) { r.Messages = r.Messages[:1] }},
		{"role_order", Options{}, func(r *dataset.Instruction) { r.Messages[0].Role = "assistant" }},
		{"empty_message", Options{}, func(r *dataset.Instruction) { r.Messages[1].Content = " \n" }},
		{"truncated", Defaults(), func(r *dataset.Instruction) { r.FinishReason = "length" }},
		{"short_answer", Defaults(), func(r *dataset.Instruction) { r.Messages[1].Content = "نعم بالتأكيد" }},
		{"too_long", Defaults(), func(r *dataset.Instruction) { r.Messages[1].Content = strings.Repeat("كلمة ", 9000) }},
		{"script", Defaults(), func(r *dataset.Instruction) {
			r.Messages[1].Content = "It is brewed light and scented with cardamom نعم"
		}},
		{"length_ratio", Defaults(), func(r *dataset.Instruction) { r.Messages[1].Content = "تصب في فناجين" }},
		{"translation_score", with(func(r *Rules) { r.MinScore = -1 }),
			func(r *dataset.Instruction) { r.Segments = []dataset.Segment{{Score: -2}, {Score: -0.5}} }},
		{"repetition", Defaults(), func(r *dataset.Instruction) {
			r.Messages[1].Content = strings.Repeat("القهوة في فناجين صغيرة ", 5)
		}},
		{"leak", Defaults(), func(r *dataset.Instruction) { r.MessagesEN[1].Content += " This is said in the text." }},
		{"", Defaults(), func(r *dataset.Instruction) { r.MessagesEN[1].Content += " The text of the treaty says so." }},
		{"leak", Defaults(), func(r *dataset.Instruction) {
			r.Messages[1].Content = "وفقا للنص تحضر القهوة خفيفة مع الهيل."
		}},
		{"seed_text_in_question", Seed(), func(r *dataset.Instruction) { r.MessagesEN[0].Content = "How does the text describe coffee?" }},
		{"seed_short_answer", Seed(), func(r *dataset.Instruction) {
			r.MessagesEN[1].Content = "It is poured into one two three four five six."
		}},
		{"seed_unk", Seed(), func(r *dataset.Instruction) { r.Messages[1].Content += " <unk>" }},
		{"seed_latin_start", Seed(), func(r *dataset.Instruction) { r.Messages[0].Content = "Coffee ؟" }},
	} {
		r := row("1", question, answer)
		c.change(&r)
		if got := check(t, c.o, r); got.Reason != c.want {
			t.Errorf("reason %q (%s), want %q", got.Reason, got.Detail, c.want)
		}
	}
}

// talk is a translated row: turns of the user and the assistant, Arabic then
// English.
func talk(form string, ar, en []string) dataset.Instruction {
	r := dataset.Instruction{ID: "1", Form: form, Language: "arb_Arab"}
	for i := range ar {
		role := []string{"user", "assistant"}[i%2]
		r.Messages = append(r.Messages, chat.Message{Role: role, Content: ar[i]})
		r.MessagesEN = append(r.MessagesEN, chat.Message{Role: role, Content: en[i]})
	}
	return r
}

// TestForms: what is right in one form is a defect in another.
func TestForms(t *testing.T) {
	const (
		ask, askEN = "« انتظرت سلمى في الميناء طوال الصباح. »\n\nماذا يخبرنا المقطع التالي؟\n1. مدرسة\n2. ميناء",
			"« Salma waited at the harbour all morning. »\n\nWhat does the passage tell us?\n1. School\n2. Harbour"
		sumEN = "She sells 1,080 eggs.\nThe answer is 1,080."
	)
	circles := strings.Repeat("وبعد ذلك ذهب إلى السوق ", 8)
	for _, c := range []struct {
		name, form, want string
		ar, en           []string
	}{
		{"a short answer and the passage in the question", dataset.FormReading, "", []string{ask, "2) ميناء"},
			[]string{askEN, "2) Harbour"}},
		{"the same without the passage", dataset.FormQuestion, "short_answer", []string{ask, "2) ميناء"}, []string{askEN, "2) Harbour"}},
		{"a leak in a conversation", dataset.FormConversation, "leak",
			[]string{question, answer, "ماذا يقول المقطع التالي؟", answer}, []string{"Coffee in the Gulf?", sumEN, "What is said?", sumEN}},
		{"the answer has other words than the option", dataset.FormChoice, "options", []string{ask, "2) مرفأ"},
			[]string{askEN, "2) Harbour"}},
		{"options run together", dataset.FormChoice, "options",
			[]string{strings.ReplaceAll(ask, "\n2.", " 2."), "2) ميناء"}, []string{askEN, "2) Harbour"}},
		{"a list in the text, run together", dataset.FormReading, "",
			[]string{"« 1. اشرب 2. نم »\n\nماذا؟\n1. مدرسة\n2. ميناء",
				"2) ميناء"}, []string{"« 1. Drink\n2. Sleep »\n\nWhat?\n1. School\n2. Harbour", "2) Harbour"}},
		{"the option on a line of its own", dataset.FormChoice, "",
			[]string{ask, "الخيار الثاني صحيح:\n2. ميناء\nلأن السفن هناك."}, []string{askEN,
				"The second option is correct:\n2. Harbour\nShips are there."}},
		{"letters", dataset.FormChoice, "options", []string{"أين؟\nA) ميناء\nB) سوق", "B) مرفأ"},
			[]string{"Where?\nA) Harbour\nB) Market", "B) Market"}},
		{"dashes", dataset.FormChoice, "options", []string{"أين؟\n- ميناء", "ميناء"}, []string{"Where?\n- Harbour\n- Market", "Harbour"}},
		{"the option alone", dataset.FormChoice, "", []string{ask, "ميناء"}, []string{askEN, "Harbour"}},
		{"no options in the source", dataset.FormReading, "", []string{question, "صحيح، الإجابة هي نعم."},
			[]string{"Is coffee served in the Gulf?", "True, the answer is yes."}},
		{"the same result in other digits", dataset.FormArithmetic, "",
			[]string{question, "تبيع ١٬٠٨٠ بيضة. الإجابة هي ١٬٠٨٠."}, []string{askEN, sumEN}},
		{"another result", dataset.FormArithmetic, "result", []string{question, "تبيع 1080 بيضة. الإجابة هي 1,008."},
			[]string{askEN, sumEN}},
		{"no result", dataset.FormArithmetic, "result", []string{question, "تبيع ألفا وثمانين بيضة بالضبط."}, []string{askEN, sumEN}},
		{"a translation in circles", dataset.FormArithmetic, "repetition", []string{circles, "5"},
			[]string{"He went to the market and then he went to the market again, and on the way there he ate an apple " +
				"and a cake, and paid for it. How many?", "5"}},
		{"a source in circles", dataset.FormArithmetic, "", []string{circles, "5"},
			[]string{strings.Repeat("and then he went to the market ", 8), "5"}},
		{"code", dataset.FormInstruction, "",
			[]string{"اطبع مرحبا:\n```\nprint('hello, world, how are you?')\n```",
				"نعم"}, []string{"Print hello:\n```\nprint('hello, world, how are you?')\n```", "Yes"}},
		{"untranslated", dataset.FormChoice, "script",
			[]string{"Which object is a conductor?\n1. wood\n2. wire",
				"2) wire"}, []string{"Which object is a conductor?\n1. wood\n2. wire", "2) wire"}},
	} {
		if got := check(t, Defaults(), talk(c.form, c.ar, c.en)); got.Reason != c.want {
			t.Errorf("%s (%s): reason %q (%s), want %q", c.name, c.form, got.Reason, got.Detail, c.want)
		}
	}
}

// TestPeopleRepeat: the words of a benchmark are no defect, those of a model
// are, in its answers.
func TestPeopleRepeat(t *testing.T) {
	circles := strings.Repeat("and then it went to the shop ", 8)
	for form, want := range map[string]string{dataset.FormArithmetic: "", dataset.FormReading: "",
		dataset.FormChoice: "", dataset.FormInstruction: "repetition", dataset.FormQuestion: "repetition"} {
		r := dataset.Instruction{ID: "1", Form: form, Language: "eng_Latn",
			Messages: []chat.Message{{Role: "user", Content: circles}, {Role: "assistant", Content: circles}}}
		if got := check(t, Defaults(), r); got.Reason != want {
			t.Errorf("%s: %q, want %q", form, got.Reason, want)
		}
		if r.Messages[1].Content = "It went to the shop."; check(t, Defaults(), r) != pass {
			t.Errorf("%s: a question that repeats itself was dropped", form)
		}
	}
}

// TestSeedRulesAreOfTheWiki: the original applied its rules for questions and
// answers to its single questions about Wikipedia alone.
func TestSeedRulesAreOfTheWiki(t *testing.T) {
	for _, form := range dataset.Forms() {
		r := row("1", question, "نعم")
		r.Form, r.MessagesEN[0].Content, r.MessagesEN[1].Content = form, "What does the text say?", "Yes"
		if got := check(t, Seed(), r); (got.Reason == "seed_text_in_question") != (form == dataset.FormQuestion) ||
			form != dataset.FormQuestion && got != pass {
			t.Errorf("%s: %+v", form, got)
		}
	}
}

// TestRowsWithoutForm are those of other programs.
func TestRowsWithoutForm(t *testing.T) {
	r := row("1", question, "نعم")
	r.Form = ""
	if got := check(t, Defaults(), r); got.Reason != "length_ratio" {
		t.Errorf("a row of any origin: %+v", got)
	}
	r.PassageID = "p"
	if got := check(t, Defaults(), r); got.Reason != "short_answer" {
		t.Errorf("a row about a passage: %+v", got)
	}
	r.Form = "essay"
	o := Defaults()
	if _, err := o.Check(r); !badinput.Is(err) || !strings.Contains(err.Error(), "essay") {
		t.Errorf("a form that is none: %v", err)
	}
}

// TestSystemMessages are kept: training decides whether a model can take them.
func TestSystemMessages(t *testing.T) {
	r := row("1", question, answer)
	r.Form = dataset.FormInstruction
	r.Messages = append([]chat.Message{{Role: "system", Content: "أجب باختصار."}}, r.Messages...)
	r.MessagesEN = append([]chat.Message{{Role: "system", Content: "Be brief."}}, r.MessagesEN...)
	if got := check(t, Defaults(), r); got != pass {
		t.Errorf("%+v", got)
	}
}

// TestSettings: a key of its own is for every form, one below a form for that,
// and a preset is what they start from.
func TestSettings(t *testing.T) {
	o := Defaults()
	if err := json.Unmarshal([]byte(`{"min_answer_words": 5, "reading": {"min_answer_words": 1, "leaks": true}, "duplicates": false}`),
		&o); err != nil {
		t.Fatal(err)
	}
	if o.Choice.MinAnswerWords != 5 || o.Reading.MinAnswerWords != 1 || !o.Reading.Leaks ||
		o.Reading.MinScriptShare != 0.75 || o.Duplicates || !o.Question.Leaks {
		t.Errorf("%+v", o)
	}
	if err := json.Unmarshal([]byte(`{"preset": "seed", "duplicates": true}`), &o); err != nil {
		t.Fatal(err)
	}
	want := Seed()
	want.Duplicates = true
	if !reflect.DeepEqual(o, want) {
		t.Errorf("%+v", o)
	}
	if err := json.Unmarshal([]byte(`{"preset": "sed"}`), &o); !badinput.Is(err) || !strings.Contains(err.Error(), "sed") {
		t.Errorf("another preset: %v", err)
	}
	// What is written down reads back as the same.
	text, err := json.Marshal(Defaults())
	if err != nil {
		t.Fatal(err)
	}
	var back Options
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, Defaults()) {
		t.Errorf("%v: %s", err, text)
	}
}

func TestValidate(t *testing.T) {
	for _, r := range []Rules{{MinScriptShare: 2}, {MinAnswerWords: -1}, {MinLengthRatio: 2, MaxLengthRatio: 1}, {MinScore: 1}} {
		if err := (Options{Reading: r}).Validate(); !badinput.Is(err) || !strings.Contains(err.Error(), "reading") {
			t.Errorf("%+v: %v", r, err)
		}
	}
}
