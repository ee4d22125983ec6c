package pipeline

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sort"
)

// Barka is the program's version as manifests state it; the command sets it at
// start.
var Barka = "devel"

// Final is what a finished directory holds beside its rows. All of it must
// follow from the Run's Identity.
type Final struct {
	Counts map[string]int64 // beside in, out, rejected and rejected_<reason>, which are counted here; may set in
	Tokens map[string]int64
	Card   string // README.md
	Notes  []string
}

// Finish writes the dataset directory and, when it is whole and durable, puts
// it in its place by one rename. If it fails, on a full disk say, nothing of
// the work is lost: the same command goes on from there. The Run is Done then
// and its partial directory gone.
func (r *Run) Finish(f Final) error {
	if err := r.writable(); err != nil {
		return err
	}
	final := r.work.Final()
	err := r.failure()
	var m *Manifest
	if err == nil {
		m, err = r.assemble(final, f)
	}
	if err == nil {
		err = r.work.Swap(r.replaced())
	}
	if err != nil {
		r.abandon(final)
		return err
	}
	r.manifest = m
	if r.journal != nil {
		r.journal.close()
	}
	for _, s := range r.steps {
		s.journal.close()
	}
	return errors.Join(r.work.Remove(), r.Close())
}

// replaced returns which names belong to the dataset that is to make way.
func (r *Run) replaced() func(name string) bool {
	if m, err := ReadManifest(r.work.out); err == nil && r.replace {
		return m.has
	}
	return nil
}

// abandon gives the space of an unfinished directory back.
func (r *Run) abandon(final string) {
	for _, s := range r.tables {
		s.table.abandon()
	}
	if r.rejects != nil {
		r.rejects.table.abandon()
	}
	if _, err := os.Lstat(final); err == nil {
		os.RemoveAll(final)
	}
}

func (r *Run) assemble(final string, f Final) (*Manifest, error) {
	if err := os.MkdirAll(final, 0o777); err != nil {
		return nil, diskError(final, err)
	}
	in, err := r.collect()
	if err != nil {
		return nil, err
	}
	m := &Manifest{
		Format: manifestFormat, Stage: r.id.Stage, Version: r.id.Version, Barka: Barka,
		Options: r.id.Options, Inputs: r.id.Inputs, Seed: r.id.Seed,
		Counts: map[string]int64{"out": 0, "rejected": 0}, Tokens: f.Tokens, Notes: f.Notes, Files: []FileInfo{},
	}
	sort.Slice(r.tables, func(a, b int) bool { return r.tables[a].name < r.tables[b].name })
	for _, s := range r.tables {
		files, err := s.table.finish()
		if err != nil {
			return nil, err
		}
		m.Files = append(m.Files, files...)
		if !s.notes {
			m.Counts["out"] += s.table.rows
		}
		if s.name == "" {
			m.Rows = s.table.rows
		}
	}
	if r.rejects != nil {
		files, err := r.rejects.table.finish()
		if err != nil {
			return nil, err
		}
		m.Files = append(m.Files, files...)
		m.Counts["rejected"] = r.rejects.table.rows
		for reason, n := range r.rejects.counts {
			m.Counts["rejected_"+reason] = n
		}
	}
	m.Counts["in"] = in
	if len(r.steps) == 0 {
		m.Counts["in"] = m.Counts["out"] + m.Counts["rejected"]
	}
	for name, n := range f.Counts {
		if _, taken := m.Counts[name]; taken && name != "in" {
			return nil, fmt.Errorf("pipeline: count %q is not the stage's to set", name)
		}
		m.Counts[name] = n
	}
	return m, r.complete(final, f.Card, m)
}

// collect writes the Maps' results as rows and returns how many records there
// were.
func (r *Run) collect() (in int64, err error) {
	for _, s := range r.steps {
		if !s.complete {
			return 0, errors.New("pipeline: Finish although Map did not end well")
		}
		main := (*split)(nil)
		for _, t := range r.tables {
			if t.name == "" {
				main = t
			}
		}
		if main == nil {
			if main, err = r.newSplit("", s.out); err != nil {
				return 0, err
			}
		}
		if main.table.rowType != s.out {
			return 0, fmt.Errorf("pipeline: rows of two types, %v and %v", main.table.rowType, s.out)
		}
		in += int64(len(s.order))
		err := s.each(main.table.write, func(in reflect.Value, why Reject) error { return r.reject(in, why) })
		if err != nil {
			return 0, err
		}
	}
	return in, nil
}

// complete adds the card and, last, the manifest, and makes all durable.
func (r *Run) complete(final, card string, m *Manifest) error {
	if card != "" {
		if err := writeFile(filepath.Join(final, "README.md"), []byte(card)); err != nil {
			return err
		}
		sum := sha256.Sum256([]byte(card))
		m.Files = append(m.Files, FileInfo{Name: "README.md", Size: int64(len(card)), SHA256: hex.EncodeToString(sum[:])})
	}
	var data bytes.Buffer
	enc := json.NewEncoder(&data)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(m); err != nil {
		return err
	}
	if err := SyncTree(final); err != nil {
		return err
	}
	return writeFile(filepath.Join(final, manifestName), data.Bytes())
}
