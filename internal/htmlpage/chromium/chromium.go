// Package chromium opens pages in a headless Chromium, driven by the DevTools protocol over a
// pipe. Tests and the program that makes screenshots use it.
package chromium

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Missing is why pages cannot be opened here: there is no Chromium, or it does not run.
type Missing struct{ Reason string }

func (m *Missing) Error() string { return m.Reason }

// Browser is a running Chromium with one page.
type Browser struct {
	// Requests are the addresses that the page requested, Errors its exceptions and violations of
	// its policy.
	Requests, Errors []string

	process *exec.Cmd
	to      *os.File
	pipe    *os.File
	from    chan message
	next    int
	session string
}

type message struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

// Start starts Chromium with a profile in dir, which the caller removes.
func Start(dir string) (*Browser, error) {
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		return nil, &Missing{"there is no chromium on this machine"}
	}
	read, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	from, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c := exec.Command(program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
		"--disable-dev-shm-usage", "--remote-debugging-pipe", "--user-data-dir="+dir, "about:blank")
	c.ExtraFiles = []*os.File{read, write} // descriptors 3 and 4
	err = c.Start()
	read.Close()
	write.Close()
	if err != nil {
		return nil, &Missing{err.Error()}
	}
	b := &Browser{process: c, to: to, pipe: from, from: make(chan message, 1000)}
	go b.receive()
	return b, b.newPage()
}

// receive passes on the messages of the browser, which end with a zero byte.
func (b *Browser) receive() {
	defer close(b.from)
	for r := bufio.NewReader(b.pipe); ; {
		line, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(line[:len(line)-1], &m) == nil {
			b.from <- m
		}
	}
}

// Close ends the browser.
func (b *Browser) Close() {
	b.process.Process.Kill()
	b.process.Wait()
	b.to.Close()
	b.pipe.Close()
}

func (b *Browser) newPage() error {
	var target struct {
		TargetID  string `json:"targetId"`
		SessionID string `json:"sessionId"`
	}
	err := b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	if err == nil {
		err = b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &target)
	}
	b.session = target.SessionID
	for _, domain := range []string{"Network", "Runtime", "Log", "Page"} {
		if err == nil {
			err = b.call(domain+".enable", nil, nil)
		}
	}
	return err
}

// Open opens a file and waits until it is complete.
func (b *Browser) Open(file string) error {
	if err := b.call("Page.navigate", map[string]any{"url": "file://" + file}, nil); err != nil {
		return err
	}
	for range 100 {
		state, err := b.Eval(`return document.readyState + location.protocol + location.pathname`)
		if err != nil {
			return err
		}
		if strings.HasPrefix(state, "completefile:") && strings.HasSuffix(state, filepath.Base(file)) {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return &Missing{"chromium does not open files here, as when it is confined to a home directory"}
}

// Eval runs the body of an asynchronous function in the page and returns its result as text.
func (b *Browser) Eval(script string) (string, error) {
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
	err := b.call("Runtime.evaluate", map[string]any{"expression": "(async () => {" + script + "})()", "awaitPromise": true,
		"returnByValue": true}, &result)
	if e := result.Exception; err == nil && e != nil {
		err = fmt.Errorf("%s: %s %s", script, e.Text, e.Exception.Description)
	}
	return fmt.Sprint(result.Result.Value), err
}

// Look is how a page is shown: its width in pixels, a dark or light scheme, or as on paper.
type Look struct {
	Width       int
	Dark, Print bool
}

// Show sets how the page is shown.
func (b *Browser) Show(l Look) error {
	scheme, media := "light", "screen"
	if l.Dark {
		scheme = "dark"
	}
	if l.Print {
		media = "print"
	}
	err := b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": l.Width, "height": 900, "deviceScaleFactor": 1,
		"mobile": l.Width < 600}, nil)
	if err != nil {
		return err
	}
	return b.call("Emulation.setEmulatedMedia", map[string]any{"media": media,
		"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// Screenshot returns the whole page as PNG.
func (b *Browser) Screenshot() ([]byte, error) {
	var shot struct {
		Data []byte `json:"data"`
	}
	err := b.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true}, &shot)
	return shot.Data, err
}

// PDF returns the page as it is printed.
func (b *Browser) PDF() ([]byte, error) {
	var pdf struct {
		Data []byte `json:"data"`
	}
	err := b.call("Page.printToPDF", map[string]any{"printBackground": true}, &pdf)
	return pdf.Data, err
}

// call sends a command and waits for its result.
func (b *Browser) call(method string, params, into any) error {
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
		return &Missing{"chromium does not run here: " + err.Error()}
	}
	deadline := time.After(2 * time.Minute)
	for {
		select {
		case m, ok := <-b.from:
			switch {
			case !ok:
				return &Missing{"chromium does not run here"}
			case m.ID == 0:
				b.event(m)
			case m.ID == b.next && m.Error != nil:
				return fmt.Errorf("%s: %s", method, m.Error)
			case m.ID == b.next && into != nil:
				return json.Unmarshal(m.Result, into)
			case m.ID == b.next:
				return nil
			}
		case <-deadline:
			return &Missing{method + ": chromium has not answered in two minutes; the machine is too busy"}
		}
	}
}

// event notes requests and errors of the page.
func (b *Browser) event(m message) {
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
		b.Requests = append(b.Requests, p.Request.URL)
	case "Log.entryAdded":
		if p.Entry.Level == "error" {
			b.Errors = append(b.Errors, p.Entry.Text)
		}
	case "Runtime.exceptionThrown":
		b.Errors = append(b.Errors, p.Details.Text)
	}
}
