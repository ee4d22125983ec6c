// Package wikihtml reads pages as MediaWiki renders them: the HTML of its parsers, Parsoid and
// the older one. A page is rewritten as simple wikitext without templates, so that its text
// gets the form that package wikitext gives to sources.
package wikihtml

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"barka/internal/badinput"
)

// maxDepth bounds elements within elements. What lies deeper is left out. MediaWiki's pages
// are up to 40 deep.
const maxDepth = 200

// Wikitext rewrites a page, or the body of one, as wikitext.
func Wikitext(page string) (string, error) {
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return "", badinput.Errorf("HTML: %w", err)
	}
	// The parser's output is in an element of its own, beside which a saved page has the skin's.
	find(root, func(n *html.Node) bool {
		if has(n, "mw-parser-output") {
			root = n
			return false
		}
		return true
	})
	w := &writer{}
	w.children(root, 0)
	return w.out.String(), nil
}

// dropped are elements without text of the page.
var dropped = map[atom.Atom]bool{atom.Style: true, atom.Script: true, atom.Link: true, atom.Meta: true, atom.Head: true, atom.Figure: true,
	atom.Nav: true, atom.Audio: true, atom.Video: true, atom.Img: true, atom.Noscript: true, atom.Template: true, atom.Input: true,
	atom.Svg: true, atom.H1: true, atom.Object: true, atom.Iframe: true}

// droppedClasses are those of notes, boxes, pictures and links beside the text.
var droppedClasses = strings.Fields("reference mw-ref references mw-references mw-references-wrap reflist infobox navbox sidebar " +
	"hatnote metadata ambox mbox-small noprint mw-editsection toc thumb gallery mw-empty-elt shortdescription mw-jump-link " +
	"sistersitebox side-box vertical-navbox navbox-styles error catlinks printfooter mw-cite-backlink portalbox portal-bar " +
	"authority-control geo-nondefault geo-multi-punct mw-indicators rellink dablink mw-file-element mw-kartographer-container " +
	"mwe-math-fallback-image-inline mwe-math-fallback-image-display noexcerpt nomobile mw-hidden-catlinks")

type writer struct {
	out   strings.Builder
	line  bool // something stands in the line
	blank bool // white space is due before the next text
	flat  int  // within so many elements that are one line: items, cells, headings
	lists string
}

func (w *writer) children(n *html.Node, depth int) {
	if depth > maxDepth {
		return
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		switch c.Type {
		case html.TextNode:
			w.text(c.Data)
		case html.ElementNode:
			w.element(c, depth+1)
		case html.DocumentNode:
			w.children(c, depth+1)
		}
	}
}

func (w *writer) element(n *html.Node, depth int) {
	if dropped[n.DataAtom] || hidden(n) {
		return
	}
	if tex, display, ok := formula(n); ok {
		w.formula(tex, display)
		return
	}
	switch n.DataAtom {
	case atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		w.heading(n, depth)
	case atom.Ul, atom.Ol, atom.Dl:
		w.list(n, depth)
	case atom.Table:
		w.table(n, depth)
	case atom.Br:
		w.raw("<br>")
	case atom.Sup, atom.Sub:
		w.raw("<" + n.Data + ">")
		w.children(n, depth)
		w.raw("</" + n.Data + ">")
	case atom.Pre:
		w.paragraph()
		w.raw("<pre>" + escape(text(n), false) + "</pre>")
		w.paragraph()
	case atom.P, atom.Div, atom.Section, atom.Blockquote, atom.Center, atom.Article, atom.Details, atom.Summary, atom.Body, atom.Hr:
		w.paragraph()
		w.children(n, depth)
		w.paragraph()
	default:
		w.children(n, depth)
	}
}

// hidden reports whether an element is not part of the running text.
func hidden(n *html.Node) bool {
	for _, a := range n.Attr {
		switch a.Key {
		case "class":
			for class := range strings.FieldsSeq(a.Val) {
				if slices.Contains(droppedClasses, class) {
					return true
				}
			}
		case "style":
			if strings.Contains(strings.ReplaceAll(strings.ToLower(a.Val), " ", ""), "display:none") && !has(n, "mwe-math-mathml-inline") {
				return true
			}
		case "id":
			if a.Val == "coordinates" || a.Val == "toc" {
				return true
			}
		case "typeof":
			if strings.Contains(a.Val, "mw:Extension/ref") || strings.Contains(a.Val, "mw:File") {
				return true
			}
		}
	}
	return false
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, class string) bool {
	return strings.Contains(attribute(n, "class"), class)
}

// formula returns the TeX of an element that shows a formula, and whether it has a line of
// its own.
func formula(n *html.Node) (tex string, display, ok bool) {
	extension := strings.Contains(attribute(n, "typeof"), "mw:Extension/math")
	if !extension && !has(n, "mwe-math-element") && n.Data != "math" {
		return "", false, false
	}
	var data struct{ Body struct{ Extsrc string } }
	if extension && json.Unmarshal([]byte(attribute(n, "data-mw")), &data) == nil {
		tex = data.Body.Extsrc
	}
	find(n, func(e *html.Node) bool {
		display = display || attribute(e, "display") == "block" || has(e, "-display")
		switch {
		case tex != "":
		case e.Data == "annotation" && attribute(e, "encoding") == "application/x-tex":
			tex = text(e)
		case e.DataAtom == atom.Img && strings.Contains(attribute(e, "class"), "mwe-math"):
			tex = attribute(e, "alt")
		}
		return true
	})
	tex = strings.TrimSpace(tex)
	if inner, wrapped := strings.CutPrefix(tex, `{\displaystyle `); wrapped && strings.HasSuffix(inner, "}") {
		tex = strings.TrimSpace(strings.TrimSuffix(inner, "}"))
	}
	return tex, display, true
}

// find visits an element and those below it, until visit returns false.
func find(n *html.Node, visit func(*html.Node) bool) bool {
	if n.Type == html.ElementNode && !visit(n) {
		return false
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if !find(c, visit) {
			return false
		}
	}
	return true
}

// text returns the characters in an element.
func text(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	var b strings.Builder
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.DataAtom == atom.Br {
			b.WriteByte('\n')
		}
		b.WriteString(text(c))
	}
	return b.String()
}

func (w *writer) formula(tex string, display bool) {
	if tex == "" || strings.Contains(tex, "</math") {
		return
	}
	if display {
		w.raw(`<math display="block">` + tex + "</math>")
		return
	}
	w.raw("<math>" + tex + "</math>")
}

func (w *writer) heading(n *html.Node, depth int) {
	if w.flat > 0 {
		w.children(n, depth)
		return
	}
	marks := strings.Repeat("=", int(n.Data[1]-'0'))
	inner := w.inner(n, depth)
	w.paragraph()
	w.out.WriteString(marks + " " + inner + " " + marks + "\n")
}

// inner returns the content of an element as one line.
func (w *writer) inner(n *html.Node, depth int) string {
	in := &writer{flat: 1}
	in.children(n, depth)
	return strings.TrimSpace(in.out.String())
}

func (w *writer) list(n *html.Node, depth int) {
	mark := map[atom.Atom]string{atom.Ul: "*", atom.Ol: "#"}[n.DataAtom]
	if w.flat > 0 && w.lists == "" { // in a cell or a heading
		w.items(n, depth)
		return
	}
	if w.lists == "" {
		w.paragraph()
	}
	around := w.lists
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type != html.ElementNode || hidden(c) {
			continue
		}
		w.lists = around + mark
		switch c.DataAtom {
		case atom.Dt:
			w.lists = around + ";"
		case atom.Dd:
			w.lists = around + ":"
		case atom.Li:
		default: // such as a list beside the items
			w.lists = around
			w.element(c, depth+1)
			continue
		}
		w.newline()
		w.out.WriteString(w.lists + " ")
		w.line, w.blank = false, false
		w.flat++
		w.children(c, depth+1)
		w.flat--
	}
	w.lists = around
	if w.lists == "" {
		w.paragraph()
	}
}

// items writes a list within a line.
func (w *writer) items(n *html.Node, depth int) {
	first := true
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type == html.ElementNode && !hidden(c) {
			if !first {
				w.raw("<br>")
			}
			first = false
			w.children(c, depth+1)
		}
	}
}

func (w *writer) table(n *html.Node, depth int) {
	if w.flat > 0 { // within an item or a cell: its cells in a row
		w.blank = true
		w.children(n, depth)
		return
	}
	w.paragraph()
	w.out.WriteString(fmt.Sprintf("{| class=\"%s\"\n", strings.Map(plainClass, attribute(n, "class"))))
	find(n, func(e *html.Node) bool {
		switch {
		case e != n && inTable(e) != n:
		case e.DataAtom == atom.Caption:
			w.out.WriteString("|+ " + w.inner(e, depth) + "\n")
		case e.DataAtom == atom.Tr:
			w.out.WriteString("|-\n")
		case (e.DataAtom == atom.Td || e.DataAtom == atom.Th) && !hidden(e):
			w.cell(e, depth)
		}
		return true
	})
	w.out.WriteString("|}\n\n")
	w.line, w.blank = false, false
}

// inTable returns the table that an element belongs to.
func inTable(n *html.Node) *html.Node {
	for p := n.Parent; p != nil; p = p.Parent {
		if p.DataAtom == atom.Table {
			return p
		}
	}
	return nil
}

func plainClass(r rune) rune {
	if r == '"' || r == '|' || r == '\n' || r == '<' || r == '{' || r == '[' {
		return ' '
	}
	return r
}

func (w *writer) cell(n *html.Node, depth int) {
	mark := "|"
	if n.DataAtom == atom.Th {
		mark = "!"
	}
	var spans string
	for _, key := range []string{"colspan", "rowspan"} {
		if v := strings.TrimSpace(attribute(n, key)); v != "" && v != "1" && len(v) < 5 && strings.Trim(v, "0123456789") == "" {
			spans += fmt.Sprintf(` %s="%s"`, key, v)
		}
	}
	if spans != "" {
		mark += spans + " |"
	}
	w.out.WriteString(mark + " " + w.inner(n, depth) + "\n")
}

// paragraph begins a new paragraph, or in a flat element goes on behind a blank.
func (w *writer) paragraph() {
	if w.flat > 0 {
		w.blank = w.blank || w.line
		return
	}
	if w.line {
		w.out.WriteString("\n\n")
	}
	w.line, w.blank = false, false
}

func (w *writer) newline() {
	if s := w.out.String(); s != "" && s[len(s)-1] != '\n' {
		w.out.WriteByte('\n')
	}
}

// raw writes markup.
func (w *writer) raw(s string) {
	if w.blank && w.line {
		w.out.WriteByte(' ')
	}
	w.out.WriteString(s)
	w.line, w.blank = true, false
}

// text writes characters, white space collapsed.
func (w *writer) text(s string) {
	for len(s) > 0 {
		word := strings.TrimLeft(s, " \t\r\n\f")
		if len(word) < len(s) {
			w.blank = w.blank || w.line
		}
		end := strings.IndexAny(word, " \t\r\n\f")
		if end < 0 {
			end = len(word)
		}
		if end > 0 {
			if w.blank && w.line {
				w.out.WriteByte(' ')
			}
			w.out.WriteString(escape(word[:end], !w.line))
			w.line, w.blank = true, false
		}
		s = word[end:]
	}
}

// escape writes characters that are markup in wikitext as entities; at the beginning of a
// line there are more of them.
func escape(s string, first bool) string {
	special := "&<>[]{}|'_!~"
	if !strings.ContainsAny(s, special) && (!first || !strings.ContainsAny(s[:1], "*#:;=-")) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\'' && !strings.Contains(s, "''"), r == '_' && !strings.Contains(s, "__"):
			b.WriteRune(r)
		case strings.ContainsRune(special, r), first && i == 0 && strings.ContainsRune("*#:;=-", r):
			fmt.Fprintf(&b, "&#%d;", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
