package lighteval

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"barka/internal/eval/record"
)

func TestPaddings(t *testing.T) {
	req := func(context, continuation int) record.Request {
		return record.Request{Context: make([]int32, context), Continuation: make([]int32, continuation)}
	}
	// Nine requests make four parts of 9/4+1 = 3 rows, longest first.
	reqs := []record.Request{req(3, 1), req(10, 2), req(5, 1), req(20, 3), req(4, 4), req(7, 1), req(6, 2), req(2, 0), req(9, 1)}
	got := simulatePadding(reqs, 2, 15)
	want := []paddedRow{
		3: {inputCut: 7, inputPad: 0, continuation: 3},        // 22 read, 15 allowed
		1: {inputPad: 4, continuation: 2, continuationPad: 1}, // batch of rows 3 and 1
		8: {inputPad: 6, continuation: 1},                     // alone in its batch
		4: {inputPad: 0, continuation: 4},                     // second part is 8-1 wide
		5: {inputPad: 0, continuation: 1, continuationPad: 3}, // first among equals by order
		6: {inputPad: 0, continuation: 2},                     // alone in its batch
		2: {inputPad: 0, continuation: 1},                     // third part is 5 wide
		0: {inputPad: 2, continuation: 1},                     // same batch
		7: {inputPad: 3, continuation: 0},                     // alone in its batch
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(paddedRow{})); diff != "" {
		t.Error(diff)
	}
	if got := simulatePadding(nil, 2, 15); len(got) != 0 {
		t.Errorf("no requests: %v", got)
	}
}

func TestListDigest(t *testing.T) {
	var l listDigest
	l.add([]int32{5, 6}, 2, 1)
	l.add(nil, 1, 1)
	l.add([]int32{7}, 0, 1)
	l.add(nil, 0, 1)
	if got, want := l.sum(), DigestText("[[5, 6, 1, 1], [1], [7], []]"); got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
	if got := DigestText("Algeria"); got != "e8867f1026190925" {
		t.Errorf("xxh64 of Algeria = %s", got)
	}
}
