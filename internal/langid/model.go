package langid

import (
	_ "embed"
	"encoding/binary"
	"math"
	"sync"
	"unicode"
)

//go:embed model.bin
var embedded []byte

const (
	lanes = 16  // the most languages of a script
	bias  = 128 // added to weights, so that four of them add in one word
	maxN  = 5   // letters and blanks of the longest n-gram

	basis, prime = 0x811C9DC5, 0x01000193 // FNV-1a, over characters
	mix          = 0x9E3779B1
	filterBits   = 17
)

// table is the model of one script.
type table struct {
	script    string
	languages []string
	scale     float32
	bias      []float32
	// An n-gram's hash is looked up in filter, which answers most of those that the table lacks
	// from the first cache, and then in slots, by linear probing.
	filter  [1 << filterBits / 64]uint64
	slots   []slot // a power of two
	shift   uint
	weights [][4]uint64 // by row, 16 lanes of 16 bits
	// letters maps the characters below its length: to themselves or their lower case, to ' ' at
	// which words end, to 0 if they are left out, or to unknown if the text needs NFKC first.
	letters [0x2000]uint16
	caches  sync.Pool // of *cache, one for each goroutine that identifies languages
}

// slot is an n-gram's hash, and its row plus 1; a row of 0 is empty.
type slot struct{ key, row uint32 }

const unknown = 0xFFFF

// model returns the embedded tables.
var model = sync.OnceValue(func() []*table {
	data := embedded[len("BLID1\n"):]
	u32 := func() uint32 {
		v := binary.LittleEndian.Uint32(data)
		data = data[4:]
		return v
	}
	var all []*table
	for len(data) > 0 {
		t := &table{script: string(data[:4])}
		n := int(data[4])
		data = data[5:]
		keys := int(u32())
		t.scale = math.Float32frombits(u32())
		for range n {
			t.languages = append(t.languages, string(data[:3])+"_"+t.script)
			data = data[3:]
		}
		for range n {
			t.bias = append(t.bias, math.Float32frombits(u32()))
		}
		t.shift = 32
		for size := 1; size < 2*keys; size *= 2 {
			t.shift--
		}
		t.slots = make([]slot, 1<<(32-t.shift))
		for row := range keys {
			t.insert(u32(), uint32(row))
		}
		t.weights = make([][4]uint64, keys)
		for row := range t.weights {
			for i := range n {
				t.weights[row][i/4] |= uint64(int(int8(data[i]))+bias) << (16 * (i % 4))
			}
			data = data[n:]
		}
		t.mapLetters()
		all = append(all, t)
	}
	return all
})

func tableOf(script string) *table {
	for _, t := range model() {
		if t.script == script {
			return t
		}
	}
	return nil
}

func (t *table) insert(key, row uint32) {
	h := key * mix
	t.filter[h>>(32-filterBits)/64] |= 1 << (h >> (32 - filterBits) % 64)
	at := h >> t.shift
	for t.slots[at].row != 0 {
		at = (at + 1) & uint32(len(t.slots)-1)
	}
	t.slots[at] = slot{key, row + 1}
}

// inArab reports whether a character lies in the blocks of the Arabic script. Presentation forms
// are normalised before.
func inArab(r rune) bool {
	return 0x620 <= r && r <= 0x6FF || 0x750 <= r && r <= 0x77F || 0x8A0 <= r && r <= 0x8FF
}

// harakat reports marks of vowels and recitation, and tatweel, which no language needs.
func harakat(r rune) bool {
	return 0x64B <= r && r <= 0x652 || r == 0x670 || r == 0x640 || 0x610 <= r && r <= 0x61A ||
		0x6D6 <= r && r <= 0x6ED && r != 0x6E5 && r != 0x6E6
}

// mapLetters fills letters, as keep of reference/langid/features.py maps characters.
func (t *table) mapLetters() {
	arab := t.script == "Arab"
	for i := range t.letters {
		r := rune(i)
		own := arab && inArab(r) || !arab && (r < 0x250 || r >= 0x1E00 && r <= 0x1EFF)
		switch {
		case r == 0x653 || r == 0x654 || r == 0x655 || 0x300 <= r && r <= 0x36F:
			t.letters[i] = unknown // a letter and its mark may make one
		case arab && harakat(r):
			t.letters[i] = 0
		case unicode.IsLetter(r) && own:
			t.letters[i] = uint16(unicode.ToLower(r))
		case unicode.Is(unicode.Mn, r):
			if t.letters[i] = 0; arab && own {
				t.letters[i] = uint16(r)
			}
		default:
			t.letters[i] = ' '
		}
	}
}
