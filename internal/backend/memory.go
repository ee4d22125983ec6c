package backend

import (
	"encoding/json"
	"strings"

	"barka/internal/badinput"
	"barka/internal/checkpoint"
	"barka/internal/model"
	"barka/internal/resident"
)

// storedType returns bf16 for checkpoints in 16 bits, else f32.
func storedType(dir string) (string, error) {
	data, err := model.ReadConfig(dir)
	if err != nil {
		return "", err
	}
	var c struct {
		Torch string `json:"torch_dtype"`
		DType string `json:"dtype"`
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return "", badinput.Errorf("%s/config.json: %w", dir, err)
	}
	if strings.HasSuffix(c.Torch+c.DType, "bfloat16") || strings.HasSuffix(c.Torch+c.DType, "float16") {
		return "bf16", nil
	}
	return "f32", nil
}

// countValues returns the number of values of a model's tensors. Tied tensors
// count once. Only names and shapes are read.
func countValues(dir string) (int64, error) {
	ck, err := checkpoint.Open(dir)
	if err != nil {
		return 0, err
	}
	defer ck.Close()
	var n int64
	for _, name := range ck.Names() {
		if t, shape, _ := ck.Info(name); t.Float() && ck.Owner(name) == name && !model.Visual(name) {
			product := int64(1)
			for _, d := range shape {
				product *= int64(d)
			}
			n += product
		}
	}
	return n, nil
}

// Weighs estimates the size of a model's packed weights in bytes.
func (e *Engine) Weighs(l *Outline) (int64, error) {
	if l.Shape != nil {
		return l.Shape.Weights, nil
	}
	o, err := e.options(l.Dir)
	return l.Parameters * int64(o.DType.Size()), err
}

// AvailableMemory is resident.Available.
func AvailableMemory() int64 { return resident.Available() }

// TotalMemory is resident.Total.
func TotalMemory() int64 { return resident.Total() }

// MemoryLimit returns the memory that this process may have in all, in bytes: what it has
// and most of what is available. It is 0 if that is unknown.
func MemoryLimit() int64 {
	free := resident.Available()
	if free == 0 {
		return 0
	}
	return resident.Now() + free - free/50
}
