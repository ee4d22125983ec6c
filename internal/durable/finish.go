package durable

import (
	"errors"
	"fmt"
	"maps"
	"os"

	"barka/internal/atomicfile"
	"barka/internal/dataset"
	"barka/internal/version"
)

// Final is what a finished directory states in addition to its rows. It must depend
// only on the Run's Identity.
type Final struct {
	// Counts are the stage's own counts. Finish adds out, rejected and
	// rejected_<reason>, and in unless it is set here.
	Counts map[string]int64
	Tokens map[string]int64
	Cost   map[string]float64
	Card   string // README.md
	Notes  []string
	// Files returns more files of the directory by name. It is called with the files of
	// rows; nil for none.
	Files func(rows []dataset.FileInfo) (map[string][]byte, error)
}

// files returns the files to write beside those of rows.
func (f Final) files(rows []dataset.FileInfo) (files map[string][]byte, err error) {
	if f.Files != nil {
		if files, err = f.Files(rows); err != nil {
			return nil, err
		}
	}
	if f.Card == "" {
		return files, nil
	}
	all := map[string][]byte{"README.md": []byte(f.Card)}
	maps.Copy(all, files)
	return all, nil
}

// Finish writes the dataset directory and moves it into place with one rename when it
// is complete and durable. The Run is then Done and its partial directory is removed.
// If Finish fails, for example because the disk is full, no work is lost, and the same
// command resumes.
func (r *Run) Finish(f Final) error {
	if err := r.writable(); err != nil {
		return err
	}
	final := r.work.Final()
	err := r.failure()
	var m *dataset.Manifest
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
	for _, j := range r.journals() {
		j.close()
	}
	return errors.Join(r.work.Remove(), r.Close())
}

// replaced returns a function that accepts the names of the files of the dataset to be
// replaced, or nil if none will be.
func (r *Run) replaced() func(name string) bool {
	if m, err := dataset.ReadManifest(r.work.out); err == nil && r.replace {
		return m.Lists
	}
	return nil
}

// abandon frees the disk space of an unfinished directory.
func (r *Run) abandon(final string) {
	r.builder.Close()
	if _, err := os.Lstat(final); err == nil {
		os.RemoveAll(final)
	}
}

func (r *Run) assemble(final string, f Final) (*dataset.Manifest, error) {
	if err := os.MkdirAll(final, 0o777); err != nil {
		return nil, atomicfile.Explain(final, err)
	}
	in, err := r.collect()
	if err != nil {
		return nil, err
	}
	m := &dataset.Manifest{
		Format: dataset.ManifestFormat, Stage: r.id.Stage, Version: r.id.Version, Barka: version.Barka,
		Options: r.id.Options, Inputs: r.id.Inputs, Seed: r.id.Seed, Tokens: f.Tokens, Cost: f.Cost, Notes: f.Notes,
	}
	if err := r.builder.Finish(m); err != nil {
		return nil, err
	}
	m.Counts["in"] = in
	if len(r.steps) == 0 {
		m.Counts["in"] = m.Counts["out"] + m.Counts["rejected"]
	}
	for name, n := range f.Counts {
		if _, taken := m.Counts[name]; taken && name != "in" {
			return nil, fmt.Errorf("durable: count %q is not the stage's to set", name)
		}
		m.Counts[name] = n
	}
	files, err := f.files(m.Files)
	if err != nil {
		return nil, err
	}
	return m, r.builder.Seal(m, files)
}

// collect writes the results of the Maps as rows and returns the number of records.
func (r *Run) collect() (in int64, err error) {
	for _, s := range r.steps {
		if !s.complete {
			return 0, errors.New("durable: Finish although Map did not end well")
		}
		rows := r.builder.Find("")
		if rows == nil {
			if rows, err = r.builder.Split("", s.out); err != nil {
				return 0, err
			}
		}
		if rows.RowType() != s.out {
			return 0, fmt.Errorf("durable: rows of two types, %v and %v", rows.RowType(), s.out)
		}
		in += s.records
		if err := s.each(rows.Write, r.builder.Reject); err != nil {
			return 0, err
		}
	}
	return in, nil
}
