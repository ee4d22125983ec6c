// Package mediawiki reads pages from MediaWiki: from XML dumps in any of the
// usual compressions, and from a wiki's Action API.
package mediawiki

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
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
// as it is.
func OpenDump(path string) (io.ReadCloser, error) {
	f, err := badinput.Open(path)
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	z, err := compressed.NewReader(path, bufio.NewReaderSize(f, 1<<20))
	if err != nil {
		f.Close()
		return nil, badinput.Errorf("dump %s: %w", path, err)
	}
	return &dumpFile{z, f}, nil
}

type dumpFile struct {
	io.ReadCloser
	f *os.File
}

func (d *dumpFile) Close() error { return errors.Join(d.ReadCloser.Close(), d.f.Close()) }

// Pages yields the pages of a dump: MediaWiki's export format, versions 0.3
// to 0.11, in the encoding that it declares. Of several revisions the last one
// in the file counts; one is held at a time. site, if not nil, is filled from
// the header. An error names the byte of the text, in UTF-8, where the trouble
// lies, and ends the sequence.
func Pages(r io.Reader, site *Site) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		if site == nil {
			site = &Site{}
		}
		d := newElements(r)
		seen, open := false, false // the root element
		for {
			tok, err := d.token()
			if errors.Is(err, io.EOF) {
				if !seen {
					yield(Page{}, badinput.Errorf("no <mediawiki> element: not a MediaWiki dump"))
				}
				return
			}
			if err != nil {
				yield(Page{}, dumpError(d, err))
				return
			}
			start, ok := tok.(xml.StartElement)
			if !ok {
				if _, ended := tok.(xml.EndElement); ended {
					open = false
				}
				continue
			}
			switch start.Name.Local {
			case "mediawiki":
				if open {
					err = errors.New("<mediawiki> within <mediawiki>")
				}
				seen, open = true, true
			case "siteinfo":
				err = readSite(d, site)
			case "page":
				var p Page
				if p, err = readPage(d, site); err == nil && !yield(p, nil) {
					return
				}
			default:
				if !seen {
					err = fmt.Errorf("element <%s>: not a MediaWiki dump", start.Name.Local)
					break
				}
				err = d.skip()
			}
			if err != nil {
				yield(Page{}, dumpError(d, err))
				return
			}
		}
	}
}

func dumpError(d *elements, err error) error {
	var syntax *xml.SyntaxError
	switch {
	case errors.As(err, &syntax) && strings.Contains(syntax.Msg, "unexpected EOF"), errors.Is(err, io.ErrUnexpectedEOF):
		return badinput.Errorf("the dump ends at byte %d in the middle of a page; is the download complete? (%w)", d.offset(), err)
	}
	return badinput.Errorf("dump, byte %d: %w", d.offset(), err)
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
