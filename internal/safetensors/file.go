// Package safetensors reads and writes the safetensors format
// (https://huggingface.co/docs/safetensors): the length of the header as 8 little-endian
// bytes, a JSON header, and the tensors' bytes. Files are memory-mapped and checked before
// use. A tensor's bytes have the length of its type and shape, are inside the file, and do
// not overlap those of another tensor.
package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/bits"
	"os"
	"path/filepath"
	"slices"

	"barka/internal/badinput"
	"barka/internal/dtype"
	"barka/internal/jsonstream"
	"barka/internal/mapped"
	"barka/internal/tensor"
)

// Bounds of what a file says about itself before its tensors.
const (
	// maxHeader is the reference library's limit for the header, in bytes.
	maxHeader = 100_000_000
	// maxTensors bounds the tensors of a checkpoint; DeepSeek-V3 has 91,991.
	maxTensors = 1 << 18
	// maxEntry bounds the header's text about one tensor, including its name, in bytes. It
	// usually has about 100.
	maxEntry = 64 << 10
	// maxMetadata bounds the strings in __metadata__, in bytes. Trainers write their
	// settings there.
	maxMetadata = 8 << 20
	// maxIndex bounds the index of a sharded checkpoint, in bytes. DeepSeek-V3's has 9 MB.
	maxIndex = 32 << 20
)

// Name is the file of a model's weights. IndexName is the list of the files of a sharded
// model.
const (
	Name      = "model.safetensors"
	IndexName = "model.safetensors.index.json"
)

// Tensor is a named tensor: row-major little-endian bytes.
type Tensor struct {
	Name  string
	DType dtype.DType
	Shape []int
	Data  []byte
}

// entry locates a tensor in a shard.
type entry struct {
	shard      int
	dtype      dtype.DType
	shape      []int
	begin, end int // within the shard's data
}

// File is an open checkpoint: one file, or the shards of an index.
type File struct {
	path     string
	shards   []*mapped.File
	data     [][]byte // each shard's bytes after the header
	paths    []string
	tensors  map[string]entry
	metadata map[string]string
}

// Open maps a safetensors file, or the checkpoint in a directory:
// model.safetensors, or the shards that model.safetensors.index.json lists.
func Open(path string) (*File, error) {
	f := &File{path: path, tensors: map[string]entry{}, metadata: map[string]string{}}
	if err := EachFile(path, Name, IndexName, f.addShard); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// EachFile calls add with the file at path, or with the files of the checkpoint in that
// directory: the one named single, or those that the index lists, in the order of their names.
// expected are the tensors that the index lists for a file; nil means all that it holds.
func EachFile(path, single, index string, add func(path string, expected []string) error) error {
	info, err := os.Stat(path)
	if err != nil {
		return badinput.Wrap(err)
	}
	if !info.IsDir() {
		return add(path, nil)
	}
	whole := filepath.Join(path, single)
	there, err := badinput.Exists(whole)
	if err != nil {
		return badinput.Wrap(err)
	}
	if there {
		return add(whole, nil)
	}
	shards, err := ReadIndex(filepath.Join(path, index))
	if err != nil {
		return err
	}
	for _, s := range slices.Sorted(maps.Keys(shards)) {
		if err := add(filepath.Join(path, s), shards[s]); err != nil {
			return err
		}
	}
	return nil
}

// ReadIndex reads the index of a sharded checkpoint. It returns the tensors of each file.
// The files are in the index's directory.
func ReadIndex(path string) (map[string][]string, error) {
	data, err := badinput.ReadFile(path, maxIndex)
	if badinput.Is(err) {
		return nil, err
	}
	if err != nil {
		return nil, badinput.Errorf("%s: neither the weights in one file nor their index %s is there: %w",
			filepath.Dir(path), filepath.Base(path), err)
	}
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, badinput.Errorf("%s: not a valid index: %w", path, err)
	}
	if len(index.WeightMap) == 0 {
		return nil, badinput.Errorf("%s: the weight_map is missing or empty", path)
	}
	shards := map[string][]string{}
	for name, shard := range index.WeightMap {
		if !filepath.IsLocal(shard) {
			return nil, badinput.Errorf("%s: tensor %s is in %q, outside the model's directory", path, name, shard)
		}
		shards[shard] = append(shards[shard], name)
	}
	return shards, nil
}

// addShard maps a file and adds its tensors. expected are the tensors that the index lists
// for it; nil means all that it holds.
func (f *File) addShard(path string, expected []string) error {
	m, err := mapped.Open(path)
	if err != nil {
		return badinput.Errorf("checkpoint file: %w", err)
	}
	f.shards = append(f.shards, m)
	f.paths = append(f.paths, path)
	tensors, metadata, data, err := parse(m.Bytes)
	if err != nil {
		return badinput.Errorf("%s: %w", path, err)
	}
	f.data = append(f.data, data)
	for k, v := range metadata {
		f.metadata[k] = v
	}
	if expected == nil {
		for name := range tensors {
			expected = append(expected, name)
		}
	}
	if len(f.tensors)+len(expected) > maxTensors {
		return badinput.Errorf("%s: more than %d tensors with those of the shards before, the most that is read", path, maxTensors)
	}
	for _, name := range expected {
		e, ok := tensors[name]
		if !ok {
			return badinput.Errorf("%s: tensor %s is missing, though the index names this file for it", path, name)
		}
		e.shard = len(f.shards) - 1
		f.tensors[name] = e
	}
	return nil
}

// header is one tensor's entry in the JSON header.
type header struct {
	DType   dtype.DType `json:"dtype"`
	Shape   []int       `json:"shape"`
	Offsets []int       `json:"data_offsets"`
}

// parse checks a whole file. It returns the tensors, the metadata, and the bytes after the
// header.
func parse(file []byte) (map[string]entry, map[string]string, []byte, error) {
	if len(file) < 8 {
		return nil, nil, nil, fmt.Errorf("%d bytes, too short for a safetensors header; is the download complete?", len(file))
	}
	n := binary.LittleEndian.Uint64(file)
	if n > maxHeader || n > uint64(len(file)-8) {
		return nil, nil, nil, fmt.Errorf("the header claims %d bytes, the file has %d; it is truncated or not a safetensors file", n, len(file)-8)
	}
	data := file[8+n:]
	headers, metadata, err := parseHeader(file[8 : 8+n])
	if err != nil {
		return nil, nil, nil, err
	}
	type span struct {
		begin, end int
		name       string
	}
	tensors := make(map[string]entry, len(headers))
	spans := make([]span, 0, len(headers))
	for name, h := range headers {
		e, err := h.entry(len(data))
		if err != nil {
			return nil, nil, nil, fmt.Errorf("tensor %s: %w", name, err)
		}
		tensors[name] = e
		spans = append(spans, span{e.begin, e.end, name})
	}
	slices.SortFunc(spans, func(a, b span) int {
		if a.begin != b.begin {
			return a.begin - b.begin
		}
		return a.end - b.end
	})
	at := 0
	for _, s := range spans {
		if s.begin != at {
			return nil, nil, nil, fmt.Errorf("tensor %s begins at byte %d of the data, expected %d: tensors overlap or leave a hole",
				s.name, s.begin, at)
		}
		at = s.end
	}
	if at != len(data) {
		return nil, nil, nil, fmt.Errorf("the tensors take %d bytes, the file holds %d: it is truncated or has trailing bytes", at, len(data))
	}
	return tensors, metadata, data, nil
}

// parseHeader reads the JSON header. A duplicate name is an error; a map would hide it.
func parseHeader(text []byte) (map[string]header, map[string]string, error) {
	d := jsonstream.NewDecoder(bytes.NewReader(text))
	d.Piece(maxEntry)
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, nil, errors.New("the header is not a JSON object")
	}
	headers := map[string]header{}
	var metadata map[string]string
	for {
		d.Piece(maxEntry)
		if !d.More() {
			break
		}
		t, err := d.Token()
		if err != nil {
			return nil, nil, fmt.Errorf("header: %w", err)
		}
		name, ok := t.(string)
		if !ok {
			return nil, nil, errors.New("header: a key is not a string")
		}
		if name == "__metadata__" {
			d.Piece(maxMetadata)
			if err := d.Decode(&metadata); err != nil {
				return nil, nil, fmt.Errorf("header: __metadata__ must map strings to strings: %w", err)
			}
			continue
		}
		if _, dup := headers[name]; dup {
			return nil, nil, fmt.Errorf("header: tensor %s appears twice", name)
		}
		var h header
		if err := d.Decode(&h); err != nil {
			return nil, nil, fmt.Errorf("header: tensor %s: %w", name, err)
		}
		headers[name] = h
		if len(headers) > maxTensors {
			return nil, nil, fmt.Errorf("header: more than %d tensors, the most that is read", maxTensors)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, nil, errors.New("header: text after the JSON object")
	}
	return headers, metadata, nil
}

// entry returns the entry of a tensor, after checking its header against the length of the
// data.
func (h header) entry(length int) (entry, error) {
	size := h.DType.Size()
	if size == 0 {
		return entry{}, fmt.Errorf("unknown dtype %q", h.DType)
	}
	if len(h.Offsets) != 2 {
		return entry{}, fmt.Errorf("data_offsets has %d numbers, expected 2", len(h.Offsets))
	}
	begin, end := h.Offsets[0], h.Offsets[1]
	if begin < 0 || end < begin || end > length {
		return entry{}, fmt.Errorf("data_offsets %d…%d are outside the %d bytes of data", begin, end, length)
	}
	want := uint64(size)
	for _, d := range h.Shape {
		if d < 0 {
			return entry{}, fmt.Errorf("shape %v has a negative dimension", h.Shape)
		}
		hi, lo := bits.Mul64(want, uint64(d))
		if hi != 0 || lo > 1<<62 {
			return entry{}, fmt.Errorf("shape %v overflows", h.Shape)
		}
		want = lo
	}
	if want != uint64(end-begin) {
		return entry{}, fmt.Errorf("shape %v of %s takes %d bytes, data_offsets give %d", h.Shape, h.DType, want, end-begin)
	}
	return entry{dtype: h.DType, shape: h.Shape, begin: begin, end: end}, nil
}

// Names lists the tensors, sorted.
func (f *File) Names() []string {
	names := make([]string, 0, len(f.tensors))
	for n := range f.tensors {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Has reports whether the checkpoint holds a tensor.
func (f *File) Has(name string) bool { _, ok := f.tensors[name]; return ok }

// Info returns a tensor's type and shape.
func (f *File) Info(name string) (dtype.DType, []int, bool) {
	e, ok := f.tensors[name]
	return e.dtype, e.shape, ok
}

// Owner returns the name that owns a tensor's values. It is the tensor's own name, since
// tensors of this format do not share bytes.
func (f *File) Owner(name string) string { return name }

// Metadata returns the strings in __metadata__ of all shards.
func (f *File) Metadata() map[string]string { return f.metadata }

// Bytes returns the size of all tensors.
func (f *File) Bytes() int64 {
	var n int64
	for _, e := range f.tensors {
		n += int64(e.end - e.begin)
	}
	return n
}

// Tensor returns a tensor. Its bytes are a view of the mapped file, which is valid until
// Close.
func (f *File) Tensor(name string) (Tensor, error) {
	e, ok := f.tensors[name]
	if !ok {
		return Tensor{}, badinput.Errorf("%s: tensor %s is missing", f.path, name)
	}
	return Tensor{Name: name, DType: e.dtype, Shape: e.shape, Data: f.data[e.shard][e.begin:e.end:e.end]}, nil
}

// Matrix returns a floating-point tensor, which must have shape [rows, cols]. A vector
// counts as one row.
func (f *File) Matrix(name string, rows, cols int) (tensor.Matrix, error) {
	t, err := f.Tensor(name)
	if err != nil {
		return tensor.Matrix{}, err
	}
	m, err := t.Matrix(f.paths[f.tensors[name].shard], rows, cols)
	if err != nil {
		return m, err
	}
	e := f.tensors[name]
	shard := f.shards[e.shard]
	at := len(shard.Bytes) - len(f.data[e.shard]) + e.begin
	m.File, m.Offset = shard, int64(at)
	m.Release = func(begin, end int) { shard.Release(at+begin, at+end) }
	return m, nil
}

// Matrix returns the tensor as a matrix. It must be floating-point and have shape [rows,
// cols]; a vector counts as one row. Errors name the file at path.
func (t Tensor) Matrix(path string, rows, cols int) (tensor.Matrix, error) {
	fits := len(t.Shape) == 2 && t.Shape[0] == rows && t.Shape[1] == cols ||
		len(t.Shape) == 1 && rows == 1 && t.Shape[0] == cols
	if !fits {
		return tensor.Matrix{}, badinput.Errorf("%s: tensor %s has shape %v, expected [%d %d]", path, t.Name, t.Shape, rows, cols)
	}
	if !t.DType.Float() {
		return tensor.Matrix{}, badinput.Errorf("%s: tensor %s has type %s, expected F32, BF16 or F16", path, t.Name, t.DType)
	}
	return tensor.Matrix{Rows: rows, Cols: cols, DType: t.DType, Bytes: t.Data}, nil
}

// Release lets the system drop a tensor's bytes from memory. Reading them again is slow but
// valid.
func (f *File) Release(name string) {
	if e, ok := f.tensors[name]; ok {
		m := f.shards[e.shard]
		header := len(m.Bytes) - len(f.data[e.shard])
		m.Release(header+e.begin, header+e.end)
	}
}

// Unchanged returns an error if a file has changed since it was opened.
func (f *File) Unchanged() error {
	for _, m := range f.shards {
		if err := m.Unchanged(); err != nil {
			return err
		}
	}
	return nil
}

// Close unmaps the files. Views of their bytes must not be used afterwards.
func (f *File) Close() error {
	var errs []error
	for _, m := range f.shards {
		errs = append(errs, m.Close())
	}
	f.shards, f.data, f.tensors = nil, nil, nil
	return errors.Join(errs...)
}
