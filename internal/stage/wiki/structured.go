package wiki

import (
	"cmp"
	"errors"
	"fmt"
	"html"
	"strings"

	"barka/internal/mediawiki"
	"barka/internal/wikihtml"
)

// Wikimedia's structured contents are pages as JSON: sections, of which the first is named
// Abstract, with paragraphs, lists and references to tables, which stand beside the sections.
// They are rewritten as HTML, so that they get the form of rendered pages.

// structuredRow makes passages of a row of wikimedia/structured-wikipedia. Its nested columns are
// JSON, or columns within columns.
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
	return d.makeHTML(p, structuredHTML(row["sections"], row["tables"]))
}

// makeHTML makes passages of a page as HTML.
func (d *dumpPages) makeHTML(p page, body string) (m madePage, ok bool, err error) {
	text, err := wikihtml.Wikitext(body)
	if err != nil {
		return m, false, err
	}
	p.text = d.text.Parse(p.Title, text)
	return d.s.make(p), true, nil
}

// structuredHTML writes a page's sections as HTML.
func structuredHTML(sections, tables any) string {
	w := structuredWriter{tables: map[string]map[string]any{}}
	for _, t := range listOf(tables) {
		if table, _ := nested(t).(map[string]any); table != nil {
			w.tables[textOf(table["identifier"])] = table
		}
	}
	for _, part := range listOf(sections) {
		w.part(part, 1)
	}
	return w.out.String()
}

type structuredWriter struct {
	out    strings.Builder
	tables map[string]map[string]any // by their identifiers
}

// maxParts bounds parts within parts.
const maxParts = 40

// part writes a part that lies in a section of the given level, 1 for the page.
func (w *structuredWriter) part(part any, level int) {
	p, _ := nested(part).(map[string]any)
	if p == nil || level > maxParts {
		return
	}
	switch kind := textOf(p["type"]); kind {
	case "section":
		if name := strings.TrimSpace(textOf(p["name"])); name != "" && (level > 1 || name != "Abstract") {
			h := min(level+1, 6)
			fmt.Fprintf(&w.out, "<h%d>%s</h%d>\n", h, html.EscapeString(name), h)
		}
		w.within("p", p, level+1)
	case "list", "ordered_list", "definition_list":
		tag := map[string]string{"list": "ul", "ordered_list": "ol", "definition_list": "dl"}[kind]
		w.out.WriteString("<" + tag + ">")
		for _, v := range listOf(p["values"]) {
			w.element("li", textOf(v))
		}
		for _, item := range listOf(p["has_parts"]) {
			w.part(item, level+1)
		}
		w.out.WriteString("</" + tag + ">\n")
	case "list_item":
		w.item("li", p, level)
	case "definition_term":
		w.item("dt", p, level)
	case "definition":
		w.item("dd", p, level)
	case "table":
		for _, ref := range listOf(p["table_references"]) {
			if r, _ := nested(ref).(map[string]any); r != nil {
				w.table(w.tables[textOf(r["identifier"])])
			}
		}
	case "infobox", "image", "gallery":
	default:
		w.within("p", p, level+1)
	}
}

// within writes a part's own text as an element, and then its parts.
func (w *structuredWriter) within(tag string, p map[string]any, level int) {
	w.element(tag, textOf(p["value"]))
	for _, inner := range listOf(p["has_parts"]) {
		w.part(inner, level)
	}
}

func (w *structuredWriter) item(tag string, p map[string]any, level int) {
	w.out.WriteString("<" + tag + ">" + broken(textOf(p["value"])))
	for _, inner := range listOf(p["has_parts"]) {
		w.part(inner, level+1)
	}
	w.out.WriteString("</" + tag + ">")
}

func (w *structuredWriter) element(tag, text string) {
	if text != "" {
		w.out.WriteString("<" + tag + ">" + broken(text) + "</" + tag + ">\n")
	}
}

// table writes the rows of a table, those of its headers first.
func (w *structuredWriter) table(t map[string]any) {
	w.out.WriteString("<table class=\"wikitable\">")
	for _, rows := range []struct{ name, tag string }{{"headers", "th"}, {"rows", "td"}} {
		for _, row := range listOf(t[rows.name]) {
			w.out.WriteString("<tr>")
			for _, c := range listOf(row) {
				cell, _ := nested(c).(map[string]any)
				w.out.WriteString("<" + rows.tag + ">" + broken(textOf(cell["value"])) + "</" + rows.tag + ">")
			}
			w.out.WriteString("</tr>")
		}
	}
	w.out.WriteString("</table>\n")
}

// broken writes text as HTML, its lines with breaks.
func broken(text string) string {
	return strings.ReplaceAll(html.EscapeString(strings.TrimSpace(text)), "\n", "<br>")
}

func listOf(v any) []any {
	list, _ := nested(v).([]any)
	return list
}
