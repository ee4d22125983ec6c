package hostile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/hostile"
)

// settings are the kinds of files that are one JSON value, or one per line.
var settings = []string{
	"config.json of llama", "generation_config.json", "adapter_config.json", "tokenizer.json of Gemma", "tokenizer_config.json",
	"manifest.json", "results.json", "model.safetensors.index.json", "rows.jsonl",
}

// jsonBombs are texts that no parser may build in memory as a whole.
func jsonBombs() map[string]string {
	var keys strings.Builder
	keys.WriteString("{")
	for i := range 500_000 {
		fmt.Fprintf(&keys, `"k%d":{},`, i)
	}
	keys.WriteString(`"end":[]}`)
	return map[string]string{
		"a million brackets":  strings.Repeat("[", 1<<20),
		"a million objects":   strings.Repeat(`{"model":`, 1<<20),
		"a number of 8 MB":    `{"vocab_size":` + strings.Repeat("9", 8<<20) + `}`,
		"a string of 12 MB":   `{"model_type":"` + strings.Repeat("\u0000", 2<<20) + `"}`,
		"half a million keys": keys.String(),
		"a million lists": `{"added_tokens":[` + strings.Repeat("[],", 1<<20) + `[]],"architectures":[` +
			strings.Repeat(`"",`, 1<<20) + `""]}`,
	}
}

// bomb is a file that is put in the place of a valid one of its kind.
type bomb struct {
	kind, name string
	data       []byte
	size       int64 // to which the file is stretched with zeros that take no place on the disk
}

func bombs() []bomb {
	var all []bomb
	texts := jsonBombs()
	var names []string
	for name := range texts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, kind := range settings {
		for _, name := range names {
			all = append(all, bomb{kind: kind, name: name, data: []byte(texts[name])})
		}
		all = append(all, bomb{kind: kind, name: "a terabyte", size: 1 << 40})
	}
	zeros := make([]byte, 96<<20)
	blank := slices.Repeat([]byte{' '}, 96<<20)
	page := func(text []byte) []byte {
		return slices.Concat([]byte("<mediawiki><page><title>A</title><revision><text>"), text)
	}
	all = append(all,
		bomb{kind: "dump.xml.gz", name: "a page of 96 MB", data: gzipped(page(blank))},
		bomb{kind: "dump.xml.zst", name: "a page of 96 MB", data: zstandard(page(blank))},
		bomb{kind: "dump.xml.gz", name: "zeros", data: gzipped(zeros)},
		bomb{kind: "dump.xml.zst", name: "a window of 2 GiB", data: []byte("\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00")},
		bomb{kind: "dump.xml.xz", name: "a dictionary of 4 GiB",
			data: []byte("\xfd7zXZ\x00\x00\x01\x69\x22\xde\x36\x02\x00\x21\x01\x28\x00\x00\x00")},
		bomb{kind: "rows.jsonl.gz", name: "a line of 96 MB", data: gzipped(blank)},
		bomb{kind: "rows.jsonl.zst", name: "a line of 96 MB", data: zstandard(blank)},
		bomb{kind: "rows.jsonl.zst", name: "a window of 2 GiB", data: []byte("\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00")},
		bomb{kind: "bench.csv.gz", name: "a field of 96 MB", data: gzipped(slices.Concat([]byte{'"'}, blank))},
		bomb{kind: "bench.csv.gz", name: "columns", data: gzipped([]byte(strings.Repeat(",", 20<<20)))},
		bomb{kind: "bench.json", name: "a row of lists", data: []byte(`[{"a":[` + strings.Repeat("[],", 10<<20) + `[]]}]`)},
		bomb{kind: "bench.json", name: "a terabyte", size: 1 << 40},
		bomb{kind: "model.safetensors", name: "a header of a terabyte",
			data: []byte("\x00\x00\x00\x00\x00\x01\x00\x00{}"), size: 1<<40 + 100},
		bomb{kind: "model.safetensors", name: "a header of 90 MB",
			data: append([]byte("\x00\x00\x60\x05\x00\x00\x00\x00"), []byte(strings.Repeat(`{"a":`, 18<<20))...)},
		bomb{kind: "layouts.bin", name: "a terabyte", size: 1 << 40},
		bomb{kind: "tokenizer.model", name: "a terabyte", size: 1 << 40},
		bomb{kind: "tokenizer.model", name: "empty pieces", data: []byte(strings.Repeat("\n\x00", 8<<20))},
		bomb{kind: "rows.parquet", name: "a terabyte", size: 1 << 40},
		bomb{kind: "recipe.yaml", name: "a terabyte", size: 1 << 40},
		bomb{kind: "recipe.yaml", name: "lists in lists", data: []byte(strings.Repeat("[", 60<<10))},
		bomb{kind: "recipe.yaml", name: "mappings in mappings", data: []byte(strings.Repeat("{a: ", 15<<10))},
		bomb{kind: "recipe.yaml", name: "blocks in blocks", data: []byte(deepBlocks(340))},
		bomb{kind: "recipe.yaml", name: "dashes", data: []byte(strings.Repeat("- ", 30<<10))},
	)
	return all
}

// deepBlocks is YAML of mappings in block style, each in another.
func deepBlocks(depth int) string {
	var b strings.Builder
	for i := range depth {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// TestBombs reads small files that stand for much, and files that only claim
// to be large: in bounded memory each is refused, or read where it says nothing
// of interest. go test takes a sample, .ci/long all.
func TestBombs(t *testing.T) {
	byName := map[string]kind{}
	for _, k := range kinds(t) {
		byName[k.name] = k
	}
	var tally hostile.Tally
	read := 0
	for i, b := range bombs() {
		if os.Getenv("BARKA_HOSTILE_FILES") == "" && i%8 != 0 {
			continue
		}
		read++
		k, ok := byName[b.kind]
		if !ok {
			t.Fatalf("no kind %q", b.kind)
		}
		path := filepath.Join(k.dir, k.file)
		valid, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.data, 0o666); err != nil {
			t.Fatal(err)
		}
		if b.size > 0 {
			if err := os.Truncate(path, b.size); err != nil {
				t.Logf("%s, %s: %v", b.kind, b.name, err)
				continue
			}
		}
		tally.Read(b.kind+", "+b.name, path, func() error { return k.read(k.dir) })
		if err := os.WriteFile(path, valid, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d bombs: %s", read, &tally)
	for _, p := range tally.Problems {
		t.Error(p)
	}
}
