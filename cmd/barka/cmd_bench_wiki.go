package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"barka/internal/atomicfile"
	"barka/internal/bench"
	"barka/internal/durable"
	"barka/internal/mediawiki"
	"barka/internal/printable"
	"barka/internal/progress"
	"barka/internal/resident"
	"barka/internal/stage/wiki"
)

// wikiWork is the stage of "bench data" that reads a dump, that of --input or a made one.
const wikiWork = "wiki"

// wiki measures the passages of a dump. The outcome is their number.
func (c *benchCmd) wiki(a *app, dump, out string) ([]bench.Result, error) {
	size, err := unpackedSize(dump)
	if err != nil {
		return nil, err
	}
	o := wiki.Defaults()
	o.Dump = dump
	debug.FreeOSMemory()
	resident.ResetPeak()
	start, before := time.Now(), resident.Processor()
	m, err := wiki.Run(a.ctx, o, nil, durable.Env{Out: out, Restart: true, Seed: a.Seed, Progress: progress.Silent, Log: a.log()})
	took, busy, peak := time.Since(start), resident.Processor()-before, resident.Peak()
	if err != nil {
		return nil, err
	}
	mb, passages := float64(size)/1e6, float64(m.Rows)
	shape := fmt.Sprintf("%d pages, %s of XML", m.Counts["pages"], printable.Bytes(size))
	var results []bench.Result
	for _, r := range []struct {
		variant, unit string
		amount        float64
		time          time.Duration
	}{
		{"XML", "MB/s", mb, took},
		{"XML, by processor time", "MB/s", mb, busy},
		{"passages", "rows/s", passages, took},
	} {
		if r.time > 0 { // some systems do not report the processor's
			rate := r.amount / r.time.Seconds()
			results = append(results, bench.Result{Work: wikiWork, Variant: r.variant, Shape: shape, Value: rate, Median: rate,
				Unit: r.unit, PeakRSS: peak, Outcome: passages})
		}
	}
	return results, os.RemoveAll(out)
}

// unpackedSize returns the bytes of a dump's XML.
func unpackedSize(dump string) (n int64, err error) {
	f, err := mediawiki.OpenDump(dump)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.Copy(io.Discard, f)
}

// writePages writes a dump whose pages have --rows passages.
func (c *benchCmd) writePages(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return atomicfile.Explain(path, err)
	}
	pages := (c.Rows + bench.PageSections - 1) / bench.PageSections
	return errors.Join(bench.WritePages(f, pages, c.Words), f.Close())
}
