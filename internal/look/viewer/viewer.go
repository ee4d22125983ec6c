// Package viewer writes one HTML page with rows of a dataset, kept and rejected, to read,
// search and review in a browser. The page loads nothing: its content security policy
// allows no request, and only the script whose digest it names. Rows are data in it, which
// the script shows as text.
package viewer

import (
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/bidi"
	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/htmlpage"
	"barka/internal/look"
	"barka/internal/review"
)

//go:embed viewer.html
var layout string

//go:embed viewer.js
var script string

var page = htmlpage.New(layout)

// Options are what the page holds.
type Options struct {
	Path      string         // dataset directory or file of rows
	Title     string         // of the page; "" is the path's name
	Selection look.Selection // Sample and Limit are set from Limit
	// Limit is the largest number of rows of each part: the dataset's own, each split and
	// the rejected ones. Of larger parts the page has a sample. 0 is all.
	Limit int
	// MaxBytes bounds the rows on the page. 0 is all.
	MaxBytes int
	// Review is a review file whose verdicts the page begins with.
	Review string
}

// Made counts the rows of a page.
type Made struct {
	Rows    int     `json:"rows"`
	LeftOut []Count `json:"left_out"` // by part
}

// Count is a number of rows of a part.
type Count struct {
	Part string `json:"part"`
	Rows int    `json:"rows"`
}

// item is a row on the page. The names are short because there are thousands.
type item struct {
	ID      string      `json:"id"`
	Digest  string      `json:"d,omitempty"` // of its messages; "" for a row that cannot be reviewed
	Part    string      `json:"p"`
	Reason  string      `json:"r,omitempty"`
	Detail  string      `json:"w,omitempty"`
	Source  string      `json:"s,omitempty"` // its dataset
	Form    string      `json:"f,omitempty"`
	Kind    string      `json:"k,omitempty"`
	Title   string      `json:"t,omitempty"`
	Turns   []turn      `json:"m"`
	Origin  []string    `json:"o,omitempty"`
	Flags   []string    `json:"g,omitempty"`
	Columns [][2]string `json:"x,omitempty"`
}

// turn is a message, or another text of a row, with its source.
type turn struct {
	Role   string   `json:"r"`
	Text   passage  `json:"t"`
	Source *passage `json:"s,omitempty"`
}

// passage is a text as the page shows it. Parts with an odd index are read from left to
// right inside right-to-left text. Raw is the text itself where it holds characters that
// are shown as escapes.
type passage struct {
	RTL   bool     `json:"a,omitempty"`
	Parts []string `json:"p"`
	Raw   *string  `json:"w,omitempty"`
}

// content is what the template shows.
type content struct {
	Title, Path  string
	About        []string
	LeftOut      []Count
	Data, Script template.JS
	Digest       string // of the script
}

// Write writes the page.
func Write(ctx context.Context, w io.Writer, o Options) (*Made, error) {
	m, err := dataset.ManifestIfAny(o.Path)
	if err != nil {
		return nil, err
	}
	items, made, err := collect(ctx, o, m)
	if err != nil {
		return nil, err
	}
	verdicts, err := verdictsOf(ctx, o.Review)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return nil, badinput.Errorf("%s: there is no row to show", o.Path)
	}
	name := filepath.Base(filepath.Clean(o.Path))
	// JSON escapes <, > and &, so that no text can end the script element.
	data, err := json.Marshal(map[string]any{"name": name, "rows": items, "review": verdicts})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(script))
	c := content{Title: cmp.Or(o.Title, name), Path: o.Path, About: about(m), LeftOut: made.LeftOut,
		Data: template.JS(data), Script: template.JS(script), Digest: base64.StdEncoding.EncodeToString(sum[:])}
	text, err := htmlpage.Render(page, c)
	if err != nil {
		return nil, err
	}
	_, err = io.WriteString(w, text)
	return made, err
}

// verdictsOf reads the verdicts that the page begins with, by id.
func verdictsOf(ctx context.Context, path string) (map[string]review.Verdict, error) {
	all := map[string]review.Verdict{}
	if path == "" {
		return all, nil
	}
	v, err := review.Read(ctx, path)
	if err != nil {
		return nil, err
	}
	for verdict := range v.All() {
		all[verdict.ID] = verdict
	}
	return all, nil
}

// about are facts of the dataset, if it has a manifest: its stage and counts.
func about(m *dataset.Manifest) (lines []string) {
	if m == nil {
		return nil
	}
	var counts []string
	for _, name := range slices.Sorted(maps.Keys(m.Counts)) {
		counts = append(counts, fmt.Sprintf("%s %d", strings.ReplaceAll(name, "_", " "), m.Counts[name]))
	}
	return []string{"Written by " + m.Stage + " (" + m.Barka + "): " + strings.Join(counts, ", ") + "."}
}

// parts lists the parts of a dataset, the rejected rows last.
func parts(m *dataset.Manifest) []look.Part {
	if m == nil {
		return []look.Part{{}}
	}
	return look.Parts(m)
}

// kept is the name of the dataset's own rows on the page.
const kept = "kept"

// collect reads the rows of every part.
func collect(ctx context.Context, o Options, m *dataset.Manifest) (items []item, made *Made, err error) {
	made = &Made{LeftOut: []Count{}}
	size := 0
	for _, p := range parts(m) {
		path, name := o.Path, cmp.Or(p.Name, kept)
		if p.Name != "" {
			path = filepath.Join(path, p.Name)
		}
		s := o.Selection
		s.Sample, s.Limit = o.Limit, 0
		taken, matched := 0, 0
		for r, err := range s.ReadCounting(ctx, path, &matched) {
			if err != nil {
				return nil, nil, err
			}
			it := itemOf(r, name)
			line, err := json.Marshal(it)
			if err != nil {
				return nil, nil, err
			}
			if o.MaxBytes > 0 && size+len(line) > o.MaxBytes {
				continue
			}
			size += len(line)
			taken++
			items = append(items, it)
		}
		if left := matched - taken; left > 0 {
			made.LeftOut = append(made.LeftOut, Count{name, left})
		}
	}
	made.Rows = len(items)
	return items, made, nil
}

// itemOf returns a row as the page shows it. Turns keep their text; everything else is made
// safe here.
func itemOf(r look.Row, part string) item {
	it := item{ID: r.ID(), Part: part, Reason: bidi.Safe(r.Text("reason")), Detail: bidi.Safe(r.Text("detail")),
		Source: bidi.Safe(r.Text("dataset")), Form: bidi.Safe(r.Text("form")), Kind: bidi.Safe(r.Text("kind")), Turns: []turn{}}
	it.Title = bidi.Safe(strings.Trim(r.Text("title")+" › "+r.Text("section"), " ›"))
	for _, line := range look.Origin(r) {
		it.Origin = append(it.Origin, bidi.Safe(line))
	}
	flags, _, _ := r.Flags()
	it.Flags = slices.Sorted(maps.Keys(flags))
	turns, source := r.Messages(), r.Source()
	if len(turns) > 0 && r.ID() != "" {
		it.Digest = review.Digest(turns)
	}
	if len(turns) == 0 && r.Text("text") != "" {
		turns = []chat.Message{{Content: r.Text("text")}}
	}
	for i, m := range turns {
		t := turn{Role: m.Role, Text: passageOf(m.Content)}
		if i < len(source) && source[i].Content != "" {
			s := passageOf(source[i].Content)
			t.Source = &s
		}
		it.Turns = append(it.Turns, t)
	}
	for _, c := range r.Others() {
		it.Columns = append(it.Columns, [2]string{bidi.Safe(c), bidi.Safe(clipped(look.Text(r.Columns[c])))})
	}
	return it
}

// clipped bounds the text of a column without a place of its own.
func clipped(s string) string {
	const most = 2000
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + " …"
	}
	return s
}

func passageOf(text string) passage {
	safe := bidi.Safe(text)
	rtl, spans := bidi.Isolated(safe)
	p := passage{RTL: rtl}
	at := 0
	for _, s := range spans {
		p.Parts = append(p.Parts, safe[at:s.Start], safe[s.Start:s.End])
		at = s.End
	}
	p.Parts = append(p.Parts, safe[at:])
	if strings.ReplaceAll(text, "\t", "    ") != safe || strings.Contains(text, "\t") {
		p.Raw = &text
	}
	return p
}
