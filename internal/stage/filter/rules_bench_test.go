//go:build unix

package filter

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"barka/internal/dataset"
)

// BenchmarkRules measures bytes of messages and their sources per second of processor time: all rules
// over each kind of row of the corpus and over all of them, and each rule alone. BARKA_CORPUS
// names a file for a third of the rows and, of another third, the same with planted texts.
func BenchmarkRules(b *testing.B) {
	sets := corpus(b)
	if path := os.Getenv("BARKA_CORPUS"); path != "" {
		writeCorpus(b, path, sets)
	}
	var all []dataset.Instruction
	o := Defaults()
	whole := func(r *dataset.Instruction) error {
		_, err := o.Check(*r)
		return err
	}
	for _, kind := range slices.Sorted(maps.Keys(sets)) {
		all = append(all, sets[kind]...)
		benchmarkRows(b, "kind="+kind, sets[kind], whole)
	}
	benchmarkRows(b, "all", all, whole)
	benchmarkRows(b, "judge", all, func(r *dataset.Instruction) error {
		_, err := o.judge(*r)
		return err
	})
	for i := range rules {
		benchmarkRows(b, "rule="+rules[i].name, all, func(r *dataset.Instruction) error {
			form, err := formOf(*r)
			x := examine(&o, *r, form)
			x.run(&rules[i])
			x.done()
			return err
		})
	}
}

func writeCorpus(b *testing.B, path string, sets map[string][]dataset.Instruction) {
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	e := json.NewEncoder(f)
	for _, kind := range slices.Sorted(maps.Keys(sets)) {
		planted := withPlants(sets[kind])
		for i, r := range sets[kind] {
			switch i % 3 {
			case 0:
				err = errors.Join(err, e.Encode(r))
			case 1:
				if !slices.Equal(planted[i].Messages, r.Messages) || !slices.Equal(planted[i].MessagesEN, r.MessagesEN) {
					err = errors.Join(err, e.Encode(planted[i]))
				}
			}
		}
	}
	if err := errors.Join(err, f.Close()); err != nil {
		b.Fatal(err)
	}
}

func benchmarkRows(b *testing.B, name string, rows []dataset.Instruction, f func(*dataset.Instruction) error) {
	b.Run(name, func(b *testing.B) {
		size := 0
		for _, r := range rows {
			size += textBytes(r)
		}
		b.ReportAllocs()
		start := processorTime()
		for b.Loop() {
			for i := range rows {
				if err := f(&rows[i]); err != nil {
					b.Fatal(err)
				}
			}
		}
		seconds := (processorTime() - start).Seconds()
		b.ReportMetric(float64(size)*float64(b.N)/1e6/seconds, "MB/cpu-s")
		b.ReportMetric(float64(len(rows))*float64(b.N)/seconds, "rows/cpu-s")
	})
}

// processorTime returns the time that the process's threads have run, which other processes
// do not lengthen.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
