package score

import "barka/internal/tensor"

// tree is a batch of inputs of which every common beginning is run once: each
// piece between two branchings is a sequence whose keys are the rows of the
// pieces before it and its own. What the inputs have in common with the trunk,
// which an earlier batch ran, is not run at all: its rows come first, and
// those of the batch's own tokens after them.
type tree struct {
	trunk  []int32 // tokens
	tokens []int32
	starts []int32   // of the pieces, in tokens
	past   []int32   // tokens before each piece
	keys   [][]int32 // of each piece, by position
	rows   [][]int32 // of each item, by position
}

// grow adds sorted items that agree in their first depth tokens, whose rows
// are path.
func (t *tree) grow(items []item, depth int, path []int32) {
	shared := CommonPrefix(items[0].input, items[len(items)-1].input)
	if shared > depth {
		path = path[:depth:depth]
		for known := min(shared, CommonPrefix(items[0].input, t.trunk)); depth < known; depth++ {
			path = append(path, int32(depth))
		}
	}
	if shared > depth {
		t.starts, t.past = append(t.starts, int32(len(t.tokens))), append(t.past, int32(depth))
		for _, token := range items[0].input[depth:shared] {
			path = append(path, int32(len(t.trunk)+len(t.tokens)))
			t.tokens = append(t.tokens, token)
		}
		t.keys = append(t.keys, path)
	}
	for len(items) > 0 {
		if len(items[0].input) == shared {
			t.rows = append(t.rows, path)
			items = items[1:]
			continue
		}
		n := 1
		for n < len(items) && items[n].input[shared] == items[0].input[shared] {
			n++
		}
		t.grow(items[:n], shared, path)
		items = items[n:]
	}
}

func (t *tree) layout() tensor.Layout {
	return tensor.Layout{Starts: append(t.starts, int32(len(t.tokens))), Past: t.past, Keys: t.keys}
}

// CommonPrefix is the number of tokens with which a and b both begin.
func CommonPrefix(a, b []int32) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
