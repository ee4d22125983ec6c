package filter

import (
	"testing"

	"barka/internal/chat"
	"barka/internal/dataset"
)

// TestOtherLanguages: rules do not take a language for defective because it is neither English nor
// Arabic. A Chinese translation has a third of the characters, and slut is the end in Swedish.
func TestOtherLanguages(t *testing.T) {
	const english = "Those are upon right guidance from their Lord, and it is those who are the successful."
	for name, c := range map[string]struct {
		language, source, target, reason string
	}{
		"Chinese": {"zho_Hans",
			english, "这等人，是遵守他们的主的正道的；这等人，确是成功的。", ""},
		"too short in Chinese": {"zho_Hans", english, "这等人，成功的。", "length_ratio"},
		"Swedish": {"swe_Latn",
			"Be patient until the end of the day has come.", "Ha tålamod tills dagen har nått sitt slut.", ""},
		"Swedish of a bad source": {"swe_Latn",
			"The slut came here at the end of the day.", "Hon kom hit vid dagens slut till oss.", "toxicity"},
		"Arabic with a bad word": {"arb_Arab",
			"She came here at the end of the day.", "جاءت إلى هنا في نهاية اليوم slut.", "toxicity"},
		"Turkish": {"tur_Latn",
			"The city has three gates and a long wall.", "Şehrin üç kapısı ve uzun bir duvarı vardır.", ""},
		"English in place of Urdu": {"urd_Arab",
			english, english, "script"},
	} {
		row := dataset.Instruction{ID: name, Form: dataset.FormInstruction, Language: c.language, Translator: "t",
			Messages:   []chat.Message{{Role: "user", Content: "1?"}, {Role: "assistant", Content: c.target}},
			MessagesEN: []chat.Message{{Role: "user", Content: "1?"}, {Role: "assistant", Content: c.source}}}
		o := Defaults()
		why, err := o.Check(row)
		if err != nil || why.Reason != c.reason {
			t.Errorf("%s: rejected for %q (%s), want %q, %v", name, why.Reason, why.Detail, c.reason, err)
		}
	}
}
