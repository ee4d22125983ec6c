package evaltest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/parquet"
	"barka/internal/pytext"
	"barka/internal/testfiles"
	"barka/internal/tokenizer"
)

// Demo returns the directory testdata/chain.
func Demo(t *testing.T) string {
	t.Helper()
	return filepath.Join(testfiles.Root(t), "testdata", "chain")
}

// DemoTokenizer returns the tokenizer of testdata/chain, which is part of the repository.
// It is trained on Arabic text and has the layout of Gemma's.
func DemoTokenizer(t *testing.T) Tokenizer {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Demo(t), "models/gemma2/tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	eos, ok := tok.ID("<eos>")
	if !ok {
		t.Fatal("no <eos>")
	}
	return Tokenizer{tok, eos}
}

// SharedOALL finds the benchmark data that cannot be committed.
func SharedOALL(t *testing.T) string {
	t.Helper()
	return testfiles.Shared(t, "oall")
}

// ReadDetails reads the rows of a details file.
func ReadDetails(t *testing.T, path string) []map[string]any {
	t.Helper()
	file, err := parquet.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var rows []map[string]any
	for row, err := range file.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}

// Reference reads the published result file of pythia-70m.
func Reference(t *testing.T) (text []byte, parsed pytext.Object) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(SharedOALL(t), "reference_results", "pythia-70m_results_2024-06-28T14-20-00.json"))
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return text, DecodeOrdered(t, d).(pytext.Object)
}

// DecodeOrdered decodes JSON with the order of keys and the text of numbers.
func DecodeOrdered(t *testing.T, d *json.Decoder) any {
	t.Helper()
	token, err := d.Token()
	if err != nil {
		t.Fatal(err)
	}
	switch token {
	case json.Delim('{'):
		o := pytext.Object{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				t.Fatal(err)
			}
			o.Set(key.(string), DecodeOrdered(t, d))
		}
		d.Token()
		return o
	case json.Delim('['):
		list := []any{}
		for d.More() {
			list = append(list, DecodeOrdered(t, d))
		}
		d.Token()
		return list
	}
	if n, ok := token.(json.Number); ok && !strings.ContainsAny(n.String(), ".eE") {
		i, _ := n.Int64()
		return int(i)
	} else if ok {
		f, _ := n.Float64()
		return f
	}
	return token
}
