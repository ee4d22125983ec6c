package ui

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// How often progress is written where no bar can be drawn.
const (
	lineEvery = 10 * time.Second
	jsonEvery = time.Second
)

// meter counts a piece of work. What was already there when the work began
// (Skip) is done, but says nothing about speed.
type meter struct {
	label, unit string
	total       int64
	begun       time.Time
	done        int64
	skipped     int64
}

// speed is in units a second; 0 as long as nothing is known.
func (m *meter) speed(now time.Time) float64 {
	elapsed := now.Sub(m.begun).Seconds()
	if worked := m.done - m.skipped; worked > 0 && elapsed > 0 {
		return float64(worked) / elapsed
	}
	return 0
}

// left is the time to go; negative when unknown.
func (m *meter) left(now time.Time) time.Duration {
	speed := m.speed(now)
	if speed == 0 || m.total < 0 {
		return -1
	}
	return time.Duration(float64(max(m.total-m.done, 0)) / speed * float64(time.Second))
}

func (m *meter) text(now time.Time) string {
	s := m.label + ": " + amount(m.done, m.unit)
	if m.total >= 0 {
		s += " of " + amount(m.total, m.unit)
	}
	if m.unit != "bytes" {
		s += " " + m.unit
	}
	if m.total > 0 {
		s += fmt.Sprintf(" (%d %%)", 100*min(m.done, m.total)/m.total)
	}
	if speed := m.speed(now); speed > 0 {
		s += ", " + rate(speed, m.unit)
	}
	if left := m.left(now); left > 0 {
		s += ", " + Duration(left) + " left"
	}
	return s
}

// summary is what remains to be said when the work is done.
func (m *meter) summary(now time.Time) string {
	s := m.label + ": " + amount(m.done, m.unit)
	if m.unit != "bytes" {
		s += " " + m.unit
	}
	s += " in " + Duration(now.Sub(m.begun))
	if m.skipped > 0 {
		s += ", " + amount(m.skipped, m.unit) + " of them from an earlier run"
	}
	return s
}

// lineProgress writes a line now and then: text, or events with --json.
type lineProgress struct {
	ui    *UI
	every time.Duration
	now   func() time.Time

	mu     sync.Mutex
	m      *meter // nil: no work at hand
	last   time.Time
	ticker *time.Timer
}

func (p *lineProgress) Start(label string, total int64, unit string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
	now := p.now()
	p.m, p.last = &meter{label: label, unit: unit, total: total, begun: now}, now
	if p.ui.json {
		p.write("start", now)
	}
	m := p.m
	p.ticker = time.AfterFunc(p.every, func() { p.tick(m) })
}

// tick writes a line also while nothing is added.
func (p *lineProgress) tick(m *meter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.m != m {
		return
	}
	if now := p.now(); now.Sub(p.last) >= p.every {
		p.write("progress", now)
	}
	p.ticker = time.AfterFunc(p.every, func() { p.tick(m) })
}

func (p *lineProgress) Add(n int64)  { p.add(n, 0) }
func (p *lineProgress) Skip(n int64) { p.add(n, n) }

func (p *lineProgress) add(n, skipped int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.m == nil {
		return
	}
	p.m.done += n
	p.m.skipped += skipped
	if now := p.now(); now.Sub(p.last) >= p.every {
		p.write("progress", now)
	}
}

func (p *lineProgress) Note(s string) { p.ui.Infof("%s", s) }

// Event implements progress.EventReporter.
func (p *lineProgress) Event(name, text string, v any) { p.ui.Event(name, text, v) }

func (p *lineProgress) Done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
}

func (p *lineProgress) end() {
	if p.m == nil {
		return
	}
	p.ticker.Stop()
	p.write("done", p.now())
	p.m = nil
}

func (p *lineProgress) write(event string, now time.Time) {
	p.last = now
	if !p.ui.json {
		s := p.m.text(now)
		if event == "done" {
			s = p.m.summary(now)
		}
		p.ui.line("", s)
		return
	}
	v := map[string]any{
		"event": event, "label": p.m.label, "unit": p.m.unit, "done": p.m.done, "skipped": p.m.skipped,
		"seconds": now.Sub(p.m.begun).Seconds(),
	}
	if p.m.total >= 0 {
		v["total"] = p.m.total
	}
	if left := p.m.left(now); left >= 0 && event == "progress" {
		v["seconds_left"] = left.Seconds()
	}
	p.ui.event(v)
}

// terminalProgress redraws one line at the bottom of a terminal: a bar, if the
// total is known, and the meter's words.
type terminalProgress struct {
	ui *UI

	mu    sync.Mutex
	m     *meter // nil: no work at hand
	drawn time.Time
}

const drawEvery = 200 * time.Millisecond

func (p *terminalProgress) Start(label string, total int64, unit string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
	now := time.Now()
	p.m = &meter{label: label, unit: unit, total: total, begun: now}
	p.draw(now)
}

func (p *terminalProgress) Add(n int64)  { p.add(n, 0) }
func (p *terminalProgress) Skip(n int64) { p.add(n, n) }

func (p *terminalProgress) add(n, skipped int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.m == nil {
		return
	}
	p.m.done += n
	p.m.skipped += skipped
	if now := time.Now(); now.Sub(p.drawn) >= drawEvery {
		p.draw(now)
	}
}

func (p *terminalProgress) draw(now time.Time) {
	p.drawn = now
	p.ui.status(bar(p.m.done, p.m.total) + p.m.text(now))
}

func (p *terminalProgress) Note(s string) { p.ui.line("", s) }

func (p *terminalProgress) Done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
}

func (p *terminalProgress) end() {
	if p.m == nil {
		return
	}
	p.ui.status("")
	p.ui.line("", p.m.summary(time.Now()))
	p.m = nil
}

// bar draws how much of total is done; nothing when the total is unknown.
func bar(done, total int64) string {
	const width = 24
	if total <= 0 {
		return ""
	}
	n := int(float64(width) * float64(max(min(done, total), 0)) / float64(total))
	return strings.Repeat("█", n) + strings.Repeat("░", width-n) + " "
}
