// Package ui writes what commands show to people and scripts: progress, tables and
// messages. A terminal gets bars, boxes and colour; other outputs get plain
// lines; with --json every line is a JSON object. Progress and messages go to
// stderr, results to stdout. All text passes through package printable, because
// titles, names and messages come from files and servers. JSON is not changed.
package ui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"

	"barka/internal/printable"
	"barka/internal/progress"
)

// Options are the flags that every command has, and its outputs.
type Options struct {
	JSON   bool      // events and tables as JSON lines
	Quiet  bool      // only results, warnings and errors
	Stderr io.Writer // nil: os.Stderr
	Stdout io.Writer // nil: os.Stdout
}

// UI writes a command's output. It is safe for concurrent use.
type UI struct {
	json, quiet bool
	out, err    stream
	mu          sync.Mutex // keeps lines whole
	shown       string     // status on the terminal's last line
}

type stream struct {
	w        io.Writer
	terminal bool // can show bars and boxes
	colour   bool
}

// New returns a UI. It uses colour only on terminals, and not if the environment
// sets NO_COLOR (no-color.org) or TERM=dumb.
func New(o Options) *UI {
	if o.Stderr == nil {
		o.Stderr = os.Stderr
	}
	if o.Stdout == nil {
		o.Stdout = os.Stdout
	}
	return &UI{json: o.JSON, quiet: o.Quiet, out: newStream(o.Stdout), err: newStream(o.Stderr)}
}

func newStream(w io.Writer) stream {
	s := stream{w: w}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		s.terminal = true
		s.colour = os.Getenv("NO_COLOR") == ""
	}
	return s
}

// Terminal reports whether results go to a person's terminal.
func (u *UI) Terminal() bool { return u.out.terminal && !u.json }

// Screen returns the writer for results that a command writes directly, such as a
// model's answer. On a terminal the text is made printable; elsewhere it is
// written unchanged. The caller must call flush at the end.
func Screen(stdout io.Writer) (w io.Writer, flush func() error) {
	if f, ok := stdout.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return stdout, func() error { return nil }
	}
	p := printable.NewWriter(stdout)
	return p, p.Flush
}

// Progress returns the reporter of the progress of stages.
func (u *UI) Progress() progress.Reporter {
	switch {
	case u.quiet && !u.json:
		return progress.Silent
	case u.json:
		return newLineProgress(u, jsonEvery, time.Now)
	case u.err.terminal:
		return newTerminalProgress(u)
	}
	return newLineProgress(u, lineEvery, time.Now)
}

// Infof writes an informational message to stderr, unless --quiet is set.
func (u *UI) Infof(format string, args ...any) { u.message("info", "", format, args...) }

// Warnf writes a warning to stderr, also with --quiet.
func (u *UI) Warnf(format string, args ...any) { u.message("warning", "33", format, args...) }

// Errorf writes an error to stderr, also with --quiet.
func (u *UI) Errorf(format string, args ...any) { u.message("error", "31", format, args...) }

// Event reports something with numbers. With --json it is an event of that name
// with the fields of v, a struct or a map; otherwise text is written as by Infof.
func (u *UI) Event(name, text string, v any) {
	if !u.json {
		u.Infof("%s", text)
		return
	}
	line, err := encode(v)
	fields, ok := bytes.CutPrefix(line, []byte("{"))
	if err != nil || !ok {
		u.Infof("%s", text) // JSON cannot represent a value, such as NaN
		return
	}
	head := fmt.Sprintf(`{"event":%q`, name)
	if fields[0] != '}' {
		head += ","
	}
	u.write(append([]byte(head), fields...))
}

// Exit writes the last event with --json, with the fields of v.
func (u *UI) Exit(v any) {
	if u.json {
		u.Event("exit", "", v)
	}
}

func (u *UI) message(kind, colour, format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	switch {
	case kind == "info" && u.quiet:
	case u.json:
		u.event(map[string]any{"event": kind, "message": s})
	default:
		mark := ""
		if kind != "info" {
			mark = kind + ": "
			if u.err.colour {
				mark = "\x1b[" + colour + "m" + kind + ":\x1b[0m "
			}
		}
		u.line(mark, s)
	}
}

const (
	wipe = "\r\x1b[K" // go to the start of the line and clear it
	// A status that wraps to a second line could not be wiped.
	noWrap, wrap = "\x1b[?7l", "\x1b[?7h"
)

// line writes a line to stderr, above the status if there is one. The mark before
// the text may contain escape sequences.
func (u *UI) line(mark, text string) {
	s := mark + printable.Text(text)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.shown == "" {
		fmt.Fprintln(u.err.w, s)
		return
	}
	fmt.Fprint(u.err.w, wipe+s+"\n"+noWrap+u.shown+wrap)
}

// status shows s on the last line of the terminal until the next call; "" removes
// it.
func (u *UI) status(s string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	s = strings.ReplaceAll(printable.Text(s), "\n", " ")
	if u.shown = s; s != "" {
		s = noWrap + s + wrap
	}
	fmt.Fprint(u.err.w, wipe+s)
}

// event writes a JSON line to stderr.
func (u *UI) event(v any) {
	if line, err := encode(v); err == nil { // our own events always encode
		u.write(line)
	}
}

// encode returns v as a line of JSON.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}

func (u *UI) write(line []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.err.w.Write(line)
}

// Print writes a result to stdout: v as a line of JSON with --json, otherwise text.
func (u *UI) Print(text string, v any) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.json {
		enc := json.NewEncoder(u.out.w)
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	}
	_, err := fmt.Fprintln(u.out.w, printable.Text(strings.TrimSuffix(text, "\n")))
	return err
}

// Styled writes a result to stdout as it is. Its untrusted parts have been made safe by
// package bidi, whose isolates Print would escape.
func (u *UI) Styled(text string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, err := io.WriteString(u.out.w, text)
	return err
}

// Colour reports whether results may have colours.
func (u *UI) Colour() bool { return u.out.colour && !u.json }

// Width returns the number of cells of a line of results: the terminal's, or 100.
func (u *UI) Width() int {
	if f, ok := u.out.w.(*os.File); ok && u.out.terminal {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			return w
		}
	}
	return 100
}

// Table writes rows to stdout. With --json, each row is an object with the headers
// as keys. A terminal shows a box in which numbers are right-aligned. Other
// outputs get cells separated by tabs.
func (u *UI) Table(headers []string, rows [][]any) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.json:
		return u.jsonTable(headers, rows)
	case u.out.terminal:
		_, err := fmt.Fprintln(u.out.w, u.box(headers, rows))
		return err
	}
	cells := make([]any, len(headers))
	for i, h := range headers {
		cells[i] = h
	}
	for _, row := range append([][]any{cells}, rows...) {
		fields := make([]string, len(row))
		for i, c := range row {
			fields[i] = printable.Text(strings.NewReplacer("\t", " ", "\n", " ", "\r", " ").Replace(fmt.Sprint(c)))
		}
		if _, err := fmt.Fprintln(u.out.w, strings.Join(fields, "\t")); err != nil {
			return err
		}
	}
	return nil
}

func (u *UI) jsonTable(headers []string, rows [][]any) error {
	enc := json.NewEncoder(u.out.w)
	enc.SetEscapeHTML(false)
	for _, row := range rows {
		object := map[string]any{}
		for i, c := range row {
			if i < len(headers) {
				object[headers[i]] = c
			}
		}
		if err := enc.Encode(object); err != nil {
			return err
		}
	}
	return nil
}

func (u *UI) box(headers []string, rows [][]any) string {
	t := table.NewWriter()
	t.SetStyle(table.StyleRounded)
	t.Style().Format.Header = text.FormatDefault
	if u.out.colour {
		t.Style().Color.Header = text.Colors{text.Bold}
	}
	head := make(table.Row, len(headers))
	var columns []table.ColumnConfig
	for i, h := range headers {
		head[i] = printable.Text(h)
		if len(rows) > 0 && i < len(rows[0]) && isNumber(rows[0][i]) {
			columns = append(columns, table.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight})
		}
	}
	t.SetColumnConfigs(columns)
	t.AppendHeader(head)
	for _, row := range rows {
		shown := make(table.Row, len(row))
		for i, c := range row {
			if shown[i] = c; !isNumber(c) {
				shown[i] = printable.Text(fmt.Sprint(c))
			}
		}
		t.AppendRow(shown)
	}
	return t.Render()
}

func isNumber(v any) bool {
	switch v := v.(type) {
	case int, int32, int64, uint64, float32, float64:
		return true
	case string:
		return v != "" && strings.Trim(v, "0123456789.,+-−±%<…— ") == ""
	}
	return false
}
