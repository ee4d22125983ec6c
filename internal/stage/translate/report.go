package translate

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/htmlpage"
	"barka/internal/prose"
)

// worstSegments is how many segments a Report shows of each kind.
const worstSegments = 40

// Report describes the translation of a finished dataset.
type Report struct {
	Rows     int64 `json:"rows"`
	Dropped  int64 `json:"dropped"`
	Segments int64 `json:"segments"`
	Repeated int64 `json:"repeated"` // segments with the text of an earlier one

	Rungs   map[string]int64 `json:"rungs"`
	Kinds   map[string]int64 `json:"kinds"`
	Flags   map[string]int64 `json:"flags"`   // that remain
	Retried map[string]int64 `json:"retried"` // for which earlier rungs were left
	Reasons map[string]int64 `json:"reasons"` // of dropped rows

	Scores Histogram `json:"scores"` // mean log-probabilities
	Ratios Histogram `json:"ratios"` // lengths of translations over those of sources of 20 letters or more

	Lowest  []Shown `json:"lowest"`  // segments with the lowest scores
	Flagged []Shown `json:"flagged"` // segments with flags, those with most first
	Lost    []Shown `json:"lost"`    // the first dropped rows

	Translator string `json:"translator"`
	To         string `json:"to"`
}

// Shown is a segment of a row, or the reason of a dropped one.
type Shown struct {
	Row    string `json:"row"`
	Detail string `json:"detail,omitempty"` // of a dropped row
	dataset.Segment
}

// Histogram counts values in bins of equal width. What is beyond its ends is in the first
// and the last one.
type Histogram struct {
	Low    float64 `json:"low"`
	Width  float64 `json:"width"`
	Counts []int64 `json:"counts"`
}

func (h *Histogram) add(x float64) {
	i := int((x - h.Low) / h.Width)
	h.Counts[max(0, min(i, len(h.Counts)-1))]++
}

// NewReport reads the finished dataset that translate wrote to a directory.
func NewReport(ctx context.Context, dir string) (*Report, error) {
	m, err := dataset.ReadManifest(dir)
	if err != nil {
		return nil, err
	}
	if m.Stage != "translate" {
		return nil, badinput.Errorf("%s was made by %s, expected a dataset that translate made", dir, m.Stage)
	}
	r := &Report{Rows: m.Rows, Dropped: m.Counts["rejected"], Repeated: m.Counts["segments_repeated"],
		Rungs: map[string]int64{}, Kinds: map[string]int64{}, Flags: map[string]int64{}, Retried: map[string]int64{}, Reasons: map[string]int64{},
		Scores: Histogram{-4, 0.2, make([]int64, 20)}, Ratios: Histogram{0, 0.2, make([]int64, 20)}}
	for name, n := range m.Counts {
		if reason, ok := strings.CutPrefix(name, "rejected_"); ok {
			r.Reasons[reason] = n
		}
	}
	type translated struct {
		ID         string            `json:"id" parquet:"id"`
		Language   string            `json:"language" parquet:"language"`
		Translator string            `json:"translator" parquet:"translator"`
		Segments   []dataset.Segment `json:"segments" parquet:"segments,list"`
	}
	for row, err := range dataset.Rows[translated](ctx, dir) {
		if err != nil {
			return nil, err
		}
		r.Translator, r.To = row.Translator, row.Language
		for _, s := range row.Segments {
			r.add(row.ID, s)
		}
	}
	return r, r.readDropped(ctx, dir)
}

func (r *Report) add(row string, s dataset.Segment) {
	r.Segments++
	r.Rungs[s.Rung]++
	r.Kinds[s.Kind]++
	for _, f := range s.Flags {
		r.Flags[f]++
	}
	for _, f := range s.Retried {
		r.Retried[f]++
	}
	r.Scores.add(float64(s.Score))
	if n := prose.Width(s.Source); n >= minRatioLength {
		r.Ratios.add(float64(prose.Width(s.Target)) / float64(n))
	}
	shown := Shown{Row: row, Segment: s}
	r.Lowest = worst(r.Lowest, shown, func(a, b Shown) int { return cmp.Compare(a.Score, b.Score) })
	if len(s.Flags) > 0 {
		r.Flagged = worst(r.Flagged, shown, func(a, b Shown) int {
			return cmp.Or(cmp.Compare(len(b.Flags), len(a.Flags)), cmp.Compare(a.Score, b.Score))
		})
	}
}

// worst puts a segment into a sorted list of at most worstSegments.
func worst(list []Shown, s Shown, order func(a, b Shown) int) []Shown {
	if len(list) == worstSegments && order(s, list[len(list)-1]) >= 0 {
		return list
	}
	at, _ := slices.BinarySearchFunc(list, s, func(a, b Shown) int { return cmp.Or(order(a, b), -1) })
	list = slices.Insert(list, at, s)
	return list[:min(len(list), worstSegments)]
}

// readDropped reads the first rows that were dropped.
func (r *Report) readDropped(ctx context.Context, dir string) error {
	type rejected struct {
		ID     string `json:"id" parquet:"id"`
		Reason string `json:"reason" parquet:"reason"`
		Detail string `json:"detail" parquet:"detail"`
	}
	if r.Dropped == 0 {
		return nil
	}
	for row, err := range dataset.Rows[rejected](ctx, filepath.Join(dir, dataset.RejectedDir)) {
		if err != nil {
			return err
		}
		r.Lost = append(r.Lost, Shown{Row: row.ID, Detail: row.Reason + ": " + row.Detail})
		if len(r.Lost) == worstSegments {
			break
		}
	}
	return nil
}

//go:embed report.html
var reportHTML string

var reportPage = htmlpage.New(reportHTML, map[string]any{"bars": bars, "table": sorted, "join": strings.Join})

// HTML returns the page of a report. It loads nothing.
func (r *Report) HTML() (string, error) { return htmlpage.Render(reportPage, r) }

// bar is a bin of a histogram on the page.
type bar struct {
	From    string
	Count   int64
	Percent float64 // of the highest bar
}

func bars(h Histogram) (out []bar) {
	highest := max(1, slices.Max(h.Counts))
	for i, n := range h.Counts {
		out = append(out, bar{fmt.Sprintf("%.1f", h.Low+float64(i)*h.Width), n, 100 * float64(n) / float64(highest)})
	}
	return out
}

// counted is a line of a table on the page.
type counted struct {
	Name  string
	Count int64
}

// sorted returns the counts of a table, largest first.
func sorted(counts map[string]int64) (out []counted) {
	for name, n := range counts {
		if n > 0 {
			out = append(out, counted{name, n})
		}
	}
	slices.SortFunc(out, func(a, b counted) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name)) })
	return out
}
