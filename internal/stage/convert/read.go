package convert

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/jsonl"
	"barka/internal/jsonstream"
	"barka/internal/lines"
	"barka/internal/parquet"
)

// splitWords are the names that splits go by in files and directories.
var splitWords = map[string][]string{
	"train": {"train"}, "validation": {"validation", "valid", "val", "dev"}, "test": {"test", "tests"},
}

// find lists the files to read, in order: path itself, or those below it that
// belong to the split and, where the benchmark has several configurations, to
// the preferred one.
func find(path string, b benchmark, split string) ([]string, error) {
	if path == "" {
		return nil, badinput.Errorf("convert: no data named")
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	if m, err := dataset.ManifestIfAny(path); err != nil {
		return nil, err
	} else if m != nil {
		return nil, badinput.Errorf("%s is a dataset that %s wrote; convert reads the files of a benchmark or of an "+
			"instruction set", path, m.Stage)
	}
	if !info.IsDir() {
		if format(path, b) == "" {
			return nil, badinput.Errorf("%s: a .parquet, .jsonl, .jsonl.gz, .jsonl.zst, .json, .csv or .zip file is expected", path)
		}
		return []string{path}, nil
	}
	var there []string // relative to path
	err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		name := d.Name()
		if err != nil || p != path && (strings.HasPrefix(name, ".") || name == "__MACOSX") {
			if d != nil && d.IsDir() && err == nil {
				return fs.SkipDir
			}
			return err
		}
		rel, err := filepath.Rel(path, p)
		switch {
		case err != nil || d.IsDir() || format(name, b) == "":
			return err
		default:
			there = append(there, rel)
		}
		return nil
	})
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	files := choose(there, b, split)
	if len(files) == 0 {
		return nil, badinput.Errorf("%s: no file of the split %s (a name with %s in it); files there: %s",
			path, split, strings.Join(splitWords[split], ", "), shorten(there))
	}
	for i, f := range files {
		files[i] = filepath.Join(path, f)
	}
	return files, nil
}

// format is how a file is read, by its name; "" if it is not.
func format(name string, b benchmark) string {
	switch lower := strings.ToLower(name); {
	case strings.HasSuffix(lower, ".parquet"):
		return "parquet"
	case jsonl.Has(name):
		return "lines"
	case strings.HasSuffix(lower, ".csv"):
		return "csv"
	case strings.HasSuffix(lower, ".json"), b.text && strings.HasSuffix(lower, ".txt"):
		return "json"
	}
	return ""
}

// inSplit looks for the names of splits among the words of a path: the last
// part that names exactly one split decides, since archives are called
// train-dev.
// splitIn is the split that a path names, "" if it names none.
func splitIn(rel string) string {
	parts := strings.Split(filepath.ToSlash(rel), "/")
	for _, part := range slices.Backward(parts) {
		if split := splitOf(part); split != "" {
			return split
		}
	}
	return ""
}

// splitOf is the only split that the words of a name name.
func splitOf(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return !(r >= 'a' && r <= 'z') })
	var named []string
	for split, names := range splitWords {
		if slices.ContainsFunc(names, func(n string) bool { return slices.Contains(words, n) }) {
			named = append(named, split)
		}
	}
	if len(named) == 1 {
		return named[0]
	}
	return ""
}

// choose returns the files of a split among the names of a directory, in order. Where no
// name says a split, all files are the training split.
func choose(there []string, b benchmark, split string) []string {
	var files []string
	named := false
	for _, f := range there {
		if format(f, b) == "" {
			continue
		}
		of := splitIn(f)
		named = named || of != ""
		if of == split {
			files = append(files, f)
		}
	}
	if !named && split == "train" {
		for _, f := range there {
			if format(f, b) != "" {
				files = append(files, f)
			}
		}
	}
	return preferred(files, b)
}

// preferred keeps the files of the first configuration that is there, and of
// the best format where several hold the same.
func preferred(files []string, b benchmark) []string {
	keep := func(is func(string) bool) bool {
		var kept []string
		for _, f := range files {
			if is(f) {
				kept = append(kept, f)
			}
		}
		if len(kept) > 0 {
			files = kept
		}
		return len(kept) > 0
	}
	for _, config := range b.configs {
		if keep(func(f string) bool { return inConfig(f, config) }) {
			break
		}
	}
	for _, kind := range []string{"parquet", "lines", "json", "csv"} {
		if keep(func(f string) bool { return format(f, b) == kind }) {
			break
		}
	}
	slices.Sort(files)
	return files
}

// inConfig reports whether a path is in the directory of a configuration, or is a file whose
// name begins with the configuration's.
func inConfig(rel, config string) bool {
	parts := strings.Split(filepath.ToSlash(rel), "/")
	base := strings.ToLower(parts[len(parts)-1])
	return slices.ContainsFunc(parts[:len(parts)-1], func(dir string) bool { return strings.EqualFold(dir, config) }) ||
		strings.HasPrefix(base, strings.ToLower(config)+"_") || strings.HasPrefix(base, strings.ToLower(config)+"-")
}

func shorten(files []string) string {
	switch n := len(files); {
	case n == 0:
		return "none"
	case n > 8:
		return strings.Join(files[:8], ", ") + fmt.Sprintf(" and %d more", n-8)
	}
	return strings.Join(files, ", ")
}

// withLabels adds the file of labels to the inputs: NAME-labels.lst beside
// NAME.jsonl, as PIQA's archive has it.
func withLabels(in map[string]string, b benchmark, files []string) (map[string]string, error) {
	in = maps.Clone(in)
	if in["labels"] != "" && !b.labels {
		return nil, badinput.Errorf("convert: this benchmark has its labels in its rows; leave labels out")
	}
	if !b.labels || in["labels"] != "" || len(files) != 1 {
		return in, nil
	}
	base, ok := strings.CutSuffix(files[0], ".jsonl")
	if beside := base + "-labels.lst"; ok {
		there, err := badinput.Exists(beside)
		if err != nil {
			return nil, badinput.Wrap(err)
		}
		if there {
			in["labels"] = beside
		}
	}
	return in, nil
}

// readLabels reads a label a line; nil without a path.
func readLabels(path string) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	data, err := badinput.ReadFile(path, badinput.MaxSettings)
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	labels := strings.Fields(string(data))
	for i, l := range labels {
		if _, err := strconv.Atoi(l); err != nil {
			return nil, badinput.Errorf("%s: label %d is %q, expected a number", path, i+1, l)
		}
	}
	if len(labels) == 0 {
		return nil, badinput.Errorf("%s: no labels", path)
	}
	return labels, nil
}

// read yields a file's rows. It ends at the first error.
func read(path string, b benchmark) iter.Seq2[*row, error] {
	return func(yield func(*row, error) bool) {
		switch format(path, b) {
		case "parquet":
			f, err := parquet.Open(path)
			if err != nil {
				yield(nil, err)
				return
			}
			defer f.Close()
			n := 0
			for fields, err := range f.Rows() {
				n++
				if !yield(&row{fields: fields, where: fmt.Sprintf("%s: row %d", path, n)}, err) || err != nil {
					return
				}
			}
		case "lines":
			for line, err := range jsonl.Lines(path) {
				r := &row{where: fmt.Sprintf("%s:%d", path, line.Number)}
				if err == nil {
					r.fields, err = object(line.Data, r.where)
				}
				if !yield(r, err) || err != nil {
					return
				}
			}
		case "csv":
			readCSV(path, yield)
		default:
			readJSON(path, yield)
		}
	}
}

func object(data []byte, where string) (map[string]any, error) {
	var m map[string]any
	if err := jsonl.Unmarshal(data, &m); err != nil {
		return nil, badinput.Errorf("%s: a JSON object is expected: %w", where, err)
	}
	if m == nil {
		return nil, badinput.Errorf("%s: a JSON object is expected, found null", where)
	}
	return m, nil
}

// maxJSON is the size in bytes up to which a file of JSON that is no JSONL is
// read; benchmarks' training sets have some tens of megabytes.
const maxJSON = 256 << 20

// readJSON reads a file of one object, or of an array of them.
func readJSON(path string, yield func(*row, error) bool) {
	data, err := badinput.ReadFile(path, maxJSON)
	if err != nil {
		yield(nil, badinput.Wrap(err))
		return
	}
	if err := lines.Check(path, data); err != nil {
		yield(nil, err)
		return
	}
	data = bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	if !bytes.HasPrefix(data, []byte("[")) {
		fields, err := object(data, path)
		yield(&row{fields: fields, where: path}, err)
		return
	}
	d := jsonstream.NewDecoder(bytes.NewReader(data))
	d.Piece(lines.Max)
	if _, err := d.Token(); err != nil {
		yield(nil, badinput.Errorf("%s: %w", path, err))
		return
	}
	n := 0
	for d.More() {
		d.Piece(lines.Max)
		n++
		r := &row{where: fmt.Sprintf("%s: element %d", path, n)}
		var raw json.RawMessage
		err := d.Decode(&raw)
		if err == nil {
			r.fields, err = object(raw, r.where)
		} else {
			err = badinput.Errorf("%s: %w", r.where, err)
		}
		if !yield(r, err) || err != nil {
			return
		}
	}
	if _, err := d.Token(); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		yield(nil, badinput.Errorf("%s: after element %d: %w", path, n, err))
	}
}

// Bounds of a table. A record of nothing but empty fields takes the parser some ten
// times its size.
const (
	maxRecord  = 4 << 20 // bytes
	maxColumns = 1000
)

// readCSV reads a table of texts whose first line names the columns.
func readCSV(path string, yield func(*row, error) bool) {
	f, err := badinput.Open(path)
	if err != nil {
		yield(nil, badinput.Wrap(err))
		return
	}
	defer f.Close()
	in := badinput.NewMeter(f, "a record of the table")
	r := csv.NewReader(in)
	var names []string
	for {
		in.Piece(maxRecord)
		values, err := r.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			yield(nil, badinput.Errorf("%s: %w", path, err))
			return
		}
		if names == nil {
			if len(values) > maxColumns {
				yield(nil, badinput.Errorf("%s: %d columns, expected at most %d; is this a table of another kind?", path, len(values), maxColumns))
				return
			}
			values[0] = strings.TrimPrefix(values[0], "\ufeff")
			names = slices.Clone(values)
			continue
		}
		line, _ := r.FieldPos(0)
		fields := map[string]any{}
		for i, v := range values {
			fields[names[i]] = v
		}
		if !yield(&row{fields: fields, where: fmt.Sprintf("%s:%d", path, line)}, nil) {
			return
		}
	}
}
