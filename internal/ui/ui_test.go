package ui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"barka/internal/progress"
)

func TestFormats(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 83_000_000: "83,000,000",
		-1234: "-1,234", -123: "-123", -1 << 63: "-9,223,372,036,854,775,808"} {
		if got := Count(n); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{0: "0 s", 40 * time.Millisecond: "0.04 s", 1500 * time.Millisecond: "1.5 s",
		9960 * time.Millisecond: "10 s", 59400 * time.Millisecond: "59 s", 59600 * time.Millisecond: "1 min", 185 * time.Second: "3 min 5 s",
		3599600 * time.Millisecond: "1 h", 130 * time.Minute: "2 h 10 min", 76 * time.Hour: "3 d 4 h", -time.Minute: "-1 min"} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%v) = %q, want %q", d, got, want)
		}
	}
	for v, want := range map[float64]string{0.001: "3.6 rows/h", 0.1: "6.0 rows/min", 5.55: "5.5 rows/s",
		120: "120 rows/s", 12345: "12,345 rows/s"} {
		if got := rate(v, "rows"); got != want {
			t.Errorf("rate(%v) = %q, want %q", v, got, want)
		}
	}
}

// clock is a time that only the test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	c.t = c.t.Add(d)
	c.mu.Unlock()
}

func TestPlainProgress(t *testing.T) {
	var stderr, stdout bytes.Buffer
	u := New(Options{Stderr: &stderr, Stdout: &stdout})
	p := u.Progress().(*lineProgress)
	c := &clock{t: time.Unix(0, 0)}
	p.now = c.now
	p.Start("translate", 1000, "records")
	p.Skip(400)
	for range 20 {
		c.move(time.Second)
		p.Add(10)
	}
	p.Note("endpoint answers again")
	p.Done()
	p.Done()
	p.Add(5) // after the end: nothing
	want := "translate: 500 of 1,000 records (50 %), 10 records/s, 50 s left\n" +
		"translate: 600 of 1,000 records (60 %), 10 records/s, 40 s left\n" +
		"endpoint answers again\n" +
		"translate: 600 records in 20 s, 400 of them from an earlier run\n"
	if stderr.String() != want {
		t.Errorf("got\n%swant\n%s", stderr.String(), want)
	}
	if stdout.Len() != 0 {
		t.Errorf("progress on stdout: %s", stdout.String())
	}
	if strings.Contains(stderr.String(), "\x1b") || strings.Contains(stderr.String(), "\r") {
		t.Error("control characters off the terminal")
	}
}

func TestSilentWorkTicks(t *testing.T) {
	var stderr lockedBuffer
	u := New(Options{Stderr: &stderr})
	p := u.Progress().(*lineProgress)
	p.every = 5 * time.Millisecond
	p.Start("load", -1, "bytes")
	deadline := time.Now().Add(5 * time.Second)
	for !strings.Contains(stderr.String(), "load: 0 B\n") {
		if time.Now().After(deadline) {
			t.Fatalf("no line while nothing is added: %q", stderr.String())
		}
		time.Sleep(time.Millisecond)
	}
	p.Done()
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestJSON(t *testing.T) {
	var stderr, stdout bytes.Buffer
	u := New(Options{JSON: true, Quiet: true, Stderr: &stderr, Stdout: &stdout})
	p := u.Progress().(*lineProgress)
	c := &clock{t: time.Unix(0, 0)}
	p.now = c.now
	p.Start("train", 10, "steps")
	c.move(2 * time.Second)
	p.Add(5)
	u.Warnf("loss is %v", "high")
	p.Done()
	var events []string
	for line := range strings.Lines(stderr.String()) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		events = append(events, fmt.Sprint(e["event"], " ", e["done"], " ", e["seconds_left"], e["message"]))
	}
	const want = "start 0 <nil> <nil>; progress 5 2 <nil>; warning <nil> <nil>loss is high; done 5 <nil> <nil>"
	if got := strings.Join(events, "; "); got != want {
		t.Errorf("events %s", got)
	}
	u.Table([]string{"task", "score"}, [][]any{{"acva", 0.5}, {"ايه", 1}})
	u.Print("text", map[string]string{"a": "<b>"})
	if want := "{\"score\":0.5,\"task\":\"acva\"}\n{\"score\":1,\"task\":\"ايه\"}\n{\"a\":\"<b>\"}\n"; stdout.String() != want {
		t.Errorf("got %s", stdout.String())
	}
}

func TestTables(t *testing.T) {
	var stdout bytes.Buffer
	u := New(Options{Stdout: &stdout, Stderr: &bytes.Buffer{}})
	rows := [][]any{{"ACVA", 51.25, "±0.3"}, {"two\nlines\tof", 7, "x"}}
	if err := u.Table([]string{"task", "score", "error"}, rows); err != nil {
		t.Fatal(err)
	}
	if want := "task\tscore\terror\nACVA\t51.25\t±0.3\ntwo lines of\t7\tx\n"; stdout.String() != want {
		t.Errorf("got %q", stdout.String())
	}
	box := u.box([]string{"task", "score"}, [][]any{{"ACVA", 51.25}})
	if !strings.Contains(box, "│ task │ score │") || strings.Contains(box, "\x1b") {
		t.Errorf("box without colour:\n%s", box)
	}
	u.out.colour = true
	if box := u.box([]string{"task", "score"}, [][]any{{"ACVA", 51.25}}); !strings.Contains(box, "\x1b[1m") {
		t.Errorf("box with colour:\n%q", box)
	}
}

func TestQuiet(t *testing.T) {
	var stderr, stdout bytes.Buffer
	u := New(Options{Quiet: true, Stderr: &stderr, Stdout: &stdout})
	if u.Progress() != progress.Silent {
		t.Error("progress with --quiet")
	}
	u.Infof("hello")
	u.Errorf("it broke")
	u.Print("result\n", nil)
	if stderr.String() != "error: it broke\n" || stdout.String() != "result\n" {
		t.Errorf("%q %q", stderr.String(), stdout.String())
	}
}

// TestTerminal draws on a terminal that is a buffer.
func TestTerminal(t *testing.T) {
	var stderr lockedBuffer
	u := New(Options{Stderr: &stderr})
	u.err.terminal, u.err.colour = true, true
	p := u.Progress()
	for _, total := range []int64{100, 0, -1} {
		p.Start("translate", total, "records")
		for range 100 {
			p.Add(1)
		}
		p.Note("a note")
		p.Done()
		p.Add(1)
		p.Done()
	}
	u.Warnf("careful")
	s := stderr.String()
	for _, want := range []string{"░░ translate: 0 of 100 records (0 %)", "\r\x1b[Ka note\n",
		"translate: 100 records in ", "\x1b[33mwarning:\x1b[0m careful\n"} {
		if !strings.Contains(s, want) {
			t.Errorf("no %q in %q", want, s)
		}
	}
}

var _ progress.Reporter = (*terminalProgress)(nil)

// TestHostileText: no text from outside reaches a terminal as an escape
// sequence, by whatever way, and JSON holds it unchanged.
func TestHostileText(t *testing.T) {
	const bad = "a\x1b[2J\x1b]0;owned\x07\u009b31m\u202eb\rc"
	var stderr, stdout bytes.Buffer
	u := New(Options{Stderr: &stderr, Stdout: &stdout})
	say := func() {
		u.Infof("%s", bad)
		u.Warnf("%s", bad)
		u.Errorf("%s", bad)
		u.Event("x", bad, map[string]string{"name": bad})
		p := u.Progress()
		p.Start(bad, 2, bad)
		p.Add(1)
		p.Note(bad)
		p.Done()
		if err := u.Print(bad, map[string]string{"name": bad}); err != nil {
			t.Fatal(err)
		}
		if err := u.Table([]string{bad, "n"}, [][]any{{bad, 1}, {fmt.Errorf("%s", bad), 2}}); err != nil {
			t.Fatal(err)
		}
	}
	clean := func(how, s string) {
		t.Helper()
		for _, own := range []string{wipe, noWrap, wrap, "\x1b[33m", "\x1b[31m", "\x1b[1m", "\x1b[0m"} {
			s = strings.ReplaceAll(s, own, "")
		}
		if n := strings.Count(s, "owned"); n == 0 || strings.ContainsAny(s, "\x1b\x07\r\u009b\u202e") {
			t.Errorf("%s: %q", how, s)
		}
	}
	say()
	clean("plain messages", stderr.String())
	clean("plain results", stdout.String())
	stderr.Reset()
	stdout.Reset()
	u.err, u.out = stream{&stderr, true, true}, stream{&stdout, true, true}
	say()
	clean("messages on a terminal", stderr.String())
	clean("results on a terminal", stdout.String())
	stdout.Reset()
	u.json = true
	say()
	var got struct{ Name string }
	if err := json.NewDecoder(&stdout).Decode(&got); err != nil || got.Name != bad {
		t.Errorf("JSON: %q, %v", got.Name, err)
	}
}

// TestDetail: details of the work stand in place of the speed and the time left that follow from
// its units.
func TestDetail(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		var stderr bytes.Buffer
		p := New(Options{JSON: asJSON, Stderr: &stderr}).Progress().(*lineProgress)
		c := &clock{t: time.Unix(0, 0)}
		p.now = c.now
		p.Start("translate", 100, "records")
		progress.SetDetail(p, func() progress.Detail {
			return progress.Detail{Text: "3.5 sentences/s", Left: time.Minute, Fields: map[string]any{"sentences_per_second": 3.5}}
		})
		c.move(20 * time.Second)
		p.Add(5)
		want := "translate: 5 of 100 records (5 %), 3.5 sentences/s, 1 min left\n"
		if asJSON {
			want = `"seconds_left":60,"sentences_per_second":3.5`
		}
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("%q, expected %q", stderr.String(), want)
		}
		p.Start("another", 100, "records")
		c.move(20 * time.Second)
		p.Add(5)
		if last := stderr.String()[strings.LastIndex(stderr.String(), "another"):]; strings.Contains(last, "sentences") {
			t.Errorf("details of earlier work: %q", last)
		}
	}
}
