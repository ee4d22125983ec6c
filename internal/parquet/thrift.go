package parquet

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// Parquet's metadata is written in Thrift's compact protocol. The walker reads
// it before the library does and builds nothing. It refuses a count or length
// that the bytes cannot hold; the library would first reserve memory for it.

const (
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12

	thriftMaxDepth = 64
)

var errThrift = errors.New("damaged metadata")

// walker reads compact Thrift from the next left bytes of r.
type walker struct {
	r    *bufio.Reader
	left int64
	// structs is how many more structures are allowed.
	structs int64
}

func (w *walker) byte() (byte, error) {
	if w.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	w.left--
	return w.r.ReadByte()
}

func (w *walker) varint() (uint64, error) {
	var v uint64
	for shift := 0; shift < 70; shift += 7 {
		b, err := w.byte()
		if err != nil {
			return 0, err
		}
		v |= uint64(b&0x7f) << min(shift, 63)
		if b < 0x80 {
			return v, nil
		}
	}
	return 0, fmt.Errorf("%w: number of more than 64 bits", errThrift)
}

func (w *walker) zigzag() (int64, error) {
	v, err := w.varint()
	return int64(v>>1) ^ -int64(v&1), err
}

func (w *walker) skip(n int64) error {
	if n < 0 || n > w.left {
		return fmt.Errorf("%w: %d bytes announced, %d left", errThrift, n, w.left)
	}
	w.left -= n
	for n > 0 {
		d, err := w.r.Discard(int(min(n, 1<<30)))
		n -= int64(d)
		if err != nil {
			return err
		}
	}
	return nil
}

// structure walks a struct and calls field for each integer or boolean. The
// path packs field numbers: field 1 of field 5 is 5<<16|1. Deeper paths and
// values in lists are not reported.
func (w *walker) structure(path int, depth int, field func(path int, v int64)) error {
	if depth > thriftMaxDepth {
		return fmt.Errorf("%w: nested too deeply", errThrift)
	}
	if w.structs--; w.structs < 0 {
		return fmt.Errorf("%w: more than %d structures, enough for %d columns of row groups", errThrift, maxStructs, maxStructs/6)
	}
	var id int64
	for {
		head, err := w.byte()
		if err != nil {
			return err
		}
		kind := head & 0x0f
		if kind == 0 {
			return nil
		}
		if delta := int64(head >> 4); delta != 0 {
			id += delta
		} else if id, err = w.zigzag(); err != nil {
			return err
		}
		if id < 0 || id > 1<<15 {
			return fmt.Errorf("%w: field number %d", errThrift, id)
		}
		at := -1
		if path >= 0 && path < 1<<16 {
			at = path<<16 | int(id)
		}
		switch kind {
		case thriftTrue, thriftFalse:
			if at >= 0 && field != nil {
				field(at, int64(2-kind))
			}
		default:
			if err := w.value(kind, at, depth, field); err != nil {
				return err
			}
		}
	}
}

func (w *walker) value(kind byte, path, depth int, field func(int, int64)) error {
	switch kind {
	case thriftTrue, thriftFalse, thriftByte: // as list elements, booleans take a byte
		return w.skip(1)
	case thriftI16, thriftI32, thriftI64:
		v, err := w.zigzag()
		if err == nil && path >= 0 && field != nil {
			field(path, v)
		}
		return err
	case thriftDouble:
		return w.skip(8)
	case thriftBinary:
		n, err := w.varint()
		if err != nil {
			return err
		}
		return w.skip(int64(n & (1<<63 - 1)))
	case thriftList, thriftSet:
		return w.list(depth)
	case thriftMap:
		return w.mapping(depth)
	case thriftStruct:
		return w.structure(path, depth+1, field)
	}
	return fmt.Errorf("%w: type %d", errThrift, kind)
}

func (w *walker) list(depth int) error {
	head, err := w.byte()
	if err != nil {
		return err
	}
	n := uint64(head >> 4)
	if n == 15 {
		if n, err = w.varint(); err != nil {
			return err
		}
	}
	if n > uint64(max(w.left, 0)) { // an element takes at least a byte
		return fmt.Errorf("%w: list of %d elements in %d bytes", errThrift, n, w.left)
	}
	for ; n > 0; n-- {
		if err := w.value(head&0x0f, -1, depth+1, nil); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) mapping(depth int) error {
	n, err := w.varint()
	if err != nil || n == 0 {
		return err
	}
	kinds, err := w.byte()
	if err != nil {
		return err
	}
	if n > uint64(max(w.left, 0)) {
		return fmt.Errorf("%w: map of %d entries in %d bytes", errThrift, n, w.left)
	}
	for ; n > 0; n-- {
		for _, kind := range []byte{kinds >> 4, kinds & 0x0f} {
			if err := w.value(kind, -1, depth+1, nil); err != nil {
				return err
			}
		}
	}
	return nil
}
