package wikitext

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// arguments are a template's, rendered when asked for.
type arguments struct {
	p     *parser
	list  []argument
	count int // of positional ones
}

type argument struct {
	stretch
	name     string // in the source; "" for a positional one
	position int    // from 1; 0 for a named one
	text     string
	done     bool // text is rendered
}

// get renders the n-th positional argument, from 1.
func (a *arguments) get(n int) string {
	for i := len(a.list) - 1; i >= 0; i-- { // the last of equals counts
		if a.list[i].position == n {
			return a.text(&a.list[i])
		}
	}
	return ""
}

// name renders the argument of a name.
func (a *arguments) name(key string) string {
	for i := len(a.list) - 1; i >= 0; i-- {
		if a.list[i].position == 0 && strings.EqualFold(a.list[i].name, key) {
			return a.text(&a.list[i])
		}
	}
	return ""
}

// text renders an argument once: rendered twice at each level, nested templates
// would take 2^depth steps.
func (a *arguments) text(arg *argument) string {
	if !arg.done {
		p := a.p
		lo, list := p.skipBlank(arg.lo, arg.hi), ""
		if lo < arg.hi && (p.s[lo] == '*' || p.s[lo] == '#') { // begins its own line
			at := len(p.out)
			lo = p.listItem(lo, arg.hi)
			list = string(p.out[at:])
			p.out = p.out[:at]
		}
		arg.text = list + strings.TrimSpace(p.capture(lo, arg.hi))
		arg.done = true
	}
	return arg.text
}

// skipBlank is where the first byte at or behind lo is that is no white space.
func (p *parser) skipBlank(lo, hi int) int {
	for lo < hi && (p.s[lo] == ' ' || p.s[lo] == '\n' || p.s[lo] == '\t') {
		lo++
	}
	return lo
}

// maxName bounds a template's name, in bytes.
const maxName = 200

// template writes what a template stands for: words, or nothing.
func (p *parser) template(lo, hi int) {
	parts := p.split(lo, hi)
	if !p.nameOf(parts[0]) {
		p.out = append(p.out, dropMark)
		return
	}
	if len(p.out) > 8*len(p.s)+1<<16 { // templates of the user's data that repeat their arguments
		p.out = append(p.out, dropMark)
		return
	}
	if p.function(parts) {
		return
	}
	lang := p.w.lang
	if lang.disambiguation[string(p.key)] {
		p.disambig = true
		p.out = append(p.out, dropMark)
		return
	}
	r := lang.rule(p.key)
	if r == nil {
		p.unknown()
		return
	}
	at := len(p.out)
	switch {
	case r.mark != 0:
		p.out = append(p.out, r.mark)
		return
	case r.build != nil:
		a := p.arguments(parts[1:])
		text := r.build(a, strings.Clone(string(p.key)))
		p.out = append(p.out, text...)
	default:
		a := p.arguments(parts[1:])
		if r.formula {
			p.inFormula++
		}
		text, ok := r.text.expand(nil, a)
		if r.formula {
			p.inFormula--
		}
		if ok {
			p.out = append(p.out, text...)
		}
	}
	if len(p.out) == at {
		p.out = append(p.out, dropMark)
	}
}

// nameOf puts the name of a template into p.key, in the form of the data: in lower
// case, with single blanks. It reports false if there is none.
func (p *parser) nameOf(r stretch) bool {
	name := p.s[r.lo:r.hi]
	if i := strings.IndexAny(name, "<{"); i >= 0 {
		if colon := strings.IndexByte(name[:i], ':'); colon >= 0 { // a parser function, whose argument is rendered later
			name = name[:colon+1]
		} else {
			name = p.plain(r)
		}
	}
	name = strings.TrimSpace(name)
	if len(name) > maxName {
		colon := strings.IndexByte(name, ':') // a parser function with a long first argument
		if colon < 0 || colon > maxName {
			return false
		}
		name = name[:colon+1]
	}
	p.key = p.key[:0]
	for i := 0; i < len(name); {
		c := name[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(name[i:])
			if r != '\u200e' && r != '\u200f' {
				p.key = utf8.AppendRune(p.key, unicode.ToLower(r))
			}
			i += size
			continue
		}
		i++
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c == '_' || c == '\n' || c == '\t' || c == ' ':
			if n := len(p.key); n == 0 || p.key[n-1] == ' ' {
				continue
			}
			c = ' '
		case c < ' ':
			continue
		}
		p.key = append(p.key, c)
	}
	for _, prefix := range p.w.lang.prefixes {
		if len(p.key) > len(prefix) && string(p.key[:len(prefix)]) == prefix {
			p.key = append(p.key[:0], p.key[len(prefix):]...)
		}
	}
	return len(p.key) > 0 && len(p.key) <= maxName // broken UTF-8 becomes longer
}

// arguments reads the parts behind a template's name.
func (p *parser) arguments(parts []stretch) *arguments {
	a := &arguments{p: p, list: make([]argument, 0, len(parts))}
	for _, r := range parts {
		arg := argument{stretch: r}
		if eq := p.equals(r); eq >= 0 {
			arg.name, arg.lo = strings.TrimSpace(p.s[r.lo:eq]), eq+1
			if n, ok := digits(arg.name); ok {
				arg.position, arg.name = n, ""
				a.count = max(a.count, n)
			}
		} else {
			a.count++
			arg.position = a.count
		}
		a.list = append(a.list, arg)
	}
	return a
}

// equals finds the sign between a name and its value that is in no construct; -1
// for a positional argument.
func (p *parser) equals(r stretch) int {
	for i := r.lo; i < r.hi; i++ {
		p.steps++
		if what, end := p.opens(i); what != none && end <= r.hi {
			i = end - 1
		} else if p.s[i] == '=' {
			return i
		}
	}
	return -1
}

// maxArguments bounds the number of a positional argument.
const maxArguments = 1000

func digits(s string) (n int, ok bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' || n > maxArguments {
			return 0, false
		}
		n = 10*n + int(s[i]-'0')
	}
	return n, n > 0 && n <= maxArguments
}

// unknown marks a template that the data do not know, for the report.
func (p *parser) unknown() {
	id, ok := p.ids[string(p.key)]
	if !ok {
		id = len(p.names)
		name := string(p.key)
		p.ids[name] = id
		p.names = append(p.names, name)
		p.dropped = append(p.dropped, Dropped{Name: name})
	}
	p.out = append(p.out, idMark)
	p.out = appendNumber(p.out, id)
	p.out = append(p.out, idEnd)
}

func appendNumber(b []byte, n int) []byte {
	if n >= 10 {
		b = appendNumber(b, n/10)
	}
	return append(b, byte('0'+n%10))
}

// function renders a parser function or a variable, whose name is in p.key.
func (p *parser) function(parts []stretch) bool {
	name, _, ok := strings.Cut(string(p.key), ":")
	canonical, known := p.w.lang.Functions[name]
	if !known {
		canonical = name
	}
	f, found := functions[canonical]
	if !found || !ok && !f.variable {
		if name != "" && name[0] == '#' || ok && known {
			p.unknown()
			return true
		}
		return false
	}
	colon := strings.IndexByte(p.s[parts[0].lo:parts[0].hi], ':')
	if colon < 0 {
		colon = parts[0].hi - parts[0].lo - 1
	}
	parts[0].lo += colon + 1
	a := &arguments{p: p}
	for i, r := range parts {
		a.list = append(a.list, argument{stretch: r, position: i + 1})
	}
	a.count = len(parts)
	at := len(p.out)
	p.out = append(p.out, f.render(a)...)
	if len(p.out) == at {
		p.out = append(p.out, dropMark)
	}
	return true
}
