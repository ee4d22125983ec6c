package filter

import (
	"strings"
	"testing"

	"barka/internal/pipeline"
)

func row(id, question, answer string) pipeline.Instruction {
	return pipeline.Instruction{ID: id, Language: "arb_Arab", FinishReason: "stop",
		Messages:   []pipeline.Message{{Role: "user", Content: question}, {Role: "assistant", Content: answer}},
		MessagesEN: []pipeline.Message{{Role: "user", Content: "How is coffee served in the Gulf?"}, {Role: "assistant", Content: "It is brewed light, scented with cardamom, and poured into small cups without handles."}}}
}

const (
	question = "كيف تقدم القهوة في الخليج العربي؟"
	answer   = "تحضر القهوة خفيفة مع الهيل وتصب في فناجين صغيرة بلا مقابض."
)

// TestReasons changes one thing of a good row at a time.
func TestReasons(t *testing.T) {
	for _, c := range []struct {
		want   string
		o      Options
		change func(*pipeline.Instruction)
	}{
		{"", Defaults(), func(r *pipeline.Instruction) {}},
		{"", Seed(), func(r *pipeline.Instruction) {}},
		{"no_answer", Options{}, func(r *pipeline.Instruction) { r.Messages = r.Messages[:1] }},
		{"role_order", Options{}, func(r *pipeline.Instruction) { r.Messages[0].Role = "assistant" }},
		{"empty_message", Options{}, func(r *pipeline.Instruction) { r.Messages[1].Content = " \n" }},
		{"truncated", Defaults(), func(r *pipeline.Instruction) { r.FinishReason = "length" }},
		{"short_answer", Defaults(), func(r *pipeline.Instruction) { r.Messages[1].Content = "نعم بالتأكيد" }},
		{"too_long", Defaults(), func(r *pipeline.Instruction) { r.Messages[1].Content = strings.Repeat("كلمة ", 9000) }},
		{"script", Defaults(), func(r *pipeline.Instruction) {
			r.Messages[1].Content = "It is brewed light and scented with cardamom نعم"
		}},
		{"length_ratio", Defaults(), func(r *pipeline.Instruction) { r.Messages[1].Content = "تصب في فناجين" }},
		{"translation_score", Options{MinScore: -1}, func(r *pipeline.Instruction) { r.Segments = []pipeline.Segment{{Score: -2}, {Score: -0.5}} }},
		{"repetition", Defaults(), func(r *pipeline.Instruction) {
			r.Messages[1].Content = strings.Repeat("القهوة في فناجين صغيرة ", 5)
		}},
		{"leak", Defaults(), func(r *pipeline.Instruction) { r.MessagesEN[1].Content += " This is said in the text." }},
		{"leak", Defaults(), func(r *pipeline.Instruction) {
			r.Messages[1].Content = "وفقا للنص تحضر القهوة خفيفة مع الهيل."
		}},
		{"seed_text_in_question", Seed(), func(r *pipeline.Instruction) { r.MessagesEN[0].Content = "How does the text describe coffee?" }},
		{"seed_short_answer", Seed(), func(r *pipeline.Instruction) {
			r.MessagesEN[1].Content = "It is poured into one two three four five six."
		}},
		{"seed_unk", Seed(), func(r *pipeline.Instruction) { r.Messages[1].Content += " <unk>" }},
		{"seed_latin_start", Seed(), func(r *pipeline.Instruction) { r.Messages[0].Content = "Coffee ؟" }},
	} {
		r := row("1", question, answer)
		c.change(&r)
		f := &filter{o: c.o, seen: map[string]string{}}
		if got := f.check(r); got.Reason != c.want {
			t.Errorf("reason %q (%s), want %q", got.Reason, got.Detail, c.want)
		}
	}
}

// TestDuplicates: vowel marks, alef forms and punctuation do not tell rows
// apart.
func TestDuplicates(t *testing.T) {
	f := &filter{o: Defaults(), seen: map[string]string{}}
	if got := f.check(row("1", question, answer)); got.Reason != "" {
		t.Fatal(got)
	}
	if got := f.check(row("2", "كَيفَ تُقدم القهوة في الخليج العربي", answer+"!")); got.Reason != "duplicate" || !strings.Contains(got.Detail, "1") {
		t.Errorf("%+v", got)
	}
	if got := f.check(row("3", "متى تقدم القهوة في الخليج العربي؟", answer)); got.Reason != "" {
		t.Errorf("%+v", got)
	}
}

func TestValidate(t *testing.T) {
	for _, o := range []Options{{MinScriptShare: 2}, {MinAnswerWords: -1}, {MinLengthRatio: 2, MaxLengthRatio: 1}, {MinScore: 1}} {
		if o.Validate() == nil {
			t.Errorf("accepted %+v", o)
		}
	}
}
