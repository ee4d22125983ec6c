package durable

import (
	"context"
	"path/filepath"
	"testing"

	"barka/internal/dataset"
)

// BenchmarkMap measures the overhead per record: journal, ordering and Parquet.
func BenchmarkMap(b *testing.B) {
	partLimits = dataset.DefaultLimits
	defer func() { partLimits = dataset.Limits{Rows: 40, Bytes: 1 << 16} }()
	const records = 20_000
	for b.Loop() {
		r, err := Begin(filepath.Join(b.TempDir(), "out"), Identity{Stage: "bench"}, false)
		if err != nil {
			b.Fatal(err)
		}
		o := MapOptions[dataset.Passage]{Key: func(p dataset.Passage) string { return p.ID }, Workers: 2}
		err = Map(context.Background(), r, testPassages(records), o, func(_ context.Context, p dataset.Passage) ([]dataset.Passage, error) {
			return []dataset.Passage{p}, nil
		})
		if err != nil {
			b.Fatal(err)
		}
		if err := r.Finish(Final{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(records*b.N)/b.Elapsed().Seconds(), "records/s")
}
