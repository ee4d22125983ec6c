package safetensors

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/dtype"
	"barka/internal/resident"
)

func image(header string, data []byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	in := []Tensor{
		{"b", dtype.BF16, []int{3}, []byte{1, 2, 3, 4, 5, 6}},
		{"a", dtype.F32, []int{2, 1}, dtype.Bytes([]float32{1.5, -2})},
		{"empty", dtype.F32, []int{0, 4}, nil},
		{"scalar", dtype.F32, nil, dtype.Bytes([]float32{7})},
	}
	if err := Write(path, in, map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := strings.Join(f.Names(), ","); got != "a,b,empty,scalar" {
		t.Errorf("names %s", got)
	}
	for _, want := range in {
		got, err := f.Tensor(want.Name)
		if err != nil || got.DType != want.DType || string(got.Data) != string(want.Data) || len(got.Shape) != len(want.Shape) {
			t.Errorf("tensor %s: %+v, %v", want.Name, got, err)
		}
	}
	if f.Metadata()["format"] != "pt" {
		t.Error("metadata lost")
	}
	if _, err := f.Matrix("a", 1, 2); err == nil || !strings.Contains(err.Error(), "expected [1 2]") {
		t.Errorf("wrong shape: %v", err)
	}
	if m, err := f.Matrix("b", 1, 3); err != nil || m.Cols != 3 {
		t.Errorf("vector as one row: %v", err)
	}
}

func TestShards(t *testing.T) {
	dir := t.TempDir()
	var sources []Source
	for _, n := range []string{"x", "y", "z"} {
		sources = append(sources, Source{n, dtype.F32, []int{4}, func() ([]byte, error) { return []byte(strings.Repeat(n, 16)), nil }})
	}
	if err := WriteModel(dir, sources, nil, 40, nil); err != nil {
		t.Fatal(err)
	}
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, n := range []string{"x", "y", "z"} {
		if got, err := f.Tensor(n); err != nil || string(got.Data) != strings.Repeat(n, 16) {
			t.Errorf("%s: %q, %v", n, got.Data, err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "model-00002-of-00002.safetensors")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); !badinput.Is(err) {
		t.Errorf("missing shard: %v", err)
	}
}

// TestHostile: the error of each broken file names the defect.
func TestHostile(t *testing.T) {
	four := make([]byte, 4)
	for _, c := range []struct {
		name, want string
		file       []byte
	}{
		{"empty", "too short", nil},
		{"length beyond the file", "truncated", image(`{}`, nil)[:9]},
		{"huge header", "claims", binary.LittleEndian.AppendUint64(nil, 1<<60)},
		{"not JSON", "not a JSON object", image(`hello`, nil)},
		{"array", "not a JSON object", image(`[]`, nil)},
		{"text after", "text after", image(`{}{}`, nil)},
		{"duplicate", "twice", image(
			`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, four)},
		{"unknown type", "unknown dtype", image(`{"a":{"dtype":"F8_X","shape":[4],"data_offsets":[0,4]}}`, four)},
		{"beyond the data", "outside", image(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, four)},
		{"negative offset", "outside", image(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}`, four)},
		{"wrong size", "takes 8 bytes", image(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, four)},
		{"negative dimension", "negative", image(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, four)},
		{"overflow", "overflows", image(`{"a":{"dtype":"F32","shape":[4611686018427387904,8],"data_offsets":[0,4]}}`, four)},
		{"overlap", "overlap", image(
			`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, four)},
		{"hole", "hole", image(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, make([]byte, 8))},
		{"trailing bytes", "trailing", image(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, make([]byte, 8))},
		{"offsets of three", "expected 2", image(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,2,4]}}`, four)},
	} {
		path := filepath.Join(t.TempDir(), "x.safetensors")
		if err := os.WriteFile(path, c.file, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path)
		if err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, expected the file's name and %q", c.name, err, c.want)
		}
	}
}

// TestBombs: headers that claim a lot in few bytes take bounded memory or are an error.
func TestBombs(t *testing.T) {
	var many strings.Builder
	for i := range maxTensors + 2 {
		fmt.Fprintf(&many, `"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},`, i)
	}
	many.WriteString(`"last":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`)
	for _, c := range []struct{ name, header, want string }{
		{"tensors", "{" + many.String() + "}", "more than 262144 tensors"},
		{"shape", `{"a":{"dtype":"U8","shape":[` + strings.Repeat("1,", 40<<20) + `1],"data_offsets":[0,1]}}`,
			"tensor a: a piece of JSON is longer than 64 KiB"},
		{"name", `{"` + strings.Repeat("a", 80<<20) + `":1}`, "longer than 64 KiB"},
		{"metadata", `{"__metadata__":{` + strings.Repeat(`"a":"",`, 10<<20) + `"b":""}}`, "longer than 8192 KiB"},
		{"nesting", `{"a":` + strings.Repeat("[", 80<<20), "tensor a"},
	} {
		path := filepath.Join(t.TempDir(), c.name+".safetensors")
		if err := os.WriteFile(path, image(c.header, nil), 0o644); err != nil {
			t.Fatal(err)
		}
		var err error
		grown := resident.Growth(func() { _, err = Open(path) })
		if !badinput.Is(err) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, expected the file's name and %q", c.name, err, c.want)
		}
		if grown > 200<<20 { // up to 100 of them the mapped file
			t.Errorf("%s: took %d MiB", c.name, grown>>20)
		}
	}
	index := filepath.Join(t.TempDir(), IndexName)
	if err := os.WriteFile(index, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	os.Truncate(index, 1<<40)
	if _, err := Open(filepath.Dir(index)); !badinput.Is(err) || !strings.Contains(err.Error(), "1099511627776 bytes") {
		t.Errorf("index of a terabyte: %v", err)
	}
}

func TestIndexStaysInside(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, IndexName), []byte(`{"weight_map":{"a":"../../etc/passwd"}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "outside") {
		t.Errorf("index pointing outside: %v", err)
	}
}

// TestGenuineFile reads a file that the reference library wrote.
func TestGenuineFile(t *testing.T) {
	f, err := Open(filepath.Join("..", "..", "..", "shared", "data", "models", "jfk-codes.safetensors"))
	if err != nil {
		t.Skip("the shared reference data is not here")
	}
	defer f.Close()
	if len(f.Names()) == 0 {
		t.Error("no tensor found")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(image(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, make([]byte, 4)))
	f.Add(image(`{"__metadata__":{"x":"y"}}`, nil))
	f.Fuzz(func(t *testing.T, file []byte) {
		tensors, _, data, err := parse(file)
		if err != nil {
			return
		}
		total := 0
		for name, e := range tensors {
			if e.begin < 0 || e.end > len(data) || e.begin > e.end {
				t.Fatalf("%s accepted outside the data", name)
			}
			total += e.end - e.begin
		}
		if total != len(data) {
			t.Fatalf("tensors take %d of %d bytes", total, len(data))
		}
	})
}
