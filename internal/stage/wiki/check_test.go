package wiki

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func faults(o Options) string {
	var b strings.Builder
	_, all := Check(context.Background(), o)
	for _, f := range all {
		b.WriteString(f.Key + ": " + f.Err.Error() + "\n")
	}
	return b.String()
}

// TestCheckOfDumps: files that are not there or no dumps, and titles that a
// dump does not have.
func TestCheckOfDumps(t *testing.T) {
	o := options(t)
	o.Titles = []string{"Coffee", "Talk:Coffee", "Kahwah"}
	if got := faults(o); !strings.Contains(got,
		`titles[2]: `+o.Dump+` has no article "Kahwah"; did you mean "Kahwa"?`) ||
		!strings.Contains(got, "titles[1]") || strings.Contains(got, "titles[0]") {
		t.Errorf("titles: %s", got)
	}
	o.Titles = nil
	if got := faults(o); got != "" {
		t.Errorf("a good dump: %s", got)
	}
	if n, _ := Check(context.Background(), o); n != 1 {
		t.Errorf("%d articles", n)
	}
	good := o.Dump
	o.Dump = filepath.Join(filepath.Dir(good), "dmup.xml")
	if got := faults(o); !strings.Contains(got, "dump: ") || !strings.Contains(got, "did you mean dump.xml?") {
		t.Errorf("no such dump: %s", got)
	}
	o.Dump = filepath.Join(filepath.Dir(good), "text.xml")
	if err := os.WriteFile(o.Dump, []byte("<html></html>"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := faults(o); !strings.Contains(got, "dump: ") {
		t.Errorf("no dump: %s", got)
	}
	o.Dump, o.TitleFile = good, filepath.Join(filepath.Dir(good), "titles.txt")
	if got := faults(o); !strings.Contains(got, "title_file: ") {
		t.Errorf("no such titles: %s", got)
	}
	if err := os.WriteFile(o.TitleFile, []byte("# none\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := faults(o); !strings.Contains(got, "no titles") {
		t.Errorf("a file without titles: %s", got)
	}
}

// TestCheckOfAWiki: one request finds the titles that a wiki does not have.
func TestCheckOfAWiki(t *testing.T) {
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		json.NewEncoder(w).Encode(map[string]any{"query": map[string]any{
			"normalized": []any{map[string]any{"from": "coffe",
				"to": "Coffe"}}, "redirects": []any{map[string]any{"from": "Kahwa", "to": "Coffee"}},
			"pages": []any{map[string]any{"pageid": 1, "title": "Coffee"}, map[string]any{"title": "Coffe", "missing": true}},
		}})
	}))
	defer s.Close()
	o := Defaults()
	o.API, o.Contact, o.Titles = s.URL, "test@barka.test", []string{"Kahwa", "coffe"}
	if got := faults(o); got != "titles[1]: "+s.URL+" has no article \"coffe\"\n" || asked != 1 {
		t.Errorf("%d requests: %s", asked, got)
	}
	o.Contact = ""
	if got := faults(o); !strings.HasPrefix(got, "contact: ") {
		t.Errorf("no contact: %s", got)
	}
}
