package backend

import (
	"io"
	"sync"
)

// lazy opens something at its first use.
type lazy[T io.Closer] struct {
	open  func() (T, error)
	close func() error
}

func newLazy[T io.Closer](open func() (T, error)) lazy[T] {
	var opened T
	var used bool
	once := sync.OnceValues(func() (T, error) {
		x, err := open()
		if err == nil {
			opened, used = x, true
		}
		return x, err
	})
	return lazy[T]{once, func() error {
		if !used {
			return nil
		}
		return opened.Close()
	}}
}

// Close closes what was opened. Nothing may be in use.
func (l lazy[T]) Close() error { return l.close() }
