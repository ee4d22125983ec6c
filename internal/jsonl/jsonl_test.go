package jsonl

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"barka/internal/badinput"
	"barka/internal/lines"
)

type record struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}

func TestWriteAndReadBack(t *testing.T) {
	for _, name := range []string{"a.jsonl", "a.jsonl.gz", "a.jsonl.zst"} {
		var files [2][]byte
		for i := range files {
			path := filepath.Join(t.TempDir(), name)
			w, err := Create(path)
			if err != nil {
				t.Fatal(err)
			}
			for j := range 1000 {
				if err := w.Write(record{fmt.Sprint(j), strings.Repeat("<نص>\n", j%9)}); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			files[i], _ = os.ReadFile(path)
			n := 0
			for r, err := range Read[record](path) {
				if err != nil {
					t.Fatal(err)
				}
				if want := (record{fmt.Sprint(n), strings.Repeat("<نص>\n", n%9)}); r != want {
					t.Fatalf("%+v, want %+v", r, want)
				}
				n++
			}
			if n != 1000 {
				t.Errorf("%s: %d rows", name, n)
			}
		}
		if !bytes.Equal(files[0], files[1]) {
			t.Errorf("%s: two writes differ", name)
		}
	}
}

func TestLinesAsPeopleWriteThem(t *testing.T) {
	text := "\xef\xbb\xbf{\"id\":\"1\"}\r\n\r\n   \n{\"id\":\"2\"}\n{\"id\":\"3\",\"text\":\"" + strings.Repeat("x", 1<<20) + "\"}"
	path := filepath.Join(t.TempDir(), "x.jsonl")
	os.WriteFile(path, []byte(text), 0o666)
	var numbers []int
	for l, err := range Lines(path) {
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, l.Number)
	}
	if fmt.Sprint(numbers) != "[1 4 5]" {
		t.Errorf("lines %v", numbers)
	}
}

func TestErrorsNameFileAndLine(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"syntax.jsonl":  "{\"id\":\"1\"}\n\n{\"id\":\n",
		"type.jsonl":    "{\"id\":\"1\"}\n\n{\"id\":5}\n",
		"long.jsonl":    "{}\n\n\"" + strings.Repeat("x", lines.Max) + "\"\n{}\n",
		"longend.jsonl": "{}\n\n\"" + strings.Repeat("x", lines.Max),
	} {
		path := filepath.Join(dir, name)
		os.WriteFile(path, []byte(content), 0o666)
		var last error
		for _, err := range Read[record](path) {
			last = err
		}
		if !badinput.Is(last) || !strings.Contains(last.Error(), name+": line 3: ") {
			t.Errorf("%s: error %v", name, last)
		}
	}
	for _, name := range []string{"x.jsonl.gz", "x.jsonl.zst", "missing.jsonl"} {
		path := filepath.Join(dir, name)
		if name[0] == 'x' {
			os.WriteFile(path, []byte("{\"id\":\"not compressed\"}\n"), 0o666)
		}
		var last error
		for _, err := range Read[record](path) {
			last = err
		}
		if !badinput.Is(last) || !strings.Contains(last.Error(), name) {
			t.Errorf("%s: error %v", name, last)
		}
	}
}

func TestTruncatedCompressedFile(t *testing.T) {
	for _, name := range []string{"a.jsonl.gz", "a.jsonl.zst"} {
		path := filepath.Join(t.TempDir(), name)
		w, err := Create(path)
		if err != nil {
			t.Fatal(err)
		}
		for j := range 5000 {
			w.Write(record{fmt.Sprint(j), fmt.Sprint(j * j)})
		}
		w.Close()
		data, _ := os.ReadFile(path)
		os.WriteFile(path, data[:len(data)/2], 0o666)
		var last error
		for _, err := range Read[record](path) {
			last = err
		}
		if last == nil {
			t.Errorf("%s: a file cut in half reads without an error", name)
		}
	}
}

// TestBlankLines: gigabytes of blank lines in a small compressed file end in an
// error, soon; some between rows are nothing.
func TestBlankLines(t *testing.T) {
	for _, ext := range []string{".gz", ".zst"} {
		for _, blank := range []string{"\n", strings.Repeat(" ", 1<<20) + "\n"} {
			path := filepath.Join(t.TempDir(), "x.jsonl"+ext)
			w, err := Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Write(1); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			one, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			bomb := pressed(t, ext, strings.Repeat(blank, 17<<20/len(blank)))
			if err := os.WriteFile(path, append(one, bomb...), 0o644); err != nil {
				t.Fatal(err)
			}
			n := 0
			var last error
			for _, err := range Lines(path) {
				n++
				last = err
			}
			if n != 2 || !badinput.Is(last) || !strings.Contains(last.Error(), "more than 16 MiB of blank lines") {
				t.Errorf("%s, %d bytes: %d lines, %v", ext, len(bomb), n, last)
			}
		}
	}
}

func pressed(t *testing.T, ext, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&b)
	if ext == ".zst" {
		z, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w = z
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
