// Package wikitext turns MediaWiki markup into plain text in sections. It
// renders the few templates that stand for words (see templates.go) and
// drops the rest, tables, references, files and categories. Any input is
// accepted, in time linear in its length.
package wikitext

import (
	"html"
	"regexp"
	"strings"
)

// Section is a stretch of a page: its heading, the text directly under it,
// and the sections below it. A page's root has level 1, no title, and its
// lead as text.
type Section struct {
	Level    int
	Title    string
	Text     string
	Children []*Section
}

// Parse renders a page. hidden are the wiki's own names of the namespaces
// whose links show nothing in the text: files, media and categories. Their
// English names and some others are known.
func Parse(source string, hidden ...string) *Section { return Tree(Text(source, hidden...)) }

// maxDepth bounds nesting; what lies deeper is dropped.
const maxDepth = 40

// Text renders markup to plain text, headings kept as == Title ==; hidden is
// as in Parse.
func Text(source string, hidden ...string) string {
	source = dropBlocks(source)
	p := &parser{s: source, close: match(source), hidden: map[string]bool{}}
	for _, name := range hidden {
		p.hidden[namespace(name)] = true
	}
	var b strings.Builder
	p.render(&b, 0, len(source), 0)
	return tidy(b.String())
}

var redirect = regexp.MustCompile(`(?i)^\s*#(?:redirect|تحويل|redirection|weiterleitung)\s*:?\s*\[\[([^\]|#]+)`)

// Redirect returns the target of a redirect page.
func Redirect(source string) (string, bool) {
	m := redirect.FindStringSubmatch(source[:min(len(source), 1000)])
	if m == nil {
		return "", false
	}
	return strings.TrimSpace(m[1]), true
}

// blocks are elements dropped with their content; kept ones lose their tags.
var (
	comment = regexp.MustCompile(`(?s)<!--.*?-->`)
	selfRef = regexp.MustCompile(`(?i)<(?:ref|references|section)\b[^<>]*/>`)
	dropped = regexp.MustCompile(`(?is)<(ref|gallery|timeline|syntaxhighlight|source|score|imagemap|` +
		`references|graph|mapframe|maplink|templatedata|style|script|math|chem)\b[^<>]*>`)
	nowiki    = regexp.MustCompile(`(?is)<nowiki>(.*?)</nowiki>`)
	lineBreak = regexp.MustCompile(`(?i)<br\s*/?>|</p>|</div>|</li>`)
	tag       = regexp.MustCompile(`</?[a-zA-Z][^<>\n]{0,300}>`)
	magic     = regexp.MustCompile(`__[A-Z]{4,}__`)
)

// dropBlocks removes comments and the elements that hold no running text.
// Formulas keep their TeX source.
func dropBlocks(s string) string {
	s = comment.ReplaceAllString(s, "")
	s = nowiki.ReplaceAllStringFunc(s, func(m string) string {
		inner := nowiki.FindStringSubmatch(m)[1]
		return strings.NewReplacer("[", "&#91;", "]", "&#93;", "{", "&#123;", "}", "&#125;", "<", "&lt;", "'",
			"&#39;", "|", "&#124;").Replace(inner)
	})
	s = selfRef.ReplaceAllString(s, "")
	var b strings.Builder
	lower := lowerASCII(s)
	at := 0
	missing := map[string]bool{} // elements without any further end tag
	for at < len(s) {
		m := dropped.FindStringSubmatchIndex(s[at:])
		if m == nil {
			break
		}
		name := lower[at+m[2] : at+m[3]]
		b.WriteString(s[at : at+m[0]])
		end := -1
		if !missing[name] {
			if end = strings.Index(lower[at+m[1]:], "</"+name); end < 0 {
				missing[name] = true
			}
		}
		if end < 0 {
			at += m[1] // an open tag alone goes
			continue
		}
		if name == "math" || name == "chem" {
			b.WriteString(formula(s[at+m[1] : at+m[1]+end]))
		}
		at += m[1] + end
		if i := strings.IndexByte(s[at:], '>'); i >= 0 {
			at += i + 1
		} else {
			at = len(s)
		}
	}
	b.WriteString(s[at:])
	return b.String()
}

// lowerASCII lowers the letters A to Z. Positions stay what they are, which
// strings.ToLower does not promise for other letters and for broken UTF-8.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 32
		}
	}
	return string(b)
}

// formula keeps a formula's TeX as text, safe from the markup's own signs.
func formula(tex string) string {
	return strings.NewReplacer("{", "&#123;", "}", "&#125;", "[", "&#91;", "]", "&#93;", "|", "&#124;", "\n", " ",
		"''", "&#39;&#39;", "<", "&lt;").Replace(strings.TrimSpace(tex))
}

// match pairs the opening marks {{, [[ and {| with their ends, in one pass:
// close[i] is where the construct that opens at i ends, past its closing
// mark. Marks without a partner are missing.
func match(s string) map[int]int {
	pairs := map[int]int{}
	type open struct {
		at   int
		kind byte
	}
	var stack []open
	count := [256]int{}
	push := func(at int, kind byte) { stack = append(stack, open{at, kind}); count[kind]++ }
	pop := func(kind byte, end int) {
		if count[kind] == 0 {
			return
		}
		for {
			top := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			count[top.kind]--
			if top.kind == kind {
				pairs[top.at] = end
				return
			}
		}
	}
	for i := 0; i+1 < len(s); {
		lineStart := i == 0 || s[i-1] == '\n'
		switch two := s[i : i+2]; {
		case two == "{|" && (lineStart || strings.TrimLeft(lastLine(s[:i]), " :*") == ""):
			push(i, '|')
			i += 2
		case two == "|}" && count['|'] > 0 && !strings.HasPrefix(s[i:], "|}}") && strings.TrimSpace(lastLine(s[:i])) == "":
			pop('|', i+2)
			i += 2
		case two == "{{":
			push(i, '{')
			i += 2
		case two == "}}":
			pop('{', i+2)
			i += 2
		case two == "[[":
			push(i, '[')
			i += 2
		case two == "]]":
			pop('[', i+2)
			i += 2
		default:
			i++
		}
	}
	return pairs
}

// lastLine is the last 40 bytes at most of what precedes, from the line's
// start.
func lastLine(s string) string {
	s = s[max(0, len(s)-40):]
	return s[strings.LastIndexByte(s, '\n')+1:]
}

type parser struct {
	s      string
	close  map[int]int
	hidden map[string]bool // namespaces of the wiki, beside those below
}

// render writes the text of s[lo:hi].
func (p *parser) render(b *strings.Builder, lo, hi, depth int) {
	for i := lo; i < hi; {
		c := p.s[i]
		if c != '{' && c != '[' {
			next := strings.IndexAny(p.s[i+1:hi], "{[")
			if next < 0 {
				next = hi - i - 1
			}
			b.WriteString(p.s[i : i+1+next])
			i += 1 + next
			continue
		}
		end, ok := p.close[i]
		switch {
		case ok && end <= hi && depth < maxDepth:
			p.construct(b, i, end, depth+1)
			i = end
		case ok && end <= hi:
			i = end // too deep: dropped
		case c == '[':
			i = p.external(b, i, hi)
		default:
			i++ // a stray brace goes
		}
	}
}

// construct renders a template, a link or a table.
func (p *parser) construct(b *strings.Builder, lo, end, depth int) {
	switch p.s[lo : lo+2] {
	case "{{":
		p.template(b, lo+2, end-2, depth)
	case "[[":
		p.link(b, lo+2, end-2, depth)
	}
}

// split cuts s[lo:hi] at the bars that belong to no construct inside.
func (p *parser) split(lo, hi int) [][2]int {
	var parts [][2]int
	start := lo
	for i := lo; i < hi; {
		if end, ok := p.close[i]; ok && end <= hi {
			i = end
			continue
		}
		if p.s[i] == '|' {
			parts = append(parts, [2]int{start, i})
			start = i + 1
		}
		i++
	}
	return append(parts, [2]int{start, hi})
}

// namespace is a name in the form in which names are compared: the case of
// their letters does not count.
func namespace(name string) string {
	return strings.ToLower(strings.Join(strings.Fields(strings.ReplaceAll(name, "_", " ")), " "))
}

// media is the name of a file, in whatever a wiki calls its namespace: aliases
// of it are not in a dump.
var media = regexp.MustCompile(`(?i)\.(?:jpe?g|png|gif|svg|tiff?|webp|xcf|og[gva]|opus|oga|wav|mp3|flac|midi?|` +
	`webm|mpe?g|mp4|pdf|djvu|stl)$`)

// hidden are namespaces whose links show nothing in the text.
var hidden = map[string]bool{
	"file": true, "image": true, "media": true, "category": true, "ملف": true, "صورة": true, "ميديا": true, "وسائط": true, "تصنيف": true,
	"fichier": true, "datei": true, "archivo": true, "catégorie": true, "kategorie": true, "categoría": true,
}

func (p *parser) link(b *strings.Builder, lo, hi, depth int) {
	parts := p.split(lo, hi)
	target := strings.TrimSpace(p.s[parts[0][0]:parts[0][1]])
	colon := strings.IndexByte(target, ':')
	if colon > 0 {
		name := namespace(target[:colon])
		if hidden[name] || p.hidden[name] || interwiki(target[:colon]) || media.MatchString(target) {
			return
		}
	}
	if len(parts) == 1 {
		b.WriteString(strings.ReplaceAll(strings.TrimPrefix(target, ":"), "_", " "))
		return
	}
	last := parts[len(parts)-1]
	if strings.TrimSpace(p.s[last[0]:last[1]]) == "" { // the pipe trick
		name := target[colon+1:]
		if i := strings.IndexByte(name, '('); i > 0 {
			name = strings.TrimSpace(name[:i])
		}
		b.WriteString(name)
		return
	}
	p.render(b, last[0], last[1], depth)
}

// interwiki reports a language prefix, such as ar or zh-min-nan.
func interwiki(s string) bool {
	if len(s) < 2 || len(s) > 12 || s != strings.ToLower(s) {
		return false
	}
	for _, part := range strings.Split(s, "-") {
		if len(part) < 2 || len(part) > 4 || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz") != "" {
			return false
		}
	}
	return len(s) <= 3 || strings.Contains(s, "-") || s == "wikt"
}

// external renders [http://… label] and keeps other brackets.
func (p *parser) external(b *strings.Builder, i, hi int) int {
	rest := p.s[i+1 : hi]
	if !strings.HasPrefix(rest, "http") && !strings.HasPrefix(rest, "//") && !strings.HasPrefix(rest, "mailto:") {
		b.WriteByte('[')
		return i + 1
	}
	limit := min(len(rest), 2000)
	end := strings.IndexAny(rest[:limit], "]\n")
	if end < 0 || rest[end] == '\n' {
		b.WriteByte('[')
		return i + 1
	}
	if space := strings.IndexByte(rest[:end], ' '); space >= 0 {
		b.WriteString(rest[space+1 : end])
	}
	return i + 1 + end + 1
}

// Patterns of the last clean-up. Dropped templates leave odd punctuation.
var (
	stray       = strings.NewReplacer("{{", "", "}}", "", "[[", "", "]]", "")
	quotes      = regexp.MustCompile(`'{2,5}`)
	leading     = regexp.MustCompile(`^[,;:،؛]\s*`)
	emptyParens = regexp.MustCompile(`\(\s*[,;:،؛/\s]*\)|\[\s*\]|\(\s*(?:listen|pronounced|IPA)[:;,\s]*\)`)
	parenStart  = regexp.MustCompile(`\(\s*[,;:،؛]*\s*`)
	parenEnd    = regexp.MustCompile(`\s*[,;:،؛]*\s*\)`)
	beforePunct = regexp.MustCompile(`[ \t]+([,.;:!?،؛؟])`)
	doublePunct = regexp.MustCompile(`([,;،؛])(?:\s*[,;،؛])+`)
	spaces      = regexp.MustCompile(`[ \t\x{00a0}]+`)
	blankLines  = regexp.MustCompile(`\n{3,}`)
	listMark    = regexp.MustCompile(`^[*#:;]+\s*`)
	heading     = regexp.MustCompile(`^(={1,6})\s*(.+?)\s*={1,6}\s*$`)
)

// tidy cleans rendered text line by line.
func tidy(s string) string {
	s = lineBreak.ReplaceAllString(s, "\n")
	s = tag.ReplaceAllString(s, "")
	s = magic.ReplaceAllString(s, "")
	s = quotes.ReplaceAllString(s, "")
	s = stray.Replace(s)
	s = html.UnescapeString(html.UnescapeString(s))
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = tidyLine(l)
	}
	return strings.TrimSpace(blankLines.ReplaceAllString(strings.Join(lines, "\n"), "\n\n"))
}

func tidyLine(l string) string {
	l = strings.ReplaceAll(l, "\u200b", "")
	if strings.HasPrefix(l, "=") {
		if m := heading.FindStringSubmatch(strings.TrimSpace(l)); m != nil {
			return m[1] + " " + clean(m[2]) + " " + m[1]
		}
	}
	item := ""
	if m := listMark.FindString(l); m != "" {
		if strings.ContainsAny(m, "*#") {
			item = "- "
		}
		l = l[len(m):]
	}
	l = clean(l)
	if l == "" || strings.Trim(l, "-|!}{ ") == "" {
		return ""
	}
	return item + l
}

func clean(l string) string {
	l = spaces.ReplaceAllString(l, " ")
	l = emptyParens.ReplaceAllString(l, "")
	l = parenStart.ReplaceAllString(l, "(")
	l = parenEnd.ReplaceAllString(l, ")")
	l = emptyParens.ReplaceAllString(l, "")
	l = beforePunct.ReplaceAllString(l, "$1")
	l = doublePunct.ReplaceAllString(l, "$1")
	l = leading.ReplaceAllString(strings.TrimSpace(l), "")
	return strings.TrimSpace(spaces.ReplaceAllString(l, " "))
}

// Tree builds the sections of plain text with == headings ==, such as
// MediaWiki's own extracts are.
func Tree(text string) *Section {
	root := &Section{Level: 1}
	path := []*Section{root}
	var body []string
	flush := func() {
		cur := path[len(path)-1]
		cur.Text = strings.TrimSpace(blankLines.ReplaceAllString(strings.Join(body, "\n"), "\n\n"))
		body = body[:0]
	}
	for _, line := range strings.Split(text, "\n") {
		m := heading.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil || len(m[1]) < 2 {
			body = append(body, line)
			continue
		}
		flush()
		level := len(m[1])
		for len(path) > 1 && path[len(path)-1].Level >= level {
			path = path[:len(path)-1]
		}
		s := &Section{Level: level, Title: m[2]}
		parent := path[len(path)-1]
		parent.Children = append(parent.Children, s)
		path = append(path, s)
	}
	flush()
	return root
}
