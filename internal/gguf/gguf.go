// Package gguf reads GGUF files (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md),
// in which llama.cpp keeps a model: settings, tokenizer and weights. A file is
// memory-mapped and checked before use: each tensor lies inside the file and
// overlaps no other. No Go library reads the quantised types without copying
// all of them, and none has bounds on what a file claims.
package gguf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/dtype"
)

// Bounds of what a file says about itself.
const (
	maxTensors  = 1 << 18
	maxSettings = 1 << 16
	maxName     = 1 << 10 // bytes of the name of a tensor or setting
	maxDims     = 4
)

// types are the tensor types that are read, by their numbers in the file.
var types = map[uint32]dtype.DType{
	0: dtype.F32, 1: dtype.F16, 30: dtype.BF16, 2: dtype.Q4_0, 3: dtype.Q4_1, 6: dtype.Q5_0, 7: dtype.Q5_1, 8: dtype.Q8_0,
	12: dtype.Q4_K, 13: dtype.Q5_K, 14: dtype.Q6_K,
}

// unread are the names of types that are not.
var unread = map[uint32]string{
	9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S",
	22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4",
}

// entry is a tensor as the file describes it. The shape is row-major: GGUF
// lists the dimensions in the other order.
type entry struct {
	dtype dtype.DType
	shape []int
	begin int // in the file
	bytes int
}

// contents is a parsed file.
type contents struct {
	settings map[string]any // see reader.value
	tensors  map[string]entry
}

// reader reads the head of a file.
type reader struct {
	data []byte
	at   int
	err  error
}

// take returns the next n bytes, none after an error.
func (r *reader) take(n uint64) []byte {
	if r.err == nil && n > uint64(len(r.data)-r.at) {
		r.err = fmt.Errorf("it ends at byte %d, where %d more were expected", len(r.data), n)
	}
	if r.err != nil {
		return nil
	}
	b := r.data[r.at : r.at+int(n)]
	r.at += int(n)
	return b
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) text() string { return string(r.take(r.u64())) }

func (r *reader) name() string {
	s := r.text()
	if r.err == nil && (s == "" || len(s) > maxName) {
		r.err = fmt.Errorf("a name of %d bytes, expected 1 to %d", len(s), maxName)
	}
	return s
}

// The types of settings, by their numbers in the file.
const (
	kindBool   = 7
	kindString = 8
	kindArray  = 9
)

// number reads a number of a kind, with the bytes that it takes there.
func number(kind uint32, b []byte) (v any, size uint64) {
	switch kind {
	case 0, 1, 2, 3, 4, 5, 10, 11:
		size = []uint64{1, 1, 2, 2, 4, 4, 0, 0, 0, 0, 8, 8}[kind]
	case 6:
		size = 4
	case 12:
		size = 8
	default:
		return nil, 0
	}
	if b == nil {
		return nil, size
	}
	var wide [8]byte
	copy(wide[:], b)
	u := binary.LittleEndian.Uint64(wide[:])
	switch kind {
	case 1, 3, 5: // signed: the sign comes from the uppermost bit
		shift := 64 - 8*size
		return int64(u<<shift) >> shift, size
	case 11:
		return int64(u), size
	case 6:
		return float64(math.Float32frombits(uint32(u))), size
	case 12:
		return math.Float64frombits(u), size
	}
	return int64(min(u, math.MaxInt64)), size
}

// value reads a setting: int64, float64, bool, string, []string, []int64 or
// []float64.
func (r *reader) value(kind uint32) any {
	switch kind {
	case kindBool:
		b := r.take(1)
		return len(b) == 1 && b[0] != 0
	case kindString:
		return r.text()
	case kindArray:
		return r.array()
	}
	_, size := number(kind, nil)
	if size == 0 && r.err == nil {
		r.err = fmt.Errorf("a setting of the unknown type %d", kind)
	}
	b := r.take(size)
	if b == nil {
		return nil
	}
	v, _ := number(kind, b)
	return v
}

func (r *reader) array() any {
	kind, n := r.u32(), r.u64()
	if kind == kindString {
		// Each string takes eight bytes at least.
		if r.err == nil && n > uint64(len(r.data)-r.at)/8 {
			r.err = fmt.Errorf("a list of %d texts in %d bytes", n, len(r.data)-r.at)
		}
		var out []string
		for i := uint64(0); i < n && r.err == nil; i++ {
			out = append(out, r.text())
		}
		return out
	}
	_, size := number(kind, nil)
	if kind == kindBool {
		size = 1
	}
	if size == 0 && r.err == nil {
		r.err = fmt.Errorf("a list of the type %d, which is not supported", kind)
	}
	high, total := bits.Mul64(n, size)
	if high != 0 && r.err == nil {
		r.err = fmt.Errorf("a list of %d values", n)
	}
	b := r.take(total)
	if r.err != nil {
		return nil
	}
	if kind == 6 || kind == 12 {
		out := make([]float64, n)
		for i := range out {
			v, _ := number(kind, b[uint64(i)*size:][:size])
			out[i] = v.(float64)
		}
		return out
	}
	out := make([]int64, n)
	for i := range out {
		if kind == kindBool {
			out[i] = int64(b[i])
			continue
		}
		v, _ := number(kind, b[uint64(i)*size:][:size])
		out[i] = v.(int64)
	}
	return out
}

// parse reads the head of a file and checks where its tensors lie.
func parse(data []byte) (*contents, error) {
	if !bytes.HasPrefix(data, []byte("GGUF")) {
		return nil, badinput.Errorf("not a GGUF file: it begins with %q", data[:min(4, len(data))])
	}
	r := &reader{data: data, at: 4}
	switch version := r.u32(); {
	case r.err == nil && bits.ReverseBytes32(version) <= 3:
		return nil, badinput.Errorf("the file is for big-endian machines, which are not supported; convert the model for little-endian ones")
	case r.err == nil && version != 2 && version != 3:
		return nil, badinput.Errorf("GGUF version %d is not supported; expected 2 or 3", version)
	}
	tensors, settings := r.u64(), r.u64()
	if r.err == nil && (tensors > maxTensors || settings > maxSettings) {
		return nil, badinput.Errorf("the file claims %d tensors and %d settings, expected at most %d and %d",
			tensors, settings, maxTensors, maxSettings)
	}
	c := &contents{settings: map[string]any{}, tensors: map[string]entry{}}
	for i := uint64(0); i < settings && r.err == nil; i++ {
		key := r.name()
		if _, twice := c.settings[key]; twice {
			return nil, badinput.Errorf("the setting %s stands twice", key)
		}
		c.settings[key] = r.value(r.u32())
		if r.err != nil {
			r.err = fmt.Errorf("setting %s: %w", key, r.err)
		}
	}
	for i := uint64(0); i < tensors && r.err == nil; i++ {
		c.tensor(r)
	}
	if r.err != nil {
		return nil, badinput.Errorf("not a whole GGUF file: %w", r.err)
	}
	return c, c.place(data, r.at)
}

// tensor reads the description of a tensor. Its begin is counted from the end
// of the head until place knows that.
func (c *contents) tensor(r *reader) {
	name, dims := r.name(), r.u32()
	if r.err == nil && (dims < 1 || dims > maxDims) {
		r.err = fmt.Errorf("tensor %s has %d dimensions, expected 1 to %d", name, dims, maxDims)
	}
	e, count := entry{}, uint64(1)
	for i := uint32(0); i < dims && r.err == nil; i++ {
		d := r.u64()
		high, low := bits.Mul64(count, d)
		if high != 0 || low > 1<<48 || d == 0 {
			r.err = fmt.Errorf("tensor %s: the dimension %d is %d", name, i, d)
			return
		}
		count = low
		e.shape = append(e.shape, int(d))
	}
	number, offset := r.u32(), r.u64()
	if r.err != nil {
		return
	}
	slices.Reverse(e.shape)
	t, known := types[number]
	switch _, twice := c.tensors[name]; {
	case twice:
		r.err = fmt.Errorf("the tensor %s stands twice", name)
		return
	case !known:
		what, ok := unread[number]
		if !ok {
			what = fmt.Sprintf("number %d", number)
		}
		r.err = fmt.Errorf("tensor %s has the type %s, which is not supported; "+
			"supported: F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K", name, what)
		return
	case offset > math.MaxInt64/2:
		r.err = fmt.Errorf("tensor %s begins at byte %d", name, offset)
		return
	}
	if values, _ := t.Block(); e.shape[len(e.shape)-1]%values != 0 {
		r.err = fmt.Errorf("tensor %s: rows of %d values are no whole blocks of %s", name, e.shape[len(e.shape)-1], t)
		return
	}
	e.dtype, e.begin, e.bytes = t, int(offset), t.Bytes(int(count))
	c.tensors[name] = e
}

// place turns the tensors' offsets into positions in the file, and refuses
// tensors outside it or over each other.
func (c *contents) place(data []byte, end int) error {
	alignment := int64(32)
	if v, ok := c.settings["general.alignment"].(int64); ok {
		alignment = v
	}
	if alignment < 8 || alignment > 1<<20 || alignment%8 != 0 {
		return badinput.Errorf("general.alignment is %d, expected a multiple of 8", alignment)
	}
	begin := (end + int(alignment) - 1) / int(alignment) * int(alignment)
	var names []string
	for name, e := range c.tensors {
		e.begin += begin
		if e.begin > len(data) || e.bytes > len(data)-e.begin {
			return badinput.Errorf("tensor %s takes the bytes %d to %d, the file has %d; it may be cut short: get it again",
				name, e.begin, e.begin+e.bytes, len(data))
		}
		c.tensors[name] = e
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return c.tensors[a].begin - c.tensors[b].begin })
	for i, name := range names[min(1, len(names)):] {
		if before := c.tensors[names[i]]; before.begin+before.bytes > c.tensors[name].begin {
			return badinput.Errorf("the tensors %s and %s overlap", names[i], name)
		}
	}
	return nil
}

// text returns a setting that is a string, "" without it.
func (c *contents) text(key string) string { s, _ := c.settings[key].(string); return s }

// number returns a setting that is a number.
func (c *contents) number(key string) (float64, bool) {
	switch v := c.settings[key].(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// architecture is general.architecture.
func (c *contents) architecture() string { return c.text("general.architecture") }

// key is a setting of the model's architecture.
func (c *contents) key(name string) string {
	return strings.Join([]string{c.architecture(), name}, ".")
}
