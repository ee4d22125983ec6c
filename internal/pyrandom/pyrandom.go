// Package pyrandom generates the same random numbers as Python's random.Random,
// so that a shuffle by a Python tool can be repeated exactly.
//
// The generator is the Mersenne Twister MT19937 of Matsumoto and Nishimura
// (1998) with their init_by_array seeding; the integer and shuffle methods
// follow CPython's Lib/random.py (3.2 and later).
package pyrandom

import "math/bits"

const (
	stateSize = 624
	shiftSize = 397
	matrixA   = 0x9908b0df
	upperMask = 0x80000000
	lowerMask = 0x7fffffff
)

// Random is Python's random.Random after seeding with a non-negative integer.
// It is not safe for concurrent use.
type Random struct {
	state [stateSize]uint32
	index int
}

// New returns the generator of random.Random(seed).
func New(seed uint64) *Random {
	r := new(Random)
	r.Seed(seed)
	return r
}

// Seed restarts the generator as random.seed(seed) does: the integer's 32-bit
// words, least significant first, are the key of init_by_array.
func (r *Random) Seed(seed uint64) {
	key := []uint32{uint32(seed)}
	if high := uint32(seed >> 32); high != 0 {
		key = append(key, high)
	}
	r.initByArray(key)
}

func (r *Random) initGenrand(s uint32) {
	r.state[0] = s
	for i := 1; i < stateSize; i++ {
		prev := r.state[i-1]
		r.state[i] = 1812433253*(prev^prev>>30) + uint32(i)
	}
	r.index = stateSize
}

func (r *Random) initByArray(key []uint32) {
	r.initGenrand(19650218)
	i, j := 1, 0
	for range max(stateSize, len(key)) {
		prev := r.state[i-1]
		r.state[i] = (r.state[i] ^ (prev^prev>>30)*1664525) + key[j] + uint32(j)
		i, j = i+1, j+1
		if i >= stateSize {
			r.state[0] = r.state[stateSize-1]
			i = 1
		}
		if j >= len(key) {
			j = 0
		}
	}
	for range stateSize - 1 {
		prev := r.state[i-1]
		r.state[i] = (r.state[i] ^ (prev^prev>>30)*1566083941) - uint32(i)
		i++
		if i >= stateSize {
			r.state[0] = r.state[stateSize-1]
			i = 1
		}
	}
	r.state[0] = 0x80000000
}

func (r *Random) refill() {
	for k := range stateSize {
		y := r.state[k]&upperMask | r.state[(k+1)%stateSize]&lowerMask
		next := r.state[(k+shiftSize)%stateSize] ^ y>>1
		if y&1 != 0 {
			next ^= matrixA
		}
		r.state[k] = next
	}
	r.index = 0
}

// Uint32 returns the next 32 bits, as getrandbits(32).
func (r *Random) Uint32() uint32 {
	if r.index >= stateSize {
		r.refill()
	}
	y := r.state[r.index]
	r.index++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

// Float64 returns random.random(): 53 bits in [0, 1).
func (r *Random) Float64() float64 {
	a, b := r.Uint32()>>5, r.Uint32()>>6
	return (float64(a)*67108864 + float64(b)) / 9007199254740992
}

// Below returns randrange(n), drawn by rejection from getrandbits. It panics
// unless 0 < n < 2^32.
func (r *Random) Below(n int) int {
	if n <= 0 || uint64(n) >= 1<<32 {
		panic("pyrandom: Below needs 0 < n < 2^32")
	}
	k := bits.Len32(uint32(n))
	for {
		if v := int(r.Uint32() >> (32 - k)); v < n {
			return v
		}
	}
}

// Shuffle permutes n elements as random.shuffle does.
func (r *Random) Shuffle(n int, swap func(i, j int)) {
	for i := n - 1; i > 0; i-- {
		swap(i, r.Below(i+1))
	}
}
