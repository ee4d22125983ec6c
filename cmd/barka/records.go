package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/jsonl"
	"barka/internal/stage/mix"
)

// outHelp ends the help of verbs whose --out may be a file of JSON lines.
const outHelp = `
An --out that ends in .jsonl, .jsonl.gz or .jsonl.zst is a file of the rows. The dataset directory is
made beside it, under the same name without the ending; it has the rejected rows and the manifest.`

// records runs a stage that writes rows of type Row to --out: a dataset directory, or a
// file of JSON lines with the directory beside it.
func records[Row any](a *app, stage, out string, in map[string]string, restart bool,
	run func(env durable.Env) (*dataset.Manifest, error)) error {
	if !jsonl.Has(out) {
		m, err := run(a.env(out, in, restart))
		if err == nil {
			a.counts(stage, out, m)
		}
		return err
	}
	dir, ending := beside(out)
	replace, err := checkFile(out, dir, in, restart)
	if err != nil {
		return err
	}
	m, err := run(a.env(dir, in, restart))
	if err != nil {
		return err
	}
	// The rows of the mix proper come last: a run that is finished has all files.
	if m.Counts[mix.ValidationName] > 0 {
		held := dir + "." + mix.ValidationName + ending
		if err := dataset.Export[Row](a.ctx, filepath.Join(dir, mix.ValidationName), held, replace); err != nil {
			return err
		}
		a.ui.Infof("%s: %d rows in %s", stage, m.Counts[mix.ValidationName], held)
	}
	if err := dataset.Export[Row](a.ctx, dir, out, replace); err != nil {
		return err
	}
	a.counts(stage, out, m)
	return nil
}

// beside returns the dataset directory that belongs to a file of JSON lines, and the
// ending of the file's name.
func beside(file string) (dir, ending string) {
	dir = file
	for _, ext := range []string{".gz", ".zst", ".jsonl", ".ndjson"} {
		dir = strings.TrimSuffix(dir, ext)
	}
	return dir, file[len(dir):]
}

// checkFile checks, before the stage runs, that the file can become its output. It
// reports whether a file that is there may be replaced, which is so if the command says
// --restart or resumes one that did.
func checkFile(file, dir string, in map[string]string, restart bool) (replace bool, err error) {
	if err := durable.CheckApart(file, in); err != nil {
		return false, err
	}
	if name := filepath.Base(dir); name == "." || name == ".." || strings.HasSuffix(dir, string(filepath.Separator)) {
		return false, badinput.Errorf("output %s has no name before its ending; choose another --out", file)
	}
	if err := durable.CheckApart(dir, in); err != nil {
		return false, badinput.Errorf("with the output %s, the dataset directory %s is made: %w", file, dir, err)
	}
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, badinput.Wrap(err)
	case !info.Mode().IsRegular():
		return false, badinput.Errorf("output %s exists and is not a file of rows; choose another --out", file)
	}
	_, err = os.Stat(dir + dataset.PartialSuffix)
	replace = restart || err == nil
	if !replace && !dataset.HasManifest(dir) {
		return false, badinput.Errorf("output %s exists, but not the dataset directory %s that would be made with it; move it away, "+
			"choose another --out, or replace it with --restart", file, dir)
	}
	return replace, nil
}
