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
	r := recover()
	if r == nil {
		return
	}
	cause, _ := r.(error) // possibly a panic that another goroutine carried over
	var f *Failure
	if !errors.As(cause, &f) {
		panic(r)
	}
	*err = f
}
