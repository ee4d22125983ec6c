package main

import (
	"context"
	"errors"
	"io"
	"sync"

	"barka/internal/panics"
)

// interruptible is a reader whose reads return the error of a context when it
// ends: a read of standard input may otherwise wait for hours. It reads nothing
// before the first Read.
type interruptible struct {
	ctx   context.Context
	from  io.Reader
	begin sync.Once
	pipe  *io.PipeReader
}

func (i *interruptible) Read(p []byte) (int, error) {
	i.begin.Do(func() {
		r, w := io.Pipe()
		i.pipe = r
		context.AfterFunc(i.ctx, func() { w.CloseWithError(i.ctx.Err()) })
		go func() {
			w.CloseWithError(panics.Catch(func() error { _, err := io.Copy(w, i.from); return err }))
		}()
	})
	n, err := i.pipe.Read(p)
	var defect *panics.Error
	if errors.As(err, &defect) {
		panic(defect)
	}
	return n, err
}
