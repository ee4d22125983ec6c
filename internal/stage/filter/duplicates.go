package filter

import (
	"context"
	"encoding/binary"
	"errors"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"barka/internal/dataset"
	"barka/internal/diskmap"
	"barka/internal/minhash"
	"barka/internal/panics"
	"barka/internal/progress"
	"barka/internal/rowlog"
)

// duplicates finds the rows that repeat an earlier one. What it remembers of each row is in
// files.
type duplicates struct {
	o    Options
	log  *rowlog.Log
	rows *clusters

	mu    sync.Mutex // of pairs
	pairs *likePairs // that the search at work has found
}

// duplicates compares the rows that passed the rules. It keeps keys of texts and of bands,
// and the clusters, in files below dir. The caller must close the result.
func (o Options) duplicates(ctx context.Context, log *rowlog.Log, dir string, p progress.Reporter) (_ *duplicates, err error) {
	d := &duplicates{o: o, log: log}
	if d.rows, err = newClusters(filepath.Join(dir, "clusters")); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if o.Duplicates {
		if err := d.search(ctx, filepath.Join(dir, "texts"), d.addTexts, d.sameText, progress.Silent); err != nil {
			return nil, err
		}
	}
	if o.NearDuplicates > 0 {
		p.Start("compare", int64(log.Len()), "rows")
		defer p.Done()
		if err := d.search(ctx, filepath.Join(dir, "bands"), d.addBands, d.sameBand, p); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// close removes the file of the clusters.
func (d *duplicates) close() error { return d.rows.remove() }

// search adds hashes of rows to a Sorter, calls compare for the rows of each hash that more
// than one row has, and joins the pairs that compare has found. Groups are compared by
// several goroutines, so compare must have the same effect in any order.
func (d *duplicates) search(ctx context.Context, path string, add func(context.Context, *diskmap.Sorter, progress.Reporter) error,
	compare func([]int) error, p progress.Reporter) (err error) {
	s, err := diskmap.NewSorter(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Remove()) }()
	if err := add(ctx, s, p); err != nil {
		return err
	}
	if d.pairs, err = newLikePairs(path+"-pairs", d.log.Len()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.pairs.remove()) }()
	err = parallel(s.Partitions(), func(i int) error {
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
	if err != nil {
		return err
	}
	return d.pairs.each(d.rows.join)
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

func (d *duplicates) addTexts(ctx context.Context, s *diskmap.Sorter, _ progress.Reporter) error {
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
		if err := d.found(at, i, equal); err != nil {
			return err
		}
	}
	return nil
}

// found stores a pair.
func (d *duplicates) found(i, j int, how likeness) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pairs.add(i, j, how)
}

// batch is the number of rows whose signatures are computed at once.
const batch = 1024

// addBands adds the keys of the bands of the rows that repeat no earlier text.
func (d *duplicates) addBands(ctx context.Context, s *diskmap.Sorter, p progress.Reporter) error {
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
		if i++; record[0] == 0 {
			continue
		}
		known, err := d.rows.at(i)
		if err != nil {
			return err
		}
		if known.equal {
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
		switch {
		case all >= d.o.NearDuplicates && answers >= nearAnswers:
			return true, d.found(group[a], group[b], near)
		case all >= looser*d.o.NearDuplicates:
			return false, d.found(group[a], group[b], related)
		}
		return false, nil
	})
}

// reason returns the reason against row i if an earlier row is kept in its place, and the
// id of its cluster: of the first row that is related to it. The cluster is "" for a row
// that is like no other.
func (d *duplicates) reason(i int, v verdict) (why dataset.Reject, cluster string, err error) {
	row, err := d.rows.at(i)
	if err != nil {
		return why, "", err
	}
	if row.grouped {
		root, err := d.rows.root(i, related)
		if err != nil {
			return why, "", err
		}
		first, err := verdictAt(d.log, root)
		if err != nil {
			return why, "", err
		}
		cluster = first.id
	}
	at, err := d.rows.root(i, near)
	if at == i || err != nil {
		return pass, cluster, err
	}
	kept, err := verdictAt(d.log, at)
	if err != nil {
		return why, "", err
	}
	suffix, where := across(d.o.earlier, at)
	if row.equal {
		return drop("duplicate"+suffix, "of %s%s", kept.id, where), cluster, nil
	}
	all, _ := similarity(kept.words, v.words)
	return drop("near_duplicate"+suffix, "of %s%s, similarity %.2f", kept.id, where, all), cluster, nil
}
