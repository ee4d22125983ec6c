package score

import (
	"slices"
	"testing"
)

// TestTreeRunsCommonPrefixesOnce: an instruction of three tokens, two
// questions, choices of one token (which is not run) and of three.
func TestTreeRunsCommonPrefixesOnce(t *testing.T) {
	items := []item{{input: []int32{1, 2, 3, 4}}, {input: []int32{1, 2, 3, 4}}, {input: []int32{1, 2, 3, 5, 6}},
		{input: []int32{1, 2, 3, 5, 7, 8}}}
	var tr tree
	tr.grow(items, 0, nil)
	if want := []int32{1, 2, 3, 4, 5, 6, 7, 8}; !slices.Equal(tr.tokens, want) {
		t.Errorf("tokens %v, want %v", tr.tokens, want)
	}
	l := tr.layout()
	if want := []int32{0, 3, 4, 5, 6, 8}; !slices.Equal(l.Starts, want) {
		t.Errorf("edges start at %v, want %v", l.Starts, want)
	}
	if want := []int32{0, 3, 3, 4, 4}; !slices.Equal(l.Past, want) {
		t.Errorf("past %v, want %v", l.Past, want)
	}
	want := [][]int32{{0, 1, 2, 3}, {0, 1, 2, 3}, {0, 1, 2, 4, 5}, {0, 1, 2, 4, 6, 7}}
	for i, rows := range tr.rows {
		if !slices.Equal(rows, want[i]) {
			t.Errorf("item %d is in rows %v, want %v", i, rows, want[i])
		}
	}
}
