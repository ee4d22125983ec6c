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
// optimiser step counts: a conversation.
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
}

// Reasons for which a row is dropped.
const (
	dropEmpty       = "empty"            // no messages
	dropRoles       = "roles"            // refused by the chat template
	dropNoAnswer    = "empty_answer"     // an answer without text
	dropUntrained   = "no_trained_token" // no answer
	dropLong        = "too_long"         // no answer within max_length
	dropDuplicate   = "duplicate"        // with drop_duplicates
	wantedOfColumns = "rows need messages (role, content) or conversations (from, value) with an answer within max_length"
)

// set is one of several datasets: units [First, First+N), of which an epoch takes Take.
type set struct {
	Path    string `json:"path"`
	First   int    `json:"first"`
	N       int    `json:"n"`
	Take    int    `json:"take"`
	Tokens  int64  `json:"tokens"`
	Trained int64  `json:"trained"`
}

// Close closes the file of tokens.
func (d *Data) Close() error {
	if d == nil {
		return nil
	}
	return d.tokens.Close()
}

// Samples returns the number of conversations that can be trained on.
func (d *Data) Samples() int {
	if d.tokens == nil {
		return 0
	}
	return len(d.tokens.index)
}

// length returns the tokens of a unit.
func (d *Data) length(unit int) int { return int(d.tokens.index[unit].tokens) }

// name returns where a unit comes from.
func (d *Data) name(unit int) string {
	for _, s := range slices.Backward(d.sets) {
		if unit >= s.First {
			return fmt.Sprintf("%s row %d", s.Path, d.tokens.index[unit].row)
		}
	}
	return fmt.Sprint("row ", unit)
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
	format, err := chat.Open(in.Tokenizer, o.chat())
	if err != nil {
		return nil, err
	}
	sources, err := in.sources(o)
	if err != nil {
		return nil, err
	}
	r := &reader{o: o, format: format, tok: in.Tokenizer, limits: limits}
	return r.read(ctx, "data", sources)
}

// reader tokenizes datasets.
type reader struct {
	o      Options
	format *chat.Template
	tok    *tokenizer.Tokenizer
	limits Limits
	dir    string // keeps the tokens for the next process; "" is a temporary directory

	// Of the current call:
	d       *Data
	w       *tokenWriter
	seen    map[uint64]bool // hashes of samples
	refusal string          // the first of the rows counted as roles
	words   []uint32
}

// read tokenizes datasets into a file of tokens, or opens the one that an earlier process
// made. name is that of the file.
func (r *reader) read(ctx context.Context, name string, sources []Source) (*Data, error) {
	dir, temporary := r.dir, ""
	if dir != "" {
		// A damaged file is made again.
		if d, err := openTokens(dir, name, r.limits.Vocab); d != nil && err == nil {
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
		if err := r.source(ctx, s); err != nil {
			return d, err
		}
	}
	r.seen = nil
	d.replay(sources)
	d.tokens, err = r.w.finish(r.limits.Vocab)
	return d, err
}

// source tokenizes one dataset.
func (r *reader) source(ctx context.Context, s Source) error {
	d, path := r.d, s.Path
	before := *d
	first, dropped := len(r.w.index), reasonsTotal(d.Dropped)
	clear(r.seen)
	for row, err := range dataset.Rows[row](ctx, path) {
		if err != nil {
			return err
		}
		d.Rows++
		n := d.Rows - before.Rows
		reason, err := r.conversation(row, n)
		if err != nil {
			return badinput.Errorf("%s: row %d: %w", path, n, err)
		}
		if reason != "" {
			d.Dropped[reason]++
		}
	}
	n := len(r.w.index) - first
	if n == 0 {
		return badinput.Errorf("%s: none of its %d rows can be trained on (%s); %s %d%s", path, d.Rows-before.Rows, reasons(d.Dropped),
			wantedOfColumns, r.o.MaxLength, r.refusal)
	}
	rows, lost := d.Rows-before.Rows, reasonsTotal(d.Dropped)-dropped
	if share := float64(lost) / float64(rows); share > r.o.MaxDropped {
		return badinput.Errorf("%s: %d of its %d rows (%.1f %%) cannot be trained on (%s), and max_dropped allows %.1f %%; "+
			"mend the rows, raise max_length if they are too long, or raise max_dropped%s", path, lost, rows, 100*share,
			reasons(d.Dropped), 100*r.o.MaxDropped, r.refusal)
	}
	weight := s.Weight
	if weight == 0 {
		weight = 1
	}
	d.sets = append(d.sets, set{Path: path, First: first, N: n, Take: max(1, int(weight*float64(n)+0.5)),
		Tokens: d.Tokens - before.Tokens, Trained: d.Trained - before.Trained})
	return nil
}

// replay sets how many units of the replayed datasets an epoch takes.
func (d *Data) replay(sources []Source) {
	others, share := 0, 0.0
	for i, s := range sources {
		if share += s.replay; s.replay == 0 {
			others += d.sets[i].Take
		}
	}
	for i, s := range sources {
		if s.replay > 0 {
			d.sets[i].Take = max(1, int(s.replay/(1-share)*float64(others)+0.5))
		}
	}
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

// row is what training reads of a dataset row: messages, or conversations in
// the ShareGPT spelling.
type row struct {
	Messages      []chat.Message `json:"messages" parquet:"messages,list"`
	Conversations []dataset.Turn `json:"conversations" parquet:"conversations,list"`
}

func (r row) messages() ([]chat.Message, error) {
	if len(r.Messages) > 0 {
		return r.Messages, nil
	}
	var out []chat.Message
	roles := map[string]string{"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant",
		"model": "assistant", "system": "system"}
	for _, t := range r.Conversations {
		role, ok := roles[t.From]
		if !ok {
			return nil, fmt.Errorf("from %q, expected human, gpt or system", t.From)
		}
		out = append(out, chat.Message{Role: role, Content: t.Value})
	}
	return out, nil
}

// conversation writes a row's sample, or returns why the row is dropped. An error is about
// the dataset or the chat format, and would come back with other rows.
func (r *reader) conversation(row row, n int) (reason string, err error) {
	messages, err := row.messages()
	if err != nil {
		return "", err
	}
	if len(messages) == 0 {
		return dropEmpty, nil
	}
	tokens, answers, reason, err := r.encode(messages)
	if reason != "" || err != nil {
		return reason, err
	}
	if reason := r.choose(&answers); reason != "" {
		return reason, nil
	}
	return r.add(tokens, answers, n)
}

// encode renders a conversation with the chat template.
func (r *reader) encode(messages []chat.Message) (tokens []int32, answers [][2]int, reason string, err error) {
	for _, m := range messages {
		if m.Role == "assistant" && strings.TrimSpace(m.Content) == "" {
			return nil, nil, dropNoAnswer, nil
		}
	}
	tokens, answers, err = r.format.Answers(messages)
	var refused *chat.Refused
	if errors.As(err, &refused) {
		if r.refusal == "" {
			r.refusal = fmt.Sprintf("; row %d: %s", r.d.Rows, refused.Reason)
		}
		return nil, nil, dropRoles, nil
	}
	if err == nil && len(answers) == 0 {
		reason = dropUntrained
	}
	return tokens, answers, reason, err
}

// choose leaves the answers that train. What does not end within max_length is lost with all
// that follows it: half an answer would teach to stop anywhere, or nowhere.
func (r *reader) choose(answers *[][2]int) (reason string) {
	all := *answers
	fit := 0
	for fit < len(all) && all[fit][1] <= r.o.MaxLength {
		fit++
	}
	lost := len(all) - fit
	if fit == 0 || lost > 0 && r.o.LastTurn {
		return dropLong
	}
	if lost > 0 {
		r.d.Cut++
		r.d.CutAnswers += lost
	}
	if *answers = all[:fit]; r.o.LastTurn {
		*answers = all[fit-1:]
	}
	return ""
}

// add writes a sample: tokens up to the last answer's end.
func (r *reader) add(tokens []int32, answers [][2]int, row int) (reason string, err error) {
	d := r.d
	r.words = r.words[:0]
	for i, id := range tokens[:answers[len(answers)-1][1]] {
		if int(id) >= r.limits.Vocab || id < 0 {
			return "", fmt.Errorf("the tokenizer has the token %d, the model's vocabulary has %d tokens; is it another model's "+
				"tokenizer?", id, r.limits.Vocab)
		}
		w := uint32(id)
		if slices.ContainsFunc(answers, func(a [2]int) bool { return a[0] <= i && i < a[1] }) {
			w |= trainedBit
		}
		r.words = append(r.words, w)
	}
	r.words[0] &^= trainedBit // nothing predicts the first token
	n := len(r.words) - 1
	if n < 1 {
		return dropUntrained, nil
	}
	if r.limits.Positions > 0 && n > r.limits.Positions {
		return "", fmt.Errorf("the conversation has %d tokens up to its last trained one, the model has positions for %d; drop "+
			"the row, or set max_length to %d to cut such rows", n, r.limits.Positions, r.limits.Positions)
	}
	if h := hashWords(r.words); r.seen[h] {
		d.Duplicates++
		if r.o.DropDuplicates {
			return dropDuplicate, nil
		}
	} else {
		r.seen[h] = true
	}
	if bos := r.tok.Special().BOS; n > 1 && tokens[0] == bos && tokens[1] == bos {
		d.DoubleBOS++
	}
	if err := r.w.add(r.words, row); err != nil {
		return "", err
	}
	d.Tokens += int64(n)
	d.Trained += int64(r.w.index[len(r.w.index)-1].trained)
	d.Longest = max(d.Longest, n)
	return "", nil
}

// hashWords identifies a sample by its tokens and by which of them are trained.
func hashWords(words []uint32) uint64 {
	h := xxhash.New()
	var b [4]byte
	for _, w := range words {
		binary.LittleEndian.PutUint32(b[:], w)
		_, _ = h.Write(b[:])
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
