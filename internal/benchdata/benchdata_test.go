package benchdata

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"barka/internal/badinput"
	"barka/internal/parquet"
	"barka/internal/resident"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestLocate(t *testing.T) {
	for _, layout := range []struct{ file, subset, split string }{
		{"OALL/ACVA/Iraq/test-00000-of-00001.parquet", "Iraq", "test"},
		{"OALL/ACVA/data/Iraq/test.csv", "Iraq", "test"},
		{"OALL/ACVA/Iraq/test/0000.parquet", "Iraq", "test"},
		{"OALL/ACVA/Iraq_test.jsonl", "Iraq", "test"},
		{"OALL/ACVA/test/Iraq_test.csv", "Iraq", "test"},
		{"OALL/ACVA/Iraq/dev.json", "Iraq", "validation"},
		{"OALL/ACVA/data/validation-00000-of-00001-0123abcd.parquet", "default", "validation"},
		{"OALL/ACVA/spring2016.val.ar.tsv.split_20_80_eval.tsv", "ar", "eval"},
		{"datasets--OALL--ACVA/snapshots/abc/Iraq/test.csv", "Iraq", "test"},
	} {
		dir := t.TempDir()
		want := filepath.Join(dir, filepath.FromSlash(layout.file))
		write(t, want, "x")
		write(t, filepath.Join(dir, "OALL/Other/Iraq/test.csv"), "x")
		s, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Locate("OALL/ACVA", layout.subset, layout.split)
		if err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s: found %v, %v", layout.file, got, err)
		}
		_, err = s.Locate("OALL/ACVA", "Iran", layout.split)
		var missing *Missing
		if !errors.As(err, &missing) {
			t.Errorf("%s: a subset that is not there: error %v, want *Missing", layout.file, err)
		}
	}
}

func TestLocateShards(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "o/r/s/test-00001-of-00002.parquet"), "x")
	s, _ := Open(dir)
	if _, err := s.Locate("o/r", "s", "test"); err == nil || !strings.Contains(err.Error(), "1 of 2 parts") || !badinput.Is(err) {
		t.Errorf("error %v, want one about the missing part", err)
	}
	write(t, filepath.Join(dir, "o/r/s/test-00000-of-00002.parquet"), "x")
	s, _ = Open(dir)
	got, err := s.Locate("o/r", "s", "test")
	if err != nil || len(got) != 2 || !strings.HasSuffix(got[0], "test-00000-of-00002.parquet") {
		t.Errorf("found %v, %v", got, err)
	}
	// A split whose name begins like another's is not taken for it.
	if _, err := s.Locate("o/r", "s", "tes"); err == nil {
		t.Error("split tes was found")
	}
}

func TestReadText(t *testing.T) {
	dir := t.TempDir()
	want := &Table{[]string{"q", "n", "list"}, [][]any{{"س\n", int64(3), []any{"a", 1.5}}, {"b", nil, Object{}}}}
	for name, text := range map[string]string{
		"a.jsonl": "{\"q\": \"س\\n\", \"n\": 3, \"list\": [\"a\", 1.5]}\n\n{\"q\": \"b\", \"list\": {\"x\": 1}}\n",
		"a.json":  "[{\"q\": \"س\\n\", \"n\": 3, \"list\": [\"a\", 1.5]}, {\"list\": {}, \"q\": \"b\"}]",
	} {
		path := filepath.Join(dir, name)
		write(t, path, text)
		got, err := Read([]string{path})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s = %v, %v; want %v", name, got, err, want)
		}
	}
	path := filepath.Join(dir, "a.csv")
	write(t, path, "q,n\n\"x\r\ny\",1\n")
	got, err := Read([]string{path, path})
	row := []any{"x\r\ny", "1"}
	if err != nil || !reflect.DeepEqual(got, &Table{[]string{"q", "n"}, [][]any{row, row}}) {
		t.Errorf("csv = %v, %v", got, err)
	}
	for name, text := range map[string]string{
		"short.csv": "a,b\n1\n", "twice.csv": "a,a\n", "empty.csv": "", "cut.jsonl": "{\"a\": 1}\n{\"a\":",
		"num.json": "[1]", "bad.parquet": "PAR1",
	} {
		path := filepath.Join(dir, name)
		write(t, path, text)
		if _, err := Read([]string{path}); !badinput.Is(err) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v, want bad input naming the file", name, err)
		}
	}
}

func TestReadParquet(t *testing.T) {
	type row struct {
		Q    string   `parquet:"q"`
		N    *int32   `parquet:"n,optional"`
		F    float32  `parquet:"f"`
		B    bool     `parquet:"b"`
		List []string `parquet:"list,list"`
		S    struct{ A, B int64 }
	}
	n := int32(7)
	path := filepath.Join(t.TempDir(), "a.parquet")
	rows := []row{{Q: "س", N: &n, F: 2.5, B: true, List: []string{"x", "y"}}, {Q: ""}}
	if err := parquet.WriteFile(path, rows); err != nil {
		t.Fatal(err)
	}
	got, err := Read([]string{path})
	want := &Table{[]string{"q", "n", "f", "b", "list", "S"}, [][]any{
		{"س", int64(7), 2.5, true, []any{"x", "y"}, Object{}}, {"", nil, 0.0, false, []any{}, Object{}}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("parquet = %v, %v; want %v", got, err, want)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := 0; cut < len(whole); cut += 7 {
		if err := os.WriteFile(path, whole[:cut], 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Read([]string{path}); err == nil {
			t.Errorf("a file cut at %d of %d bytes was read", cut, len(whole))
		}
	}
}

// TestHostileFiles: each is refused, with the file's name and what is wrong.
func TestHostileFiles(t *testing.T) {
	dir := t.TempDir()
	type row struct {
		QA string `parquet:"qa"`
		QB string `parquet:"qb"`
	}
	packed := func(rows ...row) string {
		path := filepath.Join(dir, "source.parquet")
		if err := parquet.WriteFile(path, rows); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	good := packed(row{"1", "2"})
	for name, c := range map[string]struct{ file, text, want string }{
		"list cut between rows":  {"a.json", `[{"a": 1},`, "the list is not closed after row 1"},
		"list without an end":    {"b.json", `[{"a": 1}`, "the list is not closed after row 1"},
		"JSON not UTF-8":         {"c.jsonl", "{\"a\": \"\xd8\"}", "not UTF-8"},
		"JSON of great depth":    {"d.json", `[{"a": ` + strings.Repeat("[", 1<<20), "max depth"},
		"lists of great depth":   {"e.json", strings.Repeat("[", 1<<20), "not closed"},
		"JSON of another kind":   {"f.json", `"text"`, "row 1: found text, expected an object"},
		"CSV not UTF-8":          {"g.csv", "a,b\n\xff,1\n", "not UTF-8"},
		"CSV in UTF-16":          {"h.csv", "\xff\xfea\x00,\x00", "not UTF-8"},
		"CSV column twice":       {"i.csv", "a,b,a\n1,2,3\n", `column "a" appears twice`},
		"CSV quote not closed":   {"j.csv", "a,b\n\"1,2\n3,4\n", "record 2: a quoted field is not closed"},
		"CSV row too long":       {"k.csv", "a,b\n1,2,3\n", "row 1 has 3 fields, the header has 2"},
		"gzip that is none":      {"l.jsonl.gz", `{"a": 1}`, "l.jsonl.gz"},
		"parquet column twice":   {"m.parquet", strings.ReplaceAll(good, "qb", "qa"), "qa"},
		"parquet not UTF-8":      {"n.parquet", packed(row{"س", "a"}, row{"a", "\xd8"}), `row 2: column "qb": not UTF-8`},
		"parquet of a long foot": {"o.parquet", good[:len(good)-8] + "\xff\xff\xff\x7fPAR1", "o.parquet"},
	} {
		path := filepath.Join(dir, c.file)
		write(t, path, c.text)
		if table, err := Read([]string{path}); !badinput.Is(err) || !strings.Contains(err.Error(), c.file) ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, error %v, want bad input with %q", name, table, err, c.want)
		}
	}
}

// TestBombs: a small file that becomes a large one is refused before it does.
func TestBombs(t *testing.T) {
	defer func(n int64) { maxText = n }(maxText)
	maxText = 2 << 20
	dir := t.TempDir()
	zeros := bytes.Repeat([]byte(" "), 3<<20)
	var packed bytes.Buffer
	g := gzip.NewWriter(&packed)
	g.Write(zeros)
	g.Close()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"a.jsonl.gz": packed.String(), "b.jsonl.zst": string(z.EncodeAll(zeros, nil))} {
		path := filepath.Join(dir, name)
		write(t, path, text)
		if _, err := Read([]string{path}); !badinput.Is(err) || !strings.Contains(err.Error(), name) ||
			!strings.Contains(err.Error(), "more than 2 MiB") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestLargerThanTheirText: values that take much more memory than their text
// are refused before they do.
func TestLargerThanTheirText(t *testing.T) {
	defer func(n int64) { maxTable = n }(maxTable)
	maxTable = 32 << 20
	dir := t.TempDir()
	var keys strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&keys, "{\"k%d\":1}\n", i)
	}
	for name, c := range map[string]struct{ text, want string }{
		"rows.jsonl":        {strings.Repeat("{}\n", 2<<20), "more than 32 MiB of memory"},
		"list.json":         {`[{"a":[` + strings.Repeat("[],", 5<<20) + `[]]}]`, "more than 32 MiB of memory"},
		"row.json":          {`[{"a":[` + strings.Repeat("[],", 20<<20) + `[]]}]`, "longer than 16384 KiB"},
		"columns.jsonl":     {keys.String(), "more than 1000 columns"},
		"many_rows.jsonl":   {strings.Repeat("{}\n", 1<<20) + keys.String(), "more than 32 MiB of memory"},
		"columns.csv":       {strings.Repeat(",", 20<<20), "more than 1000 fields"},
		"columns_named.csv": {"a,b\n" + strings.Repeat("1,2\n", 2<<20), "more than 32 MiB of memory"},
	} {
		path := filepath.Join(dir, name)
		write(t, path, c.text)
		var err error
		grown := resident.Growth(func() { _, err = Read([]string{path}) })
		if !badinput.Is(err) || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), c.want) || grown > 500<<20 {
			t.Errorf("%s: error %v, want %q; %d MiB", name, err, c.want, grown>>20)
		}
	}
}

// TestMarksAndLineEnds: a byte order mark and carriage returns are no part of
// the values.
func TestMarksAndLineEnds(t *testing.T) {
	dir := t.TempDir()
	want := &Table{[]string{"q", "n"}, [][]any{{"س", "1"}, {"ب\r\nج", "2"}}}
	for name, text := range map[string]string{
		"mark.csv":    "\ufeffq,n\nس,1\n\"ب\r\nج\",2\n",
		"returns.csv": "q,n\r\nس,1\r\n\"ب\r\nج\",2\r\n",
		"both.tsv":    "\ufeffq\tn\r\nس\t1\r\n\"ب\r\nج\"\t2",
		"lines.jsonl": "\ufeff{\"q\": \"س\", \"n\": \"1\"}\r\n\r\n{\"q\": \"ب\\r\\nج\", \"n\": \"2\"}\r\n",
	} {
		path := filepath.Join(dir, name)
		write(t, path, text)
		if got, err := Read([]string{path}); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, want)
		}
	}
}

func FuzzReadJSON(f *testing.F) {
	f.Add([]byte(`{"a": 1}`))
	f.Add([]byte(`[{"a": [1, "x"]}, {"b": null}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		table := new(builder)
		if table.readJSON(data) != nil {
			return
		}
		for i, row := range table.Rows {
			if len(row) != len(table.Columns) {
				t.Errorf("row %d of %q has %d values for %d columns", i, data, len(row), len(table.Columns))
			}
		}
	})
}
