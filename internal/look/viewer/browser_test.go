package viewer

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// browser is a page in a headless Chromium, driven by the DevTools protocol over a pipe.
type browser struct {
	t        *testing.T
	to       *os.File
	from     chan message
	next     int
	session  string
	requests []string // addresses that the page requested
	errors   []string // exceptions, and violations of the policy
}

type message struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

// openBrowser opens a page. It skips the test if there is no Chromium.
func openBrowser(t *testing.T, address string) *browser {
	t.Helper()
	var program string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		t.Skip("there is no chromium on this machine")
	}
	read, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
		"--disable-dev-shm-usage", "--remote-debugging-pipe",
		"--user-data-dir="+t.TempDir(), "about:blank")
	c.ExtraFiles = []*os.File{read, write} // descriptors 3 and 4
	if err := c.Start(); err != nil {
		t.Skip(err)
	}
	read.Close()
	write.Close()
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
		to.Close()
		from.Close()
	})
	b := &browser{t: t, to: to, from: make(chan message, 1000)}
	go func() {
		defer close(b.from)
		for r := bufio.NewReader(from); ; {
			line, err := r.ReadBytes(0)
			if err != nil {
				return
			}
			var m message
			if json.Unmarshal(line[:len(line)-1], &m) == nil {
				b.from <- m
			}
		}
	}()
	b.open(address)
	return b
}

func (b *browser) open(address string) {
	b.t.Helper()
	var target struct {
		TargetID  string `json:"targetId"`
		SessionID string `json:"sessionId"`
	}
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &target)
	b.session = target.SessionID
	for _, domain := range []string{"Network", "Runtime", "Log", "Page"} {
		b.call(domain+".enable", nil, nil)
	}
	b.call("Page.navigate", map[string]any{"url": address}, nil)
	for range 100 {
		if b.eval(`return document.readyState + location.protocol`) == "completefile:" {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.t.Skip("chromium does not open files here, as when it is confined to a home directory")
}

// eval runs the body of an asynchronous function in the page and returns its result.
func (b *browser) eval(script string) string {
	b.t.Helper()
	var result struct {
		Result struct {
			Value any `json:"value"`
		} `json:"result"`
		Exception *struct {
			Text      string `json:"text"`
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
	}
	b.call("Runtime.evaluate", map[string]any{"expression": "(async () => {" + script + "})()", "awaitPromise": true,
		"returnByValue": true}, &result)
	if e := result.Exception; e != nil {
		b.t.Fatalf("%s: %s %s", script, e.Text, e.Exception.Description)
	}
	return fmt.Sprint(result.Result.Value)
}

// call sends a command and waits for its result.
func (b *browser) call(method string, params any, into any) {
	b.t.Helper()
	b.next++
	command := map[string]any{"id": b.next, "method": method}
	if params != nil {
		command["params"] = params
	}
	if b.session != "" {
		command["sessionId"] = b.session
	}
	data, err := json.Marshal(command)
	if err == nil {
		_, err = b.to.Write(append(data, 0))
	}
	if err != nil {
		b.t.Skipf("chromium does not run here: %v", err)
	}
	deadline := time.After(2 * time.Minute)
	for {
		select {
		case m, ok := <-b.from:
			switch {
			case !ok:
				b.t.Skip("chromium does not run here")
			case m.ID == 0:
				b.event(m)
			case m.ID == b.next:
				if m.Error != nil {
					b.t.Fatalf("%s: %s", method, m.Error)
				}
				if into != nil {
					if err := json.Unmarshal(m.Result, into); err != nil {
						b.t.Fatal(err)
					}
				}
				return
			}
		case <-deadline:
			b.t.Skipf("%s: chromium has not answered in two minutes; the machine is too busy", method)
		}
	}
}

// event notes requests and errors of the page.
func (b *browser) event(m message) {
	var p struct {
		Request struct{ URL string }
		Entry   struct{ Level, Text string }
		Details struct{ Text string } `json:"exceptionDetails"`
	}
	if json.Unmarshal(m.Params, &p) != nil {
		return
	}
	switch m.Method {
	case "Network.requestWillBeSent":
		b.requests = append(b.requests, p.Request.URL)
	case "Log.entryAdded":
		if p.Entry.Level == "error" {
			b.errors = append(b.errors, p.Entry.Text)
		}
	case "Runtime.exceptionThrown":
		b.errors = append(b.errors, p.Details.Text)
	}
}
