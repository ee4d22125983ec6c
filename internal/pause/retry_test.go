package pause

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// TestRetry: waits double, a server's wish and progress are respected, errors of
// other kinds end the attempts at once, and an interruption is what is returned.
func TestRetry(t *testing.T) {
	busy := func(after time.Duration, progressed bool) error {
		return fmt.Errorf("page 3: %w", &Passing{Err: errors.New("busy"), After: after, Progressed: progressed})
	}
	final := errors.New("no such page")
	for _, c := range []struct {
		name  string
		fails []error
		waits []time.Duration
		text  string
	}{
		{"doubling", []error{busy(0, false), busy(0, false), busy(0, false)}, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}, ""},
		{"as asked", []error{busy(7*time.Second, false)}, []time.Duration{7 * time.Second}, ""},
		{"progress", []error{busy(0, false), busy(0, false), busy(0, true), busy(0, false)}, []time.Duration{1e9, 2e9, 1e9, 2e9}, ""},
		{"another error", []error{busy(0, false), final}, []time.Duration{1e9}, "no such page"},
		{"given up", []error{busy(0, false), busy(0, false), busy(0, false), busy(0, false)}, []time.Duration{1e9, 2e9, 4e9}, "page 3: busy (4)"},
		{"too long", []error{busy(time.Hour, false)}, nil,
			"page 3: busy; the server asks for a pause of 1h0m0s, longer than the limit of 1m0s: run the same command again after that"},
	} {
		var waits []time.Duration
		i := 0
		r := Retry{
			Most: time.Minute, Jitter: func() float64 { return 0.5 },
			GiveUp: func(n int, p *Passing) error {
				if n > 3 {
					return fmt.Errorf("%w (%d)", p, n)
				}
				return nil
			},
			Wait: func(_ context.Context, _ *Passing, wait time.Duration) error { waits = append(waits, wait); return nil },
		}
		err := r.Do(t.Context(), func() error {
			if i == len(c.fails) {
				return nil
			}
			i++
			return c.fails[i-1]
		})
		if fmt.Sprint(waits) != fmt.Sprint(c.waits) {
			t.Errorf("%s: waits %v, want %v", c.name, waits, c.waits)
		}
		if (err == nil) != (c.text == "") || err != nil && err.Error() != c.text {
			t.Errorf("%s: error %v, want %q", c.name, err, c.text)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := Retry{}.Do(ctx, func() error { cancel(); return busy(0, false) })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}
