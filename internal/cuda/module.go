//go:build cuda && linux

package cuda

import (
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"unsafe"

	"barka/internal/cuda/kernels"
)

// Function is a kernel that can be launched.
type Function struct {
	kernels.Kernel
	Name   string
	handle uintptr
}

// Kernels are this program's own kernels, loaded for one GPU.
type Kernels struct {
	functions map[string]*Function
	// Images names the loaded images, which tells machine code from PTX.
	Images []string
}

// LoadKernels loads the compiled kernels that fit the GPU: machine code where there is some for it,
// else PTX, which the driver translates at the first start and keeps in its own cache.
func (g *GPU) LoadKernels() (*Kernels, error) {
	table, err := kernels.Load()
	if err != nil {
		return nil, err
	}
	k := &Kernels{functions: map[string]*Function{}}
	for _, module := range table.Modules() {
		name, image, err := table.Image(module, g.Major, g.Minor)
		if err != nil {
			return nil, err
		}
		if image == nil {
			continue
		}
		handle, err := g.loadModule(image)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		k.Images = append(k.Images, name)
		for name, kernel := range table.Kernels {
			if kernel.Module != module || kernel.Shared > g.SharedLimit {
				continue
			}
			if k.functions[name], err = g.function(handle, name, kernel); err != nil {
				return nil, err
			}
		}
	}
	return k, nil
}

// Function returns the kernel of a name, nil if this GPU cannot run it: its blocks have too little
// shared memory.
func (k *Kernels) Function(name string) *Function { return k.functions[name] }

// Names lists the kernels that this GPU can run.
func (k *Kernels) Names() []string { return slices.Sorted(maps.Keys(k.functions)) }

// Options of cuModuleLoadDataEx.
const (
	jitErrorLog      = 5
	jitErrorLogBytes = 6
)

// loadModule loads an image. An error has the log of the driver's compiler.
func (g *GPU) loadModule(image []byte) (module uintptr, err error) {
	terminated := append(image[:len(image):len(image)], 0) // PTX is a C string
	var log [8 << 10]byte
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&log)
	options := [2]int32{jitErrorLog, jitErrorLogBytes}
	values := [2]uintptr{uintptr(unsafe.Pointer(&log)), uintptr(len(log))}
	err = g.do(func() error {
		return g.driver.call(cuModuleLoadDataEx, uintptr(unsafe.Pointer(&module)), uintptr(unsafe.Pointer(&terminated[0])),
			uintptr(len(options)), uintptr(unsafe.Pointer(&options)), uintptr(unsafe.Pointer(&values)))
	})
	if failure, ok := err.(*Error); ok && log[0] != 0 {
		failure.Text += ": " + goString(log[:])
	}
	return module, err
}

const (
	functionSharedBytes = 8        // of CUfunction_attribute: the most dynamic shared memory
	plainShared         = 48 << 10 // what a block has without asking
)

func (g *GPU) function(module uintptr, name string, kernel kernels.Kernel) (*Function, error) {
	f := &Function{Kernel: kernel, Name: name}
	text := append([]byte(name), 0)
	return f, g.do(func() error {
		err := g.driver.call(cuModuleGetFunction, uintptr(unsafe.Pointer(&f.handle)), module, uintptr(unsafe.Pointer(&text[0])))
		if err == nil && kernel.Shared > plainShared {
			err = g.driver.call(cuFuncSetAttribute, f.handle, functionSharedBytes, uintptr(kernel.Shared))
		}
		if failure, ok := err.(*Error); ok {
			failure.Kernel = name
		}
		return err
	})
}

// Argument is one argument of a kernel, in the eight bytes that the driver reads it from.
type Argument uint64

// Int, Float and Size make arguments of type int, float and u64; a Pointer is converted with
// Argument(p).
func Int(v int) Argument       { return Argument(uint32(int32(v))) }
func Float(v float32) Argument { return Argument(math.Float32bits(v)) }
func Size(v int) Argument      { return Argument(v) }

// Launch records a kernel for gridX × gridY blocks. Nothing runs if either is 0.
func (s *Stream) Launch(f *Function, gridX, gridY int, arguments ...Argument) {
	if gridX == 0 || gridY == 0 {
		return
	}
	s.launch(f, gridX, gridY, nil, arguments)
}

func (s *Stream) launch(f *Function, gridX, gridY int, maps *[2]tensorMap, arguments []Argument) {
	t := s.gpu.thread
	r := t.push()
	r.kernel, r.stream, r.gridX, r.gridY = f, s, uint32(gridX), uint32(gridY)
	if maps != nil {
		r.maps = *maps
	}
	for i, a := range arguments {
		r.arguments[i] = uint64(a)
	}
	t.commit()
}
