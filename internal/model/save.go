package model

import (
	"os"
	"path/filepath"

	"barka/internal/atomicfile"
	"barka/internal/dtype"
	"barka/internal/lora"
	"barka/internal/safetensors"
	"barka/internal/tensor"
)

// Save writes the adapter as PEFT does, in float32. A pair with initial values is written as one
// of twice its rank, [B, -B₀]·[A; A₀], which is an adapter of the base itself. Save writes the weights first and the
// configuration last; each has a temporary name until it is complete.
func (a *Adapter) Save(dev tensor.Device, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	s, config := Stream{Dev: dev}, a.Config
	for _, p := range a.Pairs {
		if p.Initial != nil {
			config = a.Config.Doubled()
			s.addJoined(p)
			continue
		}
		s.Add(lora.NameA(p.Module), p.A)
		s.Add(lora.NameB(p.Module), p.B)
		if p.Magnitude != nil {
			s.AddVector(lora.NameM(p.Module), p.Magnitude.M)
		}
	}
	for _, f := range a.Full {
		s.Add(lora.NameFull(f.Module), f.Value)
	}
	if err := s.Write(filepath.Join(dir, lora.WeightsFile), map[string]string{"format": "pt"}); err != nil {
		return err
	}
	data, err := config.File()
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(dir, lora.ConfigFile), data)
}

// Stream writes device tensors to a file as float32. It copies one tensor at a time, to the same
// memory: beside many gigabytes of weights the collector leaves hundreds of megabytes of copies.
type Stream struct {
	Dev     tensor.Device
	sources []safetensors.Source
	values  []float32 // the copy
	bytes   []byte    // the copy as it is written
}

// Add adds a tensor under a name.
func (s *Stream) Add(name string, t tensor.Tensor) { s.add(name, t, t.Rows, t.Cols) }

// AddVector adds a tensor [1,N] under a name, with the shape [N].
func (s *Stream) AddVector(name string, t tensor.Tensor) { s.add(name, t, t.Cols) }

// addJoined adds the tensors A and B of a pair with initial values.
func (s *Stream) addJoined(p *lora.Pair) {
	r, n, k := p.Rank(), p.B.Rows, p.A.Cols
	read := func(t tensor.Tensor) []float32 {
		values := make([]float32, t.Len())
		s.Dev.Download(values, t)
		return values
	}
	s.sources = append(s.sources,
		safetensors.Source{Name: lora.NameA(p.Module), DType: dtype.F32, Shape: []int{2 * r, k}, Data: func() ([]byte, error) {
			return dtype.Bytes(append(read(p.A), read(p.Initial.A)...)), nil
		}},
		safetensors.Source{Name: lora.NameB(p.Module), DType: dtype.F32, Shape: []int{n, 2 * r}, Data: func() ([]byte, error) {
			b, first, out := read(p.B), read(p.Initial.B), make([]float32, 0, 2*n*r)
			for i := range n {
				out = append(out, b[i*r:(i+1)*r]...)
				for _, v := range first[i*r : (i+1)*r] {
					out = append(out, -v)
				}
			}
			return dtype.Bytes(out), nil
		}})
}

func (s *Stream) add(name string, t tensor.Tensor, shape ...int) {
	s.sources = append(s.sources, safetensors.Source{Name: name, DType: dtype.F32, Shape: shape,
		Data: func() ([]byte, error) {
			if cap(s.values) < t.Len() {
				s.values = make([]float32, t.Len())
			}
			s.values = s.values[:t.Len()]
			s.Dev.Download(s.values, t)
			s.bytes = dtype.AppendBytes(s.bytes[:0], s.values)
			return s.bytes, nil
		}})
}

// Write writes the tensors as safetensors.Write does.
func (s *Stream) Write(path string, metadata map[string]string) error {
	return safetensors.WriteSources(path, s.sources, metadata)
}
