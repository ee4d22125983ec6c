package wiki

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/durable"
	"barka/internal/parquet"
	"barka/internal/progress"
)

type wikipediaRow struct {
	ID    string `parquet:"id"`
	URL   string `parquet:"url"`
	Title string `parquet:"title"`
	Text  string `parquet:"text"`
}

func writeTable[T any](t *testing.T, path string, rows []T) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := parquet.WriteFile(path, rows); err != nil {
		t.Fatal(err)
	}
}

func dataOptions(path string) Options {
	o := Defaults()
	o.Data, o.MinChars = path, 20
	return o
}

// TestWikipediaTable: the shards of a configuration of wikimedia/wikipedia, all pages or some.
func TestWikipediaTable(t *testing.T) {
	dir := t.TempDir()
	for shard := range 2 {
		var rows []wikipediaRow
		for i := range 150 {
			n := shard*150 + i
			rows = append(rows, wikipediaRow{fmt.Sprint(n + 1), fmt.Sprintf("https://ar.wikipedia.org/wiki/P%d", n), fmt.Sprintf("Page %d", n),
				fmt.Sprintf("Text of page %d, which is long enough.\n\nAnother paragraph.", n)})
		}
		writeTable(t, filepath.Join(dir, "20231101.ar", fmt.Sprintf("train-%05d-of-00002.parquet", shard)), rows)
	}
	writeTable(t, filepath.Join(dir, "20231101.en", "train-00000-of-00001.parquet"),
		[]wikipediaRow{{"9", "u", "Other", "Text of another language."}})
	o := dataOptions(dir)
	o.Config = "20231101.ar"
	out, m, err := runDump(t, o, progress.Silent)
	if err != nil || m.Rows != 300 {
		t.Fatalf("%v, %+v", err, m)
	}
	ps := rows(t, out)
	if ps[299].Title != "Page 299" || ps[0].URL != "https://ar.wikipedia.org/wiki/P0" || !strings.Contains(ps[0].Text, "enough.\n\nAnother") {
		t.Errorf("%+v", ps[299])
	}
	o.Titles = []string{"page 7", "Nowhere"}
	if _, m, err = runDump(t, o, progress.Silent); err != nil || m.Rows != 1 || m.Counts["rejected_missing_page"] != 1 {
		t.Errorf("%v, %+v", err, m)
	}
	o.Config = "20231101.xx"
	if _, _, err = runDump(t, o, progress.Silent); !badinput.Is(err) {
		t.Errorf("a configuration that is not there: %v", err)
	}
	writeTable(t, filepath.Join(dir, "x.parquet"), []struct {
		A string `parquet:"a"`
	}{{"x"}})
	if _, _, err = runDump(t, dataOptions(filepath.Join(dir, "x.parquet")), progress.Silent); !badinput.Is(err) ||
		!strings.Contains(err.Error(), "columns a, expected id, url, title and text") {
		t.Errorf("another table: %v", err)
	}
}

const sectionsJSON = `[{"type":"section","name":"Abstract","has_parts":[{"type":"paragraph","value":"Coffee is a drink made of beans."}]},
	{"type":"section","name":"Uses","has_parts":[{"type":"paragraph","value":"It is drunk in the morning."},
	{"type":"list","has_parts":[{"type":"list_item","value":"hot"},{"type":"list_item","value":"cold"}]},
	{"type":"section","name":"Arabia","has_parts":[{"type":"paragraph","value":"In Arabia it is drunk with cardamom."}]}]}]`

// TestStructuredTable: wikimedia/structured-wikipedia, its nested columns as JSON or as they
// are.
func TestStructuredTable(t *testing.T) {
	type version struct {
		Identifier int64 `parquet:"identifier"`
	}
	type text struct {
		Name       string  `parquet:"name"`
		Identifier int64   `parquet:"identifier"`
		URL        string  `parquet:"url"`
		Sections   string  `parquet:"sections"`
		Version    version `parquet:"version"`
		License    string  `parquet:"license"`
	}
	path := filepath.Join(t.TempDir(), "s.parquet")
	writeTable(t, path, []text{{"Coffee", 5, "https://en.wikipedia.org/wiki/Coffee", sectionsJSON, version{77},
		`[{"name":"CC BY-SA 4.0","url":"https://cc.test"}]`}})
	out, m, err := runDump(t, dataOptions(path), progress.Silent)
	if err != nil {
		t.Fatal(err)
	}
	ps := rows(t, out)
	if got := sections(ps); got != "Coffee/, Coffee/Uses, Coffee/Uses > Arabia" ||
		ps[1].Text != "It is drunk in the morning.\n\n- hot\n- cold" ||
		ps[0].Revision != 77 || !strings.Contains(ps[0].URL, "oldid=77") || ps[0].Licence != "CC BY-SA 4.0 https://cc.test" {
		t.Errorf("%s: %+v, %v", got, ps, m.Counts)
	}
	type part struct {
		Type  string `parquet:"type"`
		Value string `parquet:"value"`
	}
	type section struct {
		Type  string `parquet:"type"`
		Name  string `parquet:"name"`
		Parts []part `parquet:"has_parts,list"`
	}
	type nestedRow struct {
		Name       string    `parquet:"name"`
		Identifier int64     `parquet:"identifier"`
		URL        string    `parquet:"url"`
		Sections   []section `parquet:"sections,list"`
	}
	writeTable(t, path, []nestedRow{{"Tea", 6, "https://en.wikipedia.org/wiki/Tea", []section{
		{"section", "Abstract", []part{{"paragraph", "Tea is a drink made of leaves."}}},
		{"section", "Uses", []part{{"paragraph", "It is drunk at five o'clock."}}}}}})
	if out, _, err = runDump(t, dataOptions(path), progress.Silent); err != nil || sections(rows(t, out)) != "Tea/, Tea/Uses" {
		t.Errorf("%v, %+v", err, rows(t, out))
	}
}

func renderedLine(name, html string, id, namespace int) string {
	line, _ := json.Marshal(map[string]any{"name": name, "identifier": id, "url": "https://en.wikipedia.org/wiki/" + name,
		"namespace": map[string]any{"identifier": namespace}, "version": map[string]any{"identifier": id * 100},
		"license": []any{map[string]any{"name": "CC BY-SA 4.0", "url": "https://cc.test"}}, "article_body": map[string]any{"html": html}})
	return string(line) + "\n"
}

// TestRenderedDump: JSON lines of rendered pages, plain and in a tar archive of several files.
func TestRenderedDump(t *testing.T) {
	dir := t.TempDir()
	files := []string{renderedLine("Coffee", "<section><p>Coffee is a drink of beans.</p></section>"+
		"<section><h2>Uses</h2><p>It is drunk in the "+
		"morning.</p></section>", 1, 0) +
		renderedLine("Talk:Coffee", "<p>x</p>", 2, 1),
		renderedLine("Tea", "<p>Tea is a drink made of leaves.</p>", 3, 0)}
	var archive bytes.Buffer
	z := gzip.NewWriter(&archive)
	w := tar.NewWriter(z)
	for i, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("enwiki_%d.ndjson", i), Mode: 0o600, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(text))
	}
	w.Close()
	z.Close()
	for name, data := range map[string][]byte{"x.ndjson": []byte(strings.Join(files, "")), "x.tar.gz": archive.Bytes()} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		out, m, err := runDump(t, dataOptions(path), progress.Silent)
		if err != nil {
			t.Fatal(err)
		}
		if ps := rows(t, out); sections(ps) != "Coffee/, Coffee/Uses, Tea/" || ps[0].Revision != 100 ||
			m.Counts["rejected_not_an_article"] != 1 {
			t.Errorf("%s: %+v, %v", name, ps, m.Counts)
		}
	}
	// Bad lines and a cut archive are damage: what can be read is kept.
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"bad.ndjson": {[]byte(files[0] + "{\n" + files[1] + "{}\n"), "line 3 of bad.ndjson: expected a page of Wikimedia Enterprise"},
		"cut.tar.gz": {archive.Bytes()[:archive.Len()/2], "unexpected EOF"},
		"not.ndjson": {[]byte("hello\n"), "expected a page of Wikimedia Enterprise as JSON"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, c.data, 0o666); err != nil {
			t.Fatal(err)
		}
		o := dataOptions(path)
		_, err := Run(t.Context(), o, nil, durable.Env{Out: filepath.Join(t.TempDir(), "out"), Progress: progress.Silent})
		if !badinput.Is(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
