package pause

import (
	"fmt"
	"sync"
	"time"
)

// Pace watches a transfer and ends it if fewer than Least bytes arrive within a
// Window.
type Pace struct {
	Window time.Duration
	Least  int64
	end    func(error)

	mu    sync.Mutex
	timer *time.Timer
	got   int64
	over  bool
}

// NewPace starts the first window. end is called at most once, with the reason.
// The caller must call Stop.
func NewPace(window time.Duration, least int64, end func(error)) *Pace {
	p := &Pace{Window: window, Least: least, end: end}
	p.timer = time.AfterFunc(window, p.check)
	return p
}

// Restart starts a new window, for example when the headers have come and the body
// follows.
func (p *Pace) Restart() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		p.got = 0
		p.timer.Reset(p.Window)
	}
}

// Add counts n bytes that have arrived.
func (p *Pace) Add(n int) {
	p.mu.Lock()
	p.got += int64(n)
	p.mu.Unlock()
}

// Stop ends watching.
func (p *Pace) Stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	p.timer.Stop()
}

func (p *Pace) check() {
	p.mu.Lock()
	got := p.got
	ends := !p.over && got < p.Least
	p.over = p.over || ends
	p.got = 0
	if !p.over {
		p.timer.Reset(p.Window)
	}
	p.mu.Unlock()
	switch {
	case ends && got == 0:
		p.end(fmt.Errorf("silence for %s", p.Window))
	case ends:
		p.end(fmt.Errorf("%d bytes in %s, at least %d are expected", got, p.Window, p.Least))
	}
}
