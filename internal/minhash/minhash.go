// Package minhash finds texts that are nearly equal, in memory that does not grow with
// their lengths. A text is a set of elements, for example hashes of its words or of runs of
// them; texts are near if the Jaccard similarity of their sets is high. A signature holds
// the smallest hash of the elements for each of many hash functions: two signatures agree
// in a hash with the probability of that similarity (Broder 1997). Texts that agree in a
// whole band of hashes are compared (Indyk and Motwani 1998).
package minhash

import (
	"fmt"
	"math"
)

// Scheme is the shape of signatures: bands of rows hashes each. A pair of similarity s is
// compared with probability 1-(1-s^Rows)^Bands.
type Scheme struct{ Bands, Rows int }

// Hashes returns the length of a signature.
func (s Scheme) Hashes() int { return s.Bands * s.Rows }

// Chance returns the probability that a pair of the given similarity is compared.
func (s Scheme) Chance(similarity float64) float64 {
	return 1 - math.Pow(1-math.Pow(similarity, float64(s.Rows)), float64(s.Bands))
}

// found is the least probability with which a scheme of SchemeFor compares a pair at its
// threshold.
const found = 0.98

// SchemeFor returns the scheme of at most the given number of hashes that compares the
// fewest other pairs, and compares a pair of the threshold's similarity with a probability
// of at least 0.98. If there is none, bands are single hashes.
func SchemeFor(hashes int, threshold float64) Scheme {
	for rows := hashes; rows > 1; rows-- {
		if s := (Scheme{hashes / rows, rows}); s.Chance(threshold) >= found {
			return s
		}
	}
	return Scheme{hashes, 1}
}

// Sign sets to, of s.Hashes() values, to the signature of a set. The order of the elements
// and repetitions do not matter. All signatures of empty sets are equal.
func (s Scheme) Sign(to []uint32, elements []uint64) {
	to = to[:s.Hashes()]
	for i := range to {
		to[i] = math.MaxUint32
	}
	for _, h := range elements {
		a, b := uint32(h), uint32(h>>32)|1
		for i := range to {
			to[i] = min(to[i], mix(a+uint32(i)*b))
		}
	}
}

// Keys appends a hash of each band of a signature. Signatures that agree in a band have the
// same key.
func (s Scheme) Keys(to []uint64, signature []uint32) []uint64 {
	for b := range s.Bands {
		to = append(to, s.key(signature, b))
	}
	return to
}

// key returns a hash of band b of a signature.
func (s Scheme) key(signature []uint32, b int) uint64 {
	h := uint64(b)
	for _, v := range signature[b*s.Rows : (b+1)*s.Rows] {
		h = (h ^ uint64(v)) * 0x9e3779b97f4a7c15
		h ^= h >> 29
	}
	return h
}

// mix spreads the bits of a hash (the finalizer of MurmurHash3).
func mix(h uint32) uint32 {
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	return h ^ h>>16
}

// Similarity estimates the Jaccard similarity of two sets from signatures of equal length:
// the standard error is √(s(1-s)/hashes).
func Similarity(a, b []uint32) float64 {
	n := 0
	for i := range a {
		if a[i] == b[i] {
			n++
		}
	}
	return float64(n) / float64(len(a))
}

// Shingles appends a hash of each run of n words to elements, or of all words if they are
// fewer than n. Words are hashes (package wordhash).
func Shingles(elements, words []uint64, n int) []uint64 {
	if len(words) == 0 {
		return elements
	}
	n = min(n, len(words))
	for i := range len(words) - n + 1 {
		h := uint64(0)
		for _, w := range words[i : i+n] {
			h = (h ^ w) * 0x9e3779b97f4a7c15
			h ^= h >> 29
		}
		elements = append(elements, h)
	}
	return elements
}

// chunk is the number of signatures that an Index allocates at a time.
const chunk = 4096

// An Index holds signatures and finds near ones. Per signature it takes 4 bytes per hash,
// and about 30 bytes per band whose key is new.
type Index struct {
	scheme     Scheme
	signatures [][]uint32
	count      int
	first      []map[uint64]int32 // per band: the first signature with a key
}

// NewIndex makes an empty Index.
func NewIndex(s Scheme) *Index {
	if s.Bands < 1 || s.Rows < 1 {
		panic(fmt.Sprintf("minhash: %d bands of %d hashes", s.Bands, s.Rows))
	}
	x := &Index{scheme: s, first: make([]map[uint64]int32, s.Bands)}
	for b := range x.first {
		x.first[b] = map[uint64]int32{}
	}
	return x
}

// Len returns the number of signatures.
func (x *Index) Len() int { return x.count }

// Signature returns signature i. The caller must not change it.
func (x *Index) Signature(i int) []uint32 {
	h := x.scheme.Hashes()
	return x.signatures[i/chunk][i%chunk*h : (i%chunk+1)*h]
}

// Near calls yield with each indexed signature that shares a band with sig and has at
// least the given similarity, once per shared band, until yield returns false. Of several
// signatures with the same band it considers the first.
func (x *Index) Near(sig []uint32, threshold float64, yield func(i int, similarity float64) bool) {
	for b := range x.first {
		i, ok := x.first[b][x.scheme.key(sig, b)]
		if !ok {
			continue
		}
		if s := Similarity(sig, x.Signature(int(i))); s >= threshold && !yield(int(i), s) {
			return
		}
	}
}

// Nearest returns the most similar signature of those that Near finds, the first of equals,
// or -1.
func (x *Index) Nearest(sig []uint32, threshold float64) (best int, similarity float64) {
	best = -1
	x.Near(sig, threshold, func(i int, s float64) bool {
		if best < 0 || s > similarity || s == similarity && i < best {
			best, similarity = i, s
		}
		return true
	})
	return best, similarity
}

// Add adds a copy of a signature. It gets the next number, starting from 0.
func (x *Index) Add(sig []uint32) {
	h := x.scheme.Hashes()
	if x.count%chunk == 0 {
		x.signatures = append(x.signatures, make([]uint32, chunk*h))
	}
	copy(x.signatures[x.count/chunk][x.count%chunk*h:], sig[:h])
	for b := range x.first {
		key := x.scheme.key(sig, b)
		if _, ok := x.first[b][key]; !ok {
			x.first[b][key] = int32(x.count)
		}
	}
	x.count++
}
