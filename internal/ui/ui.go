// Package ui is how commands talk to people and to scripts: progress, tables,
// messages. On a terminal there are bars, boxes and colour; elsewhere plain
// lines; with --json one JSON object a line. Progress and messages go to stderr,
// results to stdout. All text passes through package printable here: titles,
// names and messages come from files and servers. JSON is written as it is.
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

// Options are the flags that every command has, and where it writes.
type Options struct {
	JSON   bool      // events and tables as JSON lines
	Quiet  bool      // results and errors alone
	Stderr io.Writer // nil: os.Stderr
	Stdout io.Writer // nil: os.Stdout
}

// UI writes a command's output. It is safe for concurrent use.
type UI struct {
	json, quiet bool
	out, err    stream
	mu          sync.Mutex // holds lines together
	shown       string     // on the terminal's last line now
}

type stream struct {
	w        io.Writer
	terminal bool // one that bars and boxes can be drawn on
	colour   bool
}

// New makes the UI. Colour is used on terminals alone, and not if the
// environment has NO_COLOR (no-color.org) or TERM=dumb.
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

// Terminal says whether results go to a person's terminal.
func (u *UI) Terminal() bool { return u.out.terminal && !u.json }

// Screen returns the writer to use for results that a command writes by itself,
// such as a model's answer: stdout, whose text is made printable where it is a
// terminal. It is exact elsewhere. The caller must call flush at the end.
func Screen(stdout io.Writer) (w io.Writer, flush func() error) {
	if f, ok := stdout.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return stdout, func() error { return nil }
	}
	p := printable.NewWriter(stdout)
	return p, p.Flush
}

// Progress returns what stages report their progress to.
func (u *UI) Progress() progress.Reporter {
	switch {
	case u.quiet && !u.json:
		return progress.Silent
	case u.json:
		return &lineProgress{ui: u, every: jsonEvery, now: time.Now}
	case u.err.terminal:
		return &terminalProgress{ui: u}
	}
	return &lineProgress{ui: u, every: lineEvery, now: time.Now}
}

// Infof tells the person something in passing, on stderr.
func (u *UI) Infof(format string, args ...any) { u.message("info", "", format, args...) }

// Warnf warns, on stderr, also with --quiet.
func (u *UI) Warnf(format string, args ...any) { u.message("warning", "33", format, args...) }

// Errorf reports a failure, on stderr, also with --quiet.
func (u *UI) Errorf(format string, args ...any) { u.message("error", "31", format, args...) }

// Event reports something that has numbers: with --json as an event of that
// name with the fields of v, which is a struct or a map, else as text in the
// way of Infof.
func (u *UI) Event(name, text string, v any) {
	if !u.json {
		u.Infof("%s", text)
		return
	}
	line, err := encode(v)
	fields, ok := bytes.CutPrefix(line, []byte("{"))
	if err != nil || !ok {
		u.Infof("%s", text) // a number that JSON cannot hold
		return
	}
	head := fmt.Sprintf(`{"event":%q`, name)
	if fields[0] != '}' {
		head += ","
	}
	u.write(append([]byte(head), fields...))
}

// Exit writes the last event of --json, with the fields of v.
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
	wipe = "\r\x1b[K" // begin of line, clear to its end
	// A line that wraps could not be wiped.
	noWrap, wrap = "\x1b[?7l", "\x1b[?7h"
)

// line writes a line to stderr, above the status if there is one. The mark
// before the text may have escape sequences.
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

// status shows s on the last line of the terminal until the next; "" ends it.
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
	if line, err := encode(v); err == nil { // events are made of text and numbers here
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

// Print writes a result to stdout: with --json as a line of JSON, else as text.
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

// Table writes rows to stdout: in a box on a terminal, else with tabs between
// the cells, with --json as one object a row with the headers as keys. Cells
// that are numbers stand to the right.
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
