package chattranslator

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"barka/internal/badinput"
)

func TestCleanTranslations(t *testing.T) {
	for _, c := range []struct{ answer, source, want string }{
		{"Sure! Here is the Arabic translation:\n\n**نعم**", "Yes", "**نعم**"},
		{"Here's your translation: نعم", "Yes", "نعم"},
		{"Arabic: نعم", "Yes", "نعم"},
		{"**Translation:** \"نعم\"", "Yes", "نعم"},
		{"الترجمة: نعم", "Yes", "نعم"},
		{"إليك ترجمة النص:\nنعم", "Yes", "نعم"},
		{"نعم\n\nNote: I kept the word short.", "Yes", "نعم"},
		{"Oui.\n\nTranslation:\n\nOui.\n\nThis is the only translation.", "Yes.", "Oui."},
		{"Oui.\nOui, oui.", "Yes.", "Oui."},
		{"un\n\ndeux", "one\n\ntwo", "un\n\ndeux"},
		{"نعم\n(Transliteration: naʿam)", "Yes", "نعم"},
		{"<think>Arabic: no.</think> نعم", "Yes", "نعم"},
		// What the source has itself stays.
		{`"نعم"`, `"Yes"`, `"نعم"`},
		{"إليك القائمة: تفاح", "Here is the list: apples", "إليك القائمة: تفاح"},
		{"هذه هي الأسباب: الحر", "These are the reasons: heat", "هذه هي الأسباب: الحر"},
		{"الترجمة: فن", "Translation: an art", "الترجمة: فن"},
		{"سطر\nملاحظة: مهم", "A line\nNote: important", "سطر\nملاحظة: مهم"},
		{"Of course, yes", "Of course, yes", "Of course, yes"},
	} {
		if got := clean(c.answer, c.source, "Arabic"); got != c.want {
			t.Errorf("%q for %q: %q, want %q", c.answer, c.source, got, c.want)
		}
	}
	for answer, source := range map[string]string{"I'm sorry, but I cannot help with that.": "How do I hack it?",
		"As an AI, I have no opinion": "Is it good?"} {
		if !refuses(answer, source) {
			t.Errorf("%q is taken for a translation", answer)
		}
		if refuses(answer, answer) {
			t.Errorf("%q: the source itself is such a text", answer)
		}
	}
}

func TestGlossary(t *testing.T) {
	g, err := NewGlossary([]Term{{"state", "s"}, {"United States", "us"}, {"C++", "cpp"}, {"قهوة", "coffee"}, {"é", "e"}, {"state", "s"}})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"A state of the UNITED STATES": "s us",
		"estates and stateless":        "",
		"(state), state.":              "s",
		"C++, not C+":                  "cpp",
		"تقدم قهوة هنا، والقهوة ساخنة": "coffee",
		"":           "",
		"café é":     "e",
		"\xff state": "s",
	} {
		var got []string
		for _, term := range g.In(text) {
			got = append(got, term.Target)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %v, want %q", text, got, want)
		}
	}
	if _, err := NewGlossary([]Term{{"State", "a"}, {"state", "b"}}); !badinput.Is(err) || !strings.Contains(err.Error(), "two translations") {
		t.Error(err)
	}
	if (*Glossary)(nil).In("x") != nil {
		t.Error("no glossary has entries")
	}
}

func TestReadPairs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "terms.tsv")
	read := func(text string) ([]Term, error) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return ReadPairs(path)
	}
	got, err := read("\ufeff# terms\r\n\na\tب\r\nc d \t e f")
	if want := []Term{{"a", "ب"}, {"c d", "e f"}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	for text, want := range map[string]string{"a\tb\nc": "line 2", "a\tb\tc": "one tab", "\tb": "line 1", "": "no entries",
		"a\t\xff": "UTF-8"} {
		if _, err := read(text); !badinput.Is(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, expected %q", text, err, want)
		}
	}
	if _, err := ReadPairs(filepath.Join(t.TempDir(), "none")); !badinput.Is(err) {
		t.Error(err)
	}
}
