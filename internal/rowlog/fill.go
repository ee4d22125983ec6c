package rowlog

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"

	"barka/internal/panics"
)

// A range ends at so many rows, or at so much text.
const (
	rangeRows = 1024
	rangeText = 4 << 20
)

// Input is the rows that records are made of.
type Input[Row any] struct {
	Rows iter.Seq2[Row, error] // all rows, in order
	Size func(Row) int         // bytes of a row's texts
	// Workers is the number of goroutines that make records; at least one is used.
	Workers int
	// Done is called with the number of rows that are done. skipped is set for those that
	// the log had.
	Done func(n int, skipped bool)
}

// Fill appends the records of the rows that the log lacks. It makes them with several
// workers and reads ahead by one range. The first error ends it; the records of ranges
// before it stay. record is called by several goroutines, each with its own number.
func Fill[Row any](ctx context.Context, l *Log, in Input[Row], record func(worker int, row Row) ([]byte, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	blocks := make(chan block[Row])
	var reader panics.Group
	reader.Go(func() {
		defer close(blocks)
		read(in, l.Len(), func(b block[Row]) bool {
			select {
			case blocks <- b:
				return true
			case <-ctx.Done():
				return false
			}
		})
	})
	defer reader.Wait()
	defer cancel()
	for b := range blocks {
		if b.err != nil {
			return b.err
		}
		if b.skipped > 0 {
			in.Done(b.skipped, true)
			continue
		}
		made, err := records(ctx, in.Workers, b.rows, record)
		if err != nil {
			return err
		}
		if err := l.Append(made); err != nil {
			return err
		}
		in.Done(len(made), false)
	}
	return ctx.Err()
}

// block is a range of rows, a number of rows that were skipped, or an error.
type block[Row any] struct {
	rows    []Row
	skipped int
	err     error
}

// read sends the rows after the first skip ones in ranges, until send returns false.
func read[Row any](in Input[Row], skip int, send func(block[Row]) bool) {
	var rows []Row
	n, size := 0, 0
	for row, err := range in.Rows {
		if err != nil {
			send(block[Row]{err: err})
			return
		}
		if n++; n <= skip {
			if (n%rangeRows == 0 || n == skip) && !send(block[Row]{skipped: (n-1)%rangeRows + 1}) {
				return
			}
			continue
		}
		rows, size = append(rows, row), size+in.Size(row)
		if len(rows) == rangeRows || size >= rangeText {
			if !send(block[Row]{rows: rows}) {
				return
			}
			rows, size = nil, 0
		}
	}
	if len(rows) > 0 {
		send(block[Row]{rows: rows})
	}
}

// records makes the records of a range. Of several errors it returns that of the first
// row, so that it does not depend on the workers.
func records[Row any](ctx context.Context, workers int, rows []Row, record func(int, Row) ([]byte, error)) ([][]byte, error) {
	out, errs := make([][]byte, len(rows)), make([]error, len(rows))
	var next atomic.Int64
	var group panics.Group
	for w := range min(max(workers, 1), len(rows)) {
		group.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(rows) {
					return
				}
				out[i], errs[i] = record(w, rows[i])
			}
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, ctx.Err()
}

// Join reads rows again, each with its record. It ends at the first error, and returns one
// if there are more or fewer rows than records.
func Join[Row any](l *Log, rows iter.Seq2[Row, error], use func(i int, row Row, record []byte) error) error {
	next, stop := iter.Pull2(l.All())
	defer stop()
	i := 0
	for row, err := range rows {
		if err != nil {
			return err
		}
		record, err, ok := next()
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("the input has more than the %d rows that it had before; do not change it during a run", l.Len())
		}
		if err := use(i, row, record); err != nil {
			return err
		}
		i++
	}
	if i < l.Len() {
		return fmt.Errorf("the input has %d rows and had %d before; do not change it during a run", i, l.Len())
	}
	return nil
}
