package mix

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/testfiles"
)

// TestSplitDoesNotLeak plants rows that share a page, a passage to read or a cluster, in
// several datasets and through each other, and looks for groups on both sides.
func TestSplitDoesNotLeak(t *testing.T) {
	passage := func(i int) string {
		return strings.Repeat(fmt.Sprintf("فقرة %d طويلة عن موضوع. ", i), 12)
	}
	var rows []dataset.Instruction
	group := map[string]string{} // of each row, by id
	add := func(name string, change func(*dataset.Instruction)) {
		r := row(fmt.Sprintf("r%d", len(rows)), "set"+fmt.Sprint(len(rows)%3))
		change(&r)
		rows, group[r.ID] = append(rows, r), name
	}
	for i := range 60 {
		page := fmt.Sprintf("page %d", i)
		for j := range 3 { // of one page, in two spellings
			add(page, func(r *dataset.Instruction) {
				r.Title, r.PassageID = []string{fmt.Sprintf("Page_%d", i), fmt.Sprintf("page %d ", i)}[j%2], fmt.Sprintf("p%d-%d", i, j)
			})
		}
		text := fmt.Sprintf("text %d", i)
		for j := range 2 { // two questions about one passage; the translations differ
			add(text, func(r *dataset.Instruction) {
				r.Form = dataset.FormReading
				r.MessagesEN = []chat.Message{{Role: "user", Content: fmt.Sprintf("« %s»\n\nQuestion %d?\n1. a\n2. b", passage(i), j)}}
			})
		}
		chain := fmt.Sprintf("chain %d", i) // page A ~ cluster ~ page B ~ cluster without a page
		for _, c := range [][2]string{{"A", "k"}, {"B", "k"}, {"B", "l"}, {"", "l"}} {
			add(chain, func(r *dataset.Instruction) {
				if r.Cluster = fmt.Sprintf("%s%d", c[1], i); c[0] != "" {
					r.Title = fmt.Sprintf("%s%d", c[0], i)
				}
			})
		}
	}
	o := Defaults()
	o.Validation = 0.2
	path := testfiles.JSONLines(t, rows...)
	dir, m := mix(t, o, 1, path)
	sides := map[string]map[bool]bool{}
	for _, side := range []struct {
		held bool
		path string
	}{{false, dir}, {true, filepath.Join(dir, ValidationName)}} {
		for _, id := range ids(read(t, side.path)) {
			if sides[group[id]] == nil {
				sides[group[id]] = map[bool]bool{}
			}
			sides[group[id]][side.held] = true
		}
	}
	if len(sides) != 180 {
		t.Fatalf("%d groups, want 180", len(sides))
	}
	for name, s := range sides {
		if len(s) > 1 {
			t.Errorf("%s is on both sides", name)
		}
	}
	if share := float64(m.Counts["validation"]) / float64(len(rows)); math.Abs(share-0.2) > 0.05 {
		t.Errorf("%g of the rows are held back, want about 0.2", share)
	}
	// The same rows without what ties them leak, so that the test can fail.
	for i := range rows {
		rows[i].Title, rows[i].PassageID, rows[i].Form, rows[i].Cluster = "", "", "", ""
	}
	dir, _ = mix(t, o, 1, testfiles.JSONLines(t, rows...))
	held := map[string]bool{}
	for _, id := range ids(read(t, filepath.Join(dir, ValidationName))) {
		held[group[id]] = true
	}
	if !slices.ContainsFunc(ids(read(t, dir)), func(id string) bool { return held[group[id]] }) {
		t.Error("rows without pages, passages and clusters do not leak either: the test proves nothing")
	}
}

// TestSplitOfFewGroups meets the share although one page has most of the rows.
func TestSplitOfFewGroups(t *testing.T) {
	for seed := range int64(10) {
		var rows []dataset.Instruction
		for i := range 100 {
			r := row(fmt.Sprint("r", i), "a")
			if r.Title = "large"; i >= 60 {
				r.Title = fmt.Sprintf("page %d", i/4)
			}
			rows = append(rows, r)
		}
		o := Defaults()
		o.Validation = 0.1
		if _, m := mix(t, o, seed, testfiles.JSONLines(t, rows...)); m.Counts["validation"] < 8 || m.Counts["validation"] > 12 {
			t.Errorf("seed %d: %d of 100 rows are held back, want about 10", seed, m.Counts["validation"])
		}
	}
}

// TestShownRowsDoNotLeak: no row of the training set shows one of the validation set as an
// example, and those that would are counted.
func TestShownRowsDoNotLeak(t *testing.T) {
	var rows []dataset.Instruction
	for i := range 400 {
		r := row(fmt.Sprintf("r%d", i), "set")
		if i%4 == 0 && i > 0 {
			r.Examples = []string{fmt.Sprintf("r%d", i-1), fmt.Sprintf("r%d", i-2), fmt.Sprintf("r%d", i-3)}
		}
		rows = append(rows, r)
	}
	o := Defaults()
	o.Validation = 0.1
	path := testfiles.JSONLines(t, rows...)
	dir, m := mix(t, o, 1, path)
	held := map[string]bool{}
	for _, id := range ids(read(t, filepath.Join(dir, ValidationName))) {
		held[id] = true
	}
	shows := func(id string) bool {
		i := slices.IndexFunc(rows, func(r dataset.Instruction) bool { return r.ID == id })
		return slices.ContainsFunc(rows[i].Examples, func(id string) bool { return held[id] })
	}
	train, dropped := ids(read(t, dir)), 0
	for _, id := range train {
		if shows(id) {
			t.Errorf("%s shows a row of the validation set", id)
		}
	}
	for _, r := range rows {
		if shows(r.ID) && !held[r.ID] {
			dropped++
		}
	}
	if n := m.Counts["rejected_shows_validation"]; dropped == 0 || n != int64(dropped) || len(train)+len(held)+dropped != len(rows) {
		t.Errorf("%d rejected, want %d; %d in training, %d held back", n, dropped, len(train), len(held))
	}
	o.Validation = 0
	if _, m := mix(t, o, 1, path); m.Counts["out"] != int64(len(rows)) {
		t.Errorf("without validation: %v", m.Counts)
	}
}
