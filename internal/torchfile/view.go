package torchfile

import (
	"fmt"
	"math/bits"

	"barka/internal/dtype"
)

// Bounds of a tensor.
const (
	maxDims = 64 // PyTorch's own limit
	// maxExpanded bounds the bytes of a tensor that is larger than its storage, because its
	// strides repeat values.
	maxExpanded = 64 << 20
)

// storageTypes has the supported classes of storages.
var storageTypes = map[global]dtype.DType{
	"torch.DoubleStorage":   dtype.F64,
	"torch.FloatStorage":    dtype.F32,
	"torch.HalfStorage":     dtype.F16,
	"torch.BFloat16Storage": dtype.BF16,
	"torch.LongStorage":     dtype.I64,
	"torch.IntStorage":      dtype.I32,
	"torch.ShortStorage":    dtype.I16,
	"torch.CharStorage":     dtype.I8,
	"torch.ByteStorage":     dtype.U8,
	"torch.BoolStorage":     dtype.Bool,
}

// The functions and classes that pickles of tensors need.
const (
	orderedDict        = "collections.OrderedDict"
	rebuildTensor      = "torch._utils._rebuild_tensor_v2"
	rebuildParameter   = "torch._utils._rebuild_parameter"
	rebuildParameterIn = "torch._utils._rebuild_parameter_with_state"
	size               = "torch.Size"
)

// known reports whether a pickle may use the name.
func (g global) known() bool {
	switch g {
	case orderedDict, rebuildTensor, rebuildParameter, rebuildParameterIn, size:
		return true
	}
	return storageTypes[g] != ""
}

// call returns what the function or class builds from its arguments.
func (g global) call(args tuple) (any, error) {
	switch {
	case g == orderedDict && len(args) == 0:
		return &dict{}, nil
	case g == size && len(args) == 1:
		if t, ok := args[0].(tuple); ok {
			return t, nil
		}
	case g == rebuildTensor && (len(args) == 6 || len(args) == 7):
		return newView(args)
	case g == rebuildParameter && len(args) == 3, g == rebuildParameterIn && len(args) == 4:
		if v, ok := args[0].(*view); ok {
			return v, nil
		}
	}
	return nil, fmt.Errorf("%s is called with %d arguments that it does not take", string(g), len(args))
}

// storage is a flat array of values: the member data/key of the archive.
type storage struct {
	dtype  dtype.DType
	key    string
	length int // values
}

// newStorage reads ('storage', class, key, location, length). The location is the device on
// which the values were.
func newStorage(id any) (*storage, error) {
	t, _ := id.(tuple)
	if len(t) != 5 || t[0] != "storage" {
		return nil, fmt.Errorf("a reference to %s, expected one to a storage", kind(id))
	}
	class, _ := t[1].(global)
	key, ok := t[2].(string)
	length, okToo := t[4].(int64)
	dt := storageTypes[class]
	if dt == "" || !ok || !okToo || length < 0 || length > 1<<48 {
		return nil, fmt.Errorf("a storage is %s, %s, %s; expected a class of torch, a text and a number of values",
			kind(t[1]), kind(t[2]), kind(t[4]))
	}
	return &storage{dt, key, int(length)}, nil
}

// view is a tensor as a part of a storage: the value [i,j,…] is at
// offset + i·strides[0] + j·strides[1] + …
type view struct {
	storage        *storage
	offset         int
	shape, strides []int
	count          int // values
}

// newView reads (storage, offset, shape, strides, requires_grad, hooks) and, in newer files,
// a dictionary of flags.
func newView(args tuple) (*view, error) {
	s, ok := args[0].(*storage)
	offset, okToo := args[1].(int64)
	if !ok || !okToo {
		return nil, fmt.Errorf("a tensor of %s at %s, expected a storage and a number", kind(args[0]), kind(args[1]))
	}
	shape, err := dimensions(args[2])
	if err != nil {
		return nil, err
	}
	strides, err := dimensions(args[3])
	if err != nil {
		return nil, err
	}
	if len(args) == 7 {
		if err := checkFlags(args[6]); err != nil {
			return nil, err
		}
	}
	v := &view{storage: s, offset: int(offset), shape: shape, strides: strides}
	return v, v.check()
}

// dimensions reads a tuple of sizes or strides.
func dimensions(x any) ([]int, error) {
	t, ok := x.(tuple)
	if !ok || len(t) > maxDims {
		return nil, fmt.Errorf("a tensor has %s for its dimensions, expected a tuple of at most %d", kind(x), maxDims)
	}
	out := make([]int, len(t))
	for i, d := range t {
		n, ok := d.(int64)
		if !ok || n < 0 {
			return nil, fmt.Errorf("a tensor has %s for a dimension, expected a number that is not negative", kind(d))
		}
		out[i] = int(n)
	}
	return out, nil
}

// checkFlags returns an error if a flag is set: the tensor's values would have to be negated
// or conjugated.
func checkFlags(x any) error {
	d, ok := x.(*dict)
	if x != nil && !ok {
		return fmt.Errorf("a tensor has %s for flags, expected a dictionary", kind(x))
	}
	for i := range d.length() {
		if d.values[i] != false {
			return fmt.Errorf("a tensor has a flag set, %s, which is not supported", kind(d.keys[i]))
		}
	}
	return nil
}

func (d *dict) length() int {
	if d == nil {
		return 0
	}
	return len(d.keys)
}

// check computes the number of values. Values outside the storage are an error.
func (v *view) check() error {
	if len(v.shape) != len(v.strides) {
		return fmt.Errorf("a tensor has shape %v and strides %v, expected as many", v.shape, v.strides)
	}
	v.count = 1
	for _, d := range v.shape {
		hi, lo := bits.Mul64(uint64(v.count), uint64(d))
		if hi != 0 || lo > 1<<48 {
			return fmt.Errorf("shape %v overflows", v.shape)
		}
		v.count = int(lo)
	}
	if v.count == 0 {
		return nil
	}
	outside := v.offset < 0 || v.offset >= v.storage.length
	last := uint64(v.offset)
	for i, d := range v.shape {
		hi, lo := bits.Mul64(uint64(d-1), uint64(v.strides[i]))
		outside = outside || hi != 0 || lo >= uint64(v.storage.length)
		if outside {
			break
		}
		last += lo
	}
	if outside || last >= uint64(v.storage.length) {
		return fmt.Errorf("a tensor of shape %v and strides %v from value %d on is outside its storage of %d values",
			v.shape, v.strides, v.offset, v.storage.length)
	}
	if v.count > v.storage.length && v.bytes() > maxExpanded {
		return fmt.Errorf("a tensor of shape %v repeats the %d values of its storage to more than %d MiB",
			v.shape, v.storage.length, maxExpanded>>20)
	}
	return nil
}

// bytes returns the size of the tensor's values in row-major order.
func (v *view) bytes() int { return v.count * v.storage.dtype.Size() }

// contiguous reports whether the storage has the values in row-major order without gaps.
func (v *view) contiguous() bool {
	want := 1
	for i := len(v.shape) - 1; i >= 0; i-- {
		if v.shape[i] != 1 && v.strides[i] != want {
			return v.count == 0
		}
		want *= v.shape[i]
	}
	return true
}

// gather returns a copy of the values in row-major order, from the storage's bytes.
func (v *view) gather(from []byte) []byte {
	size := v.storage.dtype.Size()
	out := make([]byte, 0, v.bytes())
	if v.count == 0 {
		return out
	}
	index := make([]int, len(v.shape)) // of the current row
	inner := len(v.shape) - 1
	for at := v.offset; ; {
		if inner < 0 {
			return append(out, from[at*size:(at+1)*size]...)
		}
		out = appendRow(out, from, at, v.shape[inner], v.strides[inner], size)
		d := inner - 1
		for ; d >= 0; d-- {
			at += v.strides[d]
			if index[d]++; index[d] < v.shape[d] {
				break
			}
			at -= v.shape[d] * v.strides[d]
			index[d] = 0
		}
		if d < 0 {
			return out
		}
	}
}

// appendRow appends n values of so many bytes each, which are a stride apart.
func appendRow(out, from []byte, at, n, stride, size int) []byte {
	if stride == 1 {
		return append(out, from[at*size:(at+n)*size]...)
	}
	for range n {
		out = append(out, from[at*size:(at+1)*size]...)
		at += stride
	}
	return out
}
