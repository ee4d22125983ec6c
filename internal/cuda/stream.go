//go:build cuda && linux

package cuda

import (
	"time"
	"unsafe"
)

// Stream is a queue of work on a GPU. Work of one stream runs in order, work of two side by side.
type Stream struct {
	gpu       *GPU
	handle    uintptr
	capturing bool // read and written on the thread alone
}

const nonBlocking = 1 // of streams: no order against the legacy default stream

// newStream runs on the thread.
func (g *GPU) newStream() (*Stream, error) {
	s := &Stream{gpu: g}
	return s, g.driver.call(cuStreamCreate, uintptr(unsafe.Pointer(&s.handle)), nonBlocking)
}

// Synchronize waits until the stream has done all that was recorded in it.
func (s *Stream) Synchronize() error {
	return s.gpu.do(func() error { return s.gpu.keep(s.gpu.driver.call(cuStreamSynchronize, s.handle)) })
}

// Event is a mark in a stream.
type Event struct {
	gpu    *GPU
	handle uintptr
}

// NewEvent makes an event.
func (g *GPU) NewEvent() (*Event, error) {
	e := &Event{gpu: g}
	return e, g.do(func() error { return g.driver.call(cuEventCreate, uintptr(unsafe.Pointer(&e.handle)), 0) })
}

// Record marks the present end of the stream's work with the event.
func (s *Stream) Record(e *Event) {
	s.gpu.thread.later(func() error { return s.gpu.driver.call(cuEventRecord, e.handle, s.handle) })
}

// Wait lets the stream's later work wait for an event of another stream.
func (s *Stream) Wait(e *Event) {
	s.gpu.thread.later(func() error { return s.gpu.driver.call(cuStreamWaitEvent, s.handle, e.handle, 0) })
}

// Passed reports whether the GPU has passed the event.
func (e *Event) Passed() (bool, error) {
	passed := false
	err := e.gpu.do(func() error {
		err := e.gpu.driver.call(cuEventQuery, e.handle)
		if failure, ok := err.(*Error); ok && failure.Code == codeNotReady {
			return nil
		}
		passed = err == nil
		return e.gpu.keep(err)
	})
	return passed, err
}

// Synchronize waits until the GPU has passed the event.
func (e *Event) Synchronize() error {
	return e.gpu.do(func() error { return e.gpu.keep(e.gpu.driver.call(cuEventSynchronize, e.handle)) })
}

// Since returns the time between two events that the GPU has passed, by the GPU's clock.
func (e *Event) Since(earlier *Event) (time.Duration, error) {
	var ms float32
	err := e.gpu.do(func() error {
		return e.gpu.driver.call(cuEventElapsedTime, uintptr(unsafe.Pointer(&ms)), earlier.handle, e.handle)
	})
	return time.Duration(float64(ms) * float64(time.Millisecond)), err
}

// Close frees the event.
func (e *Event) Close() error {
	return e.gpu.do(func() error { return e.gpu.driver.call(cuEventDestroy, e.handle) })
}

// Graph is recorded work of one stream that is launched as one.
type Graph struct {
	gpu    *GPU
	handle uintptr
}

const captureThreadLocal = 1

// Capture calls record, which must only record work in s, and returns that work as a graph. Nothing
// of it runs. Arguments and addresses are those of the recording.
func (s *Stream) Capture(record func()) (*Graph, error) {
	g, d := s.gpu, s.gpu.driver
	if err := g.do(func() error {
		s.capturing = true
		return d.call(cuStreamBeginCapture, s.handle, captureThreadLocal)
	}); err != nil {
		return nil, err
	}
	record()
	graph := &Graph{gpu: g}
	return graph, g.do(func() error {
		s.capturing = false
		var recorded uintptr
		if err := d.call(cuStreamEndCapture, s.handle, uintptr(unsafe.Pointer(&recorded))); err != nil {
			return err
		}
		if err := d.call(cuGraphInstantiateWithFlags, uintptr(unsafe.Pointer(&graph.handle)), recorded, 0); err != nil {
			return err
		}
		return d.call(cuGraphDestroy, recorded)
	})
}

// Replay records the graph's work in a stream.
func (s *Stream) Replay(g *Graph) {
	s.gpu.thread.later(func() error { return s.gpu.driver.call(cuGraphLaunch, g.handle, s.handle) })
}

// Close frees the graph.
func (g *Graph) Close() error {
	return g.gpu.do(func() error { return g.gpu.driver.call(cuGraphExecDestroy, g.handle) })
}
