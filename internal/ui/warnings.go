package ui

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"

	"barka/internal/printable"
)

// Warnings is a slog.Handler for people. It writes a line "warning: MESSAGE (KEY
// VALUE, …)" for each record of level Warn or above, without time and quotes.
type Warnings struct {
	w     io.Writer
	mu    *sync.Mutex
	attrs []slog.Attr
}

// NewWarnings returns a handler that writes to w.
func NewWarnings(w io.Writer) *Warnings { return &Warnings{w: w, mu: new(sync.Mutex)} }

// Enabled reports whether a record of this level is shown.
func (h *Warnings) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle writes one record.
func (h *Warnings) Handle(_ context.Context, r slog.Record) error {
	var named []string
	show := func(a slog.Attr) bool {
		named = append(named, fmt.Sprintf("%s %v", a.Key, a.Value))
		return true
	}
	for _, a := range h.attrs {
		show(a)
	}
	r.Attrs(show)
	line := "warning: " + r.Message
	if len(named) > 0 {
		line += " (" + strings.Join(named, ", ") + ")"
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := io.WriteString(h.w, printable.Text(line)+"\n")
	return err
}

// WithAttrs returns a handler that adds attrs to every record.
func (h *Warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Warnings{h.w, h.mu, append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)}
}

// WithGroup returns h: its lines do not show groups.
func (h *Warnings) WithGroup(string) slog.Handler { return h }
