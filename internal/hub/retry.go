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
	// maxAttempts bounds the attempts that bring nothing new.
	maxAttempts = 6
	// maxSilent bounds the attempts to reach a hub that has never answered.
	maxSilent = 3
	// maxPause is the longest that a server may make us wait; a longer one is
	// better spent by running again later.
	maxPause = 5 * time.Minute
	// headway is how many bytes an attempt must bring to be forgiven its end.
	headway = 1 << 20
)

// passing is an error that may pass: after is how long the server asks to
// wait, 0 if it does not say; got is what the attempt brought before it.
type passing struct {
	err   error
	after time.Duration
	got   int64
}

func (p *passing) Error() string { return p.err.Error() }
func (p *passing) Unwrap() error { return p.err }

// unreachable is a hub that never answers.
type unreachable struct{ error }

func (u *unreachable) Unwrap() error { return u.error }

// IsUnreachable says whether an error is that the hub cannot be reached, so
// that it need not be asked for anything else.
func IsUnreachable(err error) bool {
	var u *unreachable
	return errors.As(err, &u)
}

// attempts tries until it works. Rate limits, server errors and broken
// connections are tried again, with pauses that double and a little chance, or
// as long as the server asks; anything else is final.
func (c *Client) attempts(ctx context.Context, what string, try func() error) error {
	for attempt := 1; ; attempt++ {
		err := try()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var p *passing
		if !errors.As(err, &p) {
			return err
		}
		if p.got >= headway {
			attempt = 1
		}
		if attempt >= maxSilent && !c.reached.Load() {
			return &unreachable{fmt.Errorf("%s: %w (tried %d times)", what, err, attempt)}
		}
		if attempt >= maxAttempts {
			return fmt.Errorf("%s: %w (tried %d times; the same command goes on from here)", what, err, attempt)
		}
		wait := p.after
		if wait <= 0 {
			wait = time.Duration(float64(time.Second<<(attempt-1)) * (0.75 + 0.5*rand.Float64()))
		}
		if err := pause.Bound(err, wait, maxPause); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		c.progress.Note(fmt.Sprintf("%s: %v; trying again in %s", what, err, wait.Round(100*time.Millisecond)))
		if err := c.sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// window is the time left of the window of a rate limit that is used up, in
// seconds, as in RateLimit: "api";r=0;t=55.
var window = regexp.MustCompile(`;\s*r=0\s*;\s*t=(\d{1,6})`)

// retryAfter reads the header's two forms, seconds or a date, or else the time
// after which the hub's rate limit begins anew.
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
