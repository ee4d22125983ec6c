package ui

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"barka/internal/progress"
)

// How often progress is shown: as a line of text, as a JSON event, as a bar.
const (
	lineEvery = 10 * time.Second
	jsonEvery = time.Second
	drawEvery = 200 * time.Millisecond
)

// meter counts a piece of work. Skipped units, which an earlier run had finished,
// are part of done but do not count for the speed.
type meter struct {
	label, unit string
	total       int64 // negative: unknown
	begun       time.Time
	done        int64
	skipped     int64
	detail      func() progress.Detail // nil: what follows from the units
}

// speed returns units per second, 0 while it is unknown.
func (m *meter) speed(now time.Time) float64 {
	elapsed := now.Sub(m.begun).Seconds()
	if worked := m.done - m.skipped; worked > 0 && elapsed > 0 {
		return float64(worked) / elapsed
	}
	return 0
}

// left returns the remaining time, negative while it is unknown.
func (m *meter) left(now time.Time) time.Duration {
	speed := m.speed(now)
	if speed == 0 || m.total < 0 {
		return -1
	}
	return time.Duration(float64(max(m.total-m.done, 0)) / speed * float64(time.Second))
}

// details returns what is shown besides the amount: the speed in units, and the time left.
func (m *meter) details(now time.Time) progress.Detail {
	if m.detail != nil {
		return m.detail()
	}
	d := progress.Detail{Left: m.left(now)}
	if speed := m.speed(now); speed > 0 {
		d.Text = rate(speed, m.unit)
	}
	return d
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
	d := m.details(now)
	if d.Text != "" {
		s += ", " + d.Text
	}
	if d.Left > 0 {
		s += ", " + Duration(d.Left) + " left"
	}
	return s
}

// summary returns the line that is shown when the work is done.
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

// tracker counts the current work for a progress display.
type tracker struct {
	every time.Duration // between two calls of show
	now   func() time.Time
	show  func(now time.Time)

	mu   sync.Mutex
	m    *meter // nil: no current work
	last time.Time
}

// Add implements progress.Reporter.
func (t *tracker) Add(n int64) { t.add(n, 0) }

// Skip implements progress.Reporter.
func (t *tracker) Skip(n int64) { t.add(n, n) }

// Detail implements progress.DetailReporter.
func (t *tracker) Detail(f func() progress.Detail) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.m != nil {
		t.m.detail = f
	}
}

func (t *tracker) add(n, skipped int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.m == nil {
		return
	}
	t.m.done += n
	t.m.skipped += skipped
	t.update()
}

// update shows the work if the last time is long enough ago. t.mu is held.
func (t *tracker) update() {
	if now := t.now(); now.Sub(t.last) >= t.every {
		t.last = now
		t.show(now)
	}
}

// begin makes m the current work. t.mu is held.
func (t *tracker) begin(label string, total int64, unit string) {
	t.last = t.now()
	t.m = &meter{label: label, unit: unit, total: total, begun: t.last}
}

// lineProgress writes a line from time to time: text, or JSON events with --json.
type lineProgress struct {
	tracker
	ui     *UI
	ticker *time.Timer
}

func newLineProgress(u *UI, every time.Duration, now func() time.Time) *lineProgress {
	p := &lineProgress{tracker: tracker{every: every, now: now}, ui: u}
	p.show = func(now time.Time) { p.write("progress", now) }
	return p
}

func (p *lineProgress) Start(label string, total int64, unit string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
	p.begin(label, total, unit)
	if p.ui.json {
		p.write("start", p.last)
	}
	m := p.m
	p.ticker = time.AfterFunc(p.every, func() { p.tick(m) })
}

// tick writes a line even if nothing was added.
func (p *lineProgress) tick(m *meter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.m != m {
		return
	}
	p.update()
	p.ticker = time.AfterFunc(p.every, func() { p.tick(m) })
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
	if event == "progress" {
		d := p.m.details(now)
		maps.Copy(v, d.Fields)
		if d.Left >= 0 {
			v["seconds_left"] = d.Left.Seconds()
		}
	}
	p.ui.event(v)
}

// terminalProgress redraws the last line of a terminal: a bar, if the total is
// known, and the meter's text.
type terminalProgress struct {
	tracker
	ui *UI
}

func newTerminalProgress(u *UI) *terminalProgress {
	p := &terminalProgress{tracker: tracker{every: drawEvery, now: time.Now}, ui: u}
	p.show = p.draw
	return p
}

func (p *terminalProgress) Start(label string, total int64, unit string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
	p.begin(label, total, unit)
	p.draw(p.last)
}

func (p *terminalProgress) draw(now time.Time) {
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

// bar returns a bar of how much of total is done, "" if the total is unknown.
func bar(done, total int64) string {
	const width = 24
	if total <= 0 {
		return ""
	}
	n := int(float64(width) * float64(max(min(done, total), 0)) / float64(total))
	return strings.Repeat("█", n) + strings.Repeat("░", width-n) + " "
}
