package translate

import "testing"

// TestScriptsOfLanguages: every script is checked, also the one of the source. Names keep their letters,
// and so do words that a Latin text quotes.
func TestScriptsOfLanguages(t *testing.T) {
	const source = "Where does Algeria lie, and how do its people live there?"
	for _, c := range []struct {
		source, target, to string
		want               bool
	}{
		{source, "Cezayir nerededir ve insanları orada nasıl yaşar?", "tur_Latn", true},
		{source, "أين تقع الجزائر، وكيف يعيش سكانها هناك؟", "tur_Latn", false},
		{source, "أين تقع الجزائر، وكيف يعيش سكانها هناك؟", "arb_Arab", true},
		{source, source, "arb_Arab", false},
		{"The word سلام means peace.", "سلام kelimesi barış demek.", "tur_Latn", true},
		{source, "আলজেরিয়া কোথায় অবস্থিত?", "ben_Beng", true},
		{source, "Где находится Алжир?", "ben_Beng", false},
		{source, "アルジェリアはどこにありますか。", "jpn_Jpan", true},
		{source, source, "zho_Hans", false},
		{source, "anything", "xyz_Qaaa", true},
	} {
		if got := inScript(c.source, c.target, c.to); got != c.want {
			t.Errorf("inScript(%q, %s) = %v, want %v", c.target, c.to, got, c.want)
		}
	}
	if !copied("Yes", "Yes", "zho_Hans") || copied("Paris", "Paris", "tur_Latn") {
		t.Error("copies: a short one counts where the letters are others")
	}
}
