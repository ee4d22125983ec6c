package wikitext

import "strings"

// kind is what a construct of the markup is.
type kind uint32

// The kinds of constructs; none is where nothing opens.
const (
	none      kind = iota
	template       // {{ }}
	parameter      // {{{ }}}
	link           // [[ ]]
	table          // {| |}
	element        // an element whose content is no markup, or is dropped
	comment        // <!-- -->
	kindBits  = 3
)

// opened is a bracket without a partner so far.
type opened struct {
	at    int
	count int // of braces; 0 for a link, -1 for a table
}

// marker pairs brackets. Its stack and counters live as long as a page.
type marker struct {
	*parser
	stack                 []opened
	braces, links, tables int // in the stack
}

// marks are the bytes at which a construct may begin or end.
var marks = set("{}[]|<")

// set is a table of bytes.
func set(bytes string) (t [256]bool) {
	for i := range len(bytes) {
		t[bytes[i]] = true
	}
	return t
}

// mark finds all constructs of the page: p.end holds for the position at which one
// opens where it ends and what it is. Brackets without a partner are in no construct.
func (p *parser) mark() {
	m := marker{parser: p, stack: p.stack[:0]}
	s := p.s
	for i := 0; i < len(s); {
		if !marks[s[i]] {
			i++
			continue
		}
		i = m.at(i)
	}
	p.steps += len(s)
	m.unclosedTable()
	p.stack = m.stack
}

// at looks at the byte at i and returns where to go on.
func (m *marker) at(i int) int {
	s := m.s
	next := byte(0)
	if i+1 < len(s) {
		next = s[i+1]
	}
	switch s[i] {
	case '{':
		return m.openBraces(i, next)
	case '}':
		if next == '}' {
			return m.closeBraces(i)
		}
	case '[':
		if next == '[' {
			m.stack = append(m.stack, opened{i, 0})
			m.links++
			return i + 2
		}
	case ']':
		if next == ']' {
			return m.closeLink(i)
		}
	case '|':
		if next == '}' && m.tables > 0 && m.lineStart(i) {
			if n := run(s, i+1, '}'); n == 1 || n == 3 {
				m.closeTable(i + 2)
				return i + 2
			}
		}
	case '<':
		return m.angle(i)
	}
	return i + 1
}

// run is how many bytes c stand at i.
func run(s string, i int, c byte) int {
	n := 0
	for i+n < len(s) && s[i+n] == c {
		n++
	}
	return n
}

func (m *marker) openBraces(i int, next byte) int {
	if next == '|' && m.lineStart(i) {
		m.stack = append(m.stack, opened{i, -1})
		m.tables++
		return i + 2
	}
	n := run(m.s, i, '{')
	if n >= 2 {
		m.stack = append(m.stack, opened{i, n})
		m.braces++
	}
	return i + n
}

// closeBraces pairs a run of closing braces with the innermost open ones, three at
// a time where both have three. Links and tables that are open inside are none.
func (m *marker) closeBraces(i int) int {
	n := run(m.s, i, '}')
	end := i + n
	for n >= 2 && m.braces > 0 {
		for m.stack[len(m.stack)-1].count <= 0 {
			m.pop()
		}
		top := &m.stack[len(m.stack)-1]
		k := min(n, top.count, 3)
		top.count -= k
		i += k
		n -= k
		what := template
		if k == 3 {
			what = parameter
		}
		m.set(top.at+top.count, i, what)
		if top.count < 2 {
			top.count = 1 // still braces for pop
			m.pop()
		}
	}
	return end
}

// pop takes the innermost open bracket from the stack.
func (m *marker) pop() {
	switch top := m.stack[len(m.stack)-1]; {
	case top.count > 0:
		m.braces--
	case top.count == 0:
		m.links--
	default:
		m.tables--
	}
	m.stack = m.stack[:len(m.stack)-1]
}

// closeLink pairs ]] with [[, unless a template opened in between.
func (m *marker) closeLink(i int) int {
	for m.links > 0 {
		top := m.stack[len(m.stack)-1]
		if top.count > 0 {
			break
		}
		m.pop()
		if top.count == 0 {
			m.set(top.at, i+2, link)
			break
		}
	}
	return i + 2
}

func (m *marker) closeTable(end int) {
	for {
		top := m.stack[len(m.stack)-1]
		m.pop()
		if top.count < 0 {
			m.set(top.at, end, table)
			return
		}
	}
}

// unclosedTable ends the outermost table without an end at the next heading.
func (m *marker) unclosedTable() {
	for _, o := range m.stack {
		if o.count >= 0 {
			continue
		}
		end := len(m.s)
		if i := strings.Index(m.s[o.at:], "\n=="); i >= 0 {
			end = o.at + i
		}
		m.set(o.at, end, table)
		return
	}
}

// lineStart reports whether nothing but marks of lists stands before i in its line.
func (m *marker) lineStart(i int) bool {
	for j := i - 1; j >= max(0, i-40); j-- {
		switch m.s[j] {
		case '\n':
			return true
		case ' ', '\t', ':', '*', '#':
		case '>':
			return strings.HasSuffix(m.s[:j+1], "-->") // a comment is nothing
		default:
			return false
		}
	}
	return i <= 40
}

// angle looks for comments and elements whose content is no markup.
func (m *marker) angle(i int) int {
	s := m.s
	if strings.HasPrefix(s[i:], "<!--") {
		end := len(s)
		if n := strings.Index(s[i+4:], "-->"); n >= 0 {
			end = i + 4 + n + 3
		}
		end = m.wholeLine(i, end)
		m.set(i, end, comment)
		return end
	}
	t := m.tag(i)
	if t.name == "" || t.closing || elements[t.name] == 0 {
		return i + 1
	}
	end := t.end
	if !t.single {
		lo, hi := m.closingTag(t.name, t.end)
		if lo < 0 || t.name == "ref" && m.reopened(t.end, lo) {
			return t.end // a tag alone, which render drops
		}
		end = hi
	}
	m.set(i, end, element)
	return end
}

// wholeLine extends a comment that is alone in its line to the line's end.
func (m *marker) wholeLine(i, end int) int {
	j := i
	for j > 0 && m.s[j-1] == ' ' {
		j--
	}
	if j > 0 && m.s[j-1] != '\n' {
		return end
	}
	k := end
	for k < len(m.s) && m.s[k] == ' ' {
		k++
	}
	if k < len(m.s) && m.s[k] == '\n' {
		return k + 1
	}
	return end
}

// reopened reports whether another <ref> opens in s[lo:hi]: then the one before it
// has no end, and what stands between them is running text.
func (m *marker) reopened(lo, hi int) bool {
	for i := lo; i < hi; {
		n := strings.IndexByte(m.s[i:hi], '<')
		if n < 0 {
			m.steps += hi - i
			return false
		}
		i += n
		m.steps += n
		if t := m.tag(i); t.name == "ref" && !t.closing && !t.single {
			return true
		}
		i++
	}
	return false
}

// closer is a remembered search for an end tag.
type closer struct{ from, lo, hi int }

// closingTag finds the next end tag of an element at or after from; -1 if there is
// none. Searches from growing positions take linear time together.
func (p *parser) closingTag(name string, from int) (lo, hi int) {
	c, ok := p.closers[name]
	if ok && c.from <= from && (c.lo < 0 || c.lo >= from) {
		return c.lo, c.hi
	}
	c = closer{from, -1, -1}
	for i := from; ; {
		n := strings.Index(p.s[i:], "</")
		if n < 0 {
			p.steps += len(p.s) - i
			break
		}
		i += n
		p.steps += n + 2
		if t := p.tag(i); t.name == name {
			c.lo, c.hi = i, t.end
			break
		}
		i += 2
	}
	p.closers[name] = c
	return c.lo, c.hi
}
