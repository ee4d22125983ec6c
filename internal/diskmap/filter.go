package diskmap

import "encoding/binary"

// filter is a Bloom filter: 8 bits per key and 4 probes let 2.4 % of absent keys pass. A nil
// filter lets all pass.
type filter []uint64

// newFilter returns a filter that must be freed. Its memory is the system's where that is
// possible: the garbage collector lets the heap grow by the size of what is in use.
func newFilter(keys int) filter { return allocate(keys/8 + 1) }

// probes calls f with the word and the bit of each probe. A key is a hash already; its
// halves give independent numbers.
func (b filter) probes(k Key, f func(word int, bit uint64) bool) {
	x, step := binary.LittleEndian.Uint64(k[8:]), head(k)|1
	bits := uint64(len(b)) * 64
	for range 4 {
		i := x % bits
		if !f(int(i/64), 1<<(i%64)) {
			return
		}
		x += step
	}
}

func (b filter) add(k Key) {
	if b == nil {
		return
	}
	b.probes(k, func(word int, bit uint64) bool { b[word] |= bit; return true })
}

func (b filter) has(k Key) bool {
	if b == nil {
		return true
	}
	found := true
	b.probes(k, func(word int, bit uint64) bool {
		found = b[word]&bit != 0
		return found
	})
	return found
}
