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

// unreachable is a hub that never answers.
type unreachable struct{ error }

func (u *unreachable) Unwrap() error { return u.error }

// IsUnreachable says whether an error is that the hub cannot be reached, so
// that it need not be asked for anything else.
func IsUnreachable(err error) bool {
	var u *unreachable
	return errors.As(err, &u)
}

// attempts tries until it works, or until the hub has refused too often. what
// names the work in notes and errors.
func (c *Client) attempts(ctx context.Context, what string, try func() error) error {
	retry := pause.Retry{
		Most: maxPause, Jitter: rand.Float64,
		GiveUp: func(n int, p *pause.Passing) error {
			if n >= maxSilent && !c.reached.Load() {
				return &unreachable{fmt.Errorf("%w (tried %d times)", p, n)}
			}
			if n >= maxAttempts {
				return fmt.Errorf("%w (tried %d times; the same command goes on from here)", p, n)
			}
			return nil
		},
		Note: func(p *pause.Passing, wait time.Duration, _ int) {
			c.progress.Note(fmt.Sprintf("%s: %v; trying again in %s", what, p, wait.Round(100*time.Millisecond)))
		},
		Wait: func(ctx context.Context, _ *pause.Passing, wait time.Duration) error { return c.sleep(ctx, wait) },
	}
	err := retry.Do(ctx, try)
	var p *pause.Passing
	if errors.As(err, &p) { // given up
		return fmt.Errorf("%s: %w", what, err)
	}
	return err
}

// window is the time left of the window of a rate limit that is used up, in
// seconds, as in RateLimit: "api";r=0;t=55.
var window = regexp.MustCompile(`;\s*r=0\s*;\s*t=(\d{1,6})`)

// retryAfter reads the header's two forms, seconds or a date, or else the time
// after which the hub's rate limit starts again.
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
