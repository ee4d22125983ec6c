// Package rowdiff compares the rows of two runs of a stage, or of any two datasets, by
// their ids.
//
// Both sides are read twice. A key, a hash and the place of each row are in temporary files.
// The second pass reads the rows that differ again. Memory holds those that are returned, and
// hashes of the columns of the first that differ.
package rowdiff

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/diskmap"
	"barka/internal/durable"
	"barka/internal/look"
)

// Diff is the difference between two datasets. Places are kept, the name of a split, and
// "rejected: REASON".
type Diff struct {
	A        Side           `json:"a"`
	B        Side           `json:"b"`
	Settings []string       `json:"settings"` // how the stages' settings differ, in words
	Same     int64          `json:"same"`
	Changed  int64          `json:"changed"`            // rows with other content
	Columns  map[string]int `json:"columns,omitempty"`  // of the changed rows that were compared, those in which a column differs
	Compared int            `json:"compared,omitempty"` // changed rows whose columns were compared
	Moved    []Move         `json:"moved"`              // rows in another place
	OnlyA    []Count        `json:"only_a"`
	OnlyB    []Count        `json:"only_b"`
	Rows     []Row          `json:"rows"` // the first ones that differ
}

// Side is one of the datasets.
type Side struct {
	Path     string `json:"path"`
	Stage    string `json:"stage,omitempty"`
	Rows     int64  `json:"rows"`
	Rejected int64  `json:"rejected"`

	manifest *dataset.Manifest // nil for a file
	parts    []part
}

// Move counts rows that are in another place in B than in A.
type Move struct {
	From string `json:"from"`
	To   string `json:"to"`
	Rows int64  `json:"rows"`
}

// Count counts rows by place.
type Count struct {
	Place string `json:"place"`
	Rows  int64  `json:"rows"`
}

// Row is a row that differs: only in A (To is ""), only in B (From is ""), moved or changed.
type Row struct {
	ID      string   `json:"id"`
	From    string   `json:"from,omitempty"`
	To      string   `json:"to,omitempty"`
	Why     string   `json:"why,omitempty"`  // the detail of the reason for which a row is rejected now, or was
	Text    string   `json:"text,omitempty"` // the beginning of a row without changed columns
	Columns []Column `json:"columns,omitempty"`
}

// Column is a column that differs. A message of a conversation has a name of its own, such
// as "messages 2 (assistant)".
type Column struct {
	Name string `json:"name"`
	A    any    `json:"a"`
	B    any    `json:"b"`
}

// Different reports whether the rows of the two sides differ. Settings do not count.
func (d *Diff) Different() bool {
	return d.Changed > 0 || len(d.Moved)+len(d.OnlyA)+len(d.OnlyB) > 0
}

// kept is the place of the rows that a stage passes on.
const kept = "kept"

// most bounds the changed rows whose columns are compared for Diff.Columns, because their
// hashes are held in memory.
const most = 100_000

// Compare compares the datasets at two paths. Up to show rows that differ are returned with
// their columns.
func Compare(ctx context.Context, a, b string, show int) (*Diff, error) {
	d := &Diff{Columns: map[string]int{}, Settings: []string{}}
	var err error
	if d.A, err = open(a); err != nil {
		return nil, err
	}
	if d.B, err = open(b); err != nil {
		return nil, err
	}
	if m, n := d.A.manifest, d.B.manifest; m != nil && n != nil {
		d.Settings = append(d.Settings, durable.SettingsOf(m).Differences(durable.SettingsOf(n))...)
	}
	dir, err := os.MkdirTemp("", "barka-diff-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	c := &comparison{Diff: d, show: show, dir: dir, places: map[string]int{}, shown: map[dataset.TextKey]int{},
		columns: map[dataset.TextKey]map[string]uint64{}}
	if c.rows, err = diskmap.Open(filepath.Join(dir, "rows-"), diskmap.Options{}); err != nil {
		return nil, err
	}
	defer c.rows.Close()
	for _, pass := range []func(context.Context) error{c.first, c.second} {
		if err := pass(ctx); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// part is rows of a side in one file or directory.
type part struct{ place, path string }

// open lists the rows at path.
func open(path string) (Side, error) {
	s := Side{Path: path}
	m, err := dataset.ManifestIfAny(path)
	if err != nil {
		return s, err
	}
	if m == nil {
		// A file, or a subdirectory of a dataset; reading it reports what is wrong.
		s.parts = []part{{kept, path}}
		n, cerr := dataset.Count(path)
		s.Rows = int64(n)
		return s, cerr
	}
	s.manifest, s.Stage, s.Rows, s.Rejected = m, m.Stage, m.Counts["out"], m.Counts["rejected"]
	all := look.Parts(m)
	var out int64
	for _, p := range all {
		if p.Name != dataset.RejectedDir {
			out += p.Rows
		}
	}
	for _, p := range all {
		switch {
		case p.Name == "":
			s.parts = append(s.parts, part{kept, path})
		case p.Name == dataset.RejectedDir || out == m.Counts["out"]: // others are notes about rows
			s.parts = append(s.parts, part{p.Name, filepath.Join(path, p.Name)})
		}
	}
	return s, nil
}

// located is a row with its key and place.
type located struct {
	look.Row
	key   dataset.TextKey
	place string
	why   string // the detail of a rejection
}

// each reads the rows of a side, in order. Rows after the first with the same id get keys of
// their own.
func (c *comparison) each(ctx context.Context, s Side) iter.Seq2[located, error] {
	return func(yield func(located, error) bool) {
		times, err := diskmap.Open(filepath.Join(c.dir, "ids-"), diskmap.Options{})
		if err != nil {
			yield(located{}, err)
			return
		}
		defer times.Close()
		for _, p := range s.parts {
			for r, err := range look.Rows(ctx, p.path) {
				l := located{Row: r, place: p.place}
				if err == nil {
					l.key, err = keyOf(r, times)
				}
				if err == nil && p.place == dataset.RejectedDir {
					l.place, l.why = "rejected: "+cmp.Or(r.Text("reason"), "no reason"), r.Text("detail")
					delete(l.Columns, "reason")
					delete(l.Columns, "detail")
				}
				if !yield(l, err) || err != nil {
					return
				}
			}
		}
	}
}

// keyOf returns the key of a row. times counts the rows of each id.
func keyOf(r look.Row, times *diskmap.Map) (dataset.TextKey, error) {
	id := r.ID()
	if id == "" {
		id = "\x00" + string(look.Canonical(r.Columns))
	}
	key := dataset.KeyOf(id)
	n, _, err := times.Get(key)
	if err == nil {
		err = times.Put(key, diskmap.Value{n[0] + 1})
	}
	if n[0] > 0 {
		key = dataset.KeyOf(fmt.Sprint(id, "\x00", n[0]))
	}
	return key, err
}

// entry is a row of A after the first pass.
type entry struct {
	hash    uint64
	place   int
	met     bool // in B
	differs bool // in content or place
}

type comparison struct {
	*Diff
	show   int
	dir    string       // of temporary files
	rows   *diskmap.Map // entries by key
	places map[string]int
	names  []string // of places
	again  bool     // a second pass is needed

	shown   map[dataset.TextKey]int               // index into Diff.Rows of rows of A
	columns map[dataset.TextKey]map[string]uint64 // hashes of columns of rows of A that are compared
}

func (c *comparison) entry(key dataset.TextKey) (e entry, ok bool, err error) {
	v, ok, err := c.rows.Get(key)
	return entry{v[0], int(v[1] >> 2), v[1]&1 > 0, v[1]&2 > 0}, ok, err
}

func (c *comparison) set(key dataset.TextKey, e entry) error {
	v := diskmap.Value{e.hash, uint64(e.place) << 2}
	if e.met {
		v[1] |= 1
	}
	if e.differs {
		v[1] |= 2
	}
	return c.rows.Put(key, v)
}

func (c *comparison) place(name string) int {
	i, ok := c.places[name]
	if !ok {
		i = len(c.names)
		c.places[name] = i
		c.names = append(c.names, name)
	}
	return i
}

// first counts the differences.
func (c *comparison) first(ctx context.Context) error {
	onlyA, onlyB, moved := map[string]int64{}, map[string]int64{}, map[[2]string]int64{}
	for r, err := range c.each(ctx, c.A) {
		if err == nil {
			err = c.set(r.key, entry{hash: xxhash.Sum64(look.Canonical(r.Columns)), place: c.place(r.place)})
		}
		if err != nil {
			return err
		}
		onlyA[r.place]++
	}
	for r, err := range c.each(ctx, c.B) {
		if err != nil {
			return err
		}
		e, ok, err := c.entry(r.key)
		if err != nil {
			return err
		}
		if !ok {
			onlyB[r.place]++
			continue
		}
		e.met = true
		from := c.names[e.place]
		if onlyA[from]--; from != r.place {
			moved[[2]string{from, r.place}]++
			e.differs = true
		}
		switch {
		case e.hash != xxhash.Sum64(look.Canonical(r.Columns)):
			c.Changed++
			e.differs = true
		case !e.differs:
			c.Same++
		}
		if err := c.set(r.key, e); err != nil {
			return err
		}
	}
	maps.DeleteFunc(onlyA, func(_ string, n int64) bool { return n == 0 })
	for pair, n := range moved {
		c.Moved = append(c.Moved, Move{pair[0], pair[1], n})
	}
	slices.SortFunc(c.Moved, func(a, b Move) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	c.OnlyA, c.OnlyB = counts(onlyA), counts(onlyB)
	c.again = c.Different()
	return nil
}

func counts(n map[string]int64) (out []Count) {
	for _, place := range slices.Sorted(maps.Keys(n)) {
		out = append(out, Count{place, n[place]})
	}
	return out
}

// second finds the columns that differ, and the rows to show.
func (c *comparison) second(ctx context.Context) error {
	if !c.again {
		return nil
	}
	held := map[dataset.TextKey]look.Row{} // rows of A to show
	for r, err := range c.each(ctx, c.A) {
		if err != nil {
			return err
		}
		e, ok, err := c.entry(r.key)
		if err != nil {
			return err
		}
		if !ok || e.hash != xxhash.Sum64(look.Canonical(r.Columns)) {
			return badinput.Errorf("%s changed while it was read", c.A.Path)
		}
		if e.met && !e.differs {
			continue
		}
		if len(c.Rows) < c.show {
			c.shown[r.key], held[r.key] = len(c.Rows), r.Row
			c.Rows = append(c.Rows, Row{ID: r.ID(), From: r.place, Why: r.why, Text: beginning(r.Row)})
		}
		if e.met && len(c.columns) < most {
			c.columns[r.key] = hashes(r.Columns)
		}
	}
	for r, err := range c.each(ctx, c.B) {
		if err != nil {
			return err
		}
		_, ok, err := c.entry(r.key)
		if err != nil {
			return err
		}
		if !ok {
			if len(c.Rows) < c.show {
				c.Rows = append(c.Rows, Row{ID: r.ID(), To: r.place, Why: r.why, Text: beginning(r.Row)})
			}
			continue
		}
		if of := c.columns[r.key]; of != nil {
			c.count(of, hashes(r.Columns))
		}
		if i, ok := c.shown[r.key]; ok {
			row := &c.Rows[i]
			row.To = r.place
			row.Why = cmp.Or(r.why, row.Why)
			if row.Columns = columns(held[r.key], r.Row); len(row.Columns) > 0 {
				row.Text = ""
			}
		}
	}
	return nil
}

// beginning returns the beginning of each message of a row, or of its text.
func beginning(r look.Row) string {
	turns := r.Messages()
	if len(turns) == 0 {
		return clipped(r.Text("text"))
	}
	var lines []string
	for _, m := range turns {
		lines = append(lines, clipped(m.Content))
	}
	return strings.Join(lines, "\n")
}

// clipped bounds a text.
func clipped(s string) string {
	const most = 300
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + " …"
	}
	return s
}

// count counts the columns in which a row differs.
func (c *comparison) count(a, b map[string]uint64) {
	names, differs := maps.Clone(a), false
	maps.Copy(names, b)
	for name := range names {
		if a[name] != b[name] {
			c.Columns[name]++
			differs = true
		}
	}
	if differs {
		c.Compared++
	}
}

// hashes returns a hash of each column that is not empty.
func hashes(row map[string]any) map[string]uint64 {
	out := map[string]uint64{}
	for name, v := range row {
		if !look.Empty(v) {
			out[name] = xxhash.Sum64(look.Canonical(map[string]any{"": v}))
		}
	}
	return out
}

// columns returns the columns in which two rows differ.
func columns(a, b look.Row) (out []Column) {
	x, y := hashes(a.Columns), hashes(b.Columns)
	names := maps.Clone(x)
	maps.Copy(names, y)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if x[name] == y[name] {
			continue
		}
		v, w := look.Messages(a.Columns[name]), look.Messages(b.Columns[name])
		if len(v)+len(w) == 0 {
			out = append(out, Column{name, a.Columns[name], b.Columns[name]})
			continue
		}
		for i := range max(len(v), len(w)) {
			var m, n any
			role := ""
			if i < len(v) {
				m, role = v[i].Content, v[i].Role
			}
			if i < len(w) {
				n, role = w[i].Content, w[i].Role
			}
			if m != n || i < len(v) && i < len(w) && v[i].Role != w[i].Role {
				out = append(out, Column{fmt.Sprintf("%s %d (%s)", name, i+1, role), m, n})
			}
		}
	}
	return out
}
