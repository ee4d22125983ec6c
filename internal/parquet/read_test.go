package parquet

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"barka/internal/badinput"
)

// wanted reads testdata/rows.jsonl with numbers typed as the reader types them.
func wanted(t *testing.T) []map[string]any {
	t.Helper()
	f, err := os.Open("testdata/rows.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var rows []map[string]any
	for s := bufio.NewScanner(f); s.Scan(); {
		d := json.NewDecoder(bytes.NewReader(s.Bytes()))
		d.UseNumber()
		var m map[string]any
		if err := d.Decode(&m); err != nil {
			t.Fatal(err)
		}
		m = typed(m, "").(map[string]any)
		m["blob"], _ = hex.DecodeString(m["blob"].(string))
		rows = append(rows, m)
	}
	return rows
}

func typed(v any, name string) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = typed(v[k], k)
		}
	case []any:
		for i := range v {
			v[i] = typed(v[i], name)
		}
	case json.Number:
		if name == "score" || name == "single" {
			f, _ := v.Float64()
			return f
		}
		if i, err := v.Int64(); err == nil {
			return i
		}
		var u uint64
		fmt.Sscan(v.String(), &u)
		return u
	}
	return v
}

func TestReadWhatPyarrowWrites(t *testing.T) {
	want := wanted(t)
	for _, name := range []string{"none", "snappy", "gzip", "brotli", "zstd", "lz4", "v2", "delta", "legacy"} {
		t.Run(name, func(t *testing.T) {
			f, err := Open("testdata/" + name + ".parquet")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if f.NumRows() != int64(len(want)) {
				t.Fatalf("%d rows, want %d", f.NumRows(), len(want))
			}
			i := 0
			for got, err := range f.Rows() {
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(want[i], got); d != "" {
					t.Fatalf("row %d: %s", i, d)
				}
				i++
			}
			if i != len(want) {
				t.Fatalf("read %d rows, want %d", i, len(want))
			}
			i = 0
			for got, err := range f.Rows("answer", "id") {
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(map[string]any{"id": want[i]["id"], "answer": want[i]["answer"]}, got); d != "" {
					t.Fatalf("row %d: %s", i, d)
				}
				i++
			}
		})
	}
}

func TestMapsAndEmptyFiles(t *testing.T) {
	var got []any
	for row, err := range Read[map[string]any]("testdata/map.parquet") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, row["m"])
	}
	want := []any{map[string]any{"a": int64(1), "b": int64(2)}, map[string]any{}, nil}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for row, err := range Read[map[string]any]("testdata/empty.parquet") {
		t.Errorf("row %v, error %v in an empty file", row, err)
	}
}

func TestColumns(t *testing.T) {
	f, err := Open("testdata/zstd.parquet")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var got []string
	for _, c := range f.Columns() {
		got = append(got, c.Name+" "+c.Type)
	}
	text := strings.Join(got, "\n")
	for _, want := range []string{"id STRING", "messages list<struct<", "nested list<list<", "blob BYTE_ARRAY"} {
		if !strings.Contains(text, want) {
			t.Errorf("columns without %q:\n%s", want, text)
		}
	}
	for _, err := range f.Rows("id", "nosuch") {
		if !badinput.Is(err) || !strings.Contains(err.Error(), `"nosuch"`) || !strings.Contains(err.Error(), "messages") {
			t.Errorf("error %v does not name the wanted and the present columns", err)
		}
	}
}

type message struct {
	Role    string `json:"role" parquet:"role,dict"`
	Content string `json:"content" parquet:"content"`
}

type row struct {
	ID       string    `json:"id" parquet:"id"`
	N        int64     `json:"n" parquet:"n"`
	Score    float32   `json:"score" parquet:"score"`
	Messages []message `json:"messages" parquet:"messages,list"`
	Choices  []string  `json:"choices" parquet:"choices,list"`
}

func TestReadStructsFromOtherSchemas(t *testing.T) {
	want := wanted(t)
	i := 0
	for got, err := range Read[row]("testdata/gzip.parquet") {
		if err != nil {
			t.Fatal(err)
		}
		if got.ID != want[i]["id"] || len(got.Messages) != len(want[i]["messages"].([]any)) || float64(got.Score) != want[i]["score"] {
			t.Fatalf("row %d: %+v, want %v", i, got, want[i])
		}
		for j, m := range got.Messages {
			if m.Content != fmt.Sprintf("m%d.%d", i, j) {
				t.Fatalf("row %d: %+v", i, got)
			}
		}
		i++
	}
	if i != 60 {
		t.Fatalf("%d rows", i)
	}
	type other struct {
		Nothing string `json:"nothing" parquet:"nothing"`
	}
	for _, err := range Read[other]("testdata/gzip.parquet") {
		if !badinput.Is(err) || !strings.Contains(err.Error(), "gzip.parquet") {
			t.Errorf("a file without a common column: %v", err)
		}
	}
	type wrong struct {
		ID int `json:"id" parquet:"id"`
	}
	for _, err := range Read[wrong]("testdata/gzip.parquet") {
		if !badinput.Is(err) || !strings.Contains(err.Error(), "row 1") {
			t.Errorf("text into an integer: %v", err)
		}
	}
}

func testRows(n int) []row {
	rows := make([]row, n)
	for i := range rows {
		rows[i] = row{ID: fmt.Sprintf("id%06d", i), N: int64(i) << 40, Score: float32(i) / 3}
		for j := range i % 4 {
			rows[i].Messages = append(rows[i].Messages, message{"user", strings.Repeat("كلمة ", j*i%50)})
			rows[i].Choices = append(rows[i].Choices, fmt.Sprint(j))
		}
	}
	return rows
}

func TestWriteReadsBackAndIsDeterministic(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64, 65, RowGroupRows - 1, RowGroupRows, 2*RowGroupRows + 17} {
		rows := testRows(n)
		a, b := filepath.Join(t.TempDir(), "a.parquet"), filepath.Join(t.TempDir(), "b.parquet")
		for _, path := range []string{a, b} {
			if err := WriteFile(path, rows); err != nil {
				t.Fatal(err)
			}
		}
		x, _ := os.ReadFile(a)
		y, _ := os.ReadFile(b)
		if !bytes.Equal(x, y) {
			t.Errorf("%d rows: two writes differ", n)
		}
		i := 0
		for got, err := range Read[row](a) {
			if err != nil {
				t.Fatal(err)
			}
			want := rows[i]
			if len(got.Messages) == 0 { // Parquet does not tell nil from empty
				got.Messages, got.Choices = nil, nil
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("row %d: %+v, want %+v", i, got, want)
			}
			i++
		}
		if i != n {
			t.Fatalf("read %d rows, want %d", i, n)
		}
		f, err := Open(a)
		if err != nil {
			t.Fatal(err)
		}
		i = 0
		for got, err := range f.Rows("id", "messages") {
			if err != nil {
				t.Fatal(err)
			}
			if got["id"] != rows[i].ID || len(got["messages"].([]any)) != len(rows[i].Messages) {
				t.Fatalf("row %d as a map: %v", i, got)
			}
			i++
		}
		f.Close()
	}
}

// TestTextIsUTF8: a text that is not UTF-8 is an error that says where it is.
func TestTextIsUTF8(t *testing.T) {
	type texts struct {
		A string `json:"a" parquet:"a"`
		B []byte `json:"b" parquet:"b"`
		C string `json:"c" parquet:"c,dict"`
	}
	for column, bad := range map[string]texts{"a": {A: "س\xd8"}, "c": {C: "س\xd8"}, "": {A: "\ufffd", B: []byte("\xff")}} {
		path := filepath.Join(t.TempDir(), "texts.parquet")
		if err := WriteFile(path, []texts{{A: "good"}, bad}); err != nil {
			t.Fatal(err)
		}
		var last error
		for _, err := range Read[texts](path) {
			last = err
		}
		if column == "" && last == nil {
			continue
		}
		for _, want := range []string{path, "row", `"` + column + `"`, "not UTF-8: byte 0xd8 at offset 2"} {
			if !badinput.Is(last) || !strings.Contains(last.Error(), want) {
				t.Errorf("column %q: error %v, want one with %s", column, last, want)
			}
		}
	}
}
