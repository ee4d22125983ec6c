package score

import "barka/internal/tensor"

// tree is a prefix tree over the inputs of a batch, in which every common
// prefix is run once. Each edge, the tokens between two branchings, is a
// sequence of the ragged batch; its keys are the rows of the edges before it
// and its own. Tokens that the inputs share with prefix, which an earlier batch
// ran, are not run at all. Rows 0..len(prefix)-1 are those of prefix, and the
// batch's own tokens follow.
type tree struct {
	prefix []int32   // tokens kept from the previous batch
	tokens []int32   // to run
	starts []int32   // first token of each edge
	past   []int32   // number of tokens before each edge
	keys   [][]int32 // of each edge, by position
	rows   [][]int32 // of each item, by position
}

// grow adds sorted items that share their first depth tokens; path holds the
// rows of those tokens.
func (t *tree) grow(items []item, depth int, path []int32) {
	shared := CommonPrefix(items[0].input, items[len(items)-1].input)
	if shared > depth {
		path = path[:depth:depth]
		for known := min(shared, CommonPrefix(items[0].input, t.prefix)); depth < known; depth++ {
			path = append(path, int32(depth))
		}
	}
	if shared > depth {
		t.starts, t.past = append(t.starts, int32(len(t.tokens))), append(t.past, int32(depth))
		for _, token := range items[0].input[depth:shared] {
			path = append(path, int32(len(t.prefix)+len(t.tokens)))
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

// CommonPrefix returns the length of the longest common prefix of a and b.
func CommonPrefix(a, b []int32) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
