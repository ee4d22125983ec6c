// Package torchfile reads the tensors of pytorch_model.bin and of the other files that
// torch.save has written since PyTorch 1.6. These are zip archives. The member data.pkl is a
// pickle, a program that builds a dictionary of tensors. The members data/0, data/1, … are
// the bytes of their storages.
//
// A pickle can run any program. This package implements only the instructions and names that
// tensors need. Any other is an error that names it, so that nothing is executed.
//
// Storages are views of the memory-mapped file. A tensor that is not contiguous in its
// storage is copied when it is read.
package torchfile

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"sync"

	"barka/internal/badinput"
	"barka/internal/dtype"
	"barka/internal/mapped"
	"barka/internal/safetensors"
	"barka/internal/tensor"
)

// Name is the file of a model's weights. IndexName is the list of the files of a sharded
// model.
const (
	Name      = "pytorch_model.bin"
	IndexName = "pytorch_model.bin.index.json"
)

// maxTensors bounds the tensors of a file.
const maxTensors = 1 << 18

// entry is a named tensor of a shard. values is the archive member with its storage.
type entry struct {
	name   string
	owner  string // the first name with the same values
	shard  int
	view   *view
	values *member
}

// shard is one file.
type shard struct {
	path   string
	mapped *mapped.File
	*archive
	tensors []*entry // in the file's order
}

// File is an open checkpoint: one file, or the shards of an index.
type File struct {
	path    string
	shards  []*shard
	tensors map[string]*entry

	mu       sync.Mutex
	inflated map[*member][]byte // the contents of compressed members
}

// Open maps a file, or the checkpoint in a directory: pytorch_model.bin, or
// the shards that pytorch_model.bin.index.json lists.
func Open(path string) (*File, error) {
	f := &File{path: path, tensors: map[string]*entry{}, inflated: map[*member][]byte{}}
	if err := safetensors.EachFile(path, Name, IndexName, f.addShard); err != nil {
		f.Close()
		return nil, err
	}
	f.findOwners()
	return f, nil
}

// addShard maps a file and adds its tensors. expected are the tensors that the index lists
// for it; nil means all that it holds.
func (f *File) addShard(path string, expected []string) error {
	m, err := mapped.Open(path)
	if err != nil {
		return badinput.Errorf("checkpoint file: %w", err)
	}
	s := &shard{path: path, mapped: m}
	f.shards = append(f.shards, s)
	if s.archive, s.tensors, err = parse(m.Bytes, m); err != nil {
		return badinput.Errorf("%s: %w", path, err)
	}
	held := map[string]*entry{}
	for _, e := range s.tensors {
		e.shard = len(f.shards) - 1
		held[e.name] = e
	}
	if expected == nil {
		maps.Copy(f.tensors, held)
		return nil
	}
	for _, name := range expected {
		e, ok := held[name]
		if !ok {
			return badinput.Errorf("%s: tensor %s is missing, though the index names this file for it", path, name)
		}
		f.tensors[name] = e
	}
	s.tensors = slices.DeleteFunc(s.tensors, func(e *entry) bool { return f.tensors[e.name] != e })
	return nil
}

// parse checks a whole file and returns its tensors in the file's order. file and r have the
// same bytes.
func parse(file []byte, r io.ReaderAt) (*archive, []*entry, error) {
	a, err := readArchive(file, r)
	if err != nil {
		return nil, nil, err
	}
	code, err := a.read(a.members["data.pkl"], maxPickle)
	if err != nil {
		return nil, nil, err
	}
	top, err := unpickle(code)
	if err != nil {
		return nil, nil, err
	}
	d, ok := top.(*dict)
	if !ok {
		return nil, nil, badinput.Errorf("the file holds %s, expected a dictionary of tensors", kind(top))
	}
	entries, err := a.entries(d)
	return a, entries, err
}

// entries lists the tensors of a dictionary.
func (a *archive) entries(d *dict) ([]*entry, error) {
	if len(d.keys) > maxTensors {
		return nil, badinput.Errorf("%d tensors, expected at most %d", len(d.keys), maxTensors)
	}
	seen := map[string]bool{}
	entries := make([]*entry, 0, len(d.keys))
	for i, key := range d.keys {
		name, ok := key.(string)
		if !ok {
			return nil, badinput.Errorf("a tensor's name is %s, expected a text", kind(key))
		}
		if seen[name] {
			return nil, badinput.Errorf("tensor %s appears twice", name)
		}
		seen[name] = true
		v, ok := d.values[i].(*view)
		if !ok {
			return nil, badinput.Errorf("%q is %s, expected a tensor; a model's weights are a dictionary of names and tensors alone",
				name, kind(d.values[i]))
		}
		m, err := a.storageOf(v)
		if err != nil {
			return nil, badinput.Errorf("tensor %s: %w", name, err)
		}
		entries = append(entries, &entry{name: name, owner: name, view: v, values: m})
	}
	return entries, nil
}

// storageOf returns the member with a tensor's values, or nil for a tensor without values.
func (a *archive) storageOf(v *view) (*member, error) {
	s := v.storage
	m := a.members["data/"+s.key]
	want := s.length * s.dtype.Size()
	switch {
	case m == nil && want > 0:
		return nil, fmt.Errorf("its storage data/%s is not in the file; is the download complete?", s.key)
	case m != nil && m.size != want:
		return nil, fmt.Errorf("its storage data/%s has %d bytes, expected %d for %d values of %s", s.key, m.size, want, s.length, s.dtype)
	}
	return m, nil
}

// tied matches the names under which models repeat a matrix: those of embeddings and of the
// output head.
var tied = regexp.MustCompile(`(^|\.)(shared|embed_tokens|embed_in|lm_head|embed_out)\.weight$`)

// findOwners finds the tensors that repeat an earlier one: views of the same part of a
// storage, and tied matrices whose storages have the same size and checksum. It does not read
// the values.
func (f *File) findOwners() {
	first := map[string]string{}
	for i, s := range f.shards {
		for _, e := range s.tensors {
			v := e.view
			if v.count == 0 {
				continue
			}
			layout := fmt.Sprint(v.storage.dtype, v.offset, v.shape, v.strides, v.storage.length)
			ids := []string{fmt.Sprint(i, " ", v.storage.key, " ", layout)}
			if e.values.crc != 0 && len(v.shape) == 2 && tied.MatchString(e.name) {
				ids = append(ids, fmt.Sprint("crc ", e.values.crc, " ", layout))
			}
			for _, id := range ids {
				if owner, ok := first[id]; ok {
					e.owner = owner
				}
			}
			for _, id := range ids {
				if first[id] == "" {
					first[id] = e.owner
				}
			}
		}
	}
}

// Names lists the tensors, sorted.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.tensors)) }

// Has reports whether the checkpoint holds a tensor.
func (f *File) Has(name string) bool { return f.tensors[name] != nil }

// Info returns a tensor's type and shape.
func (f *File) Info(name string) (dtype.DType, []int, bool) {
	e, ok := f.tensors[name]
	if !ok {
		return "", nil, false
	}
	return e.view.storage.dtype, e.view.shape, true
}

// Owner returns the first name, in the file's order, under which a tensor's values are
// stored. It is the tensor's own name unless it is tied to another tensor. Storages with the
// same size and checksum are considered the same.
func (f *File) Owner(name string) string {
	if e, ok := f.tensors[name]; ok {
		return e.owner
	}
	return name
}

// Bytes returns the size of all tensors. Shared values count once.
func (f *File) Bytes() int64 {
	var n int64
	for name, e := range f.tensors {
		if e.owner == name {
			n += int64(e.view.bytes())
		}
	}
	return n
}

// Tensor returns a tensor in row-major order. Its bytes are a view of the mapped file, which
// is valid until Close, or a copy if the file has another order.
func (f *File) Tensor(name string) (safetensors.Tensor, error) {
	e, ok := f.tensors[name]
	if !ok {
		return safetensors.Tensor{}, badinput.Errorf("%s: tensor %s is missing", f.path, name)
	}
	data, err := f.data(e)
	if err != nil {
		return safetensors.Tensor{}, badinput.Errorf("%s: tensor %s: %w", f.shards[e.shard].path, name, err)
	}
	return safetensors.Tensor{Name: name, DType: e.view.storage.dtype, Shape: e.view.shape, Data: data}, nil
}

func (f *File) data(e *entry) ([]byte, error) {
	v := e.view
	if v.count == 0 {
		return nil, nil
	}
	from, err := f.storage(e)
	if err != nil {
		return nil, err
	}
	if !v.contiguous() {
		return v.gather(from), nil
	}
	begin := v.offset * v.storage.dtype.Size()
	return from[begin : begin+v.bytes() : begin+v.bytes()], nil
}

// storage returns the bytes of a tensor's storage.
func (f *File) storage(e *entry) ([]byte, error) {
	a := f.shards[e.shard].archive
	if !e.values.deflated {
		return a.bytes(e.values)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if b, ok := f.inflated[e.values]; ok {
		return b, nil
	}
	b, err := a.bytes(e.values)
	if err == nil {
		f.inflated[e.values] = b
	}
	return b, err
}

// Matrix returns a floating-point tensor, which must have shape [rows, cols]. A vector
// counts as one row.
func (f *File) Matrix(name string, rows, cols int) (tensor.Matrix, error) {
	t, err := f.Tensor(name)
	if err != nil {
		return tensor.Matrix{}, err
	}
	e := f.tensors[name]
	s := f.shards[e.shard]
	m, err := t.Matrix(s.path, rows, cols)
	if at, ok := e.place(); ok && err == nil {
		m.File, m.Offset = s.mapped, int64(at)
		m.Release = func(begin, end int) { s.mapped.Release(at+begin, at+end) }
	}
	return m, err
}

// place returns the offset in the file of a tensor's values, if they are there in row-major
// order.
func (e *entry) place() (at int, ok bool) {
	if e.values == nil || e.values.deflated || !e.view.contiguous() {
		return 0, false
	}
	return e.values.offset + e.view.offset*e.view.storage.dtype.Size(), true
}

// Release lets the system drop a tensor's bytes from memory. Reading them again is slow but
// valid.
func (f *File) Release(name string) {
	e, ok := f.tensors[name]
	if !ok || e.values == nil {
		return
	}
	f.mu.Lock()
	delete(f.inflated, e.values)
	f.mu.Unlock()
	at, size := e.values.offset, e.values.stored
	if place, ok := e.place(); ok {
		at, size = place, e.view.bytes()
	}
	f.shards[e.shard].mapped.Release(at, at+size)
}

// Unchanged returns an error if a file has changed since it was opened.
func (f *File) Unchanged() error {
	for _, s := range f.shards {
		if err := s.mapped.Unchanged(); err != nil {
			return err
		}
	}
	return nil
}

// Close unmaps the files. Views of their bytes must not be used afterwards.
func (f *File) Close() error {
	var errs []error
	for _, s := range f.shards {
		errs = append(errs, s.mapped.Close())
	}
	f.shards, f.tensors, f.inflated = nil, nil, nil
	return errors.Join(errs...)
}
