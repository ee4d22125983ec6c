// Package look reads rows of any kind as people look at them, selects some, and writes
// them for a terminal.
package look

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/jsonl"
)

// Row is a row with its columns, whatever they are.
type Row struct {
	Number  int64 // its place among the rows that were read, from 1
	Columns map[string]any
}

// Rows reads the rows at path: a dataset directory or a subdirectory of one, a Parquet
// file, a file of JSON lines, or what an unfinished run has done so far. Numbers of JSON lines keep all their digits.
func Rows(ctx context.Context, path string) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		var n int64
		for columns, err := range columnsOf(ctx, path) {
			n++
			if err == nil {
				err = ctx.Err()
			}
			if !yield(Row{n, unpacked(columns)}, err) || err != nil {
				return
			}
		}
	}
}

func columnsOf(ctx context.Context, path string) iter.Seq2[map[string]any, error] {
	if u, rejected, err := Unfinished(path); u != nil || err != nil {
		return unfinished(u, rejected, err)
	}
	if info, err := os.Stat(path); err != nil || info.IsDir() || !jsonl.Has(path) {
		return dataset.Rows[map[string]any](ctx, path)
	}
	return func(yield func(map[string]any, error) bool) {
		for line, err := range jsonl.Lines(path) {
			var columns map[string]any
			if err == nil {
				if columns, err = jsonl.Object(line.Data); err != nil {
					err = line.Errorf("%w", err)
				}
			}
			if !yield(columns, err) || err != nil {
				return
			}
		}
	}
}

// Unfinished opens the unfinished run at path. rejected is set if path is the place of its rejected
// rows. The run is nil if path is none.
func Unfinished(path string) (u *durable.Unfinished, rejected bool, err error) {
	path = filepath.Clean(path)
	if rejected = filepath.Base(path) == dataset.RejectedDir; rejected {
		path = filepath.Dir(path)
	}
	u, _, err = durable.OpenUnfinished(path)
	return u, rejected, err
}

// unfinished returns the rows of an unfinished run, or its rejected rows with their reasons.
func unfinished(u *durable.Unfinished, rejected bool, failed error) iter.Seq2[map[string]any, error] {
	return func(yield func(map[string]any, error) bool) {
		if failed != nil {
			yield(nil, failed)
			return
		}
		for r, err := range u.Rows() {
			if err == nil && (r.Reject != nil) != rejected {
				continue
			}
			var columns map[string]any
			if err == nil {
				columns, err = jsonl.Object(r.JSON)
			}
			if err == nil && rejected {
				columns["reason"], columns["detail"] = r.Reject.Reason, r.Reject.Detail
			}
			if !yield(columns, err) || err != nil {
				return
			}
		}
	}
}

// unpacked returns the columns of a rejected row that is stored as JSON.
func unpacked(columns map[string]any) map[string]any {
	text, ok := columns["row"].(string)
	if !ok || len(columns) != 3 {
		return columns
	}
	row, err := jsonl.Object([]byte(text))
	if err != nil {
		return columns
	}
	row["reason"], row["detail"] = columns["reason"], columns["detail"]
	return row
}

// Text returns a column of text, "" if there is none.
func (r Row) Text(name string) string {
	s, _ := r.Columns[name].(string)
	return s
}

// ID returns the row's id, "" if it has none.
func (r Row) ID() string {
	switch id := r.Columns["id"].(type) {
	case nil:
		return ""
	case string:
		return id
	default:
		return fmt.Sprint(id)
	}
}

// Messages returns the row's conversation, from the column messages or, in the ShareGPT
// spelling, conversations.
func (r Row) Messages() []chat.Message {
	if m := Messages(r.Columns["messages"]); len(m) > 0 {
		return m
	}
	m := messages(r.Columns["conversations"], "from", "value")
	for i := range m {
		switch m[i].Role {
		case "human":
			m[i].Role = "user"
		case "gpt":
			m[i].Role = "assistant"
		}
	}
	return m
}

// Source returns the messages from which those of the row were translated.
func (r Row) Source() []chat.Message { return Messages(r.Columns["messages_en"]) }

// Messages reads a column as a conversation. It returns nil if the column is none.
func Messages(v any) []chat.Message { return messages(v, "role", "content") }

func messages(v any, role, content string) (all []chat.Message) {
	list, _ := v.([]any)
	for _, e := range list {
		m, ok := e.(map[string]any)
		if !ok {
			return nil
		}
		from, okRole := m[role].(string)
		text, okText := m[content].(string)
		if !okRole || !okText {
			return nil
		}
		all = append(all, chat.Message{Role: from, Content: text})
	}
	return all
}

// Flags counts the flags of the row's translated segments, and returns the mean of their
// scores.
func (r Row) Flags() (flags map[string]int, score float64, segments int) {
	flags = map[string]int{}
	list, _ := r.Columns["segments"].([]any)
	for _, e := range list {
		m, _ := e.(map[string]any)
		names, _ := m["flags"].([]any)
		for _, name := range names {
			flags[fmt.Sprint(name)]++
		}
		score += number(m["score"])
	}
	if n := len(list); n > 0 {
		score /= float64(n)
	}
	return flags, score, len(list)
}

func number(v any) float64 {
	switch v := v.(type) {
	case float32:
		return float64(v)
	case float64:
		return v
	case json.Number:
		f, _ := v.Float64()
		return f
	}
	return 0
}

// Empty reports whether a value is the zero value of its column. JSON lines leave some of
// those out.
func Empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case bool:
		return !v
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return fmt.Sprint(v) == "0"
}

// Part is rows of a dataset directory: its own ("") or those of a subdirectory.
type Part struct {
	Name string
	Rows int64
}

// Parts lists the rows that a dataset directory has, its own first and the rejected ones
// last.
func Parts(m *dataset.Manifest) []Part {
	rows := map[string]int64{"": 0}
	for _, f := range m.Files {
		if dir, name, ok := strings.Cut(f.Name, "/"); ok && strings.HasSuffix(name, ".parquet") {
			rows[dir] += f.Rows
		} else if strings.HasSuffix(f.Name, ".parquet") {
			rows[""] += f.Rows
		}
	}
	var parts []Part
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		if name != dataset.RejectedDir {
			parts = append(parts, Part{name, rows[name]})
		}
	}
	if n, ok := rows[dataset.RejectedDir]; ok {
		parts = append(parts, Part{dataset.RejectedDir, n})
	}
	return parts
}

// Set is a dataset directory in a directory of a run.
type Set struct {
	Dir      string // below the run
	Manifest *dataset.Manifest
}

// Sets lists the dataset directories that lie directly in dir, in order of their names.
func Sets(dir string) (sets []Set, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	for _, e := range entries {
		m, err := dataset.ReadManifest(filepath.Join(dir, e.Name()))
		if err == nil {
			sets = append(sets, Set{e.Name(), m})
		} else if dataset.HasManifest(filepath.Join(dir, e.Name())) && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return sets, nil
}
