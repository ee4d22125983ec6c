// Package cuda binds the NVIDIA driver: devices, memory, streams, modules, launches, graphs.
//
// The binding exists in builds with the tag cuda on Linux. It opens libcuda.so.1 through purego, so
// it needs neither cgo nor a CUDA toolkit, but the program then needs the C library's dynamic
// loader. Builds without the tag stay static and have nothing of this package.
//
// A GPU is driven by one goroutine that keeps its operating system thread and the device's primary
// context for life, because CUDA's current context belongs to a thread. Callers record work; the
// goroutine hands it to the driver in the order of recording. An error of the driver ends the GPU:
// later work is dropped, and every call that waits returns the first error.
package cuda
