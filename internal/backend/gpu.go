package backend

import (
	"barka/internal/badinput"
	"barka/internal/model"
	"barka/internal/printable"
	"barka/internal/resident"
	"barka/internal/stage/train"
	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
)

// GPU is a device with memory of its own.
type GPU interface {
	tensor.Device
	// Kind names the devices with the same results. It enters the digests of models.
	Kind() string
	// Memory returns the free and the whole memory in bytes. What the device holds and does not use
	// counts as free.
	Memory() (free, total int64, err error)
	// Workspace returns the bytes that operations take, beside tensors, in a pass over tokens through
	// layers of a width and a head over a vocabulary.
	Workspace(tokens, width, vocabulary int) int64
}

// On makes the engine, which has opened no model yet, compute on a GPU.
func (e *Engine) On(gpu GPU) { e.gpu, e.Device = gpu, gpu }

// Host returns a device of the CPU, for work that is not a GPU's.
func (e *Engine) Host() tensor.Device {
	if e.gpu == nil {
		return e.Device
	}
	return cpu.New(e.threads)
}

// Available returns the free memory of the device in bytes, or 0 if it is unknown.
func (e *Engine) Available() int64 {
	if e.gpu == nil {
		return resident.Available()
	}
	free, _, err := e.gpu.Memory()
	if err != nil {
		return 0 // the next operation reports it
	}
	return free
}

// Total returns the whole memory of the device in bytes, or 0 if it is unknown.
func (e *Engine) Total() int64 {
	if e.gpu == nil {
		return resident.Total()
	}
	_, total, err := e.gpu.Memory()
	if err != nil {
		return 0
	}
	return total
}

// Place names what has the memory of the device.
func (e *Engine) Place() string {
	if e.gpu == nil {
		return "this machine"
	}
	return "the GPU"
}

// train completes the input of a training with what it needs to know of the device.
func (e *Engine) train(in *train.Input) {
	in.Available = e.MemoryLimit
	if e.gpu != nil {
		in.Apart = &train.Apart{Workspace: e.gpu.Workspace}
	}
}

// Forecast is train.Forecast for a model on the engine's device.
func (e *Engine) Forecast(name string, o train.Options, conversations int, d *train.Data, seed, observing int64) (*train.Estimate, error) {
	in := train.Input{Measure: e.Measure(name)}
	e.train(&in)
	return train.Forecast(o, in, conversations, d, seed, observing)
}

// MemoryLimit is the function MemoryLimit for the engine's device: on a GPU its free memory.
func (e *Engine) MemoryLimit() int64 {
	if e.gpu == nil {
		return MemoryLimit()
	}
	return e.Available()
}

// smallestWork is the least memory in bytes that a model needs on a GPU beside its weights, for the
// cache, the activations and the logits of a small batch.
const smallestWork = 256 << 20

// fits returns an error if a model does not fit into the free memory of the device, before its weights
// are read.
func (e *Engine) fits(dir string, o model.Options) error {
	values, err := countValues(dir)
	if err != nil {
		return err
	}
	need, free := values*int64(o.DType.Size()), e.Available()
	if e.gpu == nil {
		if free > 0 && need > free {
			return badinput.Errorf("model %s needs about %s of memory as %s, and %s are free; use --dtype bf16 or int8, "+
				"a smaller model, or a larger machine",
				dir, printable.Bytes(need), o.DType, printable.Bytes(free))
		}
		return nil
	}
	work := min(smallestWork, need/4) // of small models less
	if free == 0 || need+work <= free {
		return nil
	}
	_, total, _ := e.gpu.Memory()
	return badinput.Errorf("model %s needs about %s of the GPU's memory as %s (weights %s, cache and work at least %s); %s of %s are free%s. "+
		"Use %sa smaller model, or --device cpu",
		dir, printable.Bytes(need+work), o.DType, printable.Bytes(need), printable.Bytes(work), printable.Bytes(free),
		printable.Bytes(total), others(free, total), smaller(values, o, free-work))
}

// others names other programs as a cause if much of the memory is taken.
func others(free, total int64) string {
	if free < total/10*9 {
		return ", other programs may have the rest (nvidia-smi lists them)"
	}
	return ""
}

// smaller names the types of weights that would fit.
func smaller(values int64, o model.Options, room int64) string {
	for _, t := range []struct {
		flag  string
		bytes int64
	}{{"bf16", 2 * values}, {"int8", values}} {
		if t.bytes <= room && t.bytes < values*int64(o.DType.Size()) {
			return "--dtype " + t.flag + ", "
		}
	}
	return ""
}
