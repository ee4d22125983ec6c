package backend

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"barka/internal/stage/translate"
)

// client gives requests to a stream: as many as have been released, and none while it holds them
// back. It fails the test if next or done is called twice at once.
type client struct {
	*testing.T
	requests    []translate.Request
	next, done  sync.Mutex
	given       int
	released    chan struct{} // has a value for each request that may be given
	translation []translate.Translation
	fail        func(index int) error
}

func newClient(t *testing.T, n int) *client {
	c := &client{T: t, released: make(chan struct{}, n), translation: make([]translate.Translation, n)}
	for i := range n {
		text := []string{"The people write books.", "The city has a market.", "Arabic is a language of science.", "The sea."}[i%4]
		c.requests = append(c.requests, translate.Request{Text: fmt.Sprint(text, " ", i)})
	}
	return c
}

func (c *client) Next(ctx context.Context, wait bool) (r translate.Request, ok bool) {
	if !c.next.TryLock() {
		c.Error("next is called twice at once")
		return r, false
	}
	defer c.next.Unlock()
	if wait {
		select {
		case _, ok = <-c.released:
		case <-ctx.Done():
		}
	} else {
		select {
		case _, ok = <-c.released:
		default:
		}
	}
	if ok {
		r = c.requests[c.given]
		c.given++
	}
	return r, ok
}

func (c *client) Done(i int, tr translate.Translation) error {
	if !c.done.TryLock() {
		c.Error("done is called twice at once")
		return nil
	}
	defer c.done.Unlock()
	if c.translation[i].Text != "" {
		c.Errorf("request %d has two translations", i)
	}
	c.translation[i] = tr
	if c.fail != nil {
		return c.fail(i)
	}
	return nil
}

func chainTranslator(t *testing.T, threads int) *Translator {
	t.Helper()
	tr, err := NewEngine(threads, "f32", nil).OpenTranslator(nllb, TranslatorOptions{
		From: "eng_Latn", To: "arb_Arab", Decoding: translate.DefaultDecoding()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return tr
}

// TestSearches: translations do not depend on the number of searches of a stream, nor on when
// requests come. Some come only after earlier ones have ended.
func TestSearches(t *testing.T) {
	const n = 60
	var want []translate.Translation
	for _, threads := range []int{1, 2, 5, 11} {
		tr := chainTranslator(t, threads)
		c := newClient(t, n)
		if want == nil {
			var texts []string
			for _, r := range c.requests {
				texts = append(texts, r.Text)
			}
			var err error
			if want, err = tr.Translate(t.Context(), texts, nil); err != nil {
				t.Fatal(err)
			}
		}
		ended, released := 0, 20
		c.fail = func(int) error {
			// One more for each that ends, so that searches run dry and wait.
			if ended++; released < n {
				c.released <- struct{}{}
				released++
			}
			if ended == n {
				close(c.released)
			}
			return nil
		}
		for range released {
			c.released <- struct{}{}
		}
		if err := tr.Stream(t.Context(), c.Next, c.Done); err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if fmt.Sprint(c.translation[i]) != fmt.Sprint(want[i]) {
				t.Errorf("%d threads, request %d: %+v, expected %+v", threads, i, c.translation[i], want[i])
			}
		}
	}
}

// TestSearchesEnd: an error, a panic or an interruption ends all searches, those that wait for
// requests too.
func TestSearchesEnd(t *testing.T) {
	tr := chainTranslator(t, 4)
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		fail func(stop func()) error
		want string
	}{
		"error":        {func(func()) error { return broken }, "broken"},
		"panic":        {func(func()) error { panic(broken) }, "broken"},
		"interruption": {func(stop func()) error { stop(); return nil }, context.Canceled.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			client := newClient(t, 2)
			client.released <- struct{}{} // never closed: three searches wait for good
			client.fail = func(int) error { return c.fail(stop) }
			if err := tr.Stream(ctx, client.Next, client.Done); err == nil || err.Error() != c.want {
				t.Errorf("%v, expected %s", err, c.want)
			}
		})
	}
}
