package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"barka/internal/atomicfile"
	"barka/internal/dtype"
)

// Write stores tensors in one file, in the reference library's order: wider types first,
// then by name. The file has a temporary name until it is complete and on disk. Its bytes
// depend only on the arguments.
func Write(path string, tensors []Tensor, metadata map[string]string) error {
	sources := make([]Source, len(tensors))
	for i, t := range tensors {
		sources[i] = Source{t.Name, t.DType, t.Shape, func() ([]byte, error) { return t.Data, nil }}
	}
	return WriteSources(path, sources, metadata)
}

// WriteSources is Write for tensors whose bytes are produced as they are written. Data of one
// tensor is not used after that of the next has been asked for.
func WriteSources(path string, sources []Source, metadata map[string]string) error {
	return writeShard(path, sources, metadata, nil)
}

// encodeHeader returns the header with its length, padded to a multiple of eight bytes, and
// the tensors in the order of their bytes.
func encodeHeader(sources []Source, metadata map[string]string) ([]byte, []Source, error) {
	ordered := slices.Clone(sources)
	slices.SortFunc(ordered, func(a, b Source) int {
		return cmp.Or(cmp.Compare(rank(b.DType), rank(a.DType)), cmp.Compare(a.Name, b.Name))
	})
	var b bytes.Buffer
	b.WriteByte('{')
	if len(metadata) > 0 {
		b.WriteString(`"__metadata__":`)
		if err := encode(&b, metadata); err != nil {
			return nil, nil, err
		}
	}
	at := 0
	for i, s := range ordered {
		if i > 0 && s.Name == ordered[i-1].Name {
			return nil, nil, fmt.Errorf("tensor %s appears twice", s.Name)
		}
		h := header{DType: s.DType, Shape: s.Shape, Offsets: []int{at, at + s.Size()}}
		if h.Shape == nil {
			h.Shape = []int{}
		}
		at += s.Size()
		if _, err := h.entry(at); err != nil {
			return nil, nil, fmt.Errorf("tensor %s: %w", s.Name, err)
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		if err := encode(&b, s.Name); err != nil {
			return nil, nil, err
		}
		b.WriteByte(':')
		if err := encode(&b, h); err != nil {
			return nil, nil, err
		}
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	head := binary.LittleEndian.AppendUint64(nil, uint64(b.Len()))
	return append(head, b.Bytes()...), ordered, nil
}

// encode appends JSON without Go's escapes for HTML.
func encode(b *bytes.Buffer, v any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the newline
	return nil
}

// rank orders types as the reference library's enumeration does.
func rank(d dtype.DType) int {
	return slices.Index([]dtype.DType{dtype.Bool, dtype.U8, dtype.I8, dtype.I16, dtype.U16, dtype.F16, dtype.BF16,
		dtype.I32, dtype.U32, dtype.F32, dtype.F64, dtype.I64, dtype.U64}, d)
}

// Source is a tensor whose bytes are produced when they are written, so that a whole model
// is never in memory. The bytes that Data returns are used only until the next call, of any source.
type Source struct {
	Name  string
	DType dtype.DType
	Shape []int
	Data  func() ([]byte, error)
}

// Size returns the bytes of the tensor.
func (s Source) Size() int {
	n := s.DType.Size()
	for _, d := range s.Shape {
		n *= d
	}
	return n
}

// WriteModel stores tensors in a directory: one model.safetensors, or shards of at most
// maxShard bytes with an index. Shards take the tensors in the given order. done, if not
// nil, is called after each tensor with the bytes written.
func WriteModel(dir string, sources []Source, metadata map[string]string, maxShard int64, done func(n int64)) error {
	var shards [][]Source
	var size, total int64
	for _, s := range sources {
		n := int64(s.Size())
		if len(shards) == 0 || size+n > maxShard && size > 0 {
			shards, size = append(shards, nil), 0
		}
		shards[len(shards)-1] = append(shards[len(shards)-1], s)
		size += n
		total += n
	}
	weightMap := map[string]string{}
	for i, shard := range shards {
		name := "model.safetensors"
		if len(shards) > 1 {
			name = fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		}
		for _, s := range shard {
			weightMap[s.Name] = name
		}
		if err := writeShard(filepath.Join(dir, name), shard, metadata, done); err != nil {
			return err
		}
	}
	if len(shards) <= 1 {
		return nil
	}
	index, err := json.MarshalIndent(map[string]any{"metadata": map[string]any{"total_size": total}, "weight_map": weightMap}, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, IndexName), func(w io.Writer) error {
		_, err := w.Write(append(index, '\n'))
		return err
	})
}

// writeShard writes one file.
func writeShard(path string, shard []Source, metadata map[string]string, done func(int64)) error {
	text, ordered, err := encodeHeader(shard, metadata)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		if _, err := w.Write(text); err != nil {
			return err
		}
		for _, s := range ordered {
			data, err := s.Data()
			if err != nil {
				return err
			}
			if len(data) != s.Size() {
				return fmt.Errorf("tensor %s: %d bytes, its shape %v of %s takes %d", s.Name, len(data), s.Shape, s.DType, s.Size())
			}
			if _, err := w.Write(data); err != nil {
				return err
			}
			if done != nil {
				done(int64(len(data)))
			}
		}
		return nil
	})
}
