package audit

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/cespare/xxhash/v2"

	"barka/internal/pipeline"
)

// common is the number of questions from which on a sequence of words is
// taken for a turn of phrase and not compared.
const common = 20

// Overlap is what training rows and benchmark questions share.
type Overlap struct {
	NGram     int       `json:"ngram"`
	Threshold float64   `json:"threshold"`
	Datasets  []Dataset `json:"datasets"`
	// TooShort counts evaluated questions of fewer than four words, which are
	// not compared.
	TooShort int `json:"too_short"`
	// Rows are the training rows to drop.
	Rows []TrainingRow `json:"-"`
}

// Dataset is one training set's share of an Overlap. Touching rows have a
// sequence in common with a question; those to drop hold at least the
// threshold's share of one.
type Dataset struct {
	Path     string `json:"path"`
	Rows     int    `json:"rows"`
	Touching int    `json:"touching"`
	Drop     int    `json:"drop"`
}

// TrainingRow is a row that holds a question, wholly or by half.
type TrainingRow struct {
	Dataset  string  `json:"dataset"`
	Row      int     `json:"row"` // counted from 1
	ID       string  `json:"id,omitempty"`
	Task     string  `json:"task"`
	Question int     `json:"question"` // row of the task's evaluated split
	Share    float64 `json:"share"`
}

// occurrence is a sequence of words of one question.
type occurrence struct {
	hash uint64
	item int32
}

// index finds the questions that hold a sequence. Most lookups miss, so a
// table of bits answers them first.
type index struct {
	n           int
	occurrences []occurrence // by hash
	bits        []uint64
	sizes       []int32 // sequences of each question
	// lengths holds those of questions shorter than n, which count as one
	// sequence.
	lengths []int
}

const indexBits = 1 << 27

func newIndex(n int, items []item) *index {
	x := &index{n: n, bits: make([]uint64, indexBits/64), sizes: make([]int32, len(items))}
	for i := range items {
		if !items[i].test {
			continue
		}
		w := words(items[i].question)
		length := min(n, len(w))
		if length < shortest {
			continue
		}
		if length < n && !slices.Contains(x.lengths, length) {
			x.lengths = append(x.lengths, length)
		}
		start := len(x.occurrences)
		for _, h := range sequences(nil, w, length) {
			x.occurrences = append(x.occurrences, occurrence{h, int32(i)})
		}
		// A sequence counts once a question.
		added := x.occurrences[start:]
		slices.SortFunc(added, func(a, b occurrence) int { return cmp.Compare(a.hash, b.hash) })
		x.occurrences = x.occurrences[:start+len(slices.Compact(added))]
		x.sizes[i] = int32(len(x.occurrences) - start)
	}
	slices.SortFunc(x.occurrences, func(a, b occurrence) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.item, b.item))
	})
	for _, o := range x.occurrences {
		x.bits[o.hash%indexBits/64] |= 1 << (o.hash % 64)
	}
	return x
}

// sequences appends the hashes of all runs of n words.
func sequences(to []uint64, words []string, n int) []uint64 {
	if n > len(words) {
		return to
	}
	hashes := make([]uint64, len(words))
	for i, w := range words {
		hashes[i] = xxhash.Sum64String(w)
	}
	for i := range len(words) - n + 1 {
		h := uint64(n)
		for _, w := range hashes[i : i+n] {
			h = (h ^ w) * 0x9e3779b97f4a7c15
			h ^= h >> 29
		}
		to = append(to, h)
	}
	return to
}

// find returns the questions that hold a sequence; none for a common one.
func (x *index) find(hash uint64) []occurrence {
	if x.bits[hash%indexBits/64]&(1<<(hash%64)) == 0 {
		return nil
	}
	lo, _ := slices.BinarySearchFunc(x.occurrences, hash, func(o occurrence, h uint64) int { return cmp.Compare(o.hash, h) })
	hi := lo
	for hi < len(x.occurrences) && x.occurrences[hi].hash == hash {
		hi++
	}
	if hi-lo > common {
		return nil
	}
	return x.occurrences[lo:hi]
}

// matches counts, for each question, the distinct sequences of it that the
// texts hold.
func (x *index) matches(texts []string) map[int32]int32 {
	var hashes []uint64
	for _, t := range texts {
		w := words(t)
		hashes = sequences(hashes, w, x.n)
		for _, n := range x.lengths {
			hashes = sequences(hashes, w, n)
		}
	}
	slices.Sort(hashes)
	var found map[int32]int32
	for _, h := range slices.Compact(hashes) {
		for _, o := range x.find(h) {
			if found == nil {
				found = map[int32]int32{}
			}
			found[o.item]++
		}
	}
	return found
}

// overlap compares every training row with every evaluated question.
func (r *Report) overlap(ctx context.Context, o Options, items []item, progress pipeline.Progress) error {
	x := newIndex(o.NGram, items)
	out := &Overlap{NGram: o.NGram, Threshold: o.Threshold}
	for i := range items {
		if items[i].test && x.sizes[i] == 0 {
			out.TooShort++
		}
	}
	best := map[int32]TrainingRow{}
	for _, path := range o.Training {
		set := Dataset{Path: path}
		progress.Start("compare "+path, 0, "rows")
		for row, err := range pipeline.Rows[map[string]any](ctx, path) {
			if err != nil {
				return err
			}
			set.Rows++
			progress.Add(1)
			found := x.matches(texts(nil, row))
			if len(found) == 0 {
				continue
			}
			set.Touching++
			id, _ := row["id"].(string)
			if worst, ok := x.worst(found, o.Threshold, TrainingRow{Dataset: path, Row: set.Rows, ID: id}, items, best); ok {
				set.Drop++
				out.Rows = append(out.Rows, worst)
			}
		}
		progress.Done()
		out.Datasets = append(out.Datasets, set)
	}
	for i := range items {
		if row, ok := best[int32(i)]; ok {
			items[i].task.Contaminated++
			r.find(&items[i], Contaminated, nil, fmt.Sprintf("%.0f %% of its sequences are in row %d of %s", 100*row.Share, row.Row, row.Dataset))
		}
	}
	r.Overlap = out
	return nil
}

// worst is the question of which a training row holds the largest share; ok
// when that reaches the threshold. best keeps the worst row of a question.
func (x *index) worst(found map[int32]int32, threshold float64, row TrainingRow, items []item, best map[int32]TrainingRow) (worst TrainingRow, ok bool) {
	for i, n := range found {
		share := float64(n) / float64(x.sizes[i])
		if share < threshold {
			continue
		}
		row.Task, row.Question, row.Share = items[i].task.Task, items[i].row, share
		if b, known := best[i]; !known || share > b.Share {
			best[i] = row
		}
		// Maps have no order; of equal shares the first question counts.
		if !ok || cmp.Or(cmp.Compare(share, worst.Share), cmp.Compare(worst.Task, row.Task), cmp.Compare(worst.Question, row.Question)) > 0 {
			worst, ok = row, true
		}
	}
	return worst, ok
}

// texts appends every string of a row, in the order of its columns' names.
// What they are called does not matter: conversations, messages, question.
func texts(to []string, value any) []string {
	switch v := value.(type) {
	case string:
		to = append(to, v)
	case []any:
		for _, e := range v {
			to = texts(to, e)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			to = texts(to, v[key])
		}
	}
	return to
}
