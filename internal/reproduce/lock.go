// Package reproduce writes down a run, so that others can repeat it and compare.
package reproduce

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path/filepath"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/benchdata"
	"barka/internal/recipe"
)

// Format and Version are those of the lock files that this package writes. It reads Version
// and earlier ones. docs/reproduce.md describes the file.
const (
	Format  = "barka-lock"
	Version = 1
)

// maxLock bounds the size of a lock file.
const maxLock = 256 << 20

// Lock is the content of a lock file.
type Lock struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	// Barka is the version of the program that ran the recipe, Machines are those that it ran
	// on: operating system, processor and kernel level.
	Barka    string   `json:"barka"`
	Machines []string `json:"machines"`
	Recipe   Recipe   `json:"recipe"`
	// Inputs are what the stages read, Results what they wrote.
	Inputs  []recipe.Input  `json:"inputs"`
	Results []recipe.Result `json:"results"`
}

// Recipe is a recipe's text, and the path of its file.
type Recipe struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
	Text   string `json:"text"`
}

// Of makes the lock of a finished run. w needs a client of the hub, and Out.
func Of(ctx context.Context, w *recipe.Runner) (*Lock, error) {
	ran, err := recipe.ReadRun(w.Out)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(ran.Recipe))
	l := &Lock{Format: Format, Version: Version, Barka: ran.Barka, Machines: ran.Machines,
		Recipe: Recipe{ran.Path, hex.EncodeToString(sum[:]), ran.Recipe}}
	if l.Results, err = recipe.Results(ctx, w.Out); err != nil {
		return nil, err
	}
	r, err := l.Open("")
	if err != nil {
		return nil, err
	}
	if finished, err := w.Finished(r); err != nil {
		return nil, badinput.Wrap(err)
	} else if !finished {
		return nil, badinput.Errorf("%s is not finished; end the run first: the same `barka run` resumes it", w.Out)
	}
	l.Inputs, err = w.Inputs(ctx, r)
	return l, err
}

// Open returns the recipe. Its paths are relative to dir, or for "" to the directory in which
// the recipe was.
func (l *Lock) Open(dir string) (*recipe.Recipe, error) {
	path := l.Recipe.Path
	if dir != "" {
		path = filepath.Join(dir, filepath.Base(path))
	}
	r, err := recipe.OpenText(l.Recipe.Text, path)
	if err != nil {
		return nil, err
	}
	return r, r.Problems()
}

// Write writes a lock file.
func (l *Lock) Write(path string) error { return atomicfile.WriteJSON(path, l) }

// Read reads a lock file. It refuses those of newer versions, and damaged ones.
func Read(path string) (*Lock, error) {
	data, err := badinput.ReadFile(path, maxLock)
	if badinput.IsMissing(err) {
		return nil, badinput.Missing(path, "`barka lock RUN` writes the lock file of a run")
	}
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	var l Lock
	if err := json.Unmarshal(data, &l); err != nil {
		return nil, badinput.Errorf("%s: %w", path, err)
	}
	switch sum := sha256.Sum256([]byte(l.Recipe.Text)); {
	case l.Format != Format:
		return nil, badinput.Errorf("%s is not a lock file: its format is %q, expected %q; `barka lock RUN` writes one", path, l.Format, Format)
	case l.Version > Version:
		return nil, badinput.Errorf("%s has version %d, and this barka reads versions up to %d; use a newer barka", path, l.Version, Version)
	case l.Version < 1:
		return nil, badinput.Errorf("%s has version %d, expected 1 to %d", path, l.Version, Version)
	case hex.EncodeToString(sum[:]) != l.Recipe.SHA256:
		return nil, badinput.Errorf("%s is damaged: the recipe in it has the SHA-256 %x, and %s is stated; make it again with `barka lock`",
			path, sum, l.Recipe.SHA256)
	case len(l.Results) == 0:
		return nil, badinput.Errorf("%s lists no results; make it again with `barka lock`", path)
	}
	return &l, nil
}

// Revisions returns the commits of the benchmarks, for Runner.Revisions.
func (l *Lock) Revisions() benchdata.Revisions {
	pins := benchdata.Revisions{}
	for _, in := range l.Inputs {
		if in.Key == recipe.BenchmarksKey && len(in.Commit) > 0 {
			pins[in.Name] = in.Commit
		}
	}
	return pins
}
