package parquet

import (
	"path/filepath"
	"testing"
)

func BenchmarkRead(b *testing.B) {
	path := filepath.Join(b.TempDir(), "x.parquet")
	rows := testRows(20_000)
	if err := WriteFile(path, rows); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		n := 0
		for _, err := range Read[row](path) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != len(rows) {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(len(rows)*b.N)/b.Elapsed().Seconds(), "rows/s")
}
