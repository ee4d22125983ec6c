package hub

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"barka/internal/pause"
)

const (
	// maxAttempts bounds the attempts in a row without headway.
	maxAttempts = 6
	// maxSilent bounds the attempts to reach a hub that has never answered.
	maxSilent = 3
	// maxPause is the longest wait that a server may ask for. If it asks for more,
	// the command ends and has to be run again later.
	maxPause = 5 * time.Minute
	// headway is the number of bytes after which an attempt resets the count of
	// attempts.
	headway = 1 << 20
)

// unreachable is the error of a hub that never answers.
type unreachable struct{ error }

func (u *unreachable) Unwrap() error { return u.error }

// IsUnreachable reports whether an error means that the hub cannot be reached.
// Further requests would fail too.
func IsUnreachable(err error) bool {
	var u *unreachable
	return errors.As(err, &u)
}

// attempts calls try until it succeeds, fails for good or has failed too often. what
// names the work in notes and errors.
func (c *Client) attempts(ctx context.Context, what string, try func() error) error {
	retry := pause.Retry{
		Most: maxPause, Jitter: rand.Float64,
		GiveUp: func(n int, p *pause.Passing) error {
			if n >= maxSilent && !c.reached.Load() {
				return &unreachable{fmt.Errorf("%w (tried %d times)", p, n)}
			}
			if n >= maxAttempts {
				return fmt.Errorf("%w (tried %d times; the same command resumes from here)", p, n)
			}
			return nil
		},
		Note: func(p *pause.Passing, wait time.Duration, _ int) {
			c.progress.Note(fmt.Sprintf("%s: %v; retrying in %s", what, p, wait.Round(100*time.Millisecond)))
		},
		Wait: func(ctx context.Context, _ *pause.Passing, wait time.Duration) error { return c.sleep(ctx, wait) },
	}
	err := retry.Do(ctx, try)
	var p *pause.Passing
	if errors.As(err, &p) { // after the last attempt
		return fmt.Errorf("%s: %w", what, err)
	}
	return err
}

// window matches the seconds until an exhausted rate limit is reset, as in
// RateLimit: "api";r=0;t=55.
var window = regexp.MustCompile(`;\s*r=0\s*;\s*t=(\d{1,6})`)

// retryAfter returns the wait that Retry-After asks for, in seconds or as a date.
// Without that header it returns the time until the hub's rate limit is reset.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if d := pause.After(v, now); d > 0 {
		return d
	}
	if m := window.FindStringSubmatch(h.Get("RateLimit")); v == "" && m != nil {
		s, _ := strconv.Atoi(m[1])
		return time.Duration(s) * time.Second
	}
	return 0
}
