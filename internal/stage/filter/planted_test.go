package filter

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/stage/translate"
)

// planted is a bad row: the answer of a good one is replaced by a bad one.
type planted struct {
	kind, reason     string
	arabic, answerEN string // "" keeps the good one
	change           func(*dataset.Instruction)
}

const (
	goodQuestionEN = "How is coffee served in the Gulf, and with what?"
	goodAnswerEN   = "It is brewed light, scented with cardamom, and poured into small cups without handles. Guests get dates with it."
	goodQuestion   = "كيف تقدم القهوة في الخليج العربي، ومع ماذا؟"
	goodAnswer     = "تحضر القهوة خفيفة مع الهيل، وتصب في فناجين صغيرة بلا مقابض. ويقدم التمر معها للضيوف."
)

var plants = []planted{
	{"Persian", "wrong_language", "قهوه را سبک دم می‌کنند و با هل معطر می‌کنند و در فنجان‌های کوچک بدون دسته " +
		"می‌ریزند. مهمانان همراه آن خرما می‌خورند.", "", nil},
	{"Urdu", "wrong_language", "قہوہ ہلکا بنایا جاتا ہے اور اس میں الائچی ڈالی جاتی ہے، پھر اسے چھوٹی پیالیوں میں " +
		"پیش کیا جاتا ہے اور ساتھ کھجور دی جاتی ہے۔", "", nil},
	{"Pashto", "wrong_language", "قهوه سپکه پخېږي او د لاچي سره خوندوره کېږي او په کوچنیو پیالو کې اچول کېږي. " +
		"مېلمنو ته ورسره خرما ورکول کېږي.", "", nil},
	{"Kurdish", "wrong_language", "قاوەکە سووک لێ دەنرێت و بە هێل بۆنخۆش دەکرێت و لە فنجانی بچووکی بێ دەسکدا تێ " +
		"دەکرێت و لەگەڵیدا خورما دەدرێتە میوانەکان.", "", nil},
	{"English", "script", "It is brewed light, scented with cardamom, and poured into small cups without handles.", "", nil},
	{"U+FFFD", "encoding", "تحضر القهوة خفيفة مع اله�ل، وتصب في فناجين صغيرة بلا مقابض. ويقدم التمر معها للضيوف.", "", nil},
	{"UTF-8 as Windows-1252", "encoding", "Ø§Ù„Ù‚Ù‡ÙˆØ© Ø®ÙÙŠÙØ© تحضر القهوة خفيفة مع الهيل وتصب في فناجين صغيرة. ويقدم التمر معها.", "", nil},
	{"Windows-1256 as Windows-1252", "encoding", "ÊÍÖÑ ÇáÞåæÉ تحضر القهوة خفيفة مع الهيل وتصب في فناجين صغيرة. " +
		"ويقدم التمر معها للضيوف.", "", nil},
	{"lost letters", "encoding", "??????? ??????? تحضر القهوة خفيفة مع الهيل وتصب في فناجين صغيرة. ويقدم التمر معها للضيوف.", "", nil},
	{"control characters", "encoding", "تحضر القهوة خفيفة \x00 مع الهيل وتصب في فناجين صغيرة. ويقدم التمر معها للضيوف.", "", nil},
	{"elongated letters", "elongation", "القهوة رااااائعة مع الهيل، وتصب في فناجين صغيرة بلا مقابض. ويقدم التمر معها.", "", nil},
	{"tatweel", "elongation", "القهـــــــوة خفيفة مع الهيل، وتصب في فناجين صغيرة بلا مقابض. ويقدم التمر معها.", "", nil},
	{"HTML", "markup", "<p>تحضر القهوة خفيفة مع الهيل،<br/> وتصب في فناجين صغيرة بلا مقابض.</p> ويقدم التمر معها.", "", nil},
	{"entities", "markup", "تحضر القهوة خفيفة مع الهيل&nbsp;وتصب في فناجين صغيرة بلا مقابض. ويقدم &quot;التمر&quot; معها.", "", nil},
	{"direction overrides", "bidi_controls", "تحضر القهوة \u202eخفيفة\u202c مع الهيل، وتصب في فناجين صغيرة بلا " +
		"مقابض. ويقدم التمر معها.", "", nil},
	{"open embedding", "bidi_controls", "تحضر القهوة \u202bخفيفة مع الهيل، وتصب في فناجين صغيرة بلا مقابض. ويقدم التمر معها.", "", nil},
	{"the question again", "echo", "", "", func(r *dataset.Instruction) {
		r.Messages[1].Content, r.MessagesEN[1].Content = goodQuestion+" نعم", goodQuestionEN+" Yes."
	}},
	{"the question again, with a no inside", "echo", "", "", func(r *dataset.Instruction) {
		r.Messages[0].Content, r.Messages[1].Content = "كيف تقدم القهوة التي لا سكر فيها، ومع ماذا؟",
			"كيف تقدم القهوة التي لا سكر فيها، ومع ماذا؟"
	}},
	{"dots", "empty_answer", "", "", func(r *dataset.Instruction) {
		r.Messages[1].Content, r.MessagesEN = ".... .... ....", nil
	}},
	{"an answer of signs", "empty_answer", "", "", func(r *dataset.Instruction) {
		r.Form, r.Messages[1].Content, r.MessagesEN = dataset.FormReading, "؟ !", nil
	}},
	{"breaks off in translation", "unfinished", "تحضر القهوة خفيفة مع الهيل. وتصب في فناجين صغيرة بلا مقابض ثم يقدم التمر معها إلى", "", nil},
	{"breaks off in English", "unfinished", "", "It is brewed light, scented with cardamom. It is poured into " +
		"small cups without handles and the guests get dates with the", nil},
	{"breaks off without a source", "unfinished", "", "", func(r *dataset.Instruction) {
		r.Messages[1].Content, r.MessagesEN = "تحضر القهوة خفيفة مع الهيل. وتصب في فناجين صغيرة بلا مقابض ثم يقدم "+
			"التمر معها للضيوف الذين يجلسون قرب", nil
	}},
	{"a lost number", "numbers", "", goodAnswerEN + " There are 350 kinds.", nil},
	{"another number", "numbers", goodAnswer + " ولها ٥٣٠ نوعا.", goodAnswerEN + " There are 350 kinds.", nil},
	{"the text, in Arabic", "leak", "وفقا لما ورد في النص، تحضر القهوة خفيفة مع الهيل وتصب في فناجين صغيرة. ويقدم التمر معها.", "", nil},
	{"the passage, in Arabic", "leak", "كما جاء في الفقرة، تحضر القهوة خفيفة مع الهيل وتصب في فناجين صغيرة. ويقدم التمر معها.", "", nil},
	{"the text, in English", "leak", "", "According to the passage, it is brewed light, scented with cardamom, and " +
		"poured into small cups.", nil},
	{"going round in circles", "repetition", strings.Repeat("وتصب في فناجين صغيرة بلا مقابض ", 4), "", nil},
	{"a refusal in Arabic", "refusal", "عذرا، لا أستطيع الإجابة عن هذا السؤال لأن المعلومات ليست متوفرة في الوقت الحالي.", "", nil},
	{"a refusal in English", "refusal", "", "I'm sorry, but I cannot answer this question because there is too " +
		"little to go by in it, and nothing else.", nil},
	{"an assistant in Arabic", "assistant_phrase", "بصفتي نموذج لغوي، أقول إن القهوة تحضر خفيفة مع الهيل وتصب في " +
		"فناجين صغيرة بلا مقابض.", "", nil},
	{"an assistant in English", "assistant_phrase", "", "As an AI language model, I say it is brewed light, " +
		"scented with cardamom, and poured into small cups.", nil},
	{"an offer in Arabic", "assistant_phrase", "تحضر القهوة خفيفة مع الهيل وتصب في فناجين صغيرة. لا تتردد في طرح أي سؤال آخر علي.", "", nil},
	{"abuse in Arabic", "toxicity", "تحضر القهوة خفيفة مع الهيل يا ابن الكلب، وتصب في فناجين صغيرة بلا مقابض. ويقدم التمر معها.", "", nil},
	{"abuse in English", "toxicity", "", "", func(r *dataset.Instruction) {
		r.Language, r.MessagesEN = "eng_Latn", nil
		r.Messages[0].Content, r.Messages[1].Content = goodQuestionEN, "It is brewed light by some motherfucker and poured into small cups."
	}},
	{"a verse that is none", "scripture", "قال تعالى: «لقد خلقنا البشر في أحسن شكل ممكن ثم أعدناهم إلى أدنى " +
		"المستويات السفلى». وتقدم القهوة مع التمر.", "", nil},
	{"a verse in its signs that is none", "scripture", "تقدم القهوة مع التمر. ﴿الرب هو راعي السماوات والأرض وهو " +
		"يعلم جميع الأشياء دائما﴾ وتصب في فناجين.", "", nil},
	{"a flag of the translator", "translation_flag", "", "", func(r *dataset.Instruction) {
		r.Segments = []dataset.Segment{{Message: 1, Flags: []string{"hit_max"}}}
	}},
	{"cut by the generator", "truncated", "", "", func(r *dataset.Instruction) { r.FinishReason = "length" }},
}

func goodRow() dataset.Instruction {
	return dataset.Instruction{ID: "1", Form: dataset.FormQuestion, Language: "arb_Arab", FinishReason: "stop",
		Messages:   []chat.Message{{Role: "user", Content: goodQuestion}, {Role: "assistant", Content: goodAnswer}},
		MessagesEN: []chat.Message{{Role: "user", Content: goodQuestionEN}, {Role: "assistant", Content: goodAnswerEN}}}
}

func (p planted) row() dataset.Instruction {
	r := goodRow()
	if p.arabic != "" {
		r.Messages[1].Content = p.arabic
	}
	if p.answerEN != "" {
		r.MessagesEN[1].Content = p.answerEN
	}
	if p.change != nil {
		p.change(&r)
	}
	return r
}

// TestPlanted: of the bad rows none passes, each is dropped for its defect, and the good row
// from which they were made passes.
func TestPlanted(t *testing.T) {
	if got := check(t, Defaults(), goodRow()); got != pass {
		t.Fatalf("the good row: %+v", got)
	}
	kinds := map[string]bool{}
	for _, p := range plants {
		kinds[p.reason] = true
		if got := check(t, Defaults(), p.row()); got.Reason != p.reason {
			t.Errorf("%s: reason %q (%s), expected %q", p.kind, got.Reason, got.Detail, p.reason)
		}
	}
	if len(kinds) < 15 {
		t.Errorf("%d kinds", len(kinds))
	}
}

// TestPhrases: one text of each alternative that a list of words to look for is easily without.
func TestPhrases(t *testing.T) {
	for _, c := range []struct{ reason, arabic, english string }{
		{"refusal", "أعتذر، لم أجد ما يكفي عن تقديم القهوة في الخليج.", ""},
		{"refusal", "", "It is against my policy to say how coffee is served in the Gulf."},
		{"assistant_phrase", "أنا نموذج اصطناعي، وتقدم القهوة في فناجين صغيرة.", ""},
		{"assistant_phrase", "أنا مساعد محادثة، وتقدم القهوة في فناجين صغيرة.", ""},
		{"assistant_phrase", "", "USER: How is coffee served in the Gulf, and with what?"},
		{"assistant_phrase", "", "Human: How is coffee served in the Gulf, and with what?"},
		{"assistant_phrase", "", "I am a large language thing, and it is poured into small cups without handles."},
		{"assistant_phrase", "", "aſ an AI, I say that it is poured into small cups without handles."},
		{"scripture", "قال الله جل وعلا: «لقد خلقنا البشر في أحسن شكل ممكن ثم أعدناهم إلى أدنى المستويات السفلى».", ""},
	} {
		r := planted{arabic: c.arabic, answerEN: c.english}.row()
		if c.arabic != "" {
			r.MessagesEN = nil
		}
		if got := check(t, Defaults(), r); got.Reason != c.reason {
			t.Errorf("%s%s: %+v, expected %s", c.arabic, c.english, got, c.reason)
		}
	}
}

// TestNotPlanted: what resembles the defects and is none.
func TestNotPlanted(t *testing.T) {
	for _, p := range []planted{
		{"a verse", "", "قال تعالى: ﴿لَقَدْ خَلَقْنَا الْإِنسَانَ فِي أَحْسَنِ تَقْوِيمٍ ثُمَّ رَدَدْنَاهُ أَسْفَلَ " +
			"سَافِلِينَ﴾. وتقدم القهوة مع التمر والهيل في فناجين.", "", nil},
		{"a verse without marks", "", "قال الله تعالى: «يا أيها الذين آمنوا كتب عليكم الصيام كما كتب على الذين من " +
			"قبلكم». وتقدم القهوة بعد الإفطار.", "", nil},
		{"an opening inside", "", "تحضر القهوة خفيفة مع الهيل. فهي بالطبع، هذا ما يقوله الناس، تصب في فناجين صغيرة " +
			"بلا مقابض. ويقدم التمر.", "", nil},
		{"French", "", "تحضر القهوة في مقهى Café Déjà Vu خفيفة مع الهيل، وتصب في فناجين صغيرة بلا مقابض. ويقدم التمر معها.", "", nil},
		{"less than", "", "تحضر القهوة خفيفة إذا كان الوزن < 5 والحجم > 3 مع الهيل، وتصب في فناجين صغيرة. ويقدم التمر معها.", "", nil},
		{"numbers in words", "", goodAnswer + " ولها خمسة وثلاثون نوعا.", goodAnswerEN + " There are 35 kinds.", nil},
		{"numbers in Arabic digits", "", goodAnswer + " ولها ١٬٢٥٠ نوعا.", goodAnswerEN + " There are 1,250 kinds.", nil},
		{"thousands", "", goodAnswer + " ولها 40 ألف نوع.", goodAnswerEN + " There are 40,000 kinds.", nil},
		{"a list", "", "تقدم القهوة هكذا:\n- خفيفة مع الهيل\n- في فناجين صغيرة بلا مقابض\n- مع التمر للضيوف", "", nil},
		{"hijri years", "", "تحضر القهوة خفيفة منذ سنة 1200 هـ مع الهيل، وتصب في فناجين صغيرة بلا مقابض.", goodAnswerEN + " In 1200.", nil},
		{"texts of treaties", "", "تحضر القهوة خفيفة مع الهيل. ويحفظ نص المعاهدة في المتحف مع الفناجين الصغيرة للضيوف.", "", nil},
		{"a direction mark", "", "تحضر القهوة (Arabica)\u200f خفيفة مع الهيل، وتصب في فناجين صغيرة بلا مقابض. ويقدم التمر معها.", "", nil},
		{"vowel marks", "", "تُحَضَّرُ القَهْوَةُ خَفِيفَةً مَعَ الهَيْلِ، وَتُصَبُّ فِي فَنَاجِينَ صَغِيرَةٍ بِلَا " +
			"مَقَابِضَ. وَيُقَدَّمُ التَّمْرُ.", "", nil},
		{"Egyptian", "", "القهوة دي بيعملوها خفيفة وبيحطوا فيها حبهان، وبعدين بيصبوها في فناجين صغيرة من غير ودان. " +
			"والضيوف بياكلوا معاها بلح.", "", nil},
	} {
		if got := check(t, Defaults(), p.row()); got != pass {
			t.Errorf("%s: %+v", p.kind, got)
		}
	}
}

// TestExplain names the same reason as the filter, with every rule.
func TestExplain(t *testing.T) {
	for _, p := range plants {
		all, err := Defaults().explain(p.row())
		if err != nil {
			t.Fatal(err)
		}
		first := slices.IndexFunc(all, func(e Explanation) bool { return e.Verdict == Drop })
		if first < 0 || all[first].Rule != p.reason || len(all) != len(rules)+2 {
			t.Errorf("%s: %+v", p.kind, all)
		}
	}
	all, err := Defaults().explain(goodRow())
	if err != nil || slices.ContainsFunc(all, func(e Explanation) bool { return e.Verdict == Drop || e.Rule == "" || e.Measures == "" }) {
		t.Errorf("%v, %+v", err, all)
	}
	in := write(t, encode(t, goodRow()))
	if _, err := Explain(t.Context(), Defaults(), in, "2"); !badinput.Is(err) || !strings.Contains(err.Error(), `"2"`) {
		t.Errorf("a row that is not there: %v", err)
	}
	if all, err := Explain(t.Context(), Defaults(), in, "1"); err != nil || len(all) != len(rules)+2 {
		t.Errorf("%v, %d", err, len(all))
	}
}

// TestFlags: the filter knows the flags that translate has.
func TestFlags(t *testing.T) {
	if !slices.Equal(flags, translate.Flags()) {
		t.Errorf("%v, translate has %v", flags, translate.Flags())
	}
	if err := (Options{RejectFlags: []string{"hitmax"}}).Validate(); !badinput.Is(err) {
		t.Errorf("%v", err)
	}
}

// TestBlocklist adds the words of a file, with Arabic particles before them.
func TestBlocklist(t *testing.T) {
	path := filepath.Join(t.TempDir(), "words.txt")
	if err := os.WriteFile(path, []byte("# mine\nفنجان\nsmall cups\n\nإبريق الشاي\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	o := Defaults()
	var err error
	if o.words, err = withFile(path); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]float64{"بالفِنجان": 1, "والفنجان و فنجان": 2, "فنجانان": 0,
		"ابريق الشاي": 1, "إبريق القهوة": 0, "Small  CUPS": 1,
		"small": 0, "smaller cups": 0, "fuck": 1, "": 0} {
		if n, first := o.words.count(text); n != want {
			t.Errorf("%q: %v (%s), want %v", text, n, first, want)
		}
	}
	if builtin().digest() == o.words.digest() {
		t.Error("other words have the same digest")
	}
	for content, want := range map[string]string{"\xff\xfe\n": "UTF-8", "؟؟\n": "line 1"} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := withFile(path); !badinput.Is(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", content, err)
		}
	}
	if _, err := withFile(path + "x"); !badinput.Is(err) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestNormalise has each policy by itself.
func TestNormalise(t *testing.T) {
	for _, c := range []struct {
		n             Normalise
		language      string
		before, after string
	}{
		{Normalise{}, "arb_Arab", "ﻻ ک ۱ ـ\u200f", "ﻻ ک ۱ ـ\u200f"},
		{Normalise{Digits: DigitsASCII}, "arb_Arab", "٣٥ و۴ و5", "35 و4 و5"},
		{Normalise{Digits: DigitsArabic}, "arb_Arab", "35 وMP34 و۴", "٣٥ وMP34 و٤"},
		{Normalise{Tatweel: true}, "arb_Arab", "قهـــوة سنة 1200هـ", "قهوة سنة 1200هـ"},
		{Normalise{Harakat: true}, "arb_Arab", "قَهْوَةٌ", "قهوة"},
		{Normalise{Presentation: true}, "arb_Arab", "ﻗﻬﻮﺓ ﻻ ﴿نص﴾ ﷺ", "قهوة لا ﴿نص﴾ ﷺ"},
		{Normalise{Bidi: true}, "arb_Arab", "\u202bقهوة\u202c\u200f", "قهوة"},
		{Normalise{Persian: true}, "arz_Arab", "کیف", "كيف"},
		{Normalise{Persian: true}, "fas_Arab", "کیف", "کیف"},
		{Normalise{IsolateLatin: true}, "arb_Arab", "لغة C++ و Java 8 (JVM)، نعم", "لغة \u2066C++\u2069 و \u2066Java 8 (JVM)\u2069، نعم"},
		{Normalise{Digits: DigitsASCII, Bidi: true}, "eng_Latn", "٣\u200f", "٣\u200f"},
	} {
		r := goodRow()
		r.Language, r.Messages[1].Content = c.language, c.before
		original := r.Messages
		got, changed := c.n.row(r)
		if got.Messages[1].Content != c.after || changed != (c.before != c.after) || original[1].Content != c.before {
			t.Errorf("%+v: %q, want %q (changed %v)", c.n, got.Messages[1].Content, c.after, changed)
		}
	}
	if err := (Options{Normalise: Normalise{Digits: "roman"}}).Validate(); !badinput.Is(err) {
		t.Errorf("%v", err)
	}
}

// TestFineWebRules drops pages' defects in long messages and keeps prose.
func TestFineWebRules(t *testing.T) {
	prose := []string{"تعد القهوة من أشهر المشروبات في العالم، وقد انتشرت من اليمن إلى بقية البلدان عبر التجار.",
		"كان الناس يجتمعون حولها في المساء ويتحدثون عن أخبار المدينة والتجارة " +
			"والسفر.", "ثم صارت لها طقوس خاصة في كل بلد، فمنهم من يضيف الهيل ومنهم من يفضلها مرة.",
		"أما في المغرب فيشربها بعضهم مع الحليب، وفي تركيا تغلى مع السكر على نار " +
			"هادئة.", "ولا يخلو بيت من دلة تقدم للضيف أول ما يدخل، وهي علامة على الكرم.",
		"وتختلف درجات التحميص بين الشقراء الخفيفة والداكنة التي تعطي طعما قويا.", "ويرى الأطباء أن الإكثار منها قد " +
			"يسبب الأرق، لكن فنجانين في اليوم لا يضران.",
		"وقد كتب عنها الشعراء قصائد كثيرة، وغنى لها المطربون في الأعراس " +
			"والأسواق.", "وما زالت المقاهي القديمة مقصدا للزوار الذين يبحثون عن حكايات الماضي."}
	long := strings.Join(prose, " ")
	numbers := ""
	for i := range 60 {
		numbers += fmt.Sprint(" ", 7*i)
	}
	o := FineWeb2()
	for _, c := range []struct{ want, text string }{
		{"", long},
		{"fineweb_duplicate_lines", strings.Repeat(strings.Join(prose[:6], "\n")+"\n", 2)},
		{"fineweb_line_punctuation", strings.ReplaceAll(strings.Join(prose, "\n"), ".", "")},
		{"fineweb_new_lines", strings.ReplaceAll(long, " ", ".\n")},
		{"fineweb_alpha_words", long + numbers},
		{"fineweb_word_length", strings.ReplaceAll(long, " و", "و")},
	} {
		o := o
		o.Each(func(r *Rules) { // the rule by itself
			*r = Rules{FineWeb: r.FineWeb}
			if c.want == "fineweb_alpha_words" {
				r.FineWeb.MinLinePunctuation = 0
			}
			if c.want == "fineweb_word_length" {
				r.FineWeb = FineWeb{MinWords: 20, MaxWordLength: 4.5}
			}
		})
		r := goodRow()
		r.MessagesEN, r.Messages[1].Content = nil, c.text
		if got := check(t, o, r); got.Reason != c.want {
			t.Errorf("%q (%s), want %q", got.Reason, got.Detail, c.want)
		}
		r.Language = "fas_Arab"
		if got := check(t, o, r); got != pass {
			t.Errorf("thresholds for Arabic were applied to Persian: %+v", got)
		}
	}
	skipped := Defaults()
	skipped.SkipRules = []string{"leak"}
	if got := check(t, skipped, plants[slices.IndexFunc(plants, func(p planted) bool { return p.reason == "leak" })].row()); got != pass {
		t.Errorf("a rule that is left out: %+v", got)
	}
	if err := (Options{SkipRules: []string{"leaks"}}).Validate(); !badinput.Is(err) {
		t.Errorf("a rule that is none: %v", err)
	}
	if err := new(Top).UnmarshalJSON([]byte("[0.1]")); !badinput.Is(err) || !strings.Contains(err.Error(), "expected 3") {
		t.Errorf("%v", err)
	}
}
