package tokenizer

import "hash/maphash"

// wordCache caches the ids of short words. A new word replaces the one in its hash
// slot. Nothing is allocated after its creation.
type wordCache struct {
	seed  maphash.Seed
	slots []cachedWord
}

const (
	cachedBytes = 38
	cachedIDs   = 12
	cacheSlots  = 1 << 13
)

type cachedWord struct {
	hash uint64
	size uint8 // length of the word, 0: free
	n    uint8 // number of ids
	word [cachedBytes]byte
	ids  [cachedIDs]int32
}

// find appends the ids of a word and reports whether they were cached. The slot is
// for remember; it is nil if the word is too long.
func (c *wordCache) find(word string, ids []int32) ([]int32, *cachedWord, bool) {
	if len(word) > cachedBytes || word == "" {
		return ids, nil, false
	}
	if c.slots == nil {
		c.slots, c.seed = make([]cachedWord, cacheSlots), maphash.MakeSeed()
	}
	h := maphash.String(c.seed, word)
	s := &c.slots[h&(cacheSlots-1)]
	if s.hash == h && string(s.word[:s.size]) == word {
		return append(ids, s.ids[:s.n]...), s, true
	}
	s.hash, s.size = h, 0 // invalid until remember fills it
	return ids, s, false
}

// remember fills the slot that find returned.
func (s *cachedWord) remember(word string, ids []int32) {
	if s == nil || len(ids) > cachedIDs {
		return
	}
	s.size, s.n = uint8(copy(s.word[:], word)), uint8(copy(s.ids[:], ids))
}
