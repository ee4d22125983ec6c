package train

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/dataset"
)

// sample is a tokenized conversation: targets[i] is to be predicted at row
// rows[i].
type sample struct {
	tokens, rows, targets []int32
}

// Data is a tokenized dataset and what became of its rows.
type Data struct {
	samples []sample
	refusal string         // the first of those counted as roles
	Rows    int            `json:"rows"`
	Dropped map[string]int `json:"dropped"` // by reason
	Cut     int            `json:"cut"`     // conversations cut to max_length
	Tokens  int64          `json:"tokens"`
	Trained int64          `json:"trained_tokens"`
	Longest int            `json:"longest"`
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

// Load tokenizes a dataset with a chat format. Conversations are
// cut to maxLength tokens; one that is then still longer than the model's
// positions (0: without end) is an error.
func Load(ctx context.Context, path string, format *chat.Template, maxLength, positions int) (*Data, error) {
	d := &Data{Dropped: map[string]int{}}
	for r, err := range dataset.Rows[row](ctx, path) {
		if err != nil {
			return nil, err
		}
		d.Rows++
		messages, err := r.messages()
		if err != nil {
			return nil, badinput.Errorf("%s: row %d: %w", path, d.Rows, err)
		}
		reason, err := d.add(format, messages, maxLength)
		if err != nil {
			return nil, badinput.Errorf("%s: row %d: %w", path, d.Rows, err)
		}
		if reason != "" {
			d.Dropped[reason]++
		}
		if positions > 0 && d.Longest > positions {
			return nil, badinput.Errorf("%s: row %d: the conversation has %d tokens up to its last trained one, the "+
				"model has positions for %d; drop the row, or set max_length to %d to cut such rows",
				path, d.Rows, d.Longest, positions, positions)
		}
	}
	if len(d.samples) == 0 {
		return nil, badinput.Errorf("%s: none of its %d rows can be trained on (%s); rows need messages (role, content) "+
			"or conversations (from, value) with an answer within max_length %d%s",
			path, d.Rows, reasons(d.Dropped), maxLength, d.refusal)
	}
	return d, nil
}

// add tokenizes a conversation, or returns why it is dropped. Where it cannot
// be told which tokens are the assistant's there is an error: it would be so
// for every row.
func (d *Data) add(format *chat.Template, messages []chat.Message, maxLength int) (reason string, err error) {
	if len(messages) == 0 {
		return "empty", nil
	}
	tokens, trained, err := format.Encode(messages)
	var refused *chat.Refused
	if errors.As(err, &refused) {
		if d.refusal == "" {
			d.refusal = fmt.Sprintf("; row %d: %s", d.Rows, refused.Reason)
		}
		return "roles", nil
	}
	if err != nil {
		return "", err
	}
	if len(tokens) > maxLength {
		tokens, trained = tokens[:maxLength], trained[:maxLength]
		d.Cut++
	}
	s := sample{tokens: tokens}
	for i := 1; i < len(tokens); i++ {
		if trained[i] {
			s.rows = append(s.rows, int32(i-1))
			s.targets = append(s.targets, tokens[i])
		}
	}
	if len(s.rows) == 0 {
		return "no_trained_token", nil
	}
	// Nothing after the last trained token has a gradient.
	s.tokens = tokens[:s.rows[len(s.rows)-1]+1]
	d.samples = append(d.samples, s)
	d.Tokens += int64(len(s.tokens))
	d.Trained += int64(len(s.rows))
	d.Longest = max(d.Longest, len(s.tokens))
	return "", nil
}

// Samples returns the number of conversations that can be trained on.
func (d *Data) Samples() int { return len(d.samples) }

func reasons(m map[string]int) string {
	var parts []string
	for r, n := range m {
		parts = append(parts, fmt.Sprintf("%s: %d", r, n))
	}
	slices.Sort(parts)
	return fmt.Sprint(parts)
}

// order is the permutation of an epoch, a function of the seed alone.
func order(seed int64, epoch, n int) []int {
	return rand.New(rand.NewPCG(uint64(seed), uint64(epoch))).Perm(n)
}

// stepsPerEpoch counts optimiser steps; the last batch may be smaller.
func stepsPerEpoch(n, batch int) int { return (n + batch - 1) / batch }

// batchOf returns the samples of an optimiser step, counted from 0 over all
// epochs.
func batchOf(seed int64, step, n, batch int) []int {
	per := stepsPerEpoch(n, batch)
	perm := order(seed, step/per, n)
	lo := step % per * batch
	return perm[lo:min(lo+batch, n)]
}

// micro cuts a batch into stretches of at most budget tokens.
func (d *Data) micro(batch []int, budget int) [][]int {
	var out [][]int
	tokens := 0
	for _, i := range batch {
		n := len(d.samples[i].tokens)
		if len(out) == 0 || tokens+n > budget {
			out, tokens = append(out, nil), 0
		}
		out[len(out)-1] = append(out[len(out)-1], i)
		tokens += n
	}
	return out
}
