package mix

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"

	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/review"
)

// sorted is the state of the second pass, which spools the rows by their places in the
// shuffle.
type sorted struct {
	Kinds  map[string]int64 `json:"kinds"`  // turns in the mix by kind of question, without copies
	Review map[string]int64 `json:"review"` // counts of the review
	Notes  []string         `json:"notes"`  // of the review

	buckets int
	spool   *spool
}

// bucketBytes is the text that a bucket of the second pass should have. Memory holds one.
const bucketBytes = 4 << 20

// placed is a record of the second pass: a row with its place in the shuffle. Its bytes
// are order, ordinal, copy, fate and JSON.
type placed struct {
	order, ordinal int64
	copy           byte
	fate           fate
	json           []byte
}

func (p placed) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(p.order))
	b = binary.LittleEndian.AppendUint64(b, uint64(p.ordinal))
	return append(append(b, p.copy, p.fate), p.json...)
}

func readPlaced(b []byte) placed {
	return placed{int64(binary.LittleEndian.Uint64(b)), int64(binary.LittleEndian.Uint64(b[8:])), b[16], b[17], b[18:]}
}

// rejection is a row for rejected/ in the spool. Those of the first bucket behind the
// others are in the order of the inputs.
type rejection struct {
	Row dataset.Instruction
	Why dataset.Reject
}

// sort reads all rows a second time and spools them.
func (m *mixer) sort(ctx context.Context, run *durable.Run, p *plan) (*sorted, error) {
	reviewed, err := review.Open(ctx, m.o.Review)
	if err != nil {
		return nil, err
	}
	s := &sorted{Kinds: map[string]int64{}, buckets: int(min(1+p.s.Bytes/bucketBytes, maxBuckets))}
	fateOf, stop := p.fates.inOrder()
	defer stop()
	pass := &pass{m: m, name: "sort", label: "mix: sort", buckets: s.buckets + 1, state: s,
		skipped: func(ordinal int64, r dataset.Instruction) error {
			f, err := fateOf(ordinal)
			p.check(f, &r, reviewed)
			return err
		},
		row: func(ordinal int64, _ string, r dataset.Instruction, to *spool) error {
			f, err := fateOf(ordinal)
			if err != nil {
				return err
			}
			return s.add(p, f, ordinal, r, reviewed, to)
		},
		end: func() { s.Review, s.Notes = reviewed.Counts(), reviewed.Notes() }}
	s.spool, err = pass.run(ctx, run)
	return s, err
}

// check applies the review to a row that is not a duplicate and returns why the row is
// refused.
func (p *plan) check(f fate, r *dataset.Instruction, reviewed *review.Application) dataset.Reject {
	if f == duplicate {
		return dataset.Reject{}
	}
	return p.m.refuse(r, reviewed)
}

// add spools a row as often as its fate says.
func (s *sorted) add(p *plan, f fate, ordinal int64, r dataset.Instruction, reviewed *review.Application, to *spool) error {
	why := p.reason(f, r, p.check(f, &r, reviewed))
	switch f {
	case refused, duplicate:
		data, err := json.Marshal(rejection{r, why})
		if err != nil {
			return err
		}
		return to.put(s.buckets, data)
	case overLimit, overWeight, showsHeld:
		return s.place(p.m, ordinal, 0, f, r.ID, rejection{r, why}, to)
	}
	for _, kind := range strings.Fields(r.Kind) {
		s.Kinds[kind]++
	}
	c, copies := conversation(r), 1
	if f != heldBack {
		copies = int(f)
	}
	for copy := range copies {
		c.Repeat = int32(copy)
		if err := s.place(p.m, ordinal, copy, f, r.ID, c, to); err != nil {
			return err
		}
	}
	return nil
}

func (s *sorted) place(m *mixer, ordinal int64, copy int, f fate, id string, row any, to *spool) error {
	data, err := json.Marshal(row)
	if err != nil {
		return err
	}
	at := placed{m.order(id, copy), ordinal, byte(copy), f, data}
	return to.put(bucketOf(at.order, s.buckets), at.append(make([]byte, 0, 18+len(data))))
}

// write writes the spooled rows: the refused ones in the order of the inputs, the others
// in the order of the shuffle.
func (m *mixer) write(ctx context.Context, run *durable.Run, s *sorted, total int64) error {
	train, err := durable.NewWriter[dataset.Conversation](run)
	if err != nil {
		return err
	}
	var held *durable.Writer[dataset.Conversation]
	if m.o.Validation > 0 {
		if held, err = durable.NewSplit[dataset.Conversation](run, ValidationName); err != nil {
			return err
		}
	}
	m.env.Progress.Start("mix: write", total, "rows")
	defer m.env.Progress.Done()
	for record, err := range s.spool.records(s.buckets) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = reject(train, record)
		}
		if err != nil {
			return err
		}
		m.env.Progress.Add(1)
	}
	for bucket := range s.buckets {
		if err := m.writeBucket(ctx, s, bucket, train, held); err != nil {
			return err
		}
	}
	return nil
}

func reject(w *durable.Writer[dataset.Conversation], record []byte) error {
	var r rejection
	if err := json.Unmarshal(record, &r); err != nil {
		return err
	}
	return w.Reject(r.Row, r.Why)
}

func (m *mixer) writeBucket(ctx context.Context, s *sorted, bucket int, train, held *durable.Writer[dataset.Conversation]) error {
	var all []placed
	for record, err := range s.spool.records(bucket) {
		if err != nil {
			return err
		}
		all = append(all, readPlaced(record))
	}
	slices.SortFunc(all, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.ordinal, b.ordinal))
	})
	for _, at := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		m.env.Progress.Add(1)
		if at.fate == overLimit || at.fate == overWeight || at.fate == showsHeld {
			if err := reject(train, at.json); err != nil {
				return err
			}
			continue
		}
		var c dataset.Conversation
		if err := json.Unmarshal(at.json, &c); err != nil {
			return err
		}
		c.Conversations = turnsOf(c.Messages)
		w := train
		if at.fate == heldBack {
			w = held
		} else if at.copy == 0 {
			m.example(c)
		}
		if err := w.Write(c); err != nil {
			return err
		}
	}
	return nil
}

// conversation returns the row as it is trained on. The spelling as turns is left out;
// see turnsOf.
func conversation(r dataset.Instruction) dataset.Conversation {
	return dataset.Conversation{ID: r.ID, Dataset: r.Dataset, Form: r.Form, Kind: r.Kind, Language: r.Language,
		PassageID: r.PassageID, Title: r.Title, URL: r.URL, Revision: r.Revision, Licence: r.Licence, Generator: r.Generator,
		PromptDigest: r.PromptDigest, Translator: r.Translator, Cluster: r.Cluster, Checks: checks(r), Messages: r.Messages}
}

// checks lists what earlier stages noted about a row that they kept: flags of the
// translation, and what synth mended.
func checks(r dataset.Instruction) (names []string) {
	for _, s := range r.Segments {
		names = append(names, s.Flags...)
	}
	if r.Repaired > 0 {
		names = append(names, "repaired")
	}
	if r.Shortened != "" {
		names = append(names, "shortened")
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// turnsOf returns messages in the spelling of ShareGPT.
func turnsOf(messages []chat.Message) (turns []dataset.Turn) {
	from := map[string]string{"user": "human", "assistant": "gpt", "system": "system"}
	for _, m := range messages {
		turns = append(turns, dataset.Turn{From: from[m.Role], Value: m.Content})
	}
	return turns
}
