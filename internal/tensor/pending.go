package tensor

import "sync"

// Pending is a result that a device may still be computing. Whoever has other work for the
// device gives it that work first, and reads the result then.
type Pending[T any] struct {
	known T
	wait  func() T
}

// Value is a number that a device computes.
type Value = Pending[float64]

// Known returns a result that is known already.
func Known[T any](x T) Pending[T] { return Pending[T]{known: x} }

// Later returns a result that wait returns. It is called once, by the first Get.
func Later[T any](wait func() T) Pending[T] { return Pending[T]{wait: sync.OnceValue(wait)} }

// Known reports whether Get returns at once.
func (p Pending[T]) Known() bool { return p.wait == nil }

// Get returns the result. It waits for the device if necessary.
func (p Pending[T]) Get() T {
	if p.wait != nil {
		return p.wait()
	}
	return p.known
}
