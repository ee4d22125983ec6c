package mediawiki

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A scanner of pages, because encoding/xml reads a ninth as fast (100 against 950 MB/s on one
// core, an EPYC) and allocates for every tag. No Go library was found that reads XML several
// times faster and refuses what encoding/xml refuses.
// The scanner knows only the XML that MediaWiki writes: elements, attributes and the
// predefined entities. Where a page has anything else (a comment, CDATA, a carriage return,
// a character that XML forbids, a tag that does not match), it gives up, and encoding/xml
// reads that page or says what is wrong with it. So it decides nothing about errors.

// scanBytes bounds the pages that are scanned in place. Longer ones, such as those of a dump
// with all revisions, are read by encoding/xml, which holds one revision at a time.
const scanBytes = 4 << 20

var (
	pageStart = []byte("<page>")
	pageEnd   = []byte("</page>")
	rootEnd   = []byte("</mediawiki>")
)

// scanPage reads the page that the window begins with and takes it. It returns false, and
// takes nothing, if encoding/xml must read it.
func scanPage(w *window, site *Site) (p Page, ok bool) {
	from := 0
	for {
		// Text has no "<", so that this is the page's end, unless there is CDATA, which is refused below.
		if i := bytes.Index(w.rest()[from:], pageEnd); i >= 0 {
			n := from + i + len(pageEnd)
			s := scanner{text: w.rest()[:n]}
			p, ok = s.page(site)
			if ok {
				w.take(n)
			}
			return p, ok
		}
		from = max(0, len(w.rest())-len(pageEnd)+1)
		if from > scanBytes || w.more() != nil {
			return p, false
		}
	}
}

// scanner reads one page.
type scanner struct {
	text []byte
	at   int
	long int // bytes of <text>, which may be longer than everything else
}

// tag is a start or end tag. Names and attributes are parts of the text.
type tag struct {
	name       []byte
	attributes []byte
	end        bool // </name>
	empty      bool // <name/>
}

// next reads a tag, before which only white space may stand.
func (s *scanner) next() (t tag, ok bool) {
	for s.at < len(s.text) && isSpace(s.text[s.at]) {
		s.at++
	}
	if s.at+2 >= len(s.text) || s.text[s.at] != '<' {
		return t, false
	}
	s.at++
	if t.end = s.text[s.at] == '/'; t.end {
		s.at++
	}
	t.name = s.name()
	if len(t.name) == 0 || s.at == len(s.text) {
		return t, false
	}
	if s.text[s.at] == '>' {
		s.at++
		return t, true
	}
	if t.end {
		return t, false
	}
	return t, s.attributes(&t)
}

// name reads letters, and digits after the first.
func (s *scanner) name() []byte {
	start := s.at
	for s.at < len(s.text) && (isLetter(s.text[s.at]) || '0' <= s.text[s.at] && s.text[s.at] <= '9' && s.at > start) {
		s.at++
	}
	return s.text[start:s.at]
}

// attributes reads to the end of a start tag.
func (s *scanner) attributes(t *tag) bool {
	start := s.at
	for {
		space := s.at
		for s.at < len(s.text) && s.text[s.at] == ' ' {
			s.at++
		}
		if s.at+1 >= len(s.text) {
			return false
		}
		switch c := s.text[s.at]; {
		case c == '>':
			t.attributes = s.text[start:s.at]
			s.at++
			return true
		case c == '/' && s.text[s.at+1] == '>':
			t.attributes, t.empty = s.text[start:s.at], true
			s.at += 2
			return true
		case s.at == space || !s.attribute():
			return false
		}
	}
}

// space is the one attribute with a prefix that MediaWiki writes.
var space = []byte("xml:space")

// attribute reads name="value".
func (s *scanner) attribute() bool {
	if bytes.HasPrefix(s.text[s.at:], space) {
		s.at += len(space)
	} else if len(s.name()) == 0 {
		return false
	}
	if s.at+2 > len(s.text) || s.text[s.at] != '=' || s.text[s.at+1] != '"' {
		return false
	}
	s.at += 2
	n := bytes.IndexByte(s.text[s.at:], '"')
	if n < 0 || bytes.IndexByte(s.text[s.at:s.at+n], '<') >= 0 {
		return false
	}
	_, ok := check(s.text[s.at : s.at+n])
	s.at += n + 1
	return ok
}

// value returns an attribute of a tag.
func (t tag) value(name string) (value string, ok bool) {
	i := bytes.Index(t.attributes, []byte(" "+name+`="`))
	if i < 0 {
		return "", true
	}
	raw := t.attributes[i+len(name)+3:]
	return unescape(raw[:bytes.IndexByte(raw, '"')])
}

// content returns the raw text up to the end tag of an element that holds text alone, and
// takes that tag.
func (s *scanner) content(t tag) (raw []byte, ok bool) {
	if t.empty {
		return nil, true
	}
	n := bytes.IndexByte(s.text[s.at:], '<')
	if n < 0 {
		return nil, false
	}
	raw = s.text[s.at : s.at+n]
	s.at += n
	end, ok := s.next()
	return raw, ok && end.end && bytes.Equal(end.name, t.name)
}

// string returns the text of an element.
func (s *scanner) string(t tag) (string, bool) {
	raw, ok := s.content(t)
	if !ok {
		return "", false
	}
	return unescape(raw)
}

func (s *scanner) number(t tag) (int64, bool) {
	raw, ok := s.content(t)
	if !ok || len(raw) == 0 || len(raw) > 18 {
		return 0, ok && len(raw) == 0
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	return n, err == nil && raw[0] != '+'
}

// skip reads to the end of an element, which has no text that XML forbids.
func (s *scanner) skip(t tag) bool {
	if t.empty {
		return true
	}
	open := [][]byte{t.name}
	for len(open) > 0 {
		n := bytes.IndexByte(s.text[s.at:], '<')
		if n < 0 {
			return false
		}
		if _, ok := check(s.text[s.at : s.at+n]); !ok {
			return false
		}
		s.at += n
		inner, ok := s.next()
		switch {
		case !ok || len(open) >= maxDepth:
			return false
		case inner.end && !bytes.Equal(inner.name, open[len(open)-1]):
			return false
		case inner.end:
			open = open[:len(open)-1]
		case !inner.empty:
			open = append(open, inner.name)
		}
	}
	return true
}

func (s *scanner) page(site *Site) (p Page, ok bool) {
	if start, ok := s.next(); !ok || start.end || string(start.name) != "page" {
		return p, false
	}
	stated := false // the namespace
	for {
		t, ok := s.next()
		if !ok {
			return p, false
		}
		if t.end {
			if !stated {
				p.Namespace = site.namespace(p.Title)
			}
			return p, string(t.name) == "page" && p.Title != "" && s.at == len(s.text) && s.at-s.long <= maxMarkup
		}
		var n int64
		switch string(t.name) {
		case "title":
			p.Title, ok = s.string(t)
		case "ns":
			n, ok = s.number(t)
			p.Namespace, stated = int(n), true
		case "id":
			p.ID, ok = s.number(t)
		case "redirect":
			if p.Redirect, ok = t.value("title"); ok {
				ok = s.skip(t)
			}
		case "revision":
			p.Revision, p.Timestamp, p.Text = 0, "", ""
			ok = t.empty || s.revision(&p)
		default:
			ok = s.skip(t)
		}
		if !ok {
			return p, false
		}
	}
}

func (s *scanner) revision(p *Page) bool {
	for {
		t, ok := s.next()
		if !ok {
			return false
		}
		if t.end {
			return string(t.name) == "revision"
		}
		switch string(t.name) {
		case "id":
			p.Revision, ok = s.number(t)
		case "timestamp":
			p.Timestamp, ok = s.string(t)
		case "text":
			start := s.at
			p.Text, ok = s.string(t)
			s.long += s.at - start
		default:
			ok = s.skip(t)
		}
		if !ok {
			return false
		}
	}
}

func isSpace(c byte) bool  { return c == ' ' || c == '\n' || c == '\t' }
func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// special marks the bytes of text that need a look: & and >, the controls that XML forbids
// or changes, and 0xEF, with which the forbidden U+FFFE and U+FFFF begin.
var special = func() (t [256]bool) {
	for c := range 0x20 {
		t[c] = c != '\t' && c != '\n'
	}
	t['&'], t['>'], t[0xef] = true, true, true
	return t
}()

// entities are the predefined ones, by what follows the ampersand.
var entities = []struct {
	name string
	char byte
}{{"lt;", '<'}, {"gt;", '>'}, {"amp;", '&'}, {"quot;", '"'}, {"apos;", '\''}}

// check counts the entities of a text. It returns false for a text that encoding/xml must
// read.
func check(raw []byte) (n int, ok bool) {
	if !utf8.Valid(raw) {
		return 0, false
	}
	for i, c := range raw {
		if !special[c] {
			continue
		}
		switch {
		case c == '&':
			if _, size := entity(raw[i+1:]); size == 0 {
				return 0, false
			}
			n++
		case c == '>' && (i < 2 || raw[i-1] != ']' || raw[i-2] != ']'):
		case c == 0xef && (raw[i+1] != 0xbf || raw[i+2] < 0xbe):
		default:
			return 0, false
		}
	}
	return n, true
}

// unescape replaces the entities of a text. It returns false for a text that encoding/xml
// must read.
func unescape(raw []byte) (string, bool) {
	n, ok := check(raw)
	if n == 0 || !ok {
		return string(raw), ok
	}
	var out strings.Builder
	out.Grow(len(raw) - 3*n)
	for {
		i := bytes.IndexByte(raw, '&')
		if i < 0 {
			out.Write(raw)
			return out.String(), true
		}
		char, size := entity(raw[i+1:])
		out.Write(raw[:i])
		out.WriteByte(char)
		raw = raw[i+1+size:]
	}
}

// entity returns the character of the entity that a text begins with, and the length of its
// name, or 0 for any other.
func entity(text []byte) (char byte, n int) {
	for _, e := range entities {
		if len(text) >= len(e.name) && string(text[:len(e.name)]) == e.name {
			return e.char, len(e.name)
		}
	}
	return 0, 0
}
