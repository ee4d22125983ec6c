package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type hubPage struct {
	ID    string `parquet:"id"`
	URL   string `parquet:"url"`
	Title string `parquet:"title"`
	Text  string `parquet:"text"`
}

func hubPageOf(id, title string) hubPage {
	text := strings.Repeat(title+" is a city of the Arab world with a long history and a market. ", 3)
	return hubPage{id, "https://ar.wikipedia.org/wiki/" + title, title, text}
}

// TestWikiFromHub: the shards of one configuration of wikimedia/wikipedia come from the hub, and
// no others. The cache serves later runs, also offline, and the manifest has the commit.
func TestWikiFromHub(t *testing.T) {
	s := testHub(t)
	s.Add("datasets", "wikimedia/wikipedia", "main", map[string][]byte{
		"README.md": []byte("# Wikipedia"),
		"20231101.ar/train-00000-of-00002.parquet": table(t, hubPageOf("1", "Cairo"), hubPageOf("2", "Tunis")),
		"20231101.ar/train-00001-of-00002.parquet": table(t, hubPageOf("3", "Muscat")),
		"20231101.en/train-00000-of-00001.parquet": table(t, hubPageOf("4", "London"))})
	dir := t.TempDir()
	line := func(name string, more ...string) result {
		return barka(t, "", append([]string{"wiki", "--data", "wikimedia/wikipedia", "--out", filepath.Join(dir, name)}, more...)...)
	}
	if r := line("none"); r.code != exitBadInput || !strings.Contains(r.err, "20231101.ar, 20231101.en") ||
		!strings.Contains(r.err, "--config") {
		t.Errorf("without a configuration: exit code %d, %s", r.code, r.err)
	}
	if r := line("none", "--config", "20231101.xx"); r.code != exitBadInput || !strings.Contains(r.err, "20231101.ar") {
		t.Errorf("unknown configuration: exit code %d, %s", r.code, r.err)
	}
	r := line("dry", "--config", "20231101.ar", "--dry-run")
	if r.code != exitDone || !strings.Contains(r.out, "wikimedia/wikipedia at commit") || !strings.Contains(r.out, ": 2 files, ") {
		t.Errorf("dry run: exit code %d, %s%s", r.code, r.out, r.err)
	}
	for _, q := range s.Requests() {
		if q.Store || strings.Contains(q.Path, "/resolve/") {
			t.Errorf("the runs without a configuration, or dry, fetched %s", q.Path)
		}
	}
	if r := line("first", "--config", "20231101.ar"); r.code != exitDone {
		t.Fatalf("exit code %d, %s%s", r.code, r.out, r.err)
	}
	fetched := 0
	for _, q := range s.Requests() {
		if strings.Contains(q.Path, "20231101.en") {
			t.Errorf("fetched %s", q.Path)
		}
		if strings.Contains(q.Path, "20231101.ar") {
			fetched++
		}
	}
	if fetched < 2 {
		t.Errorf("%d requests for the shards", fetched)
	}
	t.Setenv("HF_HUB_OFFLINE", "1")
	before := len(s.Requests())
	if r := line("offline", "--config", "20231101.ar"); r.code != exitDone || len(s.Requests()) != before {
		t.Errorf("offline: exit code %d, %d requests, %s", r.code, len(s.Requests())-before, r.err)
	}
	for _, name := range []string{"first", "offline"} {
		text, err := os.ReadFile(filepath.Join(dir, name, "manifest.json"))
		if err != nil {
			t.Fatal(err)
		}
		var m struct {
			Options struct{ Source string }
			Rows    int
		}
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		_, commit, ok := strings.Cut(m.Options.Source, "wikimedia/wikipedia@")
		if m.Rows != 3 || !ok || len(commit) != 40 {
			t.Errorf("%s: %d rows, source %q", name, m.Rows, m.Options.Source)
		}
	}
	rows := ok(t, "", "show", filepath.Join(dir, "offline"), "--json", "-n", "0")
	for _, want := range []string{"Cairo", "Tunis", "Muscat", "https://ar.wikipedia.org/wiki/Muscat"} {
		if !strings.Contains(rows, want) {
			t.Errorf("no %s in %s", want, rows)
		}
	}
}
