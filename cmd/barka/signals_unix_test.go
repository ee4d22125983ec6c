//go:build unix

package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ends waits for a process to end, for at most a few seconds.
func ends(t *testing.T, c *exec.Cmd) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	select {
	case err := <-done:
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
	case <-time.After(30 * time.Second):
		_ = c.Process.Kill() // it may have just ended
		t.Fatalf("barka %s goes on after a signal", strings.Join(c.Args[1:], " "))
	}
}

// TestSignalWhileWaitingForInput: a verb that waits for standard input has answered the
// lines that it read, and ends with 130.
func TestSignalWhileWaitingForInput(t *testing.T) {
	model := filepath.Join(inputs(t), "models", "gemma2")
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		c := program("score", "--model", model)
		stdin, err := c.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		c.Stderr = &stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(stdin, `{"context": "2+2=", "continuations": ["4", "5"]}`+"\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
			t.Errorf("no answer before the input ends: %v", err)
		}
		if err := c.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		ends(t, c)
		if code := c.ProcessState.ExitCode(); code != exitInterrupted || !strings.Contains(stderr.String(), "interrupted") {
			t.Errorf("%v: exit code %d, %s", signal, code, stderr.String())
		}
	}
}

// TestSecondSignal: a second signal ends a process that cannot end on its own, because
// nobody reads its output. A second signal that arrives with the first, as timeout(1) sends
// it, does not count.
func TestSecondSignal(t *testing.T) {
	model := filepath.Join(inputs(t), "models", "gemma2")
	c := program("tokenize", "--model", model)
	c.Stdin = strings.NewReader(strings.Repeat("Coffee came to Arabia.\n", 100_000))
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond) // until the pipe is full
	for range 2 {
		if err := c.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(2 * sameSignal)
	if err := c.Process.Signal(syscall.Signal(0)); err != nil {
		t.Fatalf("two signals at once ended it: %v", err)
	}
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	ends(t, c)
	if status, ok := c.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() && c.ProcessState.ExitCode() != exitInterrupted {
		t.Errorf("ended by %v", c.ProcessState)
	}
}
