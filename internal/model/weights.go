package model

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"

	"barka/internal/badinput"
	"barka/internal/checkpoint"
	"barka/internal/dtype"
	"barka/internal/nn"
	"barka/internal/tensor"
)

// Weights gives an architecture the tensors of a checkpoint, packed. It collects errors, so
// that a broken checkpoint is reported once, with every missing tensor.
type Weights struct {
	ctx        context.Context // or nil
	dir        string
	dev        tensor.Device
	dtype      dtype.DType
	ck         checkpoint.File
	used       map[string]bool
	errs       []error
	notes      []string // for the user, after loading
	params     int64
	torchDType string
	arch       string
	loaded     int64 // bytes
	progress   func(loaded, total int64)
}

// Device returns the device that packs the weights.
func (w *Weights) Device() tensor.Device { return w.dev }

// DType returns the type as which matrices are packed.
func (w *Weights) DType() dtype.DType { return w.dtype }

// Has reports whether the checkpoint holds a tensor.
func (w *Weights) Has(name string) bool { return w.ck.Has(name) }

// Info fills the fields of i that come from the checkpoint. Every tensor must have been
// loaded.
func (w *Weights) Info(i Info) Info {
	i.Architecture, i.TorchDType, i.Parameters, i.DType = w.arch, w.torchDType, w.params, w.dtype
	return i
}

// Ignore marks tensors as known and not needed: old buffers, aliases.
func (w *Weights) Ignore(names ...string) {
	for _, n := range names {
		w.used[n] = true
	}
}

// Note adds a remark about the checkpoint for the user.
func (w *Weights) Note(s string) { w.notes = append(w.notes, s) }

// Fail adds an error about the checkpoint.
func (w *Weights) Fail(err error) { w.errs = append(w.errs, err) }

// Differ reports whether two stored matrices [rows,cols] are different.
func (w *Weights) Differ(a, b string, rows, cols int) bool {
	if _, err := w.ck.Matrix(a, rows, cols); err != nil {
		return false // the error is reported when a is loaded
	}
	_, err := w.ck.Matrix(b, rows, cols)
	same := false
	if err == nil {
		same, err = checkpoint.Same(w.ck, a, b)
	}
	if err != nil {
		w.Fail(err)
		return false
	}
	return !same
}

// Matrix returns a stored matrix and counts its parameters.
func (w *Weights) Matrix(name string, rows, cols int) (tensor.Matrix, bool) {
	w.used[name] = true
	if w.ended() != nil {
		return tensor.Matrix{}, false // finish returns the error
	}
	m, err := w.ck.Matrix(name, rows, cols)
	if err != nil {
		w.errs = append(w.errs, err)
		return tensor.Matrix{}, false
	}
	w.params += int64(rows) * int64(cols)
	return m, true
}

// ended returns the error of the context if it has ended.
func (w *Weights) ended() error {
	if w.ctx == nil {
		return nil
	}
	return w.ctx.Err()
}

// done counts the bytes of a tensor that has been loaded.
func (w *Weights) done(m tensor.Matrix) {
	w.loaded += int64(len(m.Bytes))
	if w.progress != nil {
		w.progress(w.loaded, w.ck.Bytes())
	}
}

// Pack returns a stored matrix [n,k], packed for products.
func (w *Weights) Pack(name string, n, k int) tensor.Weight {
	m, ok := w.Matrix(name, n, k)
	if !ok {
		return nil
	}
	p, err := w.dev.Pack(m, w.dtype)
	if err != nil {
		w.errs = append(w.errs, badinput.Errorf("tensor %s: %w", name, err))
	}
	w.ck.Release(name)
	w.done(m)
	return p
}

// Linear loads module.weight [n,k] and, with bias, module.bias [n].
func (w *Weights) Linear(module string, n, k int, bias bool) nn.Linear {
	l := nn.Linear{Name: module, W: w.Pack(module+".weight", n, k)}
	if bias {
		l.Bias = w.Vector(module+".bias", n)
	}
	return l
}

// Vector loads a vector [n] as a float32 tensor [1,n].
func (w *Weights) Vector(name string, n int) tensor.Tensor {
	m, ok := w.Matrix(name, 1, n)
	if !ok {
		return tensor.Tensor{}
	}
	values, err := finiteValues(m)
	if err != nil {
		w.errs = append(w.errs, badinput.Errorf("tensor %s: %w", name, err))
		return tensor.Tensor{}
	}
	t := w.dev.Alloc(1, n)
	w.dev.Upload(t, values)
	w.done(m)
	return t
}

// Embedding loads a matrix [v,d] for look-ups. The device may leave it in the checkpoint, so
// that its values are checked here.
func (w *Weights) Embedding(name string, v, d int) tensor.Table {
	t, m := w.lookup(name, v, d)
	if t == nil {
		return nil
	}
	if err := checkFinite(m); err != nil {
		w.errs = append(w.errs, badinput.Errorf("tensor %s: %w", name, err))
	}
	w.ck.Release(name)
	w.done(m)
	return t
}

// Tied loads a matrix [v,d] that is both the embedding and the output head.
func (w *Weights) Tied(name string, v, d int) (tensor.Table, tensor.Weight) {
	t, _ := w.lookup(name, v, d)
	if t == nil {
		return nil, nil
	}
	head := w.Pack(name, v, d) // checks the values
	w.params -= int64(v) * int64(d)
	return t, head
}

// lookup makes a table of a stored matrix [v,d].
func (w *Weights) lookup(name string, v, d int) (tensor.Table, tensor.Matrix) {
	m, ok := w.Matrix(name, v, d)
	if !ok {
		return nil, m
	}
	t, err := w.dev.Lookup(m)
	if err != nil {
		w.errs = append(w.errs, badinput.Errorf("tensor %s: %w", name, err))
		return nil, m
	}
	return t, m
}

// finish returns the collected errors. It logs the notes and the tensors that the
// architecture did not use.
func (w *Weights) finish(log func(string)) error {
	if err := w.ended(); err != nil {
		return err
	}
	if len(w.errs) > 0 {
		shown := w.errs
		if len(shown) > 10 {
			shown = append(shown[:10:10], fmt.Errorf("… and %d more", len(w.errs)-10))
		}
		return badinput.Errorf("model %s does not fit architecture %s:\n%w", w.dir, w.arch, errors.Join(shown...))
	}
	if w.progress != nil {
		w.progress(w.ck.Bytes(), w.ck.Bytes())
	}
	for _, note := range w.notes {
		if log != nil {
			log(w.dir + ": " + note)
		}
	}
	var unused []string
	for _, name := range w.ck.Names() {
		if !w.used[name] {
			unused = append(unused, name)
		}
	}
	if len(unused) > 0 && log != nil {
		sort.Strings(unused)
		n := len(unused)
		if n > 5 {
			unused = append(unused[:5], "…")
		}
		log(fmt.Sprintf("%s: %d tensors are not used by %s: %s", w.dir, n, w.arch, strings.Join(unused, ", ")))
	}
	return nil
}
