package wiki

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/mediawiki"
	"barka/internal/parquet"
	"barka/internal/wikitext"
)

// Data that others have made of wikis: tables in parquet, and dumps of rendered pages as JSON
// lines.

// openData opens a file of --data, or the parquet files of a directory.
func (d *dumpPages) openData(ctx context.Context) (*sequence, error) {
	d.begin(&mediawiki.Site{})
	path := d.s.o.dataPath()
	if rendered(path) {
		return d.openRendered(ctx, path)
	}
	files, err := parquetFiles(path)
	if err != nil {
		return nil, err
	}
	q := &sequence{what: "pages", name: path, close: func() error { return nil }}
	read := int64(0)
	q.position = func() int64 { return read }
	for _, file := range files {
		f, err := parquet.Open(file)
		if err != nil {
			return nil, err
		}
		q.total += f.NumRows()
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	q.pages = func(yield func(rawPage, error) bool) {
		for _, file := range files {
			for p, err := range d.table(file) {
				read++
				if !yield(p, err) || err != nil {
					return
				}
			}
		}
	}
	return q, nil
}

// parquetFiles lists the files of a table: a file, or those below a directory in order of
// their names.
func parquetFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(name string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() && strings.HasSuffix(name, ".parquet") {
			files = append(files, name)
		}
		return err
	})
	if err == nil && len(files) == 0 {
		err = badinput.Errorf("%s: no parquet files", path)
	}
	return files, err
}

// table yields the rows of wikimedia/wikipedia or wikimedia/structured-wikipedia, which its
// columns tell apart.
func (d *dumpPages) table(path string) iter.Seq2[rawPage, error] {
	return func(yield func(rawPage, error) bool) {
		f, err := parquet.Open(path)
		if err != nil {
			yield(rawPage{}, err)
			return
		}
		defer f.Close()
		var columns []string
		for _, c := range f.Columns() {
			columns = append(columns, c.Name)
		}
		has := func(names ...string) bool {
			return !slices.ContainsFunc(names, func(n string) bool { return !slices.Contains(columns, n) })
		}
		read := d.plainRow
		switch {
		case has("id", "url", "title", "text"):
			columns = []string{"id", "url", "title", "text"}
		case has("name", "identifier", "url", "sections"):
			read = d.structuredRow
			columns = slices.DeleteFunc(columns, func(n string) bool {
				return !slices.Contains([]string{"name", "identifier", "url", "sections", "tables", "version", "license"}, n)
			})
		default:
			yield(rawPage{}, badinput.Errorf("%s: columns %s, expected id, url, title and text (wikimedia/wikipedia), or name, identifier, url "+
				"and sections (wikimedia/structured-wikipedia)", path, strings.Join(columns, ", ")))
			return
		}
		n := 0
		for row, err := range f.Rows(columns...) {
			n++
			p := rawPage{name: fmt.Sprintf("row %d of %s", n, filepath.Base(path)), size: 20 << 10,
				make: func() (madePage, bool, error) { return read(row) }}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// takes reports whether a page is one of the titles, if there are any.
func (d *dumpPages) takes(title string) bool { return len(d.want) == 0 || d.want[d.site.Title(title)] }

// plainRow makes passages of a row of wikimedia/wikipedia: plain text without headings.
func (d *dumpPages) plainRow(row map[string]any) (m madePage, ok bool, err error) {
	title := textOf(row["title"])
	if title == "" {
		return m, false, errors.New("no title")
	}
	if !d.takes(title) {
		return m, false, nil
	}
	p := page{url: textOf(row["url"]), licence: d.s.o.Licence}
	p.Title, p.ID = d.site.Title(title), numberOf(row["id"])
	p.text = &wikitext.Page{Root: &wikitext.Section{Level: 1, Text: strings.TrimSpace(textOf(row["text"]))}}
	return d.s.make(p), true, nil
}

// nested returns a value that may be stored as a text of JSON.
func nested(v any) any {
	text, ok := v.(string)
	if !ok || !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "[") {
		return v
	}
	var out any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if d.Decode(&out) != nil {
		return v
	}
	return out
}

func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	return ""
}

func numberOf(v any) (n int64) {
	switch v := v.(type) {
	case int64:
		return v
	case float64:
		return int64(v)
	case json.Number:
		n, _ = v.Int64()
	case string:
		_, _ = fmt.Sscan(v, &n)
	}
	return n
}

// licenceOf reads a list of licences, each with a name and an address.
func licenceOf(v any) string {
	list, _ := v.([]any)
	if len(list) == 0 {
		list = []any{v}
	}
	first, _ := nested(list[0]).(map[string]any)
	return strings.TrimSpace(textOf(first["name"]) + " " + textOf(first["url"]))
}
