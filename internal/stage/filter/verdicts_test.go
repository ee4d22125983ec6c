package filter

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"hash/fnv"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"barka/internal/dataset"
	"barka/internal/testfiles"
)

const verdictsFile = "testdata/verdicts.txt.gz"

// TestVerdicts compares the verdict about each row of the corpus, and what every rule
// measures of it, with those of an earlier version, so that making a rule faster moves none.
// After a change of the rules, BARKA_UPDATE=1 writes the file again.
func TestVerdicts(t *testing.T) {
	sets := corpus(t)
	var got strings.Builder
	reasons := map[string]int{}
	for _, kind := range slices.Sorted(maps.Keys(sets)) {
		for i, r := range slices.Concat(sets[kind], withPlants(sets[kind])) {
			if i%3 != 0 {
				continue // a third has all reasons
			}
			reason, line := verdictLine(t, r)
			reasons[reason]++
			fmt.Fprintln(&got, line)
		}
	}
	t.Log(reasons)
	if os.Getenv("BARKA_UPDATE") != "" {
		var b bytes.Buffer
		w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
		w.Write([]byte(got.String()))
		w.Close()
		if err := os.WriteFile(verdictsFile, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want := strings.Split(string(testfiles.Read(t, verdictsFile)), "\n")
	if len(want) < 8_000 {
		t.Fatalf("%d rows", len(want))
	}
	wrong := 0
	for i, line := range strings.Split(got.String(), "\n") {
		if i >= len(want) || line != want[i] {
			if wrong++; wrong <= 10 {
				t.Errorf("row %d: %q, want %q", i, line, want[min(i, len(want)-1)])
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d rows differ", wrong, len(want))
	}
}

// verdictLine returns the reason against a row, and with it a hash of what the rules measure,
// by each of two sets of options.
func verdictLine(t *testing.T, r dataset.Instruction) (reason, line string) {
	h := fnv.New32a()
	for _, o := range []Options{Defaults(), FineWeb2()} {
		got := check(t, o, r)
		if reason == "" {
			reason = got.Reason
		}
		all, err := o.explain(r)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(h, got, all)
		v, err := o.judge(r)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(h, v)
	}
	if reason == "" {
		reason = "-"
	}
	return reason, fmt.Sprintf("%s %04x", reason, h.Sum32()>>16^h.Sum32()&0xFFFF)
}
