package wiki

import (
	"archive/tar"
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/compressed"
	"barka/internal/mediawiki"
	"barka/internal/parquet"
	"barka/internal/wikihtml"
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
				return !slices.Contains([]string{"name", "identifier", "url", "sections", "version", "license"}, n)
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

// structuredRow makes passages of a row of wikimedia/structured-wikipedia: sections of
// paragraphs and lists.
func (d *dumpPages) structuredRow(row map[string]any) (m madePage, ok bool, err error) {
	title := textOf(row["name"])
	if title == "" {
		return m, false, errors.New("no name")
	}
	if !d.takes(title) {
		return m, false, nil
	}
	version, _ := nested(row["version"]).(map[string]any)
	p := page{licence: cmp.Or(licenceOf(nested(row["license"])), d.s.o.Licence)}
	p.Title, p.ID, p.Revision = d.site.Title(title), numberOf(row["identifier"]), numberOf(version["identifier"])
	p.url = mediawiki.PageURL(textOf(row["url"]), title, p.Revision)
	root := &wikitext.Section{Level: 1}
	parts, _ := nested(row["sections"]).([]any)
	for _, part := range parts {
		addPart(root, part, 0)
	}
	p.text = &wikitext.Page{Root: root}
	return d.s.make(p), true, nil
}

// addPart adds a part of a page to a section: text, or a section of its own. The part named
// Abstract is the lead.
func addPart(to *wikitext.Section, part any, depth int) {
	p, _ := nested(part).(map[string]any)
	if p == nil || depth > 20 {
		return
	}
	inner, _ := nested(p["has_parts"]).([]any)
	mark := ""
	switch textOf(p["type"]) {
	case "section":
		if name := strings.TrimSpace(textOf(p["name"])); to.Level > 1 || name != "Abstract" {
			sub := &wikitext.Section{Level: to.Level + 1, Title: name}
			to.Children = append(to.Children, sub)
			to = sub
		}
	case "list_item":
		mark = "- "
	case "infobox", "image", "table_reference":
		return
	}
	if text := strings.TrimSpace(textOf(p["value"])); text != "" {
		switch {
		case to.Text == "":
		case mark != "" && strings.HasPrefix(to.Text[strings.LastIndexByte(to.Text, '\n')+1:], mark):
			to.Text += "\n"
		default:
			to.Text += "\n\n"
		}
		to.Text += mark + text
	}
	for _, c := range inner {
		addPart(to, c, depth+1)
	}
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

// rendered reports whether a path names a dump of rendered pages.
func rendered(path string) bool {
	for _, end := range []string{".ndjson", ".jsonl", ".json", ".ndjson.gz", ".jsonl.gz", ".json.gz", ".tar.gz", ".tgz"} {
		if strings.HasSuffix(path, end) {
			return true
		}
	}
	return false
}

// openRendered opens a dump of Wikimedia Enterprise: JSON lines with a page's HTML, alone or
// several files in a tar archive.
func (d *dumpPages) openRendered(ctx context.Context, path string) (*sequence, error) {
	f, err := badinput.Open(path)
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(badinput.Wrap(err), f.Close())
	}
	name := path
	if strings.HasSuffix(path, ".tgz") {
		name += ".gz"
	}
	z, err := compressed.NewReader(name, bufio.NewReaderSize(f, 1<<20))
	if err != nil {
		return nil, errors.Join(badinput.Errorf("%s: %w", path, err), f.Close())
	}
	var text io.Reader = mediawiki.Bounded(z, info.Size())
	pages := func(yield func(rawPage, error) bool) {
		if !strings.HasSuffix(path, ".tar.gz") && !strings.HasSuffix(path, ".tgz") {
			d.jsonLines(filepath.Base(path), text)(yield)
			return
		}
		for archive := tar.NewReader(text); ; {
			entry, err := archive.Next()
			if errors.Is(err, io.EOF) || ctx.Err() != nil {
				return
			}
			if err != nil {
				yield(rawPage{}, badinput.Errorf("tar archive: %w", err))
				return
			}
			ended := false
			d.jsonLines(entry.Name, archive)(func(p rawPage, err error) bool {
				ended = !yield(p, err) || err != nil
				return !ended
			})
			if ended {
				return
			}
		}
	}
	return &sequence{pages: pages, total: info.Size(), what: "bytes", name: path,
		close:    func() error { return errors.Join(z.Close(), f.Close()) },
		position: func() int64 { n, _ := f.Seek(0, io.SeekCurrent); return n }}, nil
}

// maxJSONLine bounds a page with its HTML, wikitext and metadata.
const maxJSONLine = 256 << 20

func (d *dumpPages) jsonLines(name string, r io.Reader) iter.Seq2[rawPage, error] {
	return func(yield func(rawPage, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(make([]byte, 0, 1<<20), maxJSONLine)
		n := 0
		for lines.Scan() {
			n++
			line := bytes.Clone(bytes.TrimSpace(lines.Bytes()))
			if len(line) == 0 {
				continue
			}
			p := rawPage{name: fmt.Sprintf("line %d of %s", n, name), size: len(line),
				make: func() (madePage, bool, error) { return d.renderedPage(line) }}
			if !yield(p, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(rawPage{}, badinput.Errorf("%s, after line %d: %w", name, n, err))
		}
	}
}

// renderedPage makes passages of a page of Wikimedia Enterprise.
func (d *dumpPages) renderedPage(line []byte) (m madePage, ok bool, err error) {
	var r struct {
		Name       string `json:"name"`
		Identifier int64  `json:"identifier"`
		URL        string `json:"url"`
		Namespace  struct {
			Identifier int `json:"identifier"`
		} `json:"namespace"`
		Version struct {
			Identifier int64 `json:"identifier"`
		} `json:"version"`
		License []any `json:"license"`
		Body    struct {
			HTML     string `json:"html"`
			Wikitext string `json:"wikitext"`
		} `json:"article_body"`
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return m, false, badinput.Errorf("expected a page of Wikimedia Enterprise as JSON: %w", err)
	}
	if r.Name == "" || r.Body.HTML == "" {
		return m, false, badinput.Errorf("no name or no article_body.html; expected a page of Wikimedia Enterprise's HTML dumps")
	}
	if !d.takes(r.Name) {
		return m, false, nil
	}
	p := page{url: mediawiki.PageURL(r.URL, r.Name, r.Version.Identifier), licence: cmp.Or(licenceOf(r.License), d.s.o.Licence)}
	p.ID, p.Title, p.Revision, p.Namespace = r.Identifier, d.site.Title(r.Name), r.Version.Identifier, r.Namespace.Identifier
	if p.Namespace != 0 {
		p.refused = refusal{"not_an_article", fmt.Sprintf("namespace %d", p.Namespace)}
		return d.s.make(p), true, nil
	}
	text, err := wikihtml.Wikitext(r.Body.HTML)
	if err != nil {
		return m, false, err
	}
	p.text = d.text.Parse(r.Name, text)
	return d.s.make(p), true, nil
}
