package eval

import (
	"cmp"
	"slices"
)

// The reference pads. This package never does, but its token digests and
// counters speak of padding, so what the reference would have done is worked
// out here from lengths alone.

// splits is into how many parts the reference cuts the requests, longest
// first; each part is padded to its own longest row.
const splits = 4

// autoBatch is the batch size with which the reference's search begins; it
// doubles from split to split. Without a batch size the true one depends on
// the reference's device and is not knowable.
const autoBatch = 512

// padding is what the reference would have made of a request's row.
type padding struct {
	// inputCut is the number of tokens cut from the left.
	inputCut int
	// inputPad and continuationPad are the numbers of pad tokens appended.
	inputPad, continuationPad int
	// continuation is how many of its tokens are scored.
	continuation int
}

// inputLength is the length of what the model reads: all but the last token.
func (r Request) inputLength() int {
	return len(r.Context) + max(0, len(r.Continuation)-1)
}

func (r Request) totalLength() int { return len(r.Context) + len(r.Continuation) }

// paddings lays out all requests of a run as the reference's data loader
// does, for a batch size (0 or less: automatic) and a maximal length.
func paddings(reqs []Request, batchSize, maxLength int) []padding {
	out := make([]padding, len(reqs))
	order := make([]int, len(reqs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(reqs[b].totalLength(), reqs[a].totalLength()) })
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
		width := min(reqs[split[0]].totalLength(), maxLength+1) - 1
		for rows := range slices.Chunk(split, batch) {
			padBatch(out, reqs, rows, width)
		}
		if batchSize <= 0 {
			batch *= 2
		}
	}
	return out
}

func padBatch(out []padding, reqs []Request, rows []int, width int) {
	longest := 0
	for _, i := range rows {
		input := reqs[i].inputLength()
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

// input returns the tokens the model reads, after the cut.
func (r Request) input(cut int) []int32 {
	joined := make([]int32, 0, r.totalLength())
	joined = append(append(joined, r.Context...), r.Continuation...)
	return joined[:r.inputLength()][cut:]
}
