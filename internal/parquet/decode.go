package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	pq "github.com/parquet-go/parquet-go"
)

// The encodings of the Parquet format (Encodings.md). Each decoder returns one
// value at a time and never reads beyond its bytes.

type decoder interface{ next() (any, error) }

var errShort = errors.New("damaged: fewer bytes than values need")

// hybrid decodes the RLE encoding: runs of one repeated number and runs of
// bit-packed numbers.
type hybrid struct {
	data   []byte
	width  int    // bits, at most 32
	equal  uint64 // values left in a repeated run
	value  uint32 // of the repeated run
	packed uint64 // values left in a bit-packed run
	bit    int    // position in the bit-packed run
}

func (h *hybrid) next() (uint32, error) {
	for h.equal == 0 && h.packed == 0 {
		if err := h.run(); err != nil {
			return 0, err
		}
	}
	if h.equal > 0 {
		h.equal--
		return h.value, nil
	}
	v, ok := bitsAt(h.data, h.bit, h.width)
	if !ok {
		return 0, errShort
	}
	h.packed--
	h.bit += h.width
	if h.packed == 0 {
		h.data, h.bit = h.data[min((h.bit+7)/8, len(h.data)):], 0
	}
	return uint32(v), nil
}

func (h *hybrid) run() error {
	head, n := binary.Uvarint(h.data)
	if n <= 0 {
		return errShort
	}
	h.data = h.data[n:]
	if head&1 == 1 {
		h.packed = head >> 1 * 8 // the last run may end in padding
		return nil
	}
	size := (h.width + 7) / 8
	if size > len(h.data) {
		return errShort
	}
	var word [4]byte
	copy(word[:], h.data[:size])
	h.value, h.equal, h.data = binary.LittleEndian.Uint32(word[:]), head>>1, h.data[size:]
	return nil
}

// bitsAt reads width (≤ 64) bits from position bit, lowest bit first.
func bitsAt(data []byte, bit, width int) (uint64, bool) {
	if bit+width > 8*len(data) {
		return 0, false
	}
	var v uint64
	for got := 0; got < width; {
		at := bit + got
		take := min(8-at%8, width-got)
		v |= uint64(data[at/8]>>(at%8)&(1<<take-1)) << got
		got += take
	}
	return v, true
}

// indexed decodes dictionary indices and looks the values up.
type indexed struct {
	dict    []any
	indices hybrid
}

func (d *indexed) next() (any, error) {
	i, err := d.indices.next()
	if err != nil {
		return nil, err
	}
	if uint64(i) >= uint64(len(d.dict)) {
		return nil, fmt.Errorf("damaged: entry %d of a dictionary of %d", i, len(d.dict))
	}
	return d.dict[i], nil
}

type booleans struct{ bits hybrid }

func (b *booleans) next() (any, error) {
	v, err := b.bits.next()
	return v != 0, err
}

// plain decodes the PLAIN encoding: values one after the other.
type plain struct {
	leaf *node
	kind pq.Kind
	data []byte
	size int // bytes of a fixed-size value
	bit  int // position among booleans
}

func newPlain(leaf *node, data []byte) (decoder, error) {
	p := &plain{leaf: leaf, kind: leaf.column.Type().Kind(), data: data}
	var err error
	if p.kind != pq.Boolean && p.kind != pq.ByteArray {
		p.size, err = leaf.fixedSize()
	}
	return p, err
}

func (p *plain) next() (any, error) {
	switch p.kind {
	case pq.Boolean:
		v, ok := bitsAt(p.data, p.bit, 1)
		if !ok {
			return nil, errShort
		}
		p.bit++
		return v == 1, nil
	case pq.ByteArray:
		if len(p.data) < 4 {
			return nil, errShort
		}
		n := binary.LittleEndian.Uint32(p.data)
		if uint64(n) > uint64(len(p.data)-4) {
			return nil, errShort
		}
		v := p.data[4 : 4+n]
		p.data = p.data[4+n:]
		return p.leaf.bytes(v)
	}
	if len(p.data) < p.size {
		return nil, errShort
	}
	v := p.data[:p.size]
	p.data = p.data[p.size:]
	return p.leaf.fixed(v)
}

// fixedSize returns the number of bytes of a value of the leaf's type.
func (n *node) fixedSize() (int, error) {
	switch t := n.column.Type(); t.Kind() {
	case pq.Int32, pq.Float:
		return 4, nil
	case pq.Int64, pq.Double:
		return 8, nil
	case pq.FixedLenByteArray:
		if l := t.Length(); l > 0 && l <= 1<<20 {
			return l, nil
		}
		return 0, fmt.Errorf("values of %d bytes", t.Length())
	default:
		return 0, fmt.Errorf("values of type %s are not supported", t)
	}
}

// fixed converts the bytes of a fixed-size value to a Go value.
func (n *node) fixed(v []byte) (any, error) {
	switch n.column.Type().Kind() {
	case pq.Int32:
		return n.number(int64(int32(binary.LittleEndian.Uint32(v))))
	case pq.Int64:
		return n.number(int64(binary.LittleEndian.Uint64(v)))
	case pq.Float:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(v))), nil
	case pq.Double:
		return math.Float64frombits(binary.LittleEndian.Uint64(v)), nil
	}
	return n.bytes(v)
}

// delta decodes DELTA_BINARY_PACKED: integers stored as differences, in blocks
// of bit-packed miniblocks.
type delta struct {
	data      []byte
	narrow    bool   // 32-bit arithmetic
	perMini   int    // values per miniblock
	minis     int    // miniblocks per block
	left      uint64 // values not yet returned
	value     int64  // last value
	first     bool   // the first value, which is not a difference, comes next
	least     int64  // smallest difference of the block
	widths    []byte // bit widths of the block's remaining miniblocks
	width     int    // bit width of this miniblock
	inMini    int    // values left in this miniblock
	bit       int    // position in this miniblock
	miniBytes int    // size of this miniblock
}

func newDelta(data []byte, narrow bool) (*delta, error) {
	d := &delta{data: data, narrow: narrow, first: true}
	var head [3]uint64
	for i := range head {
		v, n := binary.Uvarint(d.data)
		if n <= 0 {
			return nil, errShort
		}
		head[i], d.data = v, d.data[n:]
	}
	block, minis := head[0], head[1]
	if block == 0 || block > 1<<20 || minis == 0 || minis > block || block%minis != 0 || block/minis%8 != 0 {
		return nil, fmt.Errorf("damaged: delta blocks of %d values in %d miniblocks", block, minis)
	}
	d.perMini, d.minis, d.left = int(block/minis), int(minis), head[2]
	v, n := binary.Varint(d.data)
	if n <= 0 {
		return nil, errShort
	}
	d.value, d.data = v, d.data[n:]
	return d, nil
}

func (d *delta) next() (int64, error) {
	if d.left == 0 {
		return 0, errShort
	}
	d.left--
	if d.first {
		d.first = false
		return d.value, nil
	}
	if d.inMini == 0 {
		if err := d.miniblock(); err != nil {
			return 0, err
		}
	}
	v, ok := bitsAt(d.data, d.bit, d.width)
	if !ok {
		return 0, errShort
	}
	d.bit += d.width
	d.inMini--
	d.value += d.least + int64(v)
	if d.narrow {
		d.value = int64(int32(d.value))
	}
	return d.value, nil
}

func (d *delta) miniblock() error {
	d.data, d.bit = d.data[min(d.miniBytes, len(d.data)):], 0
	if len(d.widths) == 0 {
		v, n := binary.Varint(d.data)
		if n <= 0 || len(d.data)-n < d.minis {
			return errShort
		}
		d.least, d.widths, d.data = v, d.data[n:n+d.minis], d.data[n+d.minis:]
	}
	d.width, d.widths = int(d.widths[0]), d.widths[1:]
	if d.width > 64 {
		return fmt.Errorf("damaged: differences of %d bits", d.width)
	}
	d.inMini, d.miniBytes = d.perMini, d.perMini*d.width/8
	return nil
}

// rest returns the bytes after the encoded values, without changing d. The
// last miniblock with values is stored in full; the miniblocks after it in the
// same block are not stored.
func (d *delta) rest() ([]byte, error) {
	end := *d
	for end.left > 0 {
		if !end.first && end.inMini > 0 { // skip the miniblock as a whole
			n := min(uint64(end.inMini), end.left)
			end.left -= n
			end.inMini -= int(n)
			continue
		}
		if end.first {
			end.first = false
			end.left--
			continue
		}
		if err := end.miniblock(); err != nil {
			return nil, err
		}
		if end.miniBytes > len(end.data) {
			return nil, errShort
		}
	}
	return end.data[min(end.miniBytes, len(end.data)):], nil
}

type integers struct {
	deltas *delta
	number func(int64) (any, error)
}

func (i *integers) next() (any, error) {
	v, err := i.deltas.next()
	if err != nil {
		return nil, err
	}
	return i.number(v)
}

// deltaLengths decodes DELTA_LENGTH_BYTE_ARRAY: the lengths of all byte
// strings, then their bytes.
type deltaLengths struct {
	leaf    *node
	lengths *delta
	data    []byte
}

func newDeltaLengths(leaf *node, data []byte) (*deltaLengths, error) {
	if k := leaf.column.Type().Kind(); k != pq.ByteArray && k != pq.FixedLenByteArray {
		return nil, fmt.Errorf("encoding of byte strings for values of type %s", leaf.column.Type())
	}
	lengths, err := newDelta(data, true)
	if err != nil {
		return nil, err
	}
	rest, err := lengths.rest()
	return &deltaLengths{leaf, lengths, rest}, err
}

func (d *deltaLengths) raw() ([]byte, error) {
	n, err := d.lengths.next()
	if err != nil {
		return nil, err
	}
	if n < 0 || n > int64(len(d.data)) {
		return nil, errShort
	}
	v := d.data[:n]
	d.data = d.data[n:]
	return v, nil
}

func (d *deltaLengths) next() (any, error) {
	v, err := d.raw()
	if err != nil {
		return nil, err
	}
	return d.leaf.bytes(v)
}

// deltaStrings decodes DELTA_BYTE_ARRAY: each byte string is a prefix of the
// previous one plus a suffix.
type deltaStrings struct {
	prefixes *delta
	suffixes *deltaLengths
	last     []byte
	budget   *budget // a few bytes can stand for a long prefix
}

func newDeltaStrings(leaf *node, data []byte, budget *budget) (*deltaStrings, error) {
	prefixes, err := newDelta(data, true)
	if err != nil {
		return nil, err
	}
	rest, err := prefixes.rest()
	if err != nil {
		return nil, err
	}
	suffixes, err := newDeltaLengths(leaf, rest)
	return &deltaStrings{prefixes: prefixes, suffixes: suffixes, budget: budget}, err
}

func (d *deltaStrings) next() (any, error) {
	n, err := d.prefixes.next()
	if err != nil {
		return nil, err
	}
	suffix, err := d.suffixes.raw()
	if err != nil {
		return nil, err
	}
	if n < 0 || n > int64(len(d.last)) || n+int64(len(suffix)) > maxPage {
		return nil, errShort
	}
	if err := d.budget.unpack(n); err != nil {
		return nil, err
	}
	d.last = append(d.last[:n], suffix...)
	return d.suffixes.leaf.bytes(d.last)
}

// streams decodes BYTE_STREAM_SPLIT: the first bytes of all fixed-size values,
// then their second bytes, and so on.
type streams struct {
	leaf  *node
	data  []byte
	count int
	at    int
	value []byte
}

func newStreams(leaf *node, data []byte) (*streams, error) {
	size, err := leaf.fixedSize()
	if err != nil {
		return nil, err
	}
	if len(data)%size != 0 {
		return nil, errShort
	}
	return &streams{leaf: leaf, data: data, count: len(data) / size, value: make([]byte, size)}, nil
}

func (s *streams) next() (any, error) {
	if s.at >= s.count {
		return nil, errShort
	}
	for i := range s.value {
		s.value[i] = s.data[i*s.count+s.at]
	}
	s.at++
	return s.leaf.fixed(s.value)
}
