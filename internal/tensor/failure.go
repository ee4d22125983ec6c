package tensor

import (
	"errors"
	"fmt"
)

// Failure is the error of a device that cannot do its work. Operations panic with it, because
// layers have no use for errors; Guard turns the panic into an error where a model's methods
// end. A host device never fails.
type Failure struct {
	Device    string // its name
	Operation string // with the shapes of its operands
	// OutOfMemory reports that memory was too short for the operation. The device works on.
	// After any other failure it is lost: all further operations fail, but Free does not.
	OutOfMemory bool
	Err         error
}

// Error implements error.
func (f *Failure) Error() string { return fmt.Sprintf("%s: %s: %v", f.Device, f.Operation, f.Err) }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Guard sets err to the Failure that its function panics with. It is called by defer:
//
//	defer tensor.Guard(&err)
//
// Other panics go on.
func Guard(err *error) {
	if f := failed(recover()); f != nil {
		*err = f
	}
}

// failed returns the Failure of a recovered panic, or nil if there was none. Other panics go on.
func failed(r any) *Failure {
	if r == nil {
		return nil
	}
	cause, _ := r.(error) // possibly a panic that another goroutine carried over
	var f *Failure
	if !errors.As(cause, &f) {
		panic(r)
	}
	return f
}

// OutOfMemory reports whether err is a device's lack of memory. The device works on, so that smaller
// work may succeed.
func OutOfMemory(err error) bool {
	var f *Failure
	return errors.As(err, &f) && f.OutOfMemory
}

// reclaimer is a device whose memory may run out.
type reclaimer interface {
	// Mark returns a number that orders what is allocated before it and after it.
	Mark() int64
	// Release frees all tensors and the memory of operations that are younger than a mark, but not
	// weights and tables. It gives memory that nothing uses back, the result of Replay included.
	Release(mark int64)
}

// Mark returns the device's mark for Reclaim.
func Mark(dev Device) int64 {
	if d, ok := dev.(reclaimer); ok {
		return d.Mark()
	}
	return 0
}

// Reclaim is Guard for work that can be done again in smaller parts. If the device's memory ran out, it
// frees the tensors that were allocated since the mark: they must not be used or freed again.
//
//	defer tensor.Reclaim(dev, tensor.Mark(dev), &err)
//
// The work must not keep a tensor that it allocated if it fails.
func Reclaim(dev Device, mark int64, err *error) {
	f := failed(recover())
	if f == nil {
		return
	}
	*err = f
	if d, ok := dev.(reclaimer); ok && f.OutOfMemory {
		d.Release(mark)
	}
}
