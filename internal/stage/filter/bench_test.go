package filter

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"barka/internal/durable"
	"barka/internal/progress"
	"barka/internal/resident"
)

// generate writes rows of 20 to 60 words, of which one in twenty is a copy of a recent one
// with some words changed, and returns the bytes of their texts.
func generate(b *testing.B, path string, n int) (bytes int64) {
	b.Helper()
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	rng := rand.New(rand.NewPCG(5, 6))
	word := func() string { return arabic(int(rng.ExpFloat64() * 3000)) }
	recent := make([][]string, 0, 4096)
	for i := range n {
		var list []string
		if i > 100 && rng.IntN(20) == 0 {
			list = append(list, recent[rng.IntN(len(recent))]...)
			for range rng.IntN(4) {
				list[rng.IntN(len(list))] = word()
			}
		} else {
			for range 20 + rng.IntN(40) {
				list = append(list, word())
			}
			if len(recent) < cap(recent) {
				recent = append(recent, list)
			} else {
				recent[rng.IntN(len(recent))] = list
			}
		}
		k := len(list) / 4
		r := instruction(strconv.Itoa(i), "", strings.Join(list[:k], " "), strings.Join(list[k:], " "))
		bytes += int64(textBytes(r))
		data, err := json.Marshal(r)
		if err != nil {
			b.Fatal(err)
		}
		w.Write(append(data, '\n'))
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	return bytes
}

// BenchmarkDuplicates runs the filter without other rules over generated rows, as many as
// BARKA_NEAR_ROWS says, and reports the process's peak of resident memory.
//
//	BARKA_NEAR_ROWS=2000000 go test -run xxx -bench Duplicates -benchtime 1x ./internal/stage/filter
func BenchmarkDuplicates(b *testing.B) {
	n, err := strconv.Atoi(os.Getenv("BARKA_NEAR_ROWS"))
	if err != nil {
		n = 10_000
	}
	in := filepath.Join(b.TempDir(), "rows.jsonl")
	bytes := generate(b, in, n)
	resident.ResetPeak()
	for i := 0; b.Loop(); i++ {
		start := time.Now()
		env := durable.Env{Out: filepath.Join(b.TempDir(), fmt.Sprint("out", i)), In: map[string]string{"instructions": in},
			Progress: progress.Silent}
		m, err := Run(b.Context(), onlyDuplicates(), env)
		if err != nil {
			b.Fatal(err)
		}
		took := time.Since(start).Seconds()
		b.ReportMetric(float64(bytes)/1e6/took, "MB/s")
		b.ReportMetric(float64(n)/took, "rows/s")
		b.ReportMetric(float64(m.Counts["rejected_near_duplicate"]), "near")
		b.ReportMetric(float64(resident.Peak())/(1<<20), "peak-MiB")
	}
}
