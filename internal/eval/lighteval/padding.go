package lighteval

import (
	"cmp"
	"slices"

	"barka/internal/eval/record"
)

// The reference pads its batches. Barka does not, but the reference's token digests and
// counters depend on padding. This file computes the reference's padding from the
// lengths of the requests.

// splits is the number of parts into which the reference cuts the requests, longest
// first. Each part is padded to its own longest row.
const splits = 4

// autoBatch is the batch size with which the reference's search starts; it doubles from
// split to split. If no batch size is given, the reference's true one depends on its
// device and is unknown.
const autoBatch = 512

// paddedRow is the reference's layout of a request.
type paddedRow struct {
	// inputCut is the number of tokens cut from the left.
	inputCut int
	// inputPad and continuationPad are the numbers of pad tokens appended.
	inputPad, continuationPad int
	// continuation is the number of the continuation's tokens that are scored.
	continuation int
}

func inputLength(r record.Request) int { return len(r.Context) + max(0, len(r.Continuation)-1) }

func totalLength(r record.Request) int { return len(r.Context) + len(r.Continuation) }

// simulatePadding lays out all requests of a run as the reference's data loader does, for
// a batch size (0 or less: automatic) and a maximum length.
func simulatePadding(reqs []record.Request, batchSize, maxLength int) []paddedRow {
	out := make([]paddedRow, len(reqs))
	order := make([]int, len(reqs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(totalLength(reqs[b]), totalLength(reqs[a])) })
	n := splits
	if n >= len(reqs) {
		n = 1
	}
	size := len(reqs)/n + 1
	batch := batchSize
	if batch <= 0 {
		batch = autoBatch
	}
	for start := 0; start < len(order); start += size {
		split := order[start:min(start+size, len(order))]
		width := min(totalLength(reqs[split[0]]), maxLength+1) - 1
		for rows := range slices.Chunk(split, batch) {
			padBatch(out, reqs, rows, width)
		}
		if batchSize <= 0 {
			batch *= 2
		}
	}
	return out
}

func padBatch(out []paddedRow, reqs []record.Request, rows []int, width int) {
	longest := 0
	for _, i := range rows {
		input := inputLength(reqs[i])
		p := &out[i]
		p.inputCut = max(0, input-width)
		p.inputPad = width - (input - p.inputCut)
		p.continuation = min(len(reqs[i].Continuation), input-p.inputCut)
		longest = max(longest, p.continuation)
	}
	for _, i := range rows {
		out[i].continuationPad = longest - out[i].continuation
	}
}

// paddingOf returns the padded rows of a run: per task, one for each request of its
// questions, in order.
func paddingOf(run *record.Run) [][]paddedRow {
	var reqs []record.Request
	for _, t := range run.Tasks {
		for _, q := range t.Questions {
			reqs = append(reqs, q.Requests...)
		}
	}
	rows := simulatePadding(reqs, run.Settings.BatchSize, run.Model.MaxLength)
	out := make([][]paddedRow, len(run.Tasks))
	for i, t := range run.Tasks {
		n := 0
		for _, q := range t.Questions {
			n += len(q.Requests)
		}
		out[i], rows = rows[:n], rows[n:]
	}
	return out
}
