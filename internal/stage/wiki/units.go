package wiki

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/gob"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/klauspost/compress/s2"

	"barka/internal/badinput"
	"barka/internal/panics"
	"barka/internal/rowlog"
)

// Pages are read in units: a stream of a multistream dump, so many pages of another one, or
// those of a request to a wiki.
// Several workers turn units into passages. What a unit gave is stored at once, so that a
// kill costs each worker at most the unit that it worked on; it is used in the order of the
// units, so that the output depends on nothing else.

// unit is a piece of a source. Its number is its place in the order of this run. Its key is the
// same in all runs.
type unit struct {
	number int
	key    int
	amount int64 // for the progress
	// read makes the unit's passages. It is called by a worker.
	read func() (unitResult, error)
}

// unitResult is what a unit gave. Damage says where the dump broke within it; the pages are
// those before that place.
type unitResult struct {
	Pages  []madePage
	Damage string
	cached bool // nothing was asked for
}

// unitSource is a source in units.
type unitSource interface {
	// units calls send with all units in order, until send returns false. Those whose keys
	// done has are without read.
	units(done func(key int) bool, send func(unit) bool) error
}

// unitLog stores what units gave, in order of completion: a record per unit with its key and
// its result.
type unitLog struct {
	mu  sync.Mutex
	log *rowlog.Log
	at  map[int]int // from the key of a unit to its record
}

func openUnitLog(dir string) (*unitLog, error) {
	l, err := rowlog.Open(filepath.Join(dir, "units.log"))
	if err != nil {
		return nil, err
	}
	u := &unitLog{log: l, at: map[int]int{}}
	for i := range l.Len() {
		record, err := l.At(i)
		if err != nil {
			return nil, err
		}
		if len(record) < 8 {
			return nil, badinput.Errorf("%s is damaged; begin again with --restart", dir)
		}
		u.at[int(binary.LittleEndian.Uint64(record))] = i
	}
	return u, nil
}

func (u *unitLog) has(key int) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, ok := u.at[key]
	return ok
}

func (u *unitLog) put(key int, r unitResult) error {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(r); err != nil {
		return err
	}
	record := binary.LittleEndian.AppendUint64(nil, uint64(key))
	record = append(record, s2.Encode(nil, b.Bytes())...)
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := u.log.Append([][]byte{record}); err != nil {
		return err
	}
	u.at[key] = u.log.Len() - 1
	return nil
}

func (u *unitLog) get(key int) (r unitResult, err error) {
	u.mu.Lock()
	record, err := u.log.At(u.at[key])
	u.mu.Unlock()
	if err != nil {
		return r, err
	}
	data, err := s2.Decode(nil, record[8:])
	if err == nil {
		err = gob.NewDecoder(bytes.NewReader(data)).Decode(&r)
	}
	if err != nil {
		return r, badinput.Errorf("units.log, unit %d: %w; begin again with --restart", key, err)
	}
	return r, nil
}

// unitsAhead bounds the results per worker that wait for an earlier unit.
const unitsAhead = 4

// done is a unit whose result is known; in the log if result is nil.
type done struct {
	unit
	result *unitResult
}

// eachUnit works on the units of a source and calls take with each result, in order. earlier
// is set for those of an earlier run. take ends the work with errEnough.
func eachUnit(ctx context.Context, src unitSource, log *unitLog, workers int,
	take func(u unit, r unitResult, earlier bool) error) (err error) {
	workers = max(workers, 1)
	ctx, cancel := context.WithCancel(ctx)
	jobs, results := make(chan unit), make(chan done)
	places := make(chan struct{}, (unitsAhead+1)*workers) // of units that take has not had
	var failure error                                     // of the reader or a worker; the first one
	var once sync.Once
	fail := func(err error) { once.Do(func() { failure = err }); cancel() }

	group := panics.Group{Stop: cancel}
	group.Go(func() {
		defer close(jobs)
		if err := src.units(log.has, func(u unit) bool {
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				return false
			}
			if u.read == nil {
				return send(ctx, results, done{u, nil})
			}
			return send(ctx, jobs, u)
		}); err != nil {
			fail(err)
		}
	})
	for range workers {
		group.Go(func() {
			for u := range jobs {
				r, err := u.read()
				if err == nil && ctx.Err() == nil {
					err = log.put(u.key, r)
				}
				if err != nil {
					fail(err)
				}
				if ctx.Err() != nil {
					return
				}
				if !send(ctx, results, done{u, &r}) {
					return
				}
			}
		})
	}
	ended := make(chan struct{})
	var waiter panics.Group
	waiter.Go(func() {
		defer close(ended)
		group.Wait()
	})
	defer func() {
		cancel()
		waiter.Wait()
		if failure != nil && (err == nil || err == context.Canceled) {
			err = failure
		}
	}()
	waiting := map[int]done{}
	for next := 0; ; {
		select {
		case d := <-results:
			waiting[d.number] = d
		case <-ended:
			return ctx.Err()
		}
		for d, ok := waiting[next]; ok; d, ok = waiting[next] {
			delete(waiting, next)
			next++
			<-places
			earlier := d.result == nil
			if earlier {
				r, err := log.get(d.key)
				if err != nil {
					return err
				}
				d.result = &r
			}
			if err := take(d.unit, *d.result, earlier); err != nil {
				return err
			}
		}
	}
}

func send[T any](ctx context.Context, to chan<- T, v T) bool {
	select {
	case to <- v:
		return true
	case <-ctx.Done():
		return false
	}
}

// errEnough ends the reading of a source: there are as many pages as were asked for.
var errEnough = fmt.Errorf("enough pages")
