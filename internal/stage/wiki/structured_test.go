package wiki

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/durable"
	"barka/internal/progress"
)

const structuredLine = `{"name":"Coffee","identifier":5,"url":"https://en.wikipedia.org/wiki/Coffee","version":{"identifier":77},
"license":[{"name":"CC BY-SA 4.0","url":"https://cc.test"}],
"sections":[
 {"type":"section","name":"Abstract","has_parts":[
  {"type":"image","value":"a picture"},
  {"type":"paragraph","value":"Coffee is a drink of {{beans}} with < 3 % of [[sugar]]."}]},
 {"type":"section","name":"Making","has_parts":[
  {"type":"ordered_list","has_parts":[
   {"type":"list_item","value":"Roast.","has_parts":[{"type":"list","values":["light","dark"]}]},
   {"type":"list_item","value":"Grind."}]},
  {"type":"definition_list","has_parts":[
   {"type":"definition_term","value":"Qahwa"},{"type":"definition","value":"with cardamom"}]},
  {"type":"table","table_references":[{"identifier":"t1"}]},
  {"type":"section","name":"Brewing","has_parts":[{"type":"paragraph","value":"Brewed\nfor three minutes."}]}]}],
"tables":[{"identifier":"t1","headers":[[{"value":"Country"},{"value":"Cups"}]],
 "rows":[[{"value":"Yemen"},{"value":"2"}],[{"value":"Egypt"},{"value":"3"}]]}]}`

// TestStructuredParts: lists, definitions and tables have the form of those of wikitext, and what
// is markup in wikitext is text.
func TestStructuredParts(t *testing.T) {
	var line bytes.Buffer
	if err := json.Compact(&line, []byte(structuredLine)); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"Coffee is a drink of {{beans}} with < 3 % of [[sugar]].",
		"1. Roast.\n  - light\n  - dark\n2. Grind.\n\nQahwa: with cardamom\n\n- Country: Yemen; Cups: 2\n- Country: Egypt; Cups: 3",
		"Brewed\nfor three minutes.",
	}
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	for _, name := range []string{"__MACOSX/._enwiki_0.jsonl", "enwiki_0.jsonl", "README"} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(append(line.Bytes(), '\n'))
	}
	z.Close()
	for name, data := range map[string][]byte{"x.jsonl": line.Bytes(), "x.zip": archive.Bytes()} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		out, _, err := runDump(t, dataOptions(path), progress.Silent)
		if err != nil {
			t.Fatal(err)
		}
		ps := rows(t, out)
		if sections(ps) != "Coffee/, Coffee/Making, Coffee/Making > Brewing" || ps[0].Revision != 77 {
			t.Fatalf("%s: %+v", name, ps)
		}
		for i, p := range ps {
			if p.Text != want[i] {
				t.Errorf("%s: %q, expected %q", name, p.Text, want[i])
			}
		}
	}
}

// TestDamagedZip: a cut archive, and one whose bytes are wrong, are errors that name it.
func TestDamagedZip(t *testing.T) {
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	w, _ := z.Create("a.jsonl")
	w.Write([]byte(strings.Repeat(strings.ReplaceAll(structuredLine, "\n", " ")+"\n", 50)))
	z.Close()
	wrong := bytes.Clone(archive.Bytes())
	wrong[200] ^= 0xff
	for name, data := range map[string][]byte{"cut.zip": archive.Bytes()[:archive.Len()/2], "wrong.zip": wrong} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := Run(t.Context(), dataOptions(path), nil, durable.Env{Out: filepath.Join(t.TempDir(), "out"), Progress: progress.Silent})
		if !badinput.Is(err) || !strings.Contains(err.Error(), name) && !strings.Contains(err.Error(), "a.jsonl") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
