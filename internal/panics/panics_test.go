package panics

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// raise is a frame that must be in the stack of its panic.
func raise(v any) { panic(v) }

func TestCatch(t *testing.T) {
	cause := errors.New("cause")
	if err := Catch(func() error { return cause }); err != cause {
		t.Errorf("an error became %v", err)
	}
	err := Catch(func() error { raise(cause); return nil })
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, cause) || !strings.Contains(string(e.Stack), "panics.raise") {
		t.Errorf("a panic became %#v", err)
	}
	if again := Catch(func() error { panic(e) }); again != error(e) {
		t.Errorf("a carried panic became %v", again)
	}
}

// TestGroup: Wait panics with the first panic and the stack of its goroutine,
// and who hands out work does not wait for a goroutine that is gone.
func TestGroup(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	g := Group{Stop: cancel}
	work := make(chan int)
	g.Go(func() {
		for i := range work {
			if i == 3 {
				raise("boom")
			}
		}
	})
	sent := 0
	for ; sent < 100 && ctx.Err() == nil; sent++ {
		select {
		case work <- sent:
		case <-ctx.Done():
		}
	}
	close(work)
	err := Catch(func() error { g.Wait(); return nil })
	var e *Error
	if !errors.As(err, &e) || e.Value != "boom" || !strings.Contains(string(e.Stack), "panics.raise") || sent == 100 {
		t.Errorf("after %d pieces of work: %#v", sent, err)
	}
	g.Wait() // is over, and may be called again
}
