// Package mediawiki reads pages from MediaWiki: from XML dumps in any of the
// usual compressions, and from a wiki's Action API.
package mediawiki

import (
	"bufio"
	"compress/bzip2"
	"compress/gzip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"barka/internal/badinput"
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

// maxPage bounds a page's text.
const maxPage = 64 << 20

// OpenDump opens a dump, decompressed by its name: .bz2, .gz, .xz, .zst, else
// as it is.
func OpenDump(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	r := bufio.NewReaderSize(f, 1<<20)
	var z io.Reader = r
	switch {
	case strings.HasSuffix(path, ".bz2"):
		z = bzip2.NewReader(r)
	case strings.HasSuffix(path, ".gz"):
		z, err = gzip.NewReader(r)
	case strings.HasSuffix(path, ".xz"):
		z, err = xz.NewReader(r)
	case strings.HasSuffix(path, ".zst"):
		z, err = zstd.NewReader(r, zstd.WithDecoderMaxMemory(1<<30))
	}
	if err != nil {
		f.Close()
		return nil, badinput.Errorf("dump %s: %w", path, err)
	}
	return &dumpFile{z, f}, nil
}

type dumpFile struct {
	io.Reader
	f *os.File
}

func (d *dumpFile) Close() error { return d.f.Close() }

// Pages yields the pages of a dump: MediaWiki's export format, versions 0.3
// to 0.11, in the encoding that it declares. Of several revisions the last one
// in the file counts. site, if not nil, is filled from the header. An error
// names the byte of the text, in UTF-8, where the trouble lies, and ends the
// sequence.
func Pages(r io.Reader, site *Site) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		if site == nil {
			site = &Site{}
		}
		d := newDecoder(r)
		seen := false
		for {
			tok, err := d.Token()
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
				continue
			}
			switch start.Name.Local {
			case "mediawiki":
				seen = true
			case "siteinfo":
				err = readSite(d, start, site)
			case "page":
				var p Page
				if p, err = readPage(d, start, site); err == nil && !yield(p, nil) {
					return
				}
			default:
				if !seen {
					err = fmt.Errorf("element <%s>: not a MediaWiki dump", start.Name.Local)
					break
				}
				err = d.Skip()
			}
			if err != nil {
				yield(Page{}, dumpError(d, err))
				return
			}
		}
	}
}

func dumpError(d *xml.Decoder, err error) error {
	var syntax *xml.SyntaxError
	switch {
	case errors.As(err, &syntax) && strings.Contains(syntax.Msg, "unexpected EOF"), errors.Is(err, io.ErrUnexpectedEOF):
		return badinput.Errorf("the dump ends at byte %d in the middle of a page; is the download complete? (%w)", d.InputOffset(), err)
	}
	return badinput.Errorf("dump, byte %d: %w", d.InputOffset(), err)
}

func readSite(d *xml.Decoder, start xml.StartElement, site *Site) error {
	var s struct {
		Name       string `xml:"sitename"`
		DB         string `xml:"dbname"`
		Base       string `xml:"base"`
		Case       string `xml:"case"`
		Namespaces []struct {
			Key  int    `xml:"key,attr"`
			Name string `xml:",chardata"`
		} `xml:"namespaces>namespace"`
	}
	if err := d.DecodeElement(&s, &start); err != nil {
		return err
	}
	*site = Site{Name: s.Name, DB: s.DB, Base: s.Base, CaseSensitive: s.Case == "case-sensitive", Namespaces: map[int]string{}}
	for _, n := range s.Namespaces {
		if name := strings.TrimSpace(n.Name); name != "" {
			site.Namespaces[n.Key] = name
		}
	}
	return nil
}

func readPage(d *xml.Decoder, start xml.StartElement, site *Site) (Page, error) {
	var x struct {
		Title    string `xml:"title"`
		NS       *int   `xml:"ns"`
		ID       int64  `xml:"id"`
		Redirect *struct {
			Title string `xml:"title,attr"`
		} `xml:"redirect"`
		Revisions []struct {
			ID        int64  `xml:"id"`
			Timestamp string `xml:"timestamp"`
			Text      string `xml:"text"`
		} `xml:"revision"`
	}
	if err := d.DecodeElement(&x, &start); err != nil {
		return Page{}, err
	}
	p := Page{ID: x.ID, Title: x.Title}
	if x.NS != nil {
		p.Namespace = *x.NS
	} else {
		p.Namespace = site.namespace(x.Title)
	}
	if x.Redirect != nil {
		p.Redirect = x.Redirect.Title
	}
	if x.Title == "" {
		return p, errors.New("a page without a title")
	}
	if n := len(x.Revisions); n > 0 {
		r := x.Revisions[n-1]
		p.Revision, p.Timestamp, p.Text = r.ID, r.Timestamp, r.Text
	}
	if len(p.Text) > maxPage {
		return p, fmt.Errorf("page %q has %d bytes, more than %d", p.Title, len(p.Text), maxPage)
	}
	return p, nil
}
