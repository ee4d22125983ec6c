package dataset

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/jsonl"
	"barka/internal/parquet"
)

// Kind is a kind of rows. Stages read rows by the names of their columns, so
// rows of another kind would come out empty instead of failing.
type Kind struct {
	name string
	// needs is the column that every row of the kind has.
	needs string
	from  string // the stages that write it
}

// The kinds of rows that stages ask for.
var (
	Passages     = Kind{"passages", "text", "wiki writes them"}
	Instructions = Kind{"instructions", "messages", "synth, convert, translate and filter write them"}
)

// recognised names other kinds of rows by a column that identifies them, the
// surest first.
var recognised = []struct{ column, name string }{
	{"messages", Instructions.name},
	{"conversations", "conversations in the ShareGPT spelling"},
	{"full_prompt", "rows of an evaluation"},
	{"gold", "rows of an evaluation"},
	{"gold_index", "rows of an evaluation"},
	{"choices", "questions of a benchmark"},
	{"question", "questions of a benchmark"},
	{"text", Passages.name},
}

// Require returns a badinput error unless the rows at path are of the kind. The
// error names the kind that was found and the kind that is needed. A stage
// calls it before it starts its work. Only the columns of the first file of a
// directory, or the keys of the first line, are checked. An input without rows
// passes.
func Require(path string, k Kind) error {
	columns, err := columnsOf(path)
	if err != nil || columns == nil || slices.Contains(columns, k.needs) {
		return err
	}
	holds := "rows of an unknown kind"
	for _, r := range recognised {
		if slices.Contains(columns, r.column) {
			holds = r.name
			break
		}
	}
	return badinput.Errorf("%s holds %s (columns %s), expected %s: rows with a column %q (%s)",
		path, holds, strings.Join(columns, ", "), k.name, k.needs, k.from)
}

// columnsOf returns the names of the columns of the rows at path; nil if there
// are no rows, or if the first line of a file is not an object, which readers
// report.
func columnsOf(path string) ([]string, error) {
	if isDir(path) || !isRowFile(path) {
		d, err := openDataset(path)
		if err == nil {
			err = d.check()
		}
		if err != nil || len(d.files) == 0 {
			return nil, err
		}
		path = filepath.Join(path, d.files[0].Name)
	}
	if jsonl.Has(path) {
		for line, err := range jsonl.Lines(path) {
			if err != nil {
				return nil, err
			}
			return keysOf(line.Data), nil
		}
		return nil, nil
	}
	f, err := parquet.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var names []string
	for _, c := range f.Columns() {
		names = append(names, c.Name)
	}
	return names, nil
}

// keysOf returns the sorted keys of a JSON object, nil if line is not one.
func keysOf(line []byte) []string {
	var object map[string]json.RawMessage
	if json.Unmarshal(line, &object) != nil || object == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(object))
}
