// Package panics carries a panic from the goroutine in which it happened to the
// one that waits for it. A panic that is not recovered in its own goroutine ends
// the program with the exit code of a usage error and without a message to the
// user.
package panics

import (
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// Error is a recovered panic.
type Error struct {
	Value any
	Stack []byte // of the goroutine that panicked
}

func (e *Error) Error() string { return fmt.Sprint(e.Value) }

// Unwrap returns the value if it is an error.
func (e *Error) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Of converts the value that recover returned to an error. It must be called in
// the deferred function, where the stack is still that of the panic. A panic that
// was carried from another goroutine keeps its original stack.
func Of(recovered any) *Error {
	if e, ok := recovered.(*Error); ok {
		return e
	}
	return &Error{recovered, debug.Stack()}
}

// Catch runs f and returns its error, or an *Error if it panics. Reading mapped
// memory that is no longer backed by its file counts as a panic.
func Catch(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = Of(r)
		}
	}()
	return f()
}

// Group is a sync.WaitGroup whose Wait panics with the first panic of its
// goroutines. The zero Group is ready for use.
type Group struct {
	// Stop, if not nil, is called when a goroutine panics. It must end whatever
	// the other goroutines, or the one that gives them work, would wait for.
	Stop func()

	wait  sync.WaitGroup
	first atomic.Pointer[Error]
}

// Go runs f in a goroutine.
func (g *Group) Go(f func()) {
	g.wait.Go(func() {
		err := Catch(func() error { f(); return nil })
		if e, ok := err.(*Error); ok {
			g.first.CompareAndSwap(nil, e)
			if g.Stop != nil {
				g.Stop()
			}
		}
	})
}

// Wait returns when all goroutines have ended.
func (g *Group) Wait() {
	g.wait.Wait()
	if e := g.first.Swap(nil); e != nil {
		panic(e)
	}
}
