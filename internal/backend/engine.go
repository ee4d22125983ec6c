// Package backend opens models and implements the interfaces of the stages and of the
// evaluation with them: a generator of conversations (Chat), a translator (Translator)
// and a model to evaluate (EvalModel).
//
// An Engine opens models on this machine. UnloadedModel and the lazy clients read the
// small files of a model at once, and its weights when they are first needed. Endpoint
// is a model that a server runs.
package backend

import (
	"cmp"
	"context"
	"io/fs"
	"path/filepath"
	"strings"

	"barka/internal/hub"
	"barka/internal/model"
	_ "barka/internal/model/all"
	"barka/internal/progress"
	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
)

// Engine opens models on a device.
type Engine struct {
	Device tensor.Device
	DType  string // f32, bf16 or int8; "" means the checkpoint's own type
	Log    func(string)
	// Progress shows the loading of large models. nil shows nothing.
	Progress progress.Reporter
	// CacheBytes bounds the key/value cache of each model that generates. 0
	// means a quarter of the free memory.
	CacheBytes int64
	// Context, if not nil, ends the loading and digesting of models.
	Context context.Context

	gpu     GPU // Device, if that is one
	threads int
	watch   *watch
}

// ctx is the engine's context.
func (e *Engine) ctx() context.Context {
	if e.Context == nil {
		return context.Background()
	}
	return e.Context
}

// longLoad is the size of weights, in bytes, from which the progress of loading is
// shown.
const longLoad = 512 << 20

// quiet returns the engine without progress, for use while other work shows progress.
func (e *Engine) quiet() *Engine {
	q := *e
	q.Progress = nil
	return &q
}

// As returns the engine with weights of another type; "" keeps the engine's.
func (e *Engine) As(dt string) *Engine {
	other := *e
	other.DType = cmp.Or(dt, e.DType)
	return &other
}

// TypeOf returns the type that a model's weights are packed as: f32, bf16 or
// int8.
func (e *Engine) TypeOf(name string) (string, error) {
	dir, err := hub.Resolve(name)
	if err != nil {
		return "", err
	}
	o, err := e.options(dir)
	return strings.ToLower(string(o.DType)), err
}

// NewEngine returns an engine on the CPU; On moves it to a GPU. threads 0 means one per core; dt is DType.
func NewEngine(threads int, dt string, log func(string)) *Engine {
	return &Engine{Device: cpu.New(threads), DType: dt, Log: log, threads: threads, watch: &watch{seen: map[string]fs.FileInfo{}}}
}

// Measure returns a function that opens a model's shape on a device that computes nothing,
// with weights of the given type: f32, bf16 or int8. It reads no weights but vectors, and an
// embedding that is not the head.
func (e *Engine) Measure(name string) func(dev tensor.Device, dt string) (model.Decoder, error) {
	return func(dev tensor.Device, dt string) (model.Decoder, error) {
		dir, err := hub.Resolve(name)
		if err != nil {
			return nil, err
		}
		parsed, err := model.ParseDType(dt)
		if err != nil {
			return nil, err
		}
		if meter, ok := dev.(*cpu.Meter); ok && e.gpu != nil {
			meter.Store(tensor.BF16) // as GPUs do
		}
		return model.OpenDecoder(dir, model.Options{Context: e.ctx(), Device: dev, DType: parsed})
	}
}

// locate returns the directory of a model and the options to open it with. It refuses a model
// that has changed since it was first used, or does not fit into memory.
func (e *Engine) locate(name string) (dir string, o model.Options, err error) {
	if dir, err = hub.Resolve(name); err != nil {
		return "", o, err
	}
	if err = e.watch.check(dir); err != nil {
		return "", o, err
	}
	if o, err = e.options(dir); err != nil {
		return "", o, err
	}
	return dir, o, e.fits(dir, o)
}

// options resolves the type of the packed weights.
func (e *Engine) options(dir string) (model.Options, error) {
	dt := e.DType
	if dt == "" {
		var err error
		if dt, err = storedType(dir); err != nil {
			return model.Options{}, err
		}
	}
	parsed, err := model.ParseDType(dt)
	return model.Options{Context: e.ctx(), Device: e.Device, DType: parsed, Log: e.Log, Progress: e.showLoading(dir)}, err
}

// showLoading returns the function for model.Options.Progress, or nil.
func (e *Engine) showLoading(dir string) func(loaded, total int64) {
	if e.Progress == nil {
		return nil
	}
	var shown int64
	return func(loaded, total int64) {
		if total < longLoad {
			return
		}
		if shown == 0 {
			e.Progress.Start("load "+filepath.Base(dir), total, "bytes")
		}
		e.Progress.Add(loaded - shown)
		if shown = loaded; loaded >= total {
			e.Progress.Done()
		}
	}
}
