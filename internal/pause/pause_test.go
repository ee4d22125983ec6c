package pause

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, " 0.5 ": time.Second / 2, "-1": 0, "soon": 0, "inf": 0, "nan": 0, "1e3": 0, "0x10": 0,
		"86400": 24 * time.Hour, "2000000": 2000000 * time.Second, "99999999999999999999": forever, strings.Repeat("9", 400): forever,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0,
		"Fri, 31 Dec 9999 23:59:59 GMT": 1<<63 - 1,
	} {
		if got := After(header, now); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

func TestBound(t *testing.T) {
	busy := errors.New("busy")
	if err := bound(busy, time.Minute, time.Minute); err != nil {
		t.Error(err)
	}
	err := bound(busy, time.Hour, time.Minute)
	if !errors.Is(err, busy) || !strings.Contains(err.Error(), "a pause of 1h0m0s, longer than the limit of 1m0s") {
		t.Error(err)
	}
}

// TestPace: what comes at the least speed goes on for as long as it likes;
// slower and silent servers are ended after a window.
func TestPace(t *testing.T) {
	for _, c := range []struct {
		each int // bytes per second
		want string
		at   time.Duration
	}{
		{10, "", 0}, {9, "540 bytes in 1m0s, at least 600 are expected", time.Minute}, {0, "silence for 1m0s", time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			var why error
			var ended time.Duration
			start := time.Now()
			p := NewPace(time.Minute, 600, func(err error) { why, ended = err, time.Since(start) })
			time.Sleep(time.Second / 2)
			for range 3600 {
				p.Add(c.each)
				time.Sleep(time.Second)
			}
			p.Stop()
			time.Sleep(time.Hour)
			if c.want == "" && why != nil || c.want != "" && (why == nil || why.Error() != c.want) || ended != c.at {
				t.Errorf("%d bytes per second: %v after %s, want %q after %s", c.each, why, ended, c.want, c.at)
			}
		})
	}
}

// TestPaceRestart: the wait before the first byte takes nothing from the
// first window.
func TestPaceRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var why error
		p := NewPace(time.Minute, 600, func(err error) { why = err })
		defer p.Stop()
		time.Sleep(59 * time.Second)
		p.Restart()
		time.Sleep(59 * time.Second)
		p.Add(600)
		time.Sleep(2 * time.Second)
		if why != nil {
			t.Error(why)
		}
	})
}
