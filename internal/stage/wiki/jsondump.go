package wiki

import (
	"archive/tar"
	"archive/zip"
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
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"

	"barka/internal/badinput"
	"barka/internal/compressed"
	"barka/internal/mediawiki"
)

// rendered reports whether a path names a dump of Wikimedia Enterprise: JSON lines with a page's
// HTML or its structured contents, alone or several files in an archive.
func rendered(path string) bool {
	for _, end := range []string{".ndjson", ".jsonl", ".json", ".ndjson.gz", ".jsonl.gz", ".json.gz", ".tar.gz", ".tgz", ".zip"} {
		if strings.HasSuffix(path, end) {
			return true
		}
	}
	return false
}

// member is a file of JSON lines, in an archive or alone.
type member struct {
	name string
	io.Reader
}

// openRendered opens such a dump.
func (d *dumpPages) openRendered(ctx context.Context, path string) (*sequence, error) {
	f, err := badinput.Open(path)
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(badinput.Wrap(err), f.Close())
	}
	q := &sequence{total: info.Size(), what: "bytes", name: path, close: f.Close,
		position: func() int64 { n, _ := f.Seek(0, io.SeekCurrent); return n }}
	var members iter.Seq2[member, error]
	if strings.HasSuffix(path, ".zip") {
		counted := &farthest{f: f}
		q.position = counted.at.Load
		archive, err := zip.NewReader(counted, info.Size())
		if err != nil {
			return nil, errors.Join(badinput.Errorf("%s: %w", path, err), f.Close())
		}
		members = zipMembers(archive)
	} else {
		name := path
		if strings.HasSuffix(path, ".tgz") {
			name += ".gz"
		}
		z, err := compressed.NewReader(name, bufio.NewReaderSize(f, 1<<20))
		if err != nil {
			return nil, errors.Join(badinput.Errorf("%s: %w", path, err), f.Close())
		}
		q.close = func() error { return errors.Join(z.Close(), f.Close()) }
		text := mediawiki.Bounded(z, info.Size())
		if strings.HasSuffix(name, ".tar.gz") || strings.HasSuffix(name, ".tgz.gz") {
			members = tarMembers(text)
		} else {
			members = func(yield func(member, error) bool) { yield(member{filepath.Base(path), text}, nil) }
		}
	}
	q.pages = func(yield func(rawPage, error) bool) {
		for m, err := range members {
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				yield(rawPage{}, err)
				return
			}
			for p, err := range d.jsonLines(m.name, m) {
				if !yield(p, err) || err != nil {
					return
				}
			}
		}
	}
	return q, nil
}

func tarMembers(text io.Reader) iter.Seq2[member, error] {
	return func(yield func(member, error) bool) {
		for archive := tar.NewReader(text); ; {
			entry, err := archive.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(member{}, badinput.Errorf("tar archive: %w", err))
				return
			}
			if !yield(member{entry.Name, archive}, nil) {
				return
			}
		}
	}
}

// zipMembers yields the files of JSON lines of a zip archive in order. macOS puts others beside
// them.
func zipMembers(archive *zip.Reader) iter.Seq2[member, error] {
	return func(yield func(member, error) bool) {
		for _, f := range archive.File {
			if f.FileInfo().IsDir() || strings.HasPrefix(path.Base(f.Name), ".") || !rendered(f.Name) {
				continue
			}
			r, err := f.Open()
			if err != nil {
				yield(member{}, badinput.Errorf("zip archive, %s: %w", f.Name, err))
				return
			}
			more := yield(member{f.Name, mediawiki.Bounded(r, int64(f.CompressedSize64))}, nil)
			if r.Close(); !more {
				return
			}
		}
	}
}

// farthest knows the last byte of a file that was read.
type farthest struct {
	f  *os.File
	at atomic.Int64
}

func (r *farthest) ReadAt(p []byte, at int64) (int, error) {
	n, err := r.f.ReadAt(p, at)
	r.at.Store(at + int64(n))
	return n, err
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

// renderedPage makes passages of a page of Wikimedia Enterprise, of its HTML or else of its
// structured contents.
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
		License any `json:"license"`
		Body    struct {
			HTML string `json:"html"`
		} `json:"article_body"`
		Sections any `json:"sections"`
		Tables   any `json:"tables"`
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return m, false, badinput.Errorf("expected a page of Wikimedia Enterprise as JSON: %w", err)
	}
	if r.Name == "" || r.Body.HTML == "" && r.Sections == nil {
		return m, false, badinput.Errorf("expected a page of Wikimedia Enterprise with name, and article_body.html or sections")
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
	body := r.Body.HTML
	if body == "" {
		body = structuredHTML(r.Sections, r.Tables)
	}
	return d.makeHTML(p, body)
}
