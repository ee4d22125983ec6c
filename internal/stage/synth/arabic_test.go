package synth

import (
	"context"
	"slices"
	"strings"
	"testing"

	"barka/internal/dataset"
	"barka/internal/llm"
	"barka/internal/testfiles"
)

var coffee = dataset.Passage{ID: "p", Title: "القهوة", Section: "التاريخ", Licence: "CC BY-SA 4.0", Text: "نشأت القهوة في اليمن في القرن " +
	"الخامس عشر، حيث شربها المتصوفة لتعينهم على السهر في الليل. ثم انتقلت إلى مكة والقاهرة، ومنهما إلى إسطنبول سنة 1555، فانتشرت " +
	"فيها المقاهي. وتُحمَّص حبوبها وتُطحن وتُغلى في الماء، ويضيف إليها أهل الخليج الهيل والزعفران."}

// arabicRecord is a record about coffee with the built-in Arabic prompts.
func arabicRecord(t *testing.T, kind string, skip ...string) *record {
	t.Helper()
	return recordAbout(t, coffee, "أين نشأت القهوة؟", "arabic", skip, func(p *Prompts) *Kind {
		return p.Kinds[slices.IndexFunc(p.Kinds, func(k *Kind) bool { return k.Name == kind })]
	})
}

// TestArabicChecks: the checks find in Arabic what they find in English.
func TestArabicChecks(t *testing.T) {
	const why = "لماذا شرب المتصوفة القهوة؟"
	for _, c := range []struct{ kind, question, answer, want string }{
		{"why", why, "شربوها لتعينهم على السهر في الليل.", ""},
		{"fact", "متى انتقلت القهوة إلى إسطنبول؟", "انتقلت إليها سنة ١٥٥٥ وانتشرت فيها المقاهي.", ""},
		{"how", "كيف تحضر القهوة وتغلى؟", "بالتأكيد! إليك الجواب:\nتحمص حبوب القهوة وتطحن ثم تغلى بالماء.", ""},
		{"list", "ما الذي يضيفه أهل الخليج إلى القهوة؟", "- الهيل الذي يضيفونه\n- الزعفران كذلك", ""},
		{"multiple_choice", "أين نشأت قهوة المتصوفة؟\nأ) مكة\nب) اليمن\nج) القاهرة\nد) إسطنبول", "ب) اليمن، حيث شربها المتصوفة ليلا.", ""},
		{"true_false", "نشأت القهوة في القاهرة.", "خطأ، فقد نشأت القهوة في اليمن.", ""},

		{"why", "ماذا يقول النص عن القهوة؟", "", "leak_question"},
		{"why", "لماذا انتشرت القهوة بحسب الفقرة؟", "", "leak_question"},
		{"why", "لماذا انتشرت القهوة وفقاً للنَّصّ؟", "", "leak_question"},
		{"why", "ما هي الإجابة على هذا السؤال؟", "", "meta_question"},
		{"why", "هل تريد معرفة المزيد عن القهوة؟", "", "degenerate_question"},
		{"why", "لماذا نشأت القهوة في اليمن وكيف انتقلت إلى مكة؟", "", "several_questions"},
		{"why", "لماذا شربت القهوة؟ ومتى انتشرت؟", "", "several_questions"},
		{"why", "متى نشأت القهوة في اليمن؟", "", "kind_question"},
		{"how", "لماذا نشأت القهوة في اليمن؟", "", "kind_question"},
		{"compare", "ما الفرق بين القهوة والقهوة؟", "", "circular_question"},
		{"why", "لماذا ترتفع أسعار النفط عالميا؟", "", "unrelated_question"},
		{"why", "Why was coffee served in Yemen?", "", "language_question"},
		{"why", "أين نشأت القهوة؟", "", "kind_question"},
		{"fact", "أين نشأت القهوة؟", "", "repeated_question"},
		{"multiple_choice", "أين نشأت قهوة المتصوفة؟\nأ) مكة\nب) مكة\nج) القاهرة", "", "options_question"},

		{"why", why, "يذكر النص أنهم شربوها للسهر في الليل.", "leak_answer"},
		{"why", why, "كما ورد أعلاه، شربوها للسهر في الليل.", "leak_answer"},
		{"why", why, "عذراً، لا أستطيع الإجابة عن ذلك الآن.", "refusal_answer"},
		{"why", why, "بصفتي نموذجا لغويا لا أشرب القهوة ليلا.", "refusal_answer"},
		{"why", why, "شربوها للسهر في الليل. لا تتردد في طرح المزيد.", "assistant_answer"},
		{"why", why, "شرب المتصوفة القهوة، نعم شرب المتصوفة القهوة.", "echo_question"},
		{"why", why, "شربوها في الليل منذ سنة 1200 للسهر.", "unknown_number"},
		{"why", why, "يرجع ذلك إلى انخفاض معدلات التضخم وارتفاع عوائد السندات الحكومية.", "ungrounded_answer"},
		{"why", why, "شربوها لتعينهم على السهر في الليل. شربوها لتعينهم على السهر في الليل.", "repeated_answer"},
		{"multiple_choice", "أين نشأت قهوة المتصوفة؟\nأ) مكة\nب) اليمن\nج) القاهرة", "اليمن هو موطن القهوة الأول للمتصوفة.", "option_answer"},
		{"true_false", "نشأت القهوة في القاهرة.", "نشأت القهوة في اليمن أولا.", "verdict_answer"},
	} {
		r := arabicRecord(t, c.kind)
		var reason string
		if c.answer == "" || c.want == "" {
			if _, reason = r.checkQuestion(c.question); c.answer != "" && reason != "" {
				t.Errorf("question %q fails by %q", c.question, reason)
			}
		}
		if c.answer != "" {
			_, reason = r.checkAnswer(data{Question: c.question, Answer: r.drawn.kind.Answer})(c.answer)
		}
		if reason != c.want {
			t.Errorf("%q, %q: reason %q, want %q", c.question, c.answer, reason, c.want)
		}
	}
}

// TestArabicStem: forms of a word that Arabic writes together with particles, the article
// and pronouns count as the same word.
func TestArabicStem(t *testing.T) {
	for _, forms := range [][]string{
		{"القهوة", "قهوة", "والقهوة", "بالقهوة", "للقهوة", "القَهْوَةِ", "بقهوة"},
		{"المقاهي", "مقاهي", "ومقاهيها"}, {"إسطنبول", "اسطنبول", "وإسطنبول", "لإسطنبول"}, {"مصر", "ومصر", "بمصر"},
		{"مستشفى", "مستشفي", "المستشفى"}, {"مهندسون", "المهندسين", "مهندس"}, {"معلمات", "المعلمات", "معلمة"},
	} {
		s := newSource(forms[0])
		for _, form := range forms {
			if s.share(form) != 1 {
				t.Errorf("%s is not known as a form of %s: %v, %v", form, forms[0], contentWords(form), s.words)
			}
		}
	}
	if s := newSource("قلب كلب فقير"); s.share("لب كسب فراق") != 0 {
		t.Errorf("other words count as known: %v", contentWords("لب كسب فراق"))
	}
}

// TestArabicSet runs the built-in Arabic prompts with a scripted endpoint: kinds, forms,
// complaints and the judge's rubric are in Arabic, and a text that fails is repaired.
func TestArabicSet(t *testing.T) {
	s := &scripted{}
	s.answer = func(_ int, r llm.Request) (llm.Response, error) {
		if len(r.Messages) == 1 && !strings.Contains(r.Messages[0].Content, "السؤال: ") {
			return stop("لماذا شرب المتصوفة القهوة بحسب النص؟")
		}
		if len(r.Messages) == 3 {
			return stop("لماذا شرب المتصوفة القهوة؟")
		}
		return stop("شرب المتصوفة القهوة لتعينهم على السهر في الليل، ثم انتشرت في مكة والقاهرة.")
	}
	judge := verdicts(func(int, string) string { return "الجواب صحيح يؤيده النص.\nالدرجة: ٥" })
	o := withConcurrency(Defaults(), 1)
	o.Prompts, o.LongChars = "arabic", 1<<20
	at := testEnv(t, testfiles.JSONLines(t, coffee))
	for seed := range int64(200) { // one that draws the kind why
		p, err := LoadPrompts("arabic")
		if err != nil {
			t.Fatal(err)
		}
		if at.Seed = seed; p.draw(drawSeed(seed, coffee.ID, 0), false).kind.Name == "why" {
			break
		}
	}
	m, err := Run(context.Background(), o, Models{s, judge}, at)
	if err != nil || m.Counts["out"] != 1 || m.Counts["kind_why"] != 1 || m.Counts["repaired_texts"] != 1 {
		t.Fatalf("%v: %v", err, m)
	}
	r := read(t, at.Out)[0]
	if r.Language != "arb_Arab" || r.JudgeScore != 5 || r.JudgeReason != "الجواب صحيح يؤيده النص." ||
		r.Messages[0].Content != "لماذا شرب المتصوفة القهوة؟" {
		t.Errorf("row %+v", r)
	}
	for i, want := range []string{"يبدأ بكلمة «لماذا»", "القارئ لم يره", "اذكر السبب"} {
		said := s.calls[i].Messages
		if !strings.Contains(said[len(said)-1].Content, want) {
			t.Errorf("call %d is %q, without %q", i, said[len(said)-1].Content, want)
		}
	}
	if !strings.Contains(judge.calls[0].Messages[0].Content, "درجة واحدة") {
		t.Errorf("the judge is asked %q", judge.calls[0].Messages[0].Content)
	}
}

// TestSetsHaveTheSameParts: the built-in sets have the same files, kinds and complaints.
func TestSetsHaveTheSameParts(t *testing.T) {
	english, err := LoadPrompts("english")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range BuiltIn() {
		p, err := LoadPrompts(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range allFiles() {
			if (p.files[f] == nil) != (english.files[f] == nil) {
				t.Errorf("%s: %s", name, f)
			}
		}
		for i, k := range english.Kinds {
			if own := p.Kinds[i]; own.Name != k.Name || own.Weight != k.Weight || own.Shape != k.Shape || own.Fixed != k.Fixed ||
				own.MinAnswerWords != k.MinAnswerWords || (own.Matches == "") != (k.Matches == "") || len(own.Messages) != len(k.Messages) {
				t.Errorf("%s: kind %+v, in English %+v", name, own, k)
			}
		}
		for check := range english.Complaints {
			if p.Complaints[check] == "" && check != "unknown_name" { // Arabic has no capitals
				t.Errorf("%s has no complaint for %s", name, check)
			}
		}
	}
	if _, err := LoadPrompts("arabc"); err == nil || !strings.Contains(err.Error(), "did you mean arabic?") {
		t.Errorf("a misspelt set: %v", err)
	}
}
