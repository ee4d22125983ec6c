package mediawiki

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Bounds of a dump's parts. A few kilobytes of a compressed file can become
// gigabytes of XML, so the parts are measured while they are read.
const (
	// maxText bounds a page's text as the dump has it, in bytes. MediaWiki
	// stores at most 2 MiB ($wgMaxArticleSize), which take 12 MiB of XML where
	// each character is written as &quot;.
	maxText = 32 << 20
	// maxMarkup bounds everything else: a tag, a title, the space between
	// elements. MediaWiki's database gives none of them more than 64 KiB.
	maxMarkup = 1 << 20
	// maxDepth bounds elements within elements; MediaWiki's are 5 deep.
	maxDepth = 64
	// maxNamespaces and maxName bound a wiki's namespaces, whose names are kept.
	maxNamespaces = 1000
	maxName       = 4 << 10
)

// elements reads XML piece by piece, in bounded memory.
type elements struct {
	xml   *xml.Decoder
	in    meter
	chars bool // the last token was text, so that the next begins with <
}

// use makes the elements those of a text in UTF-8.
func (e *elements) use(w *window) {
	e.in.r = w
	e.xml = xml.NewDecoder(&e.in)
	e.xml.Strict = true
}

// offset is the number of bytes that were read.
func (e *elements) offset() int64 { return e.in.r.offset() }

// meter is a reader that gives up after a number of bytes.
type meter struct {
	r     *window
	limit int // of this token
	left  int // of it
}

func (m *meter) ReadByte() (byte, error) {
	if m.left <= 0 {
		return 0, tooLong(m.limit)
	}
	m.left--
	return m.r.ReadByte()
}

func tooLong(limit int) error {
	return fmt.Errorf("more than %d KiB without an end of the text or tag; a dump of MediaWiki has none so long", limit>>10)
}

// Read is for the interface; the decoder reads single bytes.
func (m *meter) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := m.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = b
	return 1, nil
}

// token returns the next token, valid until the next call.
func (e *elements) token() (xml.Token, error) { return e.next(maxMarkup) }

// next returns the next token, of at most most bytes if it is text.
func (e *elements) next(most int) (xml.Token, error) {
	e.in.limit = maxMarkup
	// Only text may be longer: one that the decoder has not begun to read.
	if head, ok := e.in.r.peek(); !e.chars && ok && head != '<' {
		e.in.limit = most
	}
	e.in.left = e.in.limit
	tok, err := e.xml.Token()
	_, e.chars = tok.(xml.CharData)
	// The lines that the decoder counts leave out the pages that were scanned.
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) {
		if err = errors.New("XML syntax error: " + syntax.Msg); strings.Contains(syntax.Msg, "unexpected EOF") {
			err = io.ErrUnexpectedEOF
		}
	}
	return tok, err
}

// children calls visit with each element in the one that was opened last.
// visit reads it to its end.
func (e *elements) children(visit func(xml.StartElement) error) error {
	for {
		tok, err := e.inside(maxMarkup)
		if err != nil {
			return err
		}
		switch t := tok.(type) {
		case xml.EndElement:
			return nil
		case xml.StartElement:
			if err := visit(t); err != nil {
				return err
			}
		}
	}
}

// inside is next where an end of the input is an error.
func (e *elements) inside(most int) (xml.Token, error) {
	tok, err := e.next(most)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return tok, err
}

// skip reads to the end of the element that was opened last.
func (e *elements) skip() error {
	for depth := 1; depth > 0; {
		tok, err := e.inside(maxMarkup)
		if err != nil {
			return err
		}
		switch tok.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			depth--
		}
		if depth > maxDepth {
			return fmt.Errorf("elements %d deep; those of a dump of MediaWiki are 5 deep", depth)
		}
	}
	return nil
}

// text returns the text of the element that was opened last, of at most most
// bytes, without that of elements in it.
func (e *elements) text(most int) (string, error) {
	var text strings.Builder
	for {
		tok, err := e.inside(most)
		if err != nil {
			return "", err
		}
		switch t := tok.(type) {
		case xml.CharData:
			if text.Len()+len(t) > most {
				return "", fmt.Errorf("text of more than %d KiB; MediaWiki writes none so long", most>>10)
			}
			text.Write(t)
		case xml.StartElement:
			err = e.skip()
		case xml.EndElement:
			return text.String(), nil
		}
		if err != nil {
			return "", err
		}
	}
}

// number returns the number in the element that was opened last; 0 if it is
// empty.
func (e *elements) number() (int64, error) {
	text, err := e.text(maxMarkup)
	if err != nil {
		return 0, err
	}
	return number(text)
}

func number(text string) (int64, error) {
	if text = strings.TrimSpace(text); text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%.40q: expected a number", text)
	}
	return n, nil
}

// attribute returns the value of an element's attribute, "" without it.
func attribute(start xml.StartElement, name string) string {
	for _, a := range start.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
