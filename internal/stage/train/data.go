package train

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/tokenizer"
)

// Data is tokenized datasets, on disk, and what became of their rows. A unit is what an
// optimiser step counts: a conversation, texts packed to max_length, or a pair of answers.
type Data struct {
	Rows    int            `json:"rows"`
	Dropped map[string]int `json:"dropped"` // by reason, see the constants
	// Cut counts the conversations that lost turns to max_length, CutAnswers the answers
	// that were lost.
	Cut        int   `json:"cut"`
	CutAnswers int   `json:"cut_answers"`
	Tokens     int64 `json:"tokens"`
	Trained    int64 `json:"trained_tokens"`
	Longest    int   `json:"longest"`
	// Duplicates counts the rows whose tokens an earlier row of the set has. InTraining counts
	// the rows of a validation set whose tokens the training set has.
	Duplicates int `json:"duplicates"`
	InTraining int `json:"in_training,omitempty"`
	// DoubleBOS counts the rows that begin with two tokens that begin a text.
	DoubleBOS int `json:"double_bos"`

	tokens *tokenFile
	sets   []set
	units  int
	paired bool      // unit u has the samples 2u and 2u+1
	packs  [][]int32 // the samples of each unit; nil if unit u is sample u, or paired
}

// Reasons for which a row is dropped.
const (
	dropEmpty     = "empty"            // no messages
	dropRoles     = "roles"            // refused by the chat template
	dropNoAnswer  = "empty_answer"     // an answer without text
	dropUntrained = "no_trained_token" // no answer
	dropLong      = "too_long"         // no answer within max_length
	dropDuplicate = "duplicate"        // with drop_duplicates
	dropSame      = "same_answers"     // a pair of equal answers
)

// Close closes the file of tokens.
func (d *Data) Close() error {
	if d == nil {
		return nil
	}
	return d.tokens.Close()
}

// Source is a dataset that is trained on.
type Source struct {
	Path string
	// Weight is how many times an epoch takes each conversation: 0.5 is half of them, drawn
	// again in each epoch. 0 is 1.
	Weight float64

	replay float64 // share of an epoch's conversations that are drawn from it, or 0
}

// Limits are those of a model: its vocabulary, and its positions, 0 for without end.
type Limits struct{ Vocab, Positions int }

// Read tokenizes the training data of an input as a run with the options would, into a
// temporary file. The caller closes the result.
func Read(ctx context.Context, o Options, in Input, limits Limits) (*Data, error) {
	r, err := newReader(o, in.Tokenizer, limits, "")
	if err != nil {
		return nil, err
	}
	sources, err := in.sources(o)
	if err != nil {
		return nil, err
	}
	return r.read(ctx, "data", sources)
}

// reader tokenizes datasets.
type reader struct {
	o      Options
	format *chat.Template // nil for ObjectiveText
	tok    *tokenizer.Tokenizer
	limits Limits
	dir    string // keeps the tokens for the next process; "" is a temporary directory

	// Of the current call:
	d       *Data
	w       *tokenWriter
	seen    map[uint64]bool // hashes of rows
	refusal string          // the first of the rows counted as roles
}

func newReader(o Options, tok *tokenizer.Tokenizer, limits Limits, dir string) (*reader, error) {
	r := &reader{o: o, tok: tok, limits: limits, dir: dir}
	var err error
	if o.Objective != ObjectiveText {
		r.format, err = chat.Open(tok, o.chat())
	}
	return r, err
}

// read tokenizes datasets into a file of tokens, or opens the one that an earlier process
// made. name is that of the file.
func (r *reader) read(ctx context.Context, name string, sources []Source) (*Data, error) {
	dir, temporary := r.dir, ""
	if dir != "" {
		// A damaged file is made again.
		if d, err := openTokens(dir, name, r.limits.Vocab); d != nil && err == nil {
			d.lay(r.o, sources)
			return d, nil
		}
	} else {
		var err error
		if dir, err = os.MkdirTemp("", "barka-tokens-"); err != nil {
			return nil, err
		}
		temporary = dir
	}
	d, err := r.tokenize(ctx, filepath.Join(dir, tokensName(name)), sources)
	if d.tokens != nil {
		d.tokens.temporary = temporary
	}
	if err == nil && temporary == "" {
		err = r.w.writeRecord(dir, name, d)
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	d.lay(r.o, sources)
	return d, nil
}

// tokenize writes the file of tokens. The result is not nil, and must be closed.
func (r *reader) tokenize(ctx context.Context, path string, sources []Source) (d *Data, err error) {
	r.d, r.seen, r.refusal = &Data{Dropped: map[string]int{}}, map[uint64]bool{}, ""
	d = r.d
	if r.w, err = createTokens(path); err != nil {
		return d, err
	}
	d.tokens = &tokenFile{f: r.w.f}
	for _, s := range sources {
		if err := r.source(ctx, s.Path); err != nil {
			return d, err
		}
	}
	r.seen = nil
	d.tokens, err = r.w.finish(r.limits.Vocab)
	return d, err
}

// source tokenizes one dataset.
func (r *reader) source(ctx context.Context, path string) error {
	d := r.d
	before, first, lost := *d, len(r.w.index), reasonsTotal(d.Dropped)
	clear(r.seen)
	for row, err := range dataset.Rows[row](ctx, path) {
		if err != nil {
			return err
		}
		d.Rows++
		n := d.Rows - before.Rows
		reason, err := r.row(row, n)
		if err != nil {
			return badinput.Errorf("%s: row %d: %w", path, n, err)
		}
		if reason != "" {
			d.Dropped[reason]++
		}
	}
	rows := d.Rows - before.Rows
	lost = reasonsTotal(d.Dropped) - lost
	n := len(r.w.index) - first
	if n == 0 {
		return badinput.Errorf("%s: none of its %d rows can be trained on (%s); %s%s", path, rows, reasons(d.Dropped), r.o.needs(), r.refusal)
	}
	if share := float64(lost) / float64(rows); share > r.o.MaxDropped {
		return badinput.Errorf("%s: %d of its %d rows (%.1f %%) cannot be trained on (%s), and max_dropped allows %.1f %%; "+
			"mend the rows, raise max_length if they are too long, or raise max_dropped%s", path, lost, rows, 100*share,
			reasons(d.Dropped), 100*r.o.MaxDropped, r.refusal)
	}
	d.sets = append(d.sets, set{Path: path, Sample: first, Samples: n, Tokens: d.Tokens - before.Tokens, Trained: d.Trained - before.Trained})
	return nil
}

// reasonsTotal counts the rows that were dropped because nothing in them can be trained on.
func reasonsTotal(m map[string]int) (n int) {
	for reason, k := range m {
		if reason != dropDuplicate {
			n += k
		}
	}
	return n
}

func reasons(m map[string]int) string {
	var parts []string
	for r, n := range m {
		parts = append(parts, fmt.Sprintf("%s: %d", r, n))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// row writes a row's samples, or returns why the row is dropped. An error is about the
// dataset or the chat format, and would come back with other rows.
func (r *reader) row(row row, n int) (reason string, err error) {
	switch r.o.Objective {
	case ObjectiveText:
		return r.text(row, n)
	case ObjectiveDPO:
		return r.pair(row, n)
	}
	return r.conversation(row, n)
}

// add writes the samples of a row. The last word of each is trained.
func (r *reader) add(row int, samples ...[]uint32) (reason string, err error) {
	d := r.d
	for _, words := range samples {
		if err := r.check(words); err != nil {
			return "", err
		}
	}
	if h := hashWords(samples); r.seen[h] {
		d.Duplicates++
		if r.o.DropDuplicates {
			return dropDuplicate, nil
		}
	} else {
		r.seen[h] = true
	}
	if bos := r.tok.Special().BOS; len(samples[0]) > 2 && samples[0][0] == uint32(bos) && samples[0][1]&^trainedBit == uint32(bos) {
		d.DoubleBOS++
	}
	for _, words := range samples {
		if err := r.w.add(words, row); err != nil {
			return "", err
		}
		n := len(words) - 1
		d.Tokens += int64(n)
		d.Trained += int64(r.w.index[len(r.w.index)-1].trained)
		d.Longest = max(d.Longest, n)
	}
	return "", nil
}

// check compares a sample with the model's limits.
func (r *reader) check(words []uint32) error {
	for _, w := range words {
		if id := w &^ trainedBit; int64(id) >= int64(r.limits.Vocab) {
			return fmt.Errorf("the tokenizer has the token %d, the model's vocabulary has %d tokens; is it another model's tokenizer?",
				id, r.limits.Vocab)
		}
	}
	if n := len(words) - 1; r.limits.Positions > 0 && n > r.limits.Positions {
		return fmt.Errorf("the conversation has %d tokens up to its last trained one, the model has positions for %d; drop the row, "+
			"or set max_length to %d to cut such rows", n, r.limits.Positions, r.limits.Positions)
	}
	return nil
}

// hashWords identifies a row by its tokens and by which of them are trained.
func hashWords(samples [][]uint32) uint64 {
	h := xxhash.New()
	var b [4]byte
	for _, words := range samples {
		for _, w := range words {
			binary.LittleEndian.PutUint32(b[:], w)
			_, _ = h.Write(b[:])
		}
	}
	return h.Sum64()
}

// overlap counts the samples of a validation set that the training set has too.
func (d *Data) overlap(training *Data) error {
	counts := make(map[uint64]int, d.Samples())
	err := d.hashes(func(h uint64) { counts[h]++ })
	if err != nil {
		return err
	}
	d.InTraining = 0
	return training.hashes(func(h uint64) {
		d.InTraining += counts[h]
		delete(counts, h)
	})
}

// hashes calls visit for each sample.
func (d *Data) hashes(visit func(uint64)) error {
	for i := range d.tokens.index {
		b, err := d.tokens.words(i)
		if err != nil {
			return err
		}
		visit(xxhash.Sum64(b))
	}
	return nil
}
