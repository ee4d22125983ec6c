package translate

import (
	"slices"
	"strings"

	"barka/internal/segment"
)

// Rungs are the ways to translate a segment, in the order in which they are tried.
const (
	RungWhole  = "whole"  // in one piece, with placeholders for its protected spans
	RungPieces = "pieces" // what is between its protected spans, piece by piece
)

// Check is what was found about a translation of a segment.
type Check struct {
	// Reasons are the flags for which the next rung is tried.
	Reasons []string
	// Flags are those that the segment gets. The reasons of earlier rungs are among them.
	Flags []string
}

// attempt is the translation of a segment by a rung.
type attempt struct {
	rung  string
	text  string      // with the protected spans
	plain string      // without them
	tr    Translation // score and counts
	check Check
}

// next returns the rung to try after those that failed, "" for none. Whatever else is to
// be tried for a segment is decided here.
func (w *worker) next(s segment.Segment, failed []attempt) string {
	switch {
	case len(failed) == 0 && (len(s.Spans) == 0 || w.c.o.Form.Holds(s)):
		return RungWhole
	case len(s.Spans) > 0 && (len(failed) == 0 || failed[len(failed)-1].rung == RungWhole):
		return RungPieces
	}
	return ""
}

// settle translates a segment with what the memory knows: by the first rung that passes
// its checks, else by the last one. If the memory lacks texts, settle returns them.
func (w *worker) settle(s segment.Segment) (a attempt, lacks []request, err error) {
	var failed []attempt
	for rung := w.next(s, nil); rung != ""; rung = w.next(s, failed) {
		if rung == RungWhole {
			a, lacks, err = w.inOnePiece(s)
		} else {
			a, lacks, err = w.inPieces(s)
		}
		if err != nil || len(lacks) > 0 {
			return attempt{}, lacks, err
		}
		a.rung = rung
		a.check.Flags = append(a.check.Flags, w.o.check(s.Plain(), a.plain, a.tr)...)
		if len(a.check.Reasons) == 0 {
			break
		}
		failed = append(failed, a)
	}
	for _, f := range failed {
		for _, reason := range f.check.Reasons {
			if !slices.Contains(a.check.Flags, reason) {
				a.check.Flags = append(a.check.Flags, reason)
			}
		}
	}
	return a, nil, nil
}

// inOnePiece translates a segment with placeholders.
func (w *worker) inOnePiece(s segment.Segment) (a attempt, lacks []request, err error) {
	form := w.c.o.Form
	text := form.Mask(s)
	r := request{usual, text}
	tr, known, err := w.memory.get(r)
	if err != nil || !known {
		return a, []request{r}, err
	}
	u := form.Unmask(s, tr.Text, w.o.finish)
	a = attempt{text: u.Text, plain: u.Plain, tr: tr}
	for _, p := range u.Problems {
		a.check.Reasons = append(a.check.Reasons, string(p))
	}
	a.tr.Alternatives = nil
	for _, alternative := range tr.Alternatives {
		alternative.Text = form.Unmask(s, alternative.Text, nil).Text
		a.tr.Alternatives = append(a.tr.Alternatives, alternative)
	}
	return a, nil, nil
}

// inPieces translates what is between the protected spans. The score is the mean of the
// pieces' scores.
func (w *worker) inPieces(s segment.Segment) (a attempt, lacks []request, err error) {
	var text, plain strings.Builder
	pieces := 0
	for _, p := range segment.Around(s, w.c.o) {
		if !p.Translated() {
			text.WriteString(p.Text)
			if p.Kind != segment.Span {
				plain.WriteString(p.Text)
			}
			continue
		}
		r := request{usual, p.Text}
		tr, known, err := w.memory.get(r)
		if err != nil {
			return a, nil, err
		}
		if !known {
			lacks = append(lacks, r)
			continue
		}
		target := w.o.finish(tr.Text)
		text.WriteString(target)
		plain.WriteString(target)
		pieces++
		a.tr.Score += tr.Score
		a.tr.Cut += tr.Cut
		a.tr.Unknown += tr.Unknown
		a.tr.HitMax = a.tr.HitMax || tr.HitMax
	}
	a.tr.Score /= float32(max(pieces, 1))
	a.text, a.plain = text.String(), plain.String()
	return a, lacks, nil
}
