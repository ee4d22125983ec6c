package wikitext

import (
	"bytes"
	"strconv"
	"strings"
)

// Bounds of a table in text. A table of a page about a season or a census can be
// longer than all the rest of the page.
const (
	maxRows     = 60
	maxCells    = 30
	maxCellText = 400  // bytes of a cell
	maxTable    = 8000 // bytes of all rows
	maxSpan     = 100
)

// tableCell is a cell before it is rendered.
type tableCell struct {
	stretch
	header           bool
	columns, rows    int // that it spans
	text             string
	multi, carriedOn bool // has lines; is the continuation of a cell above
}

// boxes are the classes of tables that hold no running text.
var boxes = []string{"infobox", "navbox", "sidebar", "metadata", "ambox", "mbox", "toc", "vertical-navbox", "noprint", "geography", "biota"}

// table writes the rows of {| … |}, which is s[lo:end].
func (p *parser) table(lo, end int) {
	first := p.lineEnd(lo, end)
	attrs := strings.ToLower(p.s[lo:first])
	for _, box := range boxes {
		if strings.Contains(attrs, box) {
			p.out = append(p.out, dropMark)
			return
		}
	}
	body := end
	if strings.HasSuffix(p.s[lo:end], "|}") {
		body -= 2
	}
	caption, rows := p.rowsOf(first, max(first, body))
	p.out = append(p.out, '\n', '\n')
	if layout(rows) && !strings.Contains(attrs, "wikitable") {
		p.layout(rows)
		return
	}
	if text := p.flat(caption); text != "" {
		p.out = append(append(append(p.out, blockMark, 'P'), text...), '\n')
	}
	p.writeRows(p.fill(rows))
}

// rowsOf finds the caption and the cells of a table's source.
func (p *parser) rowsOf(lo, hi int) (caption stretch, rows [][]tableCell) {
	var row []tableCell
	ignored := stretch{}
	open := &ignored // what the text belongs to
	more := false    // a row beyond the bound
	flush := func() {
		if len(row) > 0 {
			rows = append(rows, row)
		}
		if more {
			p.rows++
		}
		row, more = nil, false
	}
	s := p.s
	for i := lo; i < hi; i++ {
		p.steps++
		if s[i] == '\n' {
			open.hi = i
			j := i + 1
			for j < hi && (s[j] == ' ' || s[j] == '\t') {
				j++
			}
			switch {
			case j >= hi || s[j] != '|' && s[j] != '!':
				if len(row) > 0 && open == &row[len(row)-1].stretch && j < hi && s[j] != '\n' {
					row[len(row)-1].multi = true
				}
			case s[j] == '|' && j+1 < hi && s[j+1] == '-':
				flush()
				i = p.lineEnd(j, hi) - 1
				open = &ignored
			case s[j] == '|' && j+1 < hi && s[j+1] == '+':
				caption = stretch{j + 2, j + 2}
				open = &caption
				i = j + 1
			case len(row) < maxCells && len(rows) < maxRows:
				row = append(row, p.cell(j+1, hi, s[j] == '!'))
				open = &row[len(row)-1].stretch
				i = open.lo - 1
			default:
				open, more = &ignored, more || len(rows) == maxRows
			}
			continue
		}
		if what, end := p.opens(i); what != none && end <= hi {
			i = end - 1
			open.hi = end
			continue
		}
		header := len(row) > 0 && row[len(row)-1].header
		if i+1 < hi && (s[i] == '|' && s[i+1] == '|' || header && s[i] == '!' && s[i+1] == '!') && len(row) > 0 && len(row) < maxCells {
			open.hi = i
			row = append(row, p.cell(i+2, hi, header))
			open = &row[len(row)-1].stretch
			i = open.lo - 1
			continue
		}
		open.hi = i + 1
	}
	flush()
	return caption, rows
}

// cell reads the attributes of a cell that begins at i: all before a single bar.
func (p *parser) cell(i, hi int, header bool) tableCell {
	c := tableCell{stretch: stretch{i, i}, header: header, columns: 1, rows: 1}
	for j := i; j < hi && j-i < 500; j++ {
		p.steps++
		switch p.s[j] {
		case '\n', '[', '<':
			return c
		case '{':
			if what, end := p.opens(j); what != none && end <= hi {
				j = end - 1
				continue
			}
		case '|':
			if j+1 < hi && p.s[j+1] == '|' {
				return c
			}
			attrs := p.s[i:j]
			c.columns, c.rows = span(attrs, "colspan"), span(attrs, "rowspan")
			c.lo, c.hi = j+1, j+1
			return c
		case '!':
			if header && j+1 < hi && p.s[j+1] == '!' {
				return c
			}
		}
	}
	return c
}

// span reads colspan and rowspan.
func span(attrs, name string) int {
	_, rest, ok := strings.Cut(strings.ToLower(attrs), name)
	if !ok {
		return 1
	}
	rest = strings.TrimLeft(rest, " =\"'")
	n := 0
	for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
		n++
	}
	v, err := strconv.Atoi(rest[:n])
	if err != nil {
		return 1
	}
	return min(max(v, 1), maxSpan)
}

// layout reports whether a table only places text on the page: it has no headers,
// and cells with several lines or one column.
func layout(rows [][]tableCell) bool {
	widest := 0
	lines := false
	for _, row := range rows {
		widest = max(widest, len(row))
		for _, c := range row {
			if c.header {
				return false
			}
			lines = lines || c.multi
		}
	}
	return lines || widest <= 1
}

func (p *parser) layout(rows [][]tableCell) {
	for _, row := range rows {
		for _, c := range row {
			p.out = append(p.out, '\n', '\n')
			p.render(p.lineStart(c.lo, c.hi), c.hi)
		}
	}
	p.out = append(p.out, '\n', '\n')
}

// fill renders cells and repeats them where they span columns and rows.
func (p *parser) fill(rows [][]tableCell) [][]tableCell {
	var above []tableCell
	for n, row := range rows {
		var full []tableCell
		next := func() int { // continues the cells of the row above
			for i := len(full); i < len(above) && above[i].rows > 1; i++ {
				c := above[i]
				c.rows--
				c.carriedOn = true
				full = append(full, c)
			}
			return len(full)
		}
		for _, c := range row {
			if next() >= maxCells {
				break
			}
			c.text = p.flat(c.stretch)
			for k := range c.columns {
				if len(full) < maxCells {
					c.carriedOn = k > 0
					full = append(full, c)
				}
			}
		}
		next()
		rows[n], above = full, full
	}
	return rows
}

// writeRows writes each row as "header: value; header: value".
func (p *parser) writeRows(rows [][]tableCell) {
	var headers []string
	written := 0
	for n, row := range rows {
		if headerRow(row) {
			headers = headersOf(headers, row, n > 0 && headerRow(rows[n-1]))
			continue
		}
		text := rowText(headers, row)
		if text == "" {
			continue
		}
		if written += len(text); written > maxTable {
			p.rows += len(rows) - n
			return
		}
		p.row(text)
	}
}

func (p *parser) row(text string) {
	p.out = append(append(append(p.out, blockMark, 'R'), text...), '\n')
}

// headerRow reports whether all cells are headers, of more than one column.
func headerRow(row []tableCell) bool {
	for _, c := range row {
		if !c.header {
			return false
		}
	}
	return len(row) > 1
}

// headersOf names the columns; a second row of headers stands behind the first.
func headersOf(above []string, row []tableCell, more bool) []string {
	headers := make([]string, len(row))
	for i, c := range row {
		headers[i] = strings.TrimRight(c.text, ":")
		if more && i < len(above) && above[i] != headers[i] && above[i] != "" {
			headers[i] = strings.TrimSpace(above[i] + " " + headers[i])
		}
	}
	return headers
}

func rowText(headers []string, row []tableCell) string {
	var b strings.Builder
	label := "" // of a row in a table without headers
	if spanning(row) {
		return ""
	}
	for i, c := range row {
		if c.text == "" || c.carriedOn && i > 0 && row[i-1].text == c.text && !multiRow(row, i) {
			continue
		}
		if b.Len() > 0 && label == "" {
			b.WriteString("; ")
		}
		switch {
		case i < len(headers) && headers[i] != "" && headers[i] != c.text:
			b.WriteString(headers[i] + ": ")
			label = ""
		case c.header && i == 0 && len(row) > 1:
			label = strings.TrimRight(c.text, ":")
			b.WriteString(label + ": ")
			continue
		}
		label = ""
		b.WriteString(c.text)
	}
	if label != "" {
		return label
	}
	return b.String()
}

// spanning reports whether the row only has what the rows below have too.
func spanning(row []tableCell) bool {
	for _, c := range row {
		if c.text != "" && c.rows == 1 {
			return false
		}
	}
	return true
}

// multiRow reports whether the cell at i is carried on from the row above rather
// than from the column before.
func multiRow(row []tableCell, i int) bool { return row[i].lo != row[i-1].lo }

// flat renders a cell as one line.
func (p *parser) flat(r stretch) string {
	text := p.cleanFlat(p.capture(p.lineStartFlat(r), r.hi))
	if len(text) > maxCellText {
		text = strings.ToValidUTF8(text[:maxCellText], "")
		if i := strings.LastIndexByte(text, ' '); i > 0 {
			text = text[:i]
		}
	}
	return text
}

// lineStartFlat is where the text of a cell begins.
func (p *parser) lineStartFlat(r stretch) int {
	for r.lo < r.hi && (p.s[r.lo] == ' ' || p.s[r.lo] == '\n') {
		r.lo++
	}
	return r.lo
}

// cleanFlat makes one clean line of rendered text: its lines stand behind commas.
func (p *parser) cleanFlat(text string) string {
	var out []byte
	rest := []byte(text)
	for len(rest) > 0 {
		var unit []byte
		unit, rest, _ = nextUnit(rest)
		if len(unit) >= 2 && unit[0] == blockMark {
			unit = unit[2:]
			if _, content, ok := bytes.Cut(unit, []byte{endMark}); ok {
				unit = content
			}
		}
		at := len(out)
		if at > 0 {
			out = append(out, ", "...)
		}
		begin := len(out)
		out = p.clean(out, unit, nil)
		if len(out) == begin {
			out = out[:at]
		}
	}
	return string(out)
}
