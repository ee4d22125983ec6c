// Package wikitext turns MediaWiki markup into plain text in sections. Templates
// that stand for words are rendered from data (languages/), formulas are kept
// between \( and \), tables become rows, lists become items. References, files,
// categories and all other templates are dropped, and the punctuation around them
// is repaired. Any input is accepted, in time linear in its length.
//
// A page is rendered in three passes: mark pairs brackets and finds elements whose
// content is not markup, as MediaWiki's preprocessor does; render writes text with
// control bytes for what the last pass needs to know; tidy makes lines and sections
// of it.
package wikitext

import (
	"cmp"
	"regexp"
	"strings"
	"sync"
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

// Page is a rendered page.
type Page struct {
	Root *Section
	// Disambiguation pages state that they only list the meanings of their title.
	Disambiguation bool
	// Dropped are the unknown templates inside sentences, in the order of their
	// first appearance.
	Dropped []Dropped
	// Rows is the number of rows of tables that were left out, because the table
	// was too large.
	Rows int
}

// Dropped is a template that the data do not know, inside sentences of one page.
type Dropped struct {
	Name  string
	Count int
	// Example is the text around the first place.
	Example string
}

// Options describe a wiki.
type Options struct {
	// Language is the code of the wiki's language, as ar. One without data of its
	// own has those of English.
	Language string
	// Namespaces are the wiki's own names of the namespaces whose links show
	// nothing in the text: files, media and categories. Their English names are
	// known, and some aliases.
	Namespaces []string
	// Data replace embedded ones entry by entry; nil: none do.
	Data *Data
}

// Wiki renders the pages of one wiki. It is safe for concurrent use.
type Wiki struct {
	lang    *language
	hidden  map[string]bool
	parsers sync.Pool
}

// New returns the renderer of a wiki.
func New(o Options) *Wiki {
	lang := languageOf(o.Language, o.Data)
	w := &Wiki{lang: lang, hidden: map[string]bool{}}
	for _, names := range [][]string{lang.Namespaces, o.Namespaces} {
		for _, name := range names {
			w.hidden[namespace(name)] = true
		}
	}
	w.parsers.New = func() any { return &parser{w: w, ids: map[string]int{}} }
	return w
}

// maxSource bounds a page. MediaWiki's are at most 2 MiB, and positions must fit
// into 29 bits.
const maxSource = 64 << 20

// Parse renders a page. What lies beyond maxSource is not read.
func (w *Wiki) Parse(title, source string) *Page {
	p := w.parsers.Get().(*parser)
	defer w.parsers.Put(p)
	return p.page(title, source[:min(len(source), maxSource)])
}

// Text renders markup to plain text, with headings as == Title ==.
func (w *Wiki) Text(source string) string {
	var b strings.Builder
	w.Parse("", source).Root.write(&b)
	return strings.TrimSpace(b.String())
}

func (s *Section) write(b *strings.Builder) {
	if s.Title != "" {
		marks := strings.Repeat("=", s.Level)
		b.WriteString("\n" + marks + " " + s.Title + " " + marks + "\n")
	}
	if s.Text != "" {
		b.WriteString(s.Text + "\n")
	}
	for _, child := range s.Children {
		child.write(b)
	}
}

// Redirect returns the target of a redirect page, in any language: its source
// begins with # and one word, and a link.
func Redirect(source string) (string, bool) {
	source = strings.TrimSpace(source[:min(len(source), 1000)])
	word, rest, ok := strings.Cut(source, "[[")
	if !ok || len(word) < 2 || word[0] != '#' || len(word) > 60 {
		return "", false
	}
	word = strings.TrimRight(word[1:], " \t\n:")
	if strings.ContainsAny(word, " \t\n*#:{<'") || word == "" {
		return "", false
	}
	target, _, ok := strings.Cut(rest, "]]")
	if i := strings.IndexAny(target, "|#"); i >= 0 {
		target = target[:i]
	}
	return strings.TrimSpace(target), ok && redirects[strings.ToLower(word)]
}

// Tree builds the sections of plain text with == headings ==, such as
// MediaWiki's own extracts are.
func Tree(text string) *Section {
	t := outline{root: &Section{Level: 1}}
	t.path = []*Section{t.root}
	var body []string
	flush := func() {
		t.text(strings.TrimSpace(blankLines.ReplaceAllString(strings.Join(body, "\n"), "\n\n")))
		body = body[:0]
	}
	for _, line := range strings.Split(text, "\n") {
		m := heading.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil || len(m[1]) < 2 {
			body = append(body, line)
			continue
		}
		flush()
		t.open(len(m[1]), m[2])
	}
	flush()
	return t.root
}

var (
	blankLines = regexp.MustCompile(`\n{3,}`)
	heading    = regexp.MustCompile(`^(={1,6})\s*(.+?)\s*={1,6}\s*$`)
)

// outline builds the tree of sections.
type outline struct {
	root *Section
	path []*Section
}

// text sets the text of the section that was opened last.
func (t *outline) text(s string) { t.path[len(t.path)-1].Text = s }

func (t *outline) open(level int, title string) {
	level = max(level, 2)
	for len(t.path) > 1 && t.path[len(t.path)-1].Level >= level {
		t.path = t.path[:len(t.path)-1]
	}
	s := &Section{Level: level, Title: title}
	parent := t.path[len(t.path)-1]
	parent.Children = append(parent.Children, s)
	t.path = append(t.path, s)
}

// namespace is a name in the form in which names are compared: the case of
// their letters does not count.
func namespace(name string) string {
	return strings.ToLower(strings.Join(strings.Fields(strings.ReplaceAll(name, "_", " ")), " "))
}

// Language returns the code of a wiki's language from the name of its database,
// as arwiki, or else from its address, as https://ar.wikipedia.org/wiki/…; "" if
// neither has one.
func Language(db, address string) string {
	for _, suffix := range []string{"wiki", "wiktionary", "wikibooks", "wikiquote", "wikisource", "wikinews"} {
		if code, ok := strings.CutSuffix(db, suffix); ok && languageCodes[strings.ReplaceAll(code, "_", "-")] {
			return strings.ReplaceAll(code, "_", "-")
		}
	}
	_, host, _ := strings.Cut(address, "://")
	code, _, _ := strings.Cut(cmp.Or(host, address), ".")
	if languageCodes[code] {
		return code
	}
	return ""
}
