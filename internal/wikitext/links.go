package wikitext

import (
	"path"
	"strings"
)

// link writes the text of [[s[lo:hi]]].
func (p *parser) link(lo, hi int) {
	parts := p.split(lo, hi)
	target := strings.TrimSpace(p.plain(parts[0]))
	prefix, rest, prefixed := strings.Cut(target, ":")
	if prefixed && prefix != "" && p.silent(prefix, rest) {
		p.out = append(p.out, dropMark)
		return
	}
	if len(parts) == 1 {
		p.out = append(p.out, strings.TrimPrefix(target, ":")...)
		return
	}
	label := stretch{parts[1].lo, parts[len(parts)-1].hi} // a link has one label, with bars in it
	if strings.TrimSpace(p.s[label.lo:label.hi]) != "" {
		p.render(label.lo, label.hi)
		return
	}
	if !prefixed { // the pipe trick
		rest = target
	}
	if i := strings.IndexByte(rest, '('); i > 0 {
		rest = strings.TrimSpace(rest[:i])
	}
	p.out = append(p.out, rest...)
}

// plain renders what mostly is text without markup.
func (p *parser) plain(r stretch) string {
	text := p.s[r.lo:r.hi]
	p.steps += len(text)
	for i := range len(text) {
		if c := text[i]; special[c] && c != '_' && c != '\'' {
			return strings.Map(func(r rune) rune {
				if r < ' ' {
					return -1
				}
				return r
			}, p.capture(r.lo, r.hi))
		}
	}
	if strings.IndexByte(text, '_') >= 0 {
		text = strings.ReplaceAll(text, "_", " ")
	}
	return text
}

// silent reports whether a link with this prefix shows nothing in the text: it is
// a file, a category, or the page in another language.
func (p *parser) silent(prefix, rest string) bool {
	if len(prefix) > 60 {
		return false
	}
	prefix = strings.TrimSpace(prefix)
	if languageCodes[prefix] {
		return true
	}
	if p.w.hidden[prefix] || p.w.hidden[namespace(prefix)] {
		return true
	}
	// Aliases of a wiki's own namespaces are not in its dump: files show by their names.
	return rest != "" && len(rest) < 300 && media[strings.ToLower(path.Ext(strings.TrimSpace(rest)))]
}

// media are the endings of files.
var media = map[string]bool{".jpg": true, ".jpeg": true, ".png": true, ".gif": true, ".svg": true, ".tif": true, ".tiff": true,
	".webp": true, ".xcf": true, ".ogg": true, ".ogv": true, ".oga": true, ".opus": true, ".wav": true, ".mp3": true, ".flac": true,
	".mid": true, ".midi": true, ".webm": true, ".mpg": true, ".mpeg": true, ".mp4": true, ".pdf": true, ".djvu": true, ".stl": true}

// schemes are the addresses that a link in single brackets may have.
var schemes = []string{"http://", "https://", "//", "ftp://", "mailto:", "news:", "irc://", "HTTP://"}

// external writes the label of [address label]; without one the link is a number
// that says nothing. Other brackets are text.
func (p *parser) external(i, hi int) int {
	rest := p.s[i+1 : hi]
	known := false
	for _, scheme := range schemes {
		known = known || strings.HasPrefix(rest, scheme)
	}
	end := -1
	if known && (i < p.noBracket.lo || i >= p.noBracket.hi) {
		end = p.bracket(i+1, hi)
	}
	if end < 0 {
		p.out = append(p.out, '[')
		return i + 1
	}
	label := i + 1
	for label < end && p.s[label] != ' ' && p.s[label] != '\t' {
		if what, to := p.opens(label); what != none && to <= end { // in the address
			label = to
			continue
		}
		label++
	}
	p.steps += label - i
	if label = p.skipBlank(label, end); label == end {
		p.out = append(p.out, dropMark)
		return end + 1
	}
	if p.depth >= maxDepth {
		return end + 1
	}
	p.depth++
	p.render(label, end)
	p.depth--
	return end + 1
}

// bracket finds the ] of the line that belongs to no construct; -1 if there is none.
func (p *parser) bracket(i, hi int) int {
	from := i
	for ; i < hi && p.s[i] != '\n'; i++ {
		switch what, end := p.opens(i); {
		case what != none && end <= hi:
			i = end - 1
		case p.s[i] == ']':
			p.steps += i - from
			return i
		}
	}
	p.steps += i - from
	p.noBracket = stretch{from, i}
	return -1
}
