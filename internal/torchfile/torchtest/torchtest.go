// Package torchtest writes checkpoints as torch.save and transformers do, for
// tests. Nothing of the product imports it; PyTorch loads what it writes.
package torchtest

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/dtype"
	"barka/internal/safetensors"
)

// Member is a file of an archive.
type Member struct {
	Name string
	Data []byte
}

// Archive is a zip file of stored members.
func Archive(t testing.TB, members ...Member) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range members {
		w, err := z.CreateHeader(&zip.FileHeader{Name: m.Name, Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(m.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Pickle assembles a pickle of protocol 2.
type Pickle struct{ bytes.Buffer }

// NewPickle begins one.
func NewPickle() *Pickle {
	p := &Pickle{}
	p.WriteString("\x80\x02")
	return p
}

// Global names a class or function.
func (p *Pickle) Global(module, name string) *Pickle {
	fmt.Fprintf(p, "c%s\n%s\n", module, name)
	return p
}

// Text is a string.
func (p *Pickle) Text(s string) *Pickle {
	p.WriteByte('X')
	p.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(s))))
	p.WriteString(s)
	return p
}

// Int is a number.
func (p *Pickle) Int(n int) *Pickle {
	p.WriteString("\x8a\x08")
	p.Write(binary.LittleEndian.AppendUint64(nil, uint64(n)))
	return p
}

// Ints is a tuple of numbers.
func (p *Pickle) Ints(ns ...int) *Pickle {
	p.Op("(")
	for _, n := range ns {
		p.Int(n)
	}
	return p.Op("t")
}

// Op is instructions as they are.
func (p *Pickle) Op(code string) *Pickle {
	p.WriteString(code)
	return p
}

// Storage refers to a storage.
func (p *Pickle) Storage(class, key string, length int) *Pickle {
	return p.Op("(").Text("storage").Global("torch", class).Text(key).Text("cpu").Int(length).Op("tQ")
}

// Tensor is a view of a storage.
func (p *Pickle) Tensor(class, key string, length, offset int, shape, strides []int) *Pickle {
	return p.Global("torch._utils", "_rebuild_tensor_v2").Op("(").Storage(class, key, length).
		Int(offset).Ints(shape...).Ints(strides...).Op("\x89").Global("collections", "OrderedDict").Op(")RtR")
}

var classes = map[dtype.DType]string{
	dtype.F64: "DoubleStorage", dtype.F32: "FloatStorage", dtype.F16: "HalfStorage", dtype.BF16: "BFloat16Storage",
	dtype.I64: "LongStorage", dtype.I32: "IntStorage", dtype.I16: "ShortStorage", dtype.I8: "CharStorage",
	dtype.U8: "ByteStorage", dtype.Bool: "BoolStorage",
}

// Write stores tensors in a file, each in a storage of its own.
func Write(t testing.TB, path string, tensors []safetensors.Tensor) {
	t.Helper()
	p := NewPickle().Op("}(")
	var members []Member
	for i, x := range tensors {
		strides, n := make([]int, len(x.Shape)), 1
		for d := len(x.Shape) - 1; d >= 0; d-- {
			strides[d] = n
			n *= x.Shape[d]
		}
		p.Text(x.Name).Tensor(classes[x.DType], fmt.Sprint(i), n, 0, x.Shape, strides)
		members = append(members, Member{fmt.Sprintf("archive/data/%d", i), x.Data})
	}
	members = append([]Member{{"archive/data.pkl", p.Op("u.").Bytes()}}, members...)
	members = append(members, Member{"archive/version", []byte("3\n")})
	if err := os.WriteFile(path, Archive(t, members...), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Twin copies a model directory to another one, with the weights as
// pytorch_model.bin, or as that many shards with an index.
func Twin(t testing.TB, from, to string, shards int) {
	t.Helper()
	f, err := safetensors.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	copyCompanions(t, from, to)
	parts := make([][]safetensors.Tensor, shards)
	index := map[string]string{}
	for i, name := range f.Names() {
		x, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		parts[i%shards] = append(parts[i%shards], x)
		index[name] = fmt.Sprintf("pytorch_model-%05d-of-%05d.bin", i%shards+1, shards)
	}
	if shards == 1 {
		Write(t, filepath.Join(to, "pytorch_model.bin"), parts[0])
		return
	}
	for _, part := range parts {
		Write(t, filepath.Join(to, index[part[0].Name]), part)
	}
	text, err := json.Marshal(map[string]any{"weight_map": index})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, "pytorch_model.bin.index.json"), text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// copyCompanions copies what a directory holds beside its weights.
func copyCompanions(t testing.TB, from, to string) {
	t.Helper()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() || strings.Contains(e.Name(), "safetensors") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, e.Name()), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
