package wiki

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"barka/internal/dataset"
	"barka/internal/wikitext"
)

// madePage is what a page gave. It does not depend on other pages, so that workers make
// pages in any order.
type madePage struct {
	ID  int64           // of the page; 0 if unknown
	Row dataset.Passage // what its passages share
	// Refused says why the page has no passages.
	Refused refusal
	Texts   []madeText
	// Dropped and Rows are those of wikitext.Page.
	Dropped []wikitext.Dropped
	Rows    int
}

// madeText is a passage, or a text that is none.
type madeText struct {
	Section, Text, ID string
	Chars             int32
	Key               dataset.TextKey
	Refused           refusal
}

// refusal is a dataset.Reject for storing.
type refusal struct{ Reason, Detail string }

// make turns a page into passages.
func (s *stage) make(p page) madePage {
	m := madePage{ID: p.ID, Refused: p.refused,
		Row: dataset.Passage{Dataset: s.o.Dataset, Title: p.Title, URL: p.url, Revision: p.Revision, Licence: p.licence}}
	if p.title != "" {
		m.Row.TargetTitle, m.Row.TargetLanguage = p.title, s.o.TitleLanguage
	}
	if m.Refused.Reason == "" && !s.o.KeepLists {
		m.Refused.Reason = s.listing(p.text)
	}
	if m.Refused.Reason == "" {
		s.section(&m, p.text.Root, nil)
		m.Dropped, m.Rows = p.text.Dropped, p.text.Rows
	}
	return m
}

// section adds the text of a section and of those below it.
func (s *stage) section(m *madePage, sec *wikitext.Section, path []string) {
	t := madeText{Text: sec.Text}
	if sec.Level > 1 {
		path = append(path[:len(path):len(path)], sec.Title)
		if s.skip[wikitext.Fold(sec.Title)] {
			t.Section, t.Refused.Reason = strings.Join(path, " > "), "skipped_heading"
			m.Texts = append(m.Texts, t)
			return
		}
	}
	t.Section = strings.Join(path, " > ")
	for _, t.Text = range s.pieces(sec.Text) {
		t.Chars = int32(utf8.RuneCountInString(t.Text))
		t.ID = dataset.ContentID("passage", m.Row.Title, t.Section, t.Text)
		t.Refused.Reason = s.against(t, len(sec.Children) > 0 || sec.Level == 1)
		t.Key = dataset.KeyOf(t.Text)
		m.Texts = append(m.Texts, t)
	}
	for _, child := range sec.Children {
		s.section(m, child, path)
	}
}

// against returns the reason why a text is no passage, or "".
func (s *stage) against(t madeText, inner bool) string {
	switch {
	case inner && s.o.LeavesOnly:
		return "not_a_leaf"
	case int(t.Chars) <= s.o.MinChars:
		return "too_short"
	case s.tooLong(t.Text):
		return "too_long"
	}
	return ""
}

// take writes what a page gave, in the order of the pages. Pages and texts that came before
// are rejected.
func (s *stage) take(m madePage) error {
	if m.Refused.Reason == missingPage {
		s.missing = append(s.missing, m.Row.Title)
	}
	if m.Refused.Reason != "" {
		return s.out.Reject(m.Row, m.Refused.reject())
	}
	if again, err := s.seen.add(pageKey(m.ID)); err != nil {
		return err
	} else if again && m.ID != 0 {
		return s.out.Reject(m.Row, dataset.Reject{Reason: "same_page", Detail: fmt.Sprintf("page %d came before", m.ID)})
	}
	s.kept++
	s.report.add(m)
	for _, t := range m.Texts {
		if err := s.takeText(m.Row, t); err != nil {
			return err
		}
	}
	if s.o.MaxPages > 0 && s.kept >= int64(s.o.MaxPages) {
		return errEnough
	}
	return nil
}

func (s *stage) takeText(row dataset.Passage, t madeText) error {
	row.Section, row.Text, row.ID, row.Chars = t.Section, t.Text, t.ID, t.Chars
	if t.Refused.Reason == "" {
		again, err := s.seen.add(t.Key)
		switch {
		case err != nil:
			return err
		case again:
			t.Refused.Reason = "duplicate"
		}
	}
	if t.Refused.Reason != "" {
		return s.out.Reject(row, t.Refused.reject())
	}
	s.passages++
	return s.out.Write(row)
}

func (r refusal) reject() dataset.Reject { return dataset.Reject{Reason: r.Reason, Detail: r.Detail} }
