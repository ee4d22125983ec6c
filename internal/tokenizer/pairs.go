package tokenizer

import "math/bits"

// merged is the result of merging a pair: its rank (lower first) and its id.
type merged struct{ rank, id int32 }

// unmerged is the rank of a pair that does not merge.
const unmerged = int32(1<<31 - 1)

// pairTable maps pairs of ids to their merge. It is a hash table with linear probing
// behind a bit set of four times as many hashes. Most lookups find no merge, and the
// bit set, which fits the processor's cache, answers them.
type pairTable struct {
	slots []pairSlot
	bits  []uint64
	shift uint // from a hash to an index of slots
	count int
}

type pairSlot struct {
	a, b int32 // -1: free
	merged
}

func newPairTable(n int) *pairTable {
	size := bits.Len(uint(n + n/2 + 1))
	t := &pairTable{slots: make([]pairSlot, 1<<size), bits: make([]uint64, 1+1<<size>>4), shift: uint(64 - size)}
	for i := range t.slots {
		t.slots[i].a = -1
	}
	return t
}

func pairHash(a, b int32) uint64 {
	return (uint64(uint32(a))<<32 | uint64(uint32(b))) * 0x9e3779b97f4a7c15
}

// set stores a merge. The last of equal pairs counts, as in the reference.
func (t *pairTable) set(a, b int32, m merged) {
	h := pairHash(a, b)
	t.bits[h>>(t.shift-2)>>6] |= 1 << (h >> (t.shift - 2) & 63)
	for i := h >> t.shift; ; i = (i + 1) & uint64(len(t.slots)-1) {
		s := &t.slots[i]
		if s.a < 0 {
			t.count++
		} else if s.a != a || s.b != b {
			continue
		}
		*s = pairSlot{a, b, m}
		return
	}
}

// get returns the merge of a pair, with rank unmerged if there is none.
func (t *pairTable) get(a, b int32) merged {
	h := pairHash(a, b)
	if t.bits[h>>(t.shift-2)>>6]>>(h>>(t.shift-2)&63)&1 == 0 {
		return merged{rank: unmerged}
	}
	for i := h >> t.shift; ; i = (i + 1) & uint64(len(t.slots)-1) {
		s := &t.slots[i]
		if s.a == a && s.b == b {
			return s.merged
		}
		if s.a < 0 {
			return merged{rank: unmerged}
		}
	}
}
