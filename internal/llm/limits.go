package llm

import (
	"sync"
	"time"
)

// limits spaces the requests to an endpoint, so that their rate and that of their tokens
// stay within its limits. Its times come from time.Now and are compared with each other
// only, so that the monotonic clock counts: a jump of the wall clock changes nothing.
type limits struct {
	requests, tokens int // per minute; 0 means no limit

	mu   sync.Mutex
	next time.Time // earliest time of the next request
	used time.Time // until then, the tokens of earlier requests use up the rate
}

// place is what a request takes within the limits.
type place struct {
	tokens   int  // that it may use
	reserved bool // the first attempt has its place already
}

// reserve takes the next place for a request that may use the tokens. It returns how long
// the request has to wait.
func (l *limits) reserve(tokens int) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	at := l.earliest(now)
	l.take(at, tokens)
	return at.Sub(now)
}

// tryReserve takes a place if a request may be sent now. Otherwise it returns how long a
// request would have to wait.
func (l *limits) tryReserve(tokens int) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	at := l.earliest(now)
	if wait = at.Sub(now); wait <= 0 {
		l.take(at, tokens)
	}
	return wait
}

func (l *limits) earliest(now time.Time) time.Time {
	at := now
	for _, t := range []time.Time{l.next, l.used} {
		if t.After(at) {
			at = t
		}
	}
	return at
}

func (l *limits) take(at time.Time, tokens int) {
	l.next, l.used = at, at
	if l.requests > 0 {
		l.next = at.Add(time.Minute / time.Duration(l.requests))
	}
	l.used = at.Add(l.duration(tokens))
}

// duration returns the time in which the rate allows the tokens.
func (l *limits) duration(tokens int) time.Duration {
	if l.tokens == 0 {
		return 0
	}
	return time.Duration(float64(tokens) / float64(l.tokens) * float64(time.Minute))
}

// correct replaces the tokens that a request reserved by those that it used.
func (l *limits) correct(reserved, used int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used = l.used.Add(l.duration(used - reserved))
}

// hold delays all requests, because a pause that the server asks for concerns all of them.
func (l *limits) hold(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until := time.Now().Add(d); l.next.Before(until) {
		l.next = until
	}
}
