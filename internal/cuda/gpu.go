//go:build cuda && linux

package cuda

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"barka/internal/badinput"
)

// GPU is an opened device. Its methods may be called from any goroutine; work recorded by one
// goroutine runs in order.
type GPU struct {
	Info
	// Compute runs operations, Transfer copies beside them. A stream runs in the order of recording;
	// events order one against the other.
	Compute, Transfer *Stream

	driver *Driver
	thread *thread
	device int32
	closed bool
	done   chan struct{}
}

// Oldest capability that the kernels are compiled for: bfloat16 products and asynchronous copies.
const minimumMajor = 8

// Open opens GPU n.
func (d *Driver) Open(n int) (*GPU, error) {
	devices, err := d.Devices()
	if err != nil {
		return nil, err
	}
	if n < 0 || n >= devices {
		return nil, badinput.Errorf("there is no GPU %d: the driver shows %d, numbered from 0 "+
			"(CUDA_VISIBLE_DEVICES is %q)", n, devices, os.Getenv("CUDA_VISIBLE_DEVICES"))
	}
	info, err := d.Info(n)
	if err != nil {
		return nil, err
	}
	if info.Major < minimumMajor {
		return nil, badinput.Errorf("GPU %d, %s, has compute capability %d.%d; bfloat16 products need 8.0. "+
			"Compute on the CPU (--device cpu)", n, info.Name, info.Major, info.Minor)
	}
	if err := d.suffices(n, info); err != nil {
		return nil, err
	}
	t, err := newThread(d, os.Getenv("BARKA_CUDA_SYNC") == "1")
	if err != nil {
		return nil, err
	}
	g := &GPU{Info: info, driver: d, thread: t, device: int32(n), done: make(chan struct{})}
	started := make(chan error, 1)
	go g.serve(started)
	if err := <-started; err != nil {
		return nil, err
	}
	return g, nil
}

// Oldest CUDA versions that a driver must support, as Driver.Version has them: for the compiled
// machine code, and for chips that have none and get the PTX of NVRTC 12.4.
const (
	versionMachineCode = 12000
	versionPTX         = 12040
)

// suffices returns an error if the driver is too old for the kernels of GPU n.
func (d *Driver) suffices(n int, info Info) error {
	needed := versionPTX
	if info.Major == 8 || info.Major == 9 && info.Minor == 0 {
		needed = versionMachineCode
	}
	if d.Version >= needed {
		return nil
	}
	return badinput.Errorf("the NVIDIA driver supports CUDA %s; GPU %d, %s, needs a driver for CUDA %s. Update the driver to 550 or newer, "+
		"or compute on the CPU (--device cpu)", versionText(d.Version), n, info.Name, versionText(needed))
}

func versionText(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }

// serve is the GPU's thread.
func (g *GPU) serve(started chan<- error) {
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	defer close(g.done)
	err := g.driver.keepSignals(g.enter)
	started <- err
	if err == nil {
		g.thread.run(func() bool { return g.closed })
	}
}

// enter makes the context current and creates the streams.
func (g *GPU) enter() error {
	var context uintptr
	if err := g.driver.call(cuDevicePrimaryCtxRetain, uintptr(unsafe.Pointer(&context)), uintptr(g.device)); err != nil {
		return err
	}
	if err := g.driver.call(cuCtxSetCurrent, context); err != nil {
		return err
	}
	var err error
	if g.Compute, err = g.newStream(); err == nil {
		g.Transfer, err = g.newStream()
	}
	return err
}

// Do runs f on the GPU's thread after all that was recorded before, and waits for it.
func (g *GPU) do(f func() error) error { return g.thread.wait(f) }

// Synchronize waits until the GPU has done all that was recorded, and returns its first error.
func (g *GPU) Synchronize() error {
	return g.do(func() error { return g.keep(g.driver.call(cuCtxSynchronize)) })
}

// keep makes an error that has reached a waiting caller also the GPU's own: it has surfaced from
// asynchronous work and stays.
func (g *GPU) keep(err error) error {
	g.thread.fail(err)
	return err
}

// Err returns the error that ended the GPU, nil while it works.
func (g *GPU) Err() error { return g.thread.err() }

// Close waits for the GPU and gives its context back. Device memory goes with the context.
func (g *GPU) Close() error {
	err := g.Synchronize()
	if g.thread.watch.hangs.Load() {
		return err // the thread does not come back
	}
	r := g.thread.push()
	r.kernel = nil
	r.do = func() error {
		g.closed = true
		g.driver.call(cuStreamDestroy, g.Compute.handle)
		g.driver.call(cuStreamDestroy, g.Transfer.handle)
		g.driver.call(cuDevicePrimaryCtxRelease, uintptr(g.device))
		return nil
	}
	g.thread.commit()
	<-g.done
	return err
}
