package licence

import (
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	for _, c := range []struct{ licence, want string }{
		{"CC BY-SA 4.0 https://creativecommons.org/licenses/by-sa/4.0/", "cc-by-sa-4.0 sa by"},
		{"Creative Commons Attribution-Share Alike 4.0 https://creativecommons.org/licenses/by-sa/4.0/", "cc-by-sa-4.0 sa by"},
		{"Creative Commons Attribution-ShareAlike 3.0", "cc-by-sa-3.0 sa by"},
		{"Creative Commons Attribution 4.0", "cc-by-4.0 by"},
		{"cc-by-nc-sa-4.0", "cc-by-nc-sa-4.0 nc sa by"},
		{"CC BY-NC 3.0", "cc-by-nc-3.0 nc by"},
		{"cc-by-nd-4.0", "cc-by-nd-4.0 nd by"},
		{"CC0 1.0 https://creativecommons.org/publicdomain/zero/1.0/", "cc0-1.0"},
		{"MIT", "mit by"}, {"Apache 2.0", "apache-2.0 by"}, {"BSD 2-Clause", "bsd-2-clause by"},
		{"AFL-3.0 (to be checked: the hub's card has unknown)", "afl-3.0 by"},
		{"RACE terms: non-commercial research only", " research nc by"},
		{"gemma", "gemma by"}, {"Gemma Terms of Use", "gemma by"}, {"llama3.1", "llama3.1 by"}, {"Llama 3.2 Community", "llama3.2 by"},
		{"", "unstated"}, {"unknown", "unstated"}, {"none stated", "unstated"},
		{"Terms of the Example Company", "words"}, {"submitted", "words"},
	} {
		t1 := Read(c.licence)
		got := t1.Tag
		for _, d := range []struct {
			is   bool
			name string
		}{{t1.ResearchOnly, " research"}, {t1.NonCommercial, " nc"}, {t1.NoDerivatives, " nd"}, {t1.ShareAlike,
			" sa"}, {t1.Attribution, " by"}, {!t1.Stated, "unstated"}, {t1.Stated && !t1.Known, "words"}} {
			if d.is {
				got += d.name
			}
		}
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.licence, got, c.want)
		}
	}
}

// TestForbids: a model family's terms go with its derivatives, and text that may not be used
// commercially makes no commercial model.
func TestForbids(t *testing.T) {
	for _, c := range []struct{ of, set, want, use string }{
		{"gemma", "apache-2.0", "own terms (gemma)", ""},
		{"gemma", "gemma", "", ""},
		{"llama3.1", "llama3", "own terms (llama3.1)", ""},
		{"cc-by-nc-4.0", "gemma", "forbids commercial use", "forbids commercial use"},
		{"CC BY-SA 4.0", "apache-2.0", "must be passed on", ""},
		{"RACE terms: non-commercial research only", "cc-by-nc-4.0", "research only", "research only"},
		{"MIT", "cc0-1.0", "asks for attribution", ""},
	} {
		of, set := Read(c.of), Read(c.set)
		if got := of.Forbids(set); !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s as %s: %q, want %q", c.of, c.set, got, c.want)
		}
		if got := of.ForbidsUse(set); !strings.Contains(got, c.use) || (got == "") != (c.use == "") {
			t.Errorf("%s for %s: %q, want %q", c.of, c.set, got, c.use)
		}
	}
	for id, want := range map[string]string{"google/gemma-2-2b-it": "gemma", "me/my-gemma-2b": "gemma", "google/txgemma-2b": "",
		"Qwen/Qwen3-0.6B": "apache-2.0", "Qwen/Qwen2.5-3B": "", "facebook/nllb-200-3.3B": "cc-by-nc-4.0", "me/other": ""} {
		if got := OfModel(id); got != want {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
}
