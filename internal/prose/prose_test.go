package prose

import "testing"

func TestLetters(t *testing.T) {
	for _, c := range []struct {
		text, language string
		letters, own   int
	}{
		{"قهوة coffee", "arb_Arab", 10, 4},
		{"قهوة coffee", "eng_Latn", 10, 6},
		{"اكتب هذا:\n```python\nprint('hello')\n```\nشكرا", "arb_Arab", 11, 11},
		{"اكتب ```unclosed code", "arb_Arab", 4, 4},
		{"الأمر `git push` هنا", "arb_Arab", 8, 8},
		{"انظر https://example.org/a أو me@example.org", "arb_Arab", 6, 6},
		{"المعادلة $$x^2 + y$$ و \\(a+b\\)", "arb_Arab", 9, 9},
		{"التفاعل HCl + NaOH -> H_{2}O بسرعة 5 km/h", "arb_Arab", 12, 12},
		{"Untranslated prose of McDonald and NASA", "arb_Arab", 30, 0},
		{"a `b\nc` d", "arb_Arab", 4, 0},
		{"東京は日本の首都です", "jpn_Jpan", 10, 10},
		{"text", "xyz_Qqqq", 4, 4},
		{"text", "", 4, 4},
	} {
		if l, o := Letters(c.text, c.language); l != c.letters || o != c.own {
			t.Errorf("%q in %s: %d letters, %d own; want %d, %d", c.text, c.language, l, o, c.letters, c.own)
		}
	}
}

func TestIsLanguage(t *testing.T) {
	for s, want := range map[string]bool{"eng_Latn": true, "arb_Arab": true, "zho_Hans": true, "en": false, "eng-Latn": false,
		"eng_Qqqq": false, "": false} {
		if IsLanguage(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}

func TestCountWords(t *testing.T) {
	for s, want := range map[string]int{"": 0, "one two": 2, "قهوة عربية": 2, "東京は日本": 5} {
		if got := CountWords(s); got != want {
			t.Errorf("%q: %d, want %d", s, got, want)
		}
	}
}
