package report

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/dataset"
	"barka/internal/look"
)

// rejection is a reason for which a stage rejected rows, with a few of them.
type rejection struct {
	Stage, Dir, Reason string
	N                  int64
	Samples            []rejectedRow
}

// rejectedRow is a row as the page shows it.
type rejectedRow struct {
	Title, Detail string
	Texts         []string
}

// Bounds of the rejected rows on a page.
const (
	rejectedEach = 2   // of each reason
	rejectedMost = 400 // characters of each text
	rejectedRead = 200_000
)

// readRejected reads a few rejected rows for each reason of a stage: those whose ids have the
// smallest hashes among the first rejectedRead rows.
func readRejected(ctx context.Context, dir string, s stage) ([]rejection, error) {
	if s.Rejected == 0 {
		return nil, nil
	}
	type candidate struct {
		order string
		row   look.Row
	}
	picked := map[string][]candidate{}
	read := 0
	for row, err := range look.Rows(ctx, filepath.Join(dir, dataset.RejectedDir)) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if unreadable(err) {
			return nil, err
		}
		if err != nil || read == rejectedRead { // the rows may have been removed to save space
			break
		}
		read++
		why := strings.ReplaceAll(row.Text("reason"), "_", " ") // as in stageOf
		list := append(picked[why], candidate{dataset.ContentID("report", row.ID(), row.Text("detail")), row})
		slices.SortFunc(list, func(a, b candidate) int { return strings.Compare(a.order, b.order) })
		picked[why] = list[:min(len(list), rejectedEach)]
	}
	var out []rejection
	for _, r := range s.Reasons {
		e := rejection{Stage: s.Name, Dir: s.Dir, Reason: r.Name, N: r.N}
		for _, c := range picked[r.Name] {
			e.Samples = append(e.Samples, newRejectedRow(c.row))
		}
		out = append(out, e)
	}
	return out, nil
}

func newRejectedRow(r look.Row) rejectedRow {
	out := rejectedRow{Title: strings.Trim(r.Text("title")+" › "+r.Text("section"), " ›"), Detail: r.Text("detail")}
	out.Title = cmp.Or(out.Title, r.Text("dataset"), r.ID())
	for _, m := range r.Messages() {
		out.Texts = append(out.Texts, clipTo(m.Content, rejectedMost))
	}
	if text := r.Text("text"); len(out.Texts) == 0 && text != "" {
		out.Texts = append(out.Texts, clipTo(text, rejectedMost))
	}
	return out
}
