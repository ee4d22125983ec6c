package wiki

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"barka/internal/dataset"
)

// reportFile is the file beside the passages with the templates that were dropped.
const reportFile = "templates.json"

// maxDropped bounds the names in the report. The English Wikipedia has some hundred
// thousand templates, of which most never stand in a sentence.
const maxDropped = 100_000

// report counts the templates that are not in the data and stood inside sentences, and
// what else of the pages is not in the passages.
type report struct {
	templates map[string]*droppedTemplate
	others    int // of names beyond maxDropped
	rows      int
}

// droppedTemplate is an entry of the report.
type droppedTemplate struct {
	Name    string `json:"name"`
	Count   int    `json:"count"`
	Pages   int    `json:"pages"`
	Example string `json:"example"`
	Page    string `json:"page"` // of the example
}

func (r *report) add(m madePage) {
	r.rows += m.Rows
	if r.templates == nil {
		r.templates = map[string]*droppedTemplate{}
	}
	for _, d := range m.Dropped {
		t := r.templates[d.Name]
		if t == nil {
			if len(r.templates) >= maxDropped {
				r.others += d.Count
				continue
			}
			t = &droppedTemplate{Name: d.Name, Example: d.Example, Page: m.Row.Title}
			r.templates[d.Name] = t
		}
		t.Count += d.Count
		t.Pages++
	}
}

// sorted are the templates, most frequent first.
func (r *report) sorted() []*droppedTemplate {
	return slices.SortedFunc(maps.Values(r.templates), func(a, b *droppedTemplate) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name))
	})
}

// files are the report as a file, if there is something to report.
func (r *report) files([]dataset.FileInfo) (map[string][]byte, error) {
	list := r.sorted()
	if len(list) == 0 {
		return nil, nil
	}
	if r.others > 0 {
		list = append(list, &droppedTemplate{Name: "(others)", Count: r.others})
	}
	data, err := json.MarshalIndent(list, "", "  ")
	return map[string][]byte{reportFile: append(data, '\n')}, err
}

// notes names the ten most frequent templates, and the rows of tables that were left out.
func (r *report) notes() (notes []string) {
	if list := r.sorted(); len(list) > 0 {
		total := r.others
		var first []string
		for i, t := range list {
			total += t.Count
			if i < 10 {
				first = append(first, fmt.Sprintf("%s %d", t.Name, t.Count))
			}
		}
		notes = append(notes, fmt.Sprintf("%d places in sentences had templates that are not in the data and were dropped: %s (%s has all "+
			"with examples; --templates adds some)", total, strings.Join(first, ", "), reportFile))
	}
	if r.rows > 0 {
		notes = append(notes, fmt.Sprintf("%d rows of large tables were left out", r.rows))
	}
	return notes
}
