package wikitext

import "strings"

// tag is an HTML tag, or one of MediaWiki's extensions.
type tag struct {
	name    string // in lower case; "" if there is no tag
	attrs   string
	closing bool // </name>
	single  bool // <name/>
	end     int
}

// handling is what happens to an element whose content MediaWiki's parser does
// not see as markup of the page.
type handling int

// The handlings of elements.
const (
	dropped    handling = iota + 1 // with a mark for repairs
	reference                      // a mark that leaves a comma before it alone
	formula                        // kept as TeX
	chemistry                      // kept as TeX of mhchem
	literal                        // the content is text
	preserving                     // the content is text in lines
	nothing                        // without a trace
)

// elements are those with a handling.
var elements = map[string]handling{
	"ref": reference, "references": dropped, "gallery": dropped, "timeline": dropped, "score": dropped, "imagemap": dropped,
	"graph": dropped, "mapframe": dropped, "maplink": dropped, "templatedata": dropped, "style": dropped, "script": dropped,
	"templatestyles": nothing, "categorytree": dropped, "inputbox": dropped, "hiero": dropped, "indicator": nothing,
	"syntaxhighlight": preserving, "source": preserving, "includeonly": nothing, "section": nothing, "math": formula,
	"chem": chemistry, "ce": chemistry, "nowiki": literal, "pre": preserving,
}

// form is how a tag of HTML shows in text.
type form int

// The forms of tags.
const (
	inline form = iota + 1
	lineBreak
	block
	item
	cell
	raised  // sup
	lowered // sub
	verse   // poem
)

// tags are the elements that MediaWiki knows. Others are text, as <stdio.h>.
var tags = map[string]form{
	"br": lineBreak, "p": block, "div": block, "center": block, "blockquote": block, "hr": block, "ul": block, "ol": block,
	"dl": block, "table": block, "caption": block, "tr": lineBreak, "td": cell, "th": cell, "li": item, "dt": lineBreak,
	"dd": lineBreak, "h1": block, "h2": block, "h3": block, "h4": block, "h5": block, "h6": block, "sup": raised,
	"sub": lowered, "poem": verse, "section": inline,
}

func init() {
	for _, name := range strings.Fields("b i u s del ins strike small big span font cite code tt kbd samp var em strong abbr " +
		"dfn ruby rb rt rtc rp bdi bdo q mark time data wbr noinclude onlyinclude nowiki thead tbody tfoot colgroup col img link meta") {
		tags[name] = inline
	}
	for name := range elements { // those without an end
		if tags[name] == 0 {
			tags[name] = inline
		}
	}
}

// tag reads the tag that opens at i. Its attributes end at > and may not hold <.
func (p *parser) tag(i int) (t tag) {
	s := p.s
	j := i + 1
	if j < len(s) && s[j] == '/' {
		t.closing = true
		j++
	}
	begin := j
	for j < len(s) && j-begin < 16 && (s[j]|0x20 >= 'a' && s[j]|0x20 <= 'z' || j > begin && s[j] >= '0' && s[j] <= '9') {
		j++
	}
	if j == begin || j == len(s) || strings.IndexByte("> \t\n/", s[j]) < 0 {
		return tag{}
	}
	name := j
	for j < len(s) && s[j] != '>' {
		if s[j] == '<' {
			p.steps += j - i
			return tag{}
		}
		j++
	}
	p.steps += j - i
	if j == len(s) {
		return tag{}
	}
	t.name = p.known(s[begin:name])
	t.attrs, t.single = strings.CutSuffix(s[name:j], "/")
	t.end = j + 1
	return t
}

// known returns the name in lower case of a tag that is in one of the tables
// above, without an allocation, and "" for others.
func (p *parser) known(name string) string {
	if _, ok := tags[name]; ok {
		return name
	}
	lower := strings.ToLower(name)
	if _, ok := tags[lower]; ok {
		return lower
	}
	return ""
}

// element writes what an element stands for; it is s[i:end].
func (p *parser) element(i, end int) {
	t := p.tag(i)
	content := ""
	if t.end < end {
		content = p.s[t.end:end]
		content = content[:strings.LastIndex(content, "</")]
	}
	p.steps += len(content)
	switch elements[t.name] {
	case dropped:
		p.out = append(p.out, dropMark)
	case reference:
		p.out = append(p.out, refMark)
	case formula:
		p.formula(content, strings.Contains(t.attrs, "block"))
	case chemistry:
		p.formula(`\ce{`+content+`}`, false)
	case literal:
		p.literal(content)
	case preserving:
		for line := range strings.SplitSeq(strings.Trim(content, "\n"), "\n") {
			p.out = append(p.out, blockMark, 'P')
			p.literal(line)
			p.out = append(p.out, '\n')
		}
	}
}

// formula writes TeX between marks that translators leave alone. A formula for
// itself has its own line.
func (p *parser) formula(tex string, display bool) {
	tex = strings.Join(strings.Fields(tex), " ")
	if tex == "" {
		return
	}
	if n := len(p.out); display && n > 0 && p.out[n-1] != '\n' && p.out[n-1] != endMark {
		p.out = append(p.out, hardBreak)
	}
	p.out = append(append(append(p.out, `\(`...), strings.Map(printable, tex)...), `\)`...)
	if display {
		p.out = append(p.out, hardBreak)
	}
}

func printable(r rune) rune {
	if r < ' ' {
		return ' '
	}
	return r
}

// literal writes text that is no markup but has character references.
func (p *parser) literal(text string) {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '&':
			i += p.entity(text[i:]) - 1
		case c < ' ' && c != '\n':
			p.out = append(p.out, ' ')
		default:
			p.out = append(p.out, c)
		}
	}
}

// html writes what a tag at i stands for and returns where to go on.
func (p *parser) html(i, hi int) int {
	t := p.tag(i)
	if t.name == "" || t.end > hi {
		p.out = append(p.out, '<')
		return i + 1
	}
	if !t.closing && strings.Contains(t.attrs, "display") && hiddenStyle(t.attrs) {
		if _, end := p.closingTag(t.name, t.end); end > 0 && end <= hi {
			p.out = append(p.out, dropMark)
			return end
		}
	}
	switch tags[t.name] {
	case lineBreak:
		p.out = append(p.out, hardBreak)
	case block:
		p.out = append(p.out, '\n', '\n')
		if !t.closing { // a list or a paragraph may begin on the tag's line
			return p.lineStart(t.end, hi)
		}
	case item:
		p.out = append(p.out, '\n')
		if !t.closing {
			p.out = append(p.out, blockMark, 'L', '*', endMark)
		}
	case cell:
		if !t.closing {
			p.out = append(p.out, "; "...)
		}
	case verse:
		p.out = append(p.out, '\n', '\n')
		if t.closing {
			p.verse = max(0, p.verse-1)
		} else if !t.single {
			p.verse++
			if t.end < hi && p.s[t.end] == '\n' {
				return t.end + 1
			}
		}
	case raised, lowered:
		return p.script(t, hi)
	}
	return t.end
}

func hiddenStyle(attrs string) bool {
	attrs = strings.ToLower(strings.ReplaceAll(attrs, " ", ""))
	return strings.Contains(attrs, "display:none")
}

// maxScript bounds what is read as raised or lowered, in bytes.
const maxScript = 400

// script writes a superscript or subscript. An end tag without a beginning is nothing.
func (p *parser) script(t tag, hi int) int {
	if t.closing || t.single {
		return t.end
	}
	lo, end := p.closingTag(t.name, t.end)
	if lo < 0 || end > hi || lo-t.end > maxScript || p.depth >= maxDepth {
		return t.end
	}
	text := p.capture(t.end, lo)
	if strings.ContainsAny(text, "\n\x02\x0b") {
		p.out = append(p.out, text...)
		return end
	}
	p.raise(strings.TrimSpace(text), t.name == "sup")
	return end
}

// superscripts and subscripts are the characters of Unicode for the ASCII ones.
var superscripts = map[rune]rune{'0': '⁰', '1': '¹', '2': '²', '3': '³', '4': '⁴', '5': '⁵', '6': '⁶', '7': '⁷', '8': '⁸', '9': '⁹',
	'+': '⁺', '-': '⁻', '−': '⁻', '–': '⁻'}
var subscripts = map[rune]rune{'0': '₀', '1': '₁', '2': '₂', '3': '₃', '4': '₄', '5': '₅', '6': '₆', '7': '₇', '8': '₈', '9': '₉',
	'+': '₊', '-': '₋', '−': '₋', '–': '₋'}

// ordinals are raised letters that stand for the ends of words, as in 1st and XVIe.
var ordinals = map[string]bool{"st": true, "nd": true, "rd": true, "th": true, "e": true, "er": true, "re": true, "ère": true,
	"ème": true, "eme": true, "me": true, "o": true, "a": true, "os": true, "as": true, "te": true, "de": true}

// raise writes text as superscript or subscript in the form that keeps its meaning
// in plain text: within formulas as TeX; signs and digits behind a letter as
// Unicode's (H₂O, km², Ca²⁺); ends of ordinals as they are (1st); and all else
// behind ^ or _ (10^18, x^n, v_max). What stands behind a digit never is Unicode's:
// SentencePiece's NFKC, which NLLB has, turns 10¹⁸ into 1018.
func (p *parser) raise(text string, up bool) {
	if text == "" {
		return
	}
	if bare := strings.TrimRight(text, ",;:."); bare != "" && bare != text && p.inFormula == 0 { // CO<sub>2,</sub>
		p.raise(bare, up)
		p.out = append(p.out, text[len(bare):]...)
		return
	}
	sign, table := byte('_'), subscripts
	if up {
		sign, table = '^', superscripts
	}
	last := p.lastByte()
	digit := last >= '0' && last <= '9'
	switch mapped, ok := translate(text, table); {
	case p.inFormula > 0:
		p.out = append(append(append(p.out, sign, '{'), text...), '}')
	case ok && !digit && !(up && last == ')'):
		p.out = append(p.out, mapped...)
	case up && ordinals[text] && (digit || strings.IndexByte("IVXLCDMN", last) >= 0), last == 0 || last == ' ', text[0] == '[':
		p.out = append(p.out, text...)
	case wordOf(text):
		p.out = append(append(p.out, sign), text...)
	default:
		p.out = append(append(append(p.out, sign, '('), text...), ')')
	}
}

// lastByte is the last byte of the text so far that shows; 0 in a new line.
func (p *parser) lastByte() byte {
	for i := len(p.out) - 1; i >= 0; i-- {
		switch c := p.out[i]; {
		case c == boldMark || c == italicMark:
		case c < ' ':
			return 0
		default:
			return c
		}
	}
	return 0
}

func translate(text string, table map[rune]rune) (string, bool) {
	var b strings.Builder
	for _, r := range text {
		if r == boldMark || r == italicMark {
			continue
		}
		t, ok := table[r]
		if !ok {
			return "", false
		}
		b.WriteRune(t)
	}
	return b.String(), true
}

// wordOf reports whether text needs no brackets behind ^ or _.
func wordOf(text string) bool {
	text = strings.TrimLeft(text, "-−+")
	return text != "" && !strings.ContainsAny(text, " \t+-−–/*=(),^_\x01\x04\x0e")
}
