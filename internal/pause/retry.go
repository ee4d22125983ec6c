package pause

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Passing is an error that may pass by itself: a rate limit, an error of the
// server, a broken connection.
type Passing struct {
	Err   error
	After time.Duration // how long the server asks to wait, 0 if it does not say
	// Unreachable: no request can reach the server. Timeout: the attempt ended by
	// the client's own limit. Everyone: other requests have to wait too.
	Unreachable, Timeout, Everyone bool
	// Progressed: the attempt brought enough for its end to be forgiven. Attempts
	// are counted from 1 again.
	Progressed bool
}

func (p *Passing) Error() string { return p.Err.Error() }
func (p *Passing) Unwrap() error { return p.Err }

// Retry repeats attempts that fail with a Passing error.
type Retry struct {
	// GiveUp returns the error to end with after attempt n, counted from 1, or nil
	// for another attempt.
	GiveUp func(n int, p *Passing) error
	// Most is the longest wait that a server may ask for.
	Most time.Duration
	// Jitter returns random numbers from 0 to 1. They spread the requests of
	// clients that failed at the same time.
	Jitter func() float64
	// Note is called before each wait. It may be nil.
	Note func(p *Passing, wait time.Duration, n int)
	// Wait waits and returns the context's error if that ends first.
	Wait func(ctx context.Context, p *Passing, wait time.Duration) error
}

// Do calls try until it succeeds, fails with an error that is not Passing, or is
// given up. It waits for as long as the server asks, or else for 1 s, doubled
// with each attempt, give or take a quarter.
func (r Retry) Do(ctx context.Context, try func() error) error {
	for n := 1; ; n++ {
		err := try()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var p *Passing
		if !errors.As(err, &p) {
			return err
		}
		if error(p) != err { // it is wrapped: the whole text counts
			whole := *p
			whole.Err, p = err, &whole
		}
		if p.Progressed {
			n = 1
		}
		if err := r.GiveUp(n, p); err != nil {
			return err
		}
		wait := p.After
		if wait <= 0 {
			wait = time.Duration(float64(time.Second<<min(n-1, 8)) * (0.75 + 0.5*r.Jitter()))
		}
		if err := bound(p, wait, r.Most); err != nil {
			return err
		}
		if r.Note != nil {
			r.Note(p, wait, n)
		}
		if err := r.Wait(ctx, p, wait); err != nil {
			return err
		}
	}
}

// bound returns an error if a server asks for a longer wait than most: that time
// is better spent by running the command again later.
func bound(err error, asked, most time.Duration) error {
	if asked <= most {
		return nil
	}
	return fmt.Errorf("%w; the server asks for a pause of %s, longer than the limit of %s: run the same command again after that",
		err, asked.Round(time.Second), most)
}
