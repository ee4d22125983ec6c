package filter

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"barka/internal/dataset"
	"barka/internal/minhash"
	"barka/internal/panics"
	"barka/internal/progress"
	"barka/internal/rowlog"
)

// duplicates finds the rows that repeat an earlier one. In memory it has 8 bytes and two
// bits per row, or 4 bytes without near-duplicates.
type duplicates struct {
	o   Options
	log *rowlog.Log
	// near joins equal rows and near-duplicates; related joins less similar rows too.
	near, related minhash.Clusters
	equal         bits // rows whose text an earlier row has
	grouped       bits // rows that are related to another

	mu sync.Mutex // of near, related and grouped
}

// bits is a set of numbers.
type bits []uint64

func newBits(n int) bits      { return make(bits, (n+63)/64) }
func (b bits) set(i int)      { b[i/64] |= 1 << (i % 64) }
func (b bits) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }

// duplicates compares the rows that passed the rules. It keeps keys of texts and of bands
// in files below dir.
func (o Options) duplicates(ctx context.Context, log *rowlog.Log, dir string, p progress.Reporter) (*duplicates, error) {
	n := log.Len()
	d := &duplicates{o: o, log: log, near: minhash.NewClusters(n), equal: newBits(n), grouped: newBits(n)}
	if d.related = d.near; o.NearDuplicates > 0 { // otherwise all related rows are equal
		d.related = minhash.NewClusters(n)
	}
	if o.Duplicates {
		err := d.search(ctx, filepath.Join(dir, "texts"), d.addTexts, d.sameText, progress.Silent)
		if err != nil {
			return nil, err
		}
	}
	if o.NearDuplicates > 0 {
		p.Start("compare", int64(n), "rows")
		defer p.Done()
		return d, d.search(ctx, filepath.Join(dir, "bands"), d.addBands, d.sameBand, p)
	}
	return d, nil
}

// search adds hashes of rows to a Shuffle, then calls compare for the rows of each hash
// that more than one row has. Groups are compared by several goroutines, so compare must
// have the same effect in any order.
func (d *duplicates) search(ctx context.Context, path string, add func(context.Context, *minhash.Shuffle, progress.Reporter) error,
	compare func([]int) error, p progress.Reporter) (err error) {
	s, err := minhash.NewShuffle(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Remove()) }()
	if err := add(ctx, s, p); err != nil {
		return err
	}
	return parallel(s.Partitions(), func(i int) error {
		for group, err := range s.Groups(i) {
			if err == nil {
				err = ctx.Err()
			}
			if err == nil {
				err = compare(group)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// parallel calls work for the numbers below n on all cores.
func parallel(n int, work func(i int) error) error {
	errs := make([]error, n)
	var next atomic.Int64
	var failed atomic.Bool
	var group panics.Group
	for range min(runtime.GOMAXPROCS(0), n) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && !failed.Load(); i = int(next.Add(1)) - 1 {
				if errs[i] = work(i); errs[i] != nil {
					failed.Store(true)
				}
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

func (d *duplicates) addTexts(ctx context.Context, s *minhash.Shuffle, _ progress.Reporter) error {
	i := -1
	for record, err := range d.log.All() {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if i++; record[0] == 0 {
			continue
		}
		if err := s.Add(binary.BigEndian.Uint64(record[1:]), i); err != nil {
			return err
		}
	}
	return nil
}

// sameText joins rows with the same key. All of a group share half of it.
func (d *duplicates) sameText(group []int) error {
	first := map[dataset.TextKey]int{}
	for _, i := range group {
		v, err := verdictAt(d.log, i)
		if err != nil {
			return err
		}
		at, known := first[v.key]
		if !known {
			first[v.key] = i
			continue
		}
		d.mu.Lock()
		d.equal.set(i)
		d.join(at, i, true)
		d.mu.Unlock()
	}
	return nil
}

// join is called with d.mu locked.
func (d *duplicates) join(i, j int, near bool) {
	if near {
		d.near.Join(i, j)
	}
	d.related.Join(i, j)
	d.grouped.set(i)
	d.grouped.set(j)
}

// batch is the number of rows whose signatures are computed at once.
const batch = 1024

// addBands adds the keys of the bands of the rows that repeat no earlier text.
func (d *duplicates) addBands(ctx context.Context, s *minhash.Shuffle, p progress.Reporter) error {
	scheme := d.o.scheme()
	var numbers []int
	var records [][]byte
	flush := func() error {
		keys := make([][]uint64, len(records))
		err := parallel((len(records)+63)/64, func(k int) error {
			signature, buffer := make([]uint32, scheme.Hashes()), []uint64(nil)
			for j := 64 * k; j < min(64*k+64, len(records)); j++ {
				v, err := decode(records[j])
				if err != nil {
					return err
				}
				if v.words.sign(scheme, signature, &buffer) {
					keys[j] = scheme.Keys(make([]uint64, 0, scheme.Bands), signature)
				}
			}
			return nil
		})
		for j := range keys {
			for _, key := range keys[j] {
				if err == nil {
					err = s.Add(key, numbers[j])
				}
			}
		}
		numbers, records = numbers[:0], records[:0]
		return errors.Join(err, ctx.Err())
	}
	i := -1
	for record, err := range d.log.All() {
		if err != nil {
			return err
		}
		p.Add(1)
		if i++; record[0] == 0 || d.equal.has(i) {
			continue
		}
		// The bytes of a range stay valid: All makes new ones for each.
		if numbers, records = append(numbers, i), append(records, record); len(records) == batch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// scheme returns the bands that find related rows.
func (o Options) scheme() minhash.Scheme {
	return minhash.SchemeFor(o.Permutations, looser*o.NearDuplicates)
}

// sameBand compares the rows of a band by their words.
func (d *duplicates) sameBand(group []int) error {
	rows := make([]*words, len(group))
	load := func(k int) (words, error) {
		if rows[k] == nil {
			v, err := verdictAt(d.log, group[k])
			if err != nil {
				return words{}, err
			}
			rows[k] = &v.words
		}
		return *rows[k], nil
	}
	return minhash.Compare(group, func(a, b int) (bool, error) {
		x, err := load(a)
		if err != nil {
			return false, err
		}
		y, err := load(b)
		if err != nil {
			return false, err
		}
		all, answers := similarity(x, y)
		near := all >= d.o.NearDuplicates && answers >= nearAnswers
		if near || all >= looser*d.o.NearDuplicates {
			d.mu.Lock()
			d.join(group[a], group[b], near)
			d.mu.Unlock()
		}
		return near, nil
	})
}

// reason returns the reason against row i if an earlier row is kept in its place, and the
// id of its cluster: of the first row that is related to it. The cluster is "" for a row
// that is like no other.
func (d *duplicates) reason(i int, v verdict) (why dataset.Reject, cluster string, err error) {
	if d.grouped.has(i) {
		first, err := verdictAt(d.log, d.related.Find(i))
		if err != nil {
			return why, "", err
		}
		cluster = first.id
	}
	at := d.near.Find(i)
	if at == i {
		return pass, cluster, nil
	}
	kept, err := verdictAt(d.log, at)
	if err != nil {
		return why, "", err
	}
	if d.equal.has(i) {
		return drop("duplicate", "of %s", kept.id), cluster, nil
	}
	all, _ := similarity(kept.words, v.words)
	return dataset.Reject{Reason: "near_duplicate", Detail: fmt.Sprintf("of %s, similarity %.2f", kept.id, all)}, cluster, nil
}
