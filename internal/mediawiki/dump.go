// Package mediawiki reads pages from MediaWiki: from XML dumps in any of the
// usual compressions, and from a wiki's Action API.
package mediawiki

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf8"

	"barka/internal/badinput"
	"barka/internal/compressed"
)

// Page is a page as wikitext, or as the API's plain text.
type Page struct {
	ID        int64
	Namespace int
	Title     string
	Redirect  string // its target, for a redirect
	Revision  int64
	Timestamp string
	Text      string
}

// Site is what a dump says of its wiki.
type Site struct {
	Name string // sitename
	DB   string // dbname
	Base string // address of the main page
	// CaseSensitive: the first letter of a title counts, as in Wiktionary.
	CaseSensitive bool
	// Namespaces are the wiki's own names by their numbers. Their English
	// names are understood beside them everywhere. Further aliases, which some
	// wikis have, are not in a dump.
	Namespaces map[int]string
}

// Numbers of namespaces that are the same in every wiki.
const (
	MediaNamespace    = -2
	FileNamespace     = 6
	CategoryNamespace = 14
)

// Title gives a title the form that pages have: blanks for underscores, and a
// capital first letter unless the wiki is case-sensitive.
func (s *Site) Title(title string) string {
	title = strings.Join(strings.Fields(strings.ReplaceAll(title, "_", " ")), " ")
	if first, size := utf8.DecodeRuneInString(title); size > 0 && !s.CaseSensitive {
		title = string(unicode.ToUpper(first)) + title[size:]
	}
	return title
}

// namespace is the number of a title's namespace, for dumps before version
// 0.6, which do not state it.
func (s *Site) namespace(title string) int {
	prefix, _, ok := strings.Cut(title, ":")
	if !ok {
		return 0
	}
	for key, name := range s.Namespaces {
		if strings.EqualFold(name, strings.ReplaceAll(prefix, "_", " ")) {
			return key
		}
	}
	return 0
}

// OpenDump opens a dump, decompressed by its name: .bz2, .gz, .xz, .zst, else
// as it is. The blocks of a bzip2 file are decompressed on several goroutines.
func OpenDump(path string) (*DumpFile, error) {
	f, err := badinput.Open(path)
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	var z io.ReadCloser
	if strings.HasSuffix(path, ".bz2") {
		z = compressed.NewBzip2File(f, min(runtime.GOMAXPROCS(0), maxBlocks))
	} else if z, err = compressed.NewReader(path, bufio.NewReaderSize(f, 1<<20)); err != nil {
		f.Close()
		return nil, badinput.Errorf("dump %s: %w", path, err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(badinput.Wrap(err), z.Close(), f.Close())
	}
	return &DumpFile{Bounded(z, info.Size()), z, f, info.Size()}, nil
}

// maxBlocks bounds the blocks of a bzip2 file that are in memory at once. A hostile one
// unpacks to 46 MB.
const maxBlocks = 4

// DumpFile is the decompressed content of an open dump.
type DumpFile struct {
	io.Reader
	z    io.ReadCloser
	f    *os.File
	size int64
}

// Size returns the size of the file.
func (d *DumpFile) Size() int64 { return d.size }

// Position returns how many bytes of the file were read.
func (d *DumpFile) Position() int64 {
	n, err := d.f.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0
	}
	return n
}

// Close closes the file.
func (d *DumpFile) Close() error { return errors.Join(d.z.Close(), d.f.Close()) }

// Pages yields the pages of a dump: MediaWiki's export format, versions 0.3
// to 0.11, in the encoding that it declares. Of several revisions the last one
// in the file counts; one is held at a time. site, if not nil, is filled from
// the header. An error names the byte of the text, in UTF-8, where the trouble
// lies, and ends the sequence.
func Pages(r io.Reader, site *Site) iter.Seq2[Page, error] {
	if site == nil {
		site = &Site{}
	}
	return func(yield func(Page, error) bool) {
		(&reader{elements: newElements(r), site: site}).pages(yield)
	}
}

// fragment yields the pages of a part of a dump that begins and ends between elements. The
// root element need not begin or end there.
func fragment(r io.Reader, site *Site) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		d := &reader{elements: &elements{}, site: site, part: true, seen: true, between: true}
		d.use(newWindow(r))
		d.pages(yield)
	}
}

// reader reads the elements of a dump below the root.
type reader struct {
	*elements
	site *Site
	part bool // of a dump
	slow bool // leave all pages to encoding/xml, to compare with it
	// seen and open are about the root element.
	seen, open bool
	// between: the last token was a tag, so that encoding/xml has read no byte after it.
	between bool
}

func (d *reader) pages(yield func(Page, error) bool) {
	fail := func(err error) { yield(Page{}, d.failure(err)) }
	for {
		if more, err := d.scan(yield); err != nil {
			fail(err)
			return
		} else if !more {
			return
		}
		tok, err := d.token()
		if errors.Is(err, io.EOF) {
			if !d.seen {
				yield(Page{}, badinput.Errorf("no <mediawiki> element: not a MediaWiki dump"))
			}
			return
		}
		if err != nil {
			fail(err)
			return
		}
		if start, ok := tok.(xml.StartElement); ok {
			var p Page
			page, err := d.element(start, &p)
			if err != nil {
				fail(err)
				return
			}
			if page && !yield(p, nil) {
				return
			}
			d.between = true
		} else {
			_, d.between = tok.(xml.EndElement)
			d.open = d.open && !d.between
		}
	}
}

// scan yields the pages that follow and can be scanned in place. It returns false at the
// end of a part, or if yield does.
func (d *reader) scan(yield func(Page, error) bool) (more bool, err error) {
	for d.between && d.seen && !d.slow {
		w := d.in.r
		if err := w.skipSpace(maxMarkup); err != nil {
			if w.err == nil {
				return false, err // too much of it
			}
			return !(d.part && w.ended()), nil
		}
		_ = w.atLeast(len(rootEnd))
		if d.part && !d.open && bytes.HasPrefix(w.rest(), rootEnd) {
			w.take(len(rootEnd))
			continue
		}
		if !bytes.HasPrefix(w.rest(), pageStart) {
			return true, nil
		}
		p, ok := scanPage(w, d.site)
		if !ok {
			return true, nil
		}
		if !yield(p, nil) {
			return false, nil
		}
	}
	return true, nil
}

// element reads an element below the root, or the beginning of the root. It reports whether
// it was a page.
func (d *reader) element(start xml.StartElement, p *Page) (page bool, err error) {
	switch start.Name.Local {
	case "mediawiki":
		if d.open {
			err = errors.New("<mediawiki> within <mediawiki>")
		}
		d.seen, d.open = true, true
	case "siteinfo":
		err = readSite(d.elements, d.site)
	case "page":
		*p, err = readPage(d.elements, d.site)
		return true, err
	default:
		if !d.seen {
			return false, fmt.Errorf("element <%s>: not a MediaWiki dump", start.Name.Local)
		}
		err = d.skip()
	}
	return false, err
}

// failure adds the place in the text, which is unpacked, to an error.
func (d *reader) failure(err error) error {
	what := "dump"
	if d.part {
		what = "stream"
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return badinput.Errorf("the %s ends at byte %d of its text in the middle of a page; is the download complete? (%w)",
			what, d.offset(), err)
	}
	return badinput.Errorf("%s, byte %d of the text: %w", what, d.offset(), err)
}

func readSite(d *elements, site *Site) error {
	*site = Site{Namespaces: map[int]string{}}
	return d.children(func(start xml.StartElement) (err error) {
		switch start.Name.Local {
		case "sitename":
			site.Name, err = d.text(maxMarkup)
		case "dbname":
			site.DB, err = d.text(maxMarkup)
		case "base":
			site.Base, err = d.text(maxMarkup)
		case "case":
			var letters string
			letters, err = d.text(maxMarkup)
			site.CaseSensitive = letters == "case-sensitive"
		case "namespaces":
			err = readNamespaces(d, site)
		default:
			err = d.skip()
		}
		return err
	})
}

func readNamespaces(d *elements, site *Site) error {
	return d.children(func(start xml.StartElement) error {
		if start.Name.Local != "namespace" {
			return d.skip()
		}
		key, err := number(attribute(start, "key"))
		if err != nil {
			return err
		}
		name, err := d.text(maxName)
		if name = strings.TrimSpace(name); err == nil && name != "" {
			site.Namespaces[int(key)] = name
		}
		if len(site.Namespaces) > maxNamespaces {
			return fmt.Errorf("more than %d namespaces; the wikis of Wikimedia have 50", maxNamespaces)
		}
		return err
	})
}

func readPage(d *elements, site *Site) (Page, error) {
	var p Page
	stated := false // the namespace
	err := d.children(func(start xml.StartElement) (err error) {
		switch start.Name.Local {
		case "title":
			p.Title, err = d.text(maxMarkup)
		case "ns":
			var n int64
			n, err = d.number()
			p.Namespace, stated = int(n), true
		case "id":
			p.ID, err = d.number()
		case "redirect":
			p.Redirect = attribute(start, "title")
			err = d.skip()
		case "revision":
			p.Revision, p.Timestamp, p.Text = 0, "", ""
			err = readRevision(d, &p)
		default:
			err = d.skip()
		}
		return err
	})
	switch {
	case err == nil && p.Title == "":
		err = errors.New("a page without a title")
	case err != nil && p.Title != "":
		err = fmt.Errorf("page %.200q: %w", p.Title, err)
	}
	if !stated {
		p.Namespace = site.namespace(p.Title)
	}
	return p, err
}

func readRevision(d *elements, p *Page) error {
	return d.children(func(start xml.StartElement) (err error) {
		switch start.Name.Local {
		case "id":
			p.Revision, err = d.number()
		case "timestamp":
			p.Timestamp, err = d.text(maxMarkup)
		case "text":
			p.Text, err = d.text(maxText)
		default:
			err = d.skip()
		}
		return err
	})
}
