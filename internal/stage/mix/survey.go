package mix

import (
	"cmp"
	"context"
	"encoding/binary"
	"iter"
	"slices"
	"strings"

	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/review"
)

// The survey is the first pass. It spools an entry of fixed size for each row
// with an id, by the row's place in the shuffle, and the links between pages
// that share a passage or a cluster. Texts are not kept.
const (
	// bucketRows is the number of rows that a bucket of the survey should have. Memory
	// holds one.
	bucketRows  = 8 << 10
	maxBuckets  = 512
	linkBuckets = 16 // behind those of entries; one behind them is for what few-shot rows show
)

// entry is what the plan needs to know of a row. order is its place in the
// shuffle.
type entry struct {
	order   int64
	id      dataset.TextKey
	home    dataset.TextKey // of the row's group; see homeOf
	ordinal int64           // place in the inputs
	class   uint32
	refused bool
	alone   bool // in no group; home starts with its lot
	turns   uint32
	tokens  []uint32 // by tokenizer: in the row's language, in its English source
}

// append adds the entry's bytes to b.
func (e *entry) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(e.order))
	b = append(append(b, e.id[:]...), e.home[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(e.ordinal))
	flags := uint32(0)
	for i, set := range []bool{e.refused, e.alone} {
		if set {
			flags |= 1 << i
		}
	}
	for _, v := range append([]uint32{e.class, flags, e.turns}, e.tokens...) {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

// readEntry is the reverse of append.
func readEntry(b []byte) entry {
	e := entry{order: int64(binary.LittleEndian.Uint64(b)), id: dataset.TextKey(b[8:24]), home: dataset.TextKey(b[24:40]),
		ordinal: int64(binary.LittleEndian.Uint64(b[40:])), class: binary.LittleEndian.Uint32(b[48:]),
		turns: binary.LittleEndian.Uint32(b[56:])}
	flags := binary.LittleEndian.Uint32(b[52:])
	e.refused, e.alone = flags&1 > 0, flags&2 > 0
	for b = b[60:]; len(b) > 0; b = b[4:] {
		e.tokens = append(e.tokens, binary.LittleEndian.Uint32(b))
	}
	return e
}

// survey is the state of the first pass.
type survey struct {
	Rows    int64    `json:"rows"`
	Bytes   int64    `json:"bytes"` // of the messages' texts
	Dropped int64    `json:"dropped"`
	Classes []*class `json:"classes"`

	m       *mixer
	index   map[origin]uint32
	buckets int // of entries, by the order of the shuffle
	spool   *spool
}

// survey reads all rows once.
func (m *mixer) survey(ctx context.Context, run *durable.Run) (*survey, error) {
	s := &survey{m: m, buckets: int(min(1+m.total/bucketRows, maxBuckets))}
	reviewed, err := review.Open(ctx, m.o.Review)
	if err != nil {
		return nil, err
	}
	p := &pass{m: m, name: "survey", label: "mix: read", buckets: s.buckets + linkBuckets + 1, state: s,
		row: func(ordinal int64, input string, r dataset.Instruction, to *spool) error {
			return s.add(ordinal, input, r, reviewed, to)
		}}
	s.spool, err = p.run(ctx, run)
	return s, err
}

// add spools the entry and the links of a row, and counts it.
func (s *survey) add(ordinal int64, input string, r dataset.Instruction, reviewed *review.Application, to *spool) error {
	reason := s.m.refuse(&r, reviewed)
	if reason.Reason == "dropped" {
		s.Dropped++
	}
	c := s.classOf(input, r)
	e := entry{ordinal: ordinal, class: c, refused: reason.Reason != "", turns: uint32(len(r.Messages) / 2)}
	e.tokens = s.m.countTokens(r)
	s.Rows++
	s.Classes[c].read(e)
	for _, msg := range r.Messages {
		s.Bytes += int64(len(msg.Content))
	}
	if r.ID == "" {
		return nil
	}
	e.id, e.order = dataset.KeyOf(r.ID), s.m.order(r.ID, 0)
	home, links, ok := groupOf(r)
	if e.home, e.alone = home, !ok; e.alone {
		binary.LittleEndian.PutUint64(e.home[:], uint64(s.m.lot(r.ID)))
	}
	if !e.refused {
		if err := s.putShown(ordinal, r.Examples, to); err != nil {
			return err
		}
		for _, link := range links {
			if err := to.put(s.buckets+int(link[0])%linkBuckets, append(slices.Clone(link[:]), home[:]...)); err != nil {
				return err
			}
		}
	}
	return to.put(bucketOf(e.order, s.buckets), e.append(nil))
}

// bucketOf divides the orders, which are never negative, into n ranges.
func bucketOf(order int64, n int) int { return int(float64(order) / (1 << 63) * float64(n)) }

// order is a row's place in the shuffle: a function of the seed, the id and
// which copy of the row it is.
func (m *mixer) order(id string, copy int) int64 {
	if copy > 0 {
		return dataset.RecordSeed(m.env.Seed, id, "mix/order/"+strings.Repeat("+", copy))
	}
	return dataset.RecordSeed(m.env.Seed, id, "mix/order")
}

// ordered returns the entries in the order of the shuffle. again is set for an
// id that an earlier row of the inputs has.
func (s *survey) ordered() iter.Seq2[ordered, error] {
	return func(yield func(ordered, error) bool) {
		for bucket := range s.buckets {
			var all []entry
			for record, err := range s.spool.records(bucket) {
				if err != nil {
					yield(ordered{}, err)
					return
				}
				all = append(all, readEntry(record))
			}
			slices.SortFunc(all, func(a, b entry) int {
				return cmp.Or(cmp.Compare(a.order, b.order), slices.Compare(a.id[:], b.id[:]), cmp.Compare(a.ordinal, b.ordinal))
			})
			for i, e := range all {
				if !yield(ordered{e, i > 0 && all[i-1].id == e.id}, nil) {
					return
				}
			}
		}
	}
}

type ordered struct {
	entry
	again bool
}
