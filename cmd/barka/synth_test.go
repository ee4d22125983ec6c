package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// paid is an endpoint that counts its answers to each request.
type paid struct {
	*httptest.Server
	delay    atomic.Int64 // of an answer
	mu       sync.Mutex
	answered map[int64]int // by seed
	begun    chan bool     // gets a value for each request while it has room
}

func newPaid(t *testing.T) *paid {
	p := &paid{answered: map[int64]int{}, begun: make(chan bool, 1)}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b struct {
			Seed     int64
			Messages []struct{ Content string }
		}
		if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
			t.Error(err)
			return
		}
		select {
		case p.begun <- true:
		default:
		}
		select {
		case <-time.After(time.Duration(p.delay.Load())):
		case <-r.Context().Done():
			return // the client closed the connection before the answer
		}
		text := "It is roasted lightly, ground with cardamom, and poured into small cups for every guest."
		if !strings.Contains(b.Messages[0].Content, "Question: ") {
			text = fmt.Sprintf("How is coffee number %d served?", b.Seed%100000)
		}
		p.mu.Lock()
		p.answered[b.Seed]++
		p.mu.Unlock()
		json.NewEncoder(w).Encode(map[string]any{"choices": []any{map[string]any{"message": map[string]string{"content": text},
			"finish_reason": "stop"}},
			"usage": map[string]int{"prompt_tokens": 10, "completion_tokens": 5}})
	}))
	t.Cleanup(p.Close)
	return p
}

// calls returns the number of answers, and how many of them repeated an earlier one.
func (p *paid) calls() (all, again int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.answered {
		all += n
		again += n - 1
	}
	return all, again
}

func passagesFile(t *testing.T, n int) string {
	t.Helper()
	var lines bytes.Buffer
	for i := range n {
		row := map[string]any{"id": fmt.Sprintf("p%d", i), "title": "Coffee",
			"text": "It is roasted lightly, ground with cardamom, and poured into small cups for every guest. " +
				strings.Repeat("Coffee is served. ", i%4*20) + fmt.Sprint(i)}
		if err := json.NewEncoder(&lines).Encode(row); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "passages.jsonl")
	if err := os.WriteFile(path, lines.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestSynthSurvivesKills kills synth at random moments. Only calls in flight at a kill may
// be paid twice, and the dataset equals that of an uninterrupted run.
func TestSynthSurvivesKills(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs signals")
	}
	const concurrency = 4
	passages := passagesFile(t, 10)
	line := func(p *paid, out string) *exec.Cmd {
		return program("synth", "--quiet", "--in", passages, "--out", out, "--endpoint", p.URL, "--model", "m",
			"--concurrency", fmt.Sprint(concurrency),
			"--long-quantile", "0", "--turns", "10") // 20 calls each
	}
	root := t.TempDir()
	undisturbed, whole, out := newPaid(t), filepath.Join(root, "whole"), filepath.Join(root, "out")
	if text, err := line(undisturbed, whole).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	needed, _ := undisturbed.calls()

	p := newPaid(t)
	p.delay.Store(int64(10 * time.Millisecond))
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	kills := 0
	for {
		c := line(p, out)
		select { // a process is killed some time after its first request
		case <-p.begun:
		default:
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- c.Wait() }()
		var err error
		select {
		case <-p.begun:
			select {
			case err = <-ended:
			case <-time.After(time.Duration(rng.Int64N(int64(60 * time.Millisecond)))):
				c.Process.Kill()
				err = <-ended
			}
		case err = <-ended:
		}
		if err == nil {
			break
		}
		if kills++; kills > 200 {
			t.Fatal("no end")
		}
	}
	all, again := p.calls()
	t.Logf("seed %d: %d answers for %d calls after %d kills, %d of them again", seed, all, needed, kills, again)
	if all-again != needed || again > kills*concurrency || kills < 3 {
		t.Errorf("%d answers for %d calls, %d of them again, after %d kills with %d calls under way at most", all,
			needed, again, kills, concurrency)
	}
	equalTrees(t, out, whole)
}

func equalTrees(t *testing.T, got, want string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(want, "*"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		a, _ := os.ReadFile(f)
		b, _ := os.ReadFile(filepath.Join(got, filepath.Base(f)))
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs", filepath.Base(f))
		}
	}
}

// TestSynthInterrupted: Ctrl-C waits for the calls in flight and keeps their answers; a
// second Ctrl-C ends the program at once.
func TestSynthInterrupted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs signals")
	}
	p := newPaid(t)
	out := filepath.Join(t.TempDir(), "out")
	line := []string{"synth", "--in", passagesFile(t, 12), "--out", out, "--endpoint", p.URL, "--model", "m", "--concurrency", "3"}
	p.delay.Store(int64(2 * time.Second)) // a loaded machine may send the signal a second late
	c := program(line...)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	<-p.begun
	time.Sleep(100 * time.Millisecond)
	c.Process.Signal(os.Interrupt)
	c.Process.Signal(os.Interrupt) // as timeout(1) does
	var exit *exec.ExitError
	if err := c.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted ||
		!strings.Contains(stderr.String(), "calls in flight") {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	if n, _ := p.calls(); n != 3 {
		t.Errorf("%d answers, want those of the 3 calls under way", n)
	}

	p.delay.Store(int64(time.Minute))
	select {
	case <-p.begun:
	default:
	}
	c = program(line...)
	notes, err := c.StderrPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	<-p.begun
	c.Process.Signal(os.Interrupt)
	for said := bufio.NewScanner(notes); said.Scan() && !strings.Contains(said.Text(), "calls in flight"); {
	}
	time.Sleep(2 * sameSignal)
	start := time.Now()
	c.Process.Signal(os.Interrupt)
	io.Copy(io.Discard, notes)
	if err := c.Wait(); err == nil || time.Since(start) > 5*time.Second {
		t.Errorf("a second Ctrl-C: %v after %v", err, time.Since(start))
	}

	p.delay.Store(0)
	if text, err := program(line...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if all, again := p.calls(); again != 0 || all == 0 {
		t.Errorf("%d of %d answers were paid twice", again, all)
	}
}
