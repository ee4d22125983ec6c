//go:build cuda && linux

package cuda

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"barka/internal/cuda"
	"barka/internal/printable"
	"barka/internal/tensor"
)

// Device computes on one GPU. Its methods must not be called concurrently.
type Device struct {
	gpu     *cuda.GPU
	kernels *cuda.Kernels
	stream  *cuda.Stream
	memory  memory
	growing growing
	replays replays
	scope   *memory // in place of memory, while operations are recorded; or nil
	staging staging
	replies replies
	packer  packer
	kept    []cachedList
	unused  *unused
	stamps  int64  // of weights of PackTensor
	crowded string // that other programs have memory of the GPU; "" if they have little

	running operation
	// recent holds the operations of the last launches, by the number of the launch. A launch that
	// the driver refuses is found here: the GPU's thread is never more launches behind.
	recent   [2048]operation
	launches int64
}

var _ tensor.Device = (*Device)(nil)

// operation is what a Failure names.
type operation struct {
	name   string
	shapes [8][2]int
	count  int
}

// String returns the name with the shapes of the operands.
func (o *operation) String() string {
	var b strings.Builder
	b.WriteString(o.name)
	for _, s := range o.shapes[:o.count] {
		fmt.Fprintf(&b, " [%d,%d]", s[0], s[1])
	}
	return b.String()
}

// New makes a device of an open GPU. Close gives back what it took; the GPU stays open.
func New(gpu *cuda.GPU) (*Device, error) {
	k, err := gpu.LoadKernels()
	if err != nil {
		return nil, err
	}
	d := &Device{gpu: gpu, kernels: k, stream: gpu.Compute, unused: new(unused)}
	free, total, err := gpu.Memory()
	if err != nil {
		return nil, err
	}
	if free < total/10*9 {
		d.crowded = fmt.Sprintf("When barka started, only %s of %s were free: other programs use the GPU (nvidia-smi lists them)",
			printable.Bytes(free), printable.Bytes(total))
	}
	if err := d.memory.open(gpu); err != nil {
		return nil, err
	}
	if err := d.staging.open(gpu); err != nil {
		return nil, err
	}
	return d, nil
}

// Close frees the device's memory, after the work recorded before. It returns the GPU's error, if
// the GPU has failed.
func (d *Device) Close() error {
	if err := d.gpu.Err(); err != nil {
		return err // the memory goes with the context
	}
	err := d.replies.close(d.gpu)
	if e := d.staging.close(d.gpu); err == nil {
		err = e
	}
	if e := d.replays.close(); err == nil {
		err = e
	}
	if e := d.growing.close(); err == nil {
		err = e
	}
	if e := d.memory.close(); err == nil {
		err = e
	}
	return err
}

// Kind names the devices that give the same results: all NVIDIA GPUs.
func (d *Device) Kind() string { return "cuda" }

// Name implements tensor.Device.
func (d *Device) Name() string { return fmt.Sprintf("cuda (%s)", d.gpu.Name) }

// OnSlow sets what is called with a sentence if the device waits long for the GPU.
func (d *Device) OnSlow(tell func(string)) {
	d.gpu.OnSlow(func(waited time.Duration) { // in the goroutine that waits, whose operation is the running one
		tell(fmt.Sprintf("%s: %s has waited for %s", d.Name(), d.running.String(), waited))
	})
}

// begin notes the running operation and its operands, for a Failure. It panics if the GPU has failed.
func (d *Device) begin(name string, operands ...tensor.Tensor) {
	d.running.name, d.running.count = name, min(len(operands), len(d.running.shapes))
	for i, t := range operands[:d.running.count] {
		d.running.shapes[i] = [2]int{t.Rows, t.Cols}
	}
	if err := d.gpu.Err(); err != nil {
		d.fail(err)
	}
}

// launch records a kernel of the running operation for gridX × gridY blocks. Nothing runs if either
// is 0.
func (d *Device) launch(kernel string, gridX, gridY int, arguments ...cuda.Argument) {
	f := d.kernels.Function(kernel)
	if f == nil {
		panic("cuda: the GPU has no kernel " + kernel)
	}
	if gridX == 0 || gridY == 0 {
		return
	}
	d.note()
	d.stream.Launch(f, gridX, gridY, arguments...)
}

// typed returns the kernel of the running operation for the types of its tensors. Its name ends with these
// types, or with the one that all have.
func (d *Device) typed(base string, ts ...tensor.Tensor) string {
	name, same := base, true
	for _, t := range ts {
		same = same && t.Type == ts[0].Type
	}
	if same {
		ts = ts[:1]
	}
	for _, t := range ts {
		name += [...]string{tensor.F32: "_f32", tensor.BF16: "_bf16"}[t.Type]
	}
	if d.kernels.Function(name) == nil {
		panic(fmt.Sprintf("cuda: %s: no kernel for tensors of these types: %s", d.running.name, name))
	}
	return name
}

// checkF32 panics unless the tensors are F32, or none.
func checkF32(operation string, ts ...tensor.Tensor) {
	for _, t := range ts {
		if t.Type != tensor.F32 {
			panic("cuda: " + operation + ": a tensor is " + t.Type.String() + ", expected F32")
		}
	}
}

// product records a product likewise. Its operands are checked by the caller.
func (d *Device) product(p cuda.Product, o cuda.Operands) {
	if o.T == 0 || o.N == 0 {
		return
	}
	d.note()
	p.Launch(d.stream, o)
}

// note enters a launch into recent.
func (d *Device) note() {
	if err := d.gpu.Err(); err != nil {
		d.fail(err)
	}
	d.recent[d.launches%int64(len(d.recent))] = d.running
	d.launches++
}

// check fails with an error of the driver, if there is one.
func (d *Device) check(err error) {
	if err != nil {
		d.fail(err)
	}
}

// fail panics with the Failure of an error. A launch that failed is named with its operation. Any
// other error surfaced in the running operation, and may come from work recorded before it.
func (d *Device) fail(err error) {
	o := d.running
	if n, ok := cuda.FailedLaunch(err); ok && n < d.launches {
		o = d.recent[n%int64(len(d.recent))]
	}
	full := cuda.OutOfMemory(err) && d.gpu.Err() == nil
	if e := (*cuda.Error)(nil); full && errors.As(err, &e) {
		known := *e
		known.Remedy = d.crowded
		err = &known
	}
	panic(&tensor.Failure{Device: d.Name(), Operation: o.String(), OutOfMemory: full, Err: err})
}

// pointer returns a tensor's address as a kernel's argument, 0 for none.
func pointer(t tensor.Tensor) cuda.Argument { return cuda.Argument(t.Handle) }

// flag returns a truth value as a kernel's argument.
func flag(b bool) cuda.Argument {
	if b {
		return 1
	}
	return 0
}

// threads of a block of most kernels.
const threads = 256

// blocks returns how many blocks work on n values, each thread on several in steps of the grid.
func (d *Device) blocks(n int) int {
	const perThread = 8
	return min((n+threads*perThread-1)/(threads*perThread), 16*d.gpu.Processors)
}

// sameShape panics unless a and b have the same shape.
func sameShape(a, b tensor.Tensor) {
	if a.Rows != b.Rows || a.Cols != b.Cols {
		panic("cuda: the operands have different shapes")
	}
}
