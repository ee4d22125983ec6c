package convert

import (
	"archive/zip"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
)

// Bounds of an archive. The sets' own archives have at most 30,000 files.
const (
	maxUnpacked = 16 << 30 // bytes
	maxFiles    = 1 << 20
)

func isArchive(path string) bool { return strings.HasSuffix(strings.ToLower(path), ".zip") }

// archive is a zip archive whose files were unpacked into a directory.
type archive struct{ path, dir string }

// unpack replaces data that is a zip archive by a directory of its files. The caller must call
// close. The zero archive is of data that is none.
func unpack(in map[string]string, b benchmark) (map[string]string, archive, error) {
	path := in["data"]
	if dir, err := badinput.IsDir(path); !isArchive(path) || dir || err != nil {
		return in, archive{}, nil // what is wrong with it is found later
	}
	temp, err := os.MkdirTemp("", "barka-convert-")
	if err != nil {
		return nil, archive{}, err
	}
	a := archive{path, temp}
	if err := a.extract(b); err != nil {
		return nil, archive{}, errors.Join(err, a.close())
	}
	in = maps.Clone(in)
	in["data"] = a.dir
	return in, a, nil
}

// close removes the directory.
func (a archive) close() error {
	if a.dir == "" {
		return nil
	}
	return os.RemoveAll(a.dir)
}

// extract writes the files that convert may read.
func (a archive) extract(b benchmark) error {
	z, err := zip.OpenReader(a.path)
	if err != nil {
		return badinput.Errorf("%s: a zip archive is expected: %w", a.path, err)
	}
	defer z.Close()
	if len(z.File) > maxFiles {
		return badinput.Errorf("%s: %d files, expected at most %d; unpack it and name the directory", a.path, len(z.File), maxFiles)
	}
	left := uint64(maxUnpacked)
	for _, f := range z.File {
		if !f.Mode().IsRegular() || format(f.Name, b) == "" && !strings.HasSuffix(f.Name, ".lst") {
			continue
		}
		name := filepath.FromSlash(f.Name)
		switch {
		case !filepath.IsLocal(name):
			return badinput.Errorf("%s: the file %q would be outside of the directory", a.path, f.Name)
		case f.UncompressedSize64 > left:
			return badinput.Errorf("%s: more than %d GiB when unpacked; unpack it and name the directory", a.path, maxUnpacked>>30)
		}
		left -= f.UncompressedSize64
		if err := a.file(f, filepath.Join(a.dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func (a archive) file(f *zip.File, to string) (err error) {
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return badinput.Errorf("%s: the directory of %q cannot be made: %w", a.path, f.Name, pathless(err))
	}
	in, err := f.Open()
	if err != nil {
		return badinput.Errorf("%s: %s: %w", a.path, f.Name, err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return badinput.Errorf("%s: %q is there twice, or is a file and a directory", a.path, f.Name)
	}
	if err != nil {
		return atomicfile.Explain(to, err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(writer{out}, io.LimitReader(in, int64(f.UncompressedSize64)+1)); err != nil {
		if full := (diskError{}); errors.As(err, &full) {
			return atomicfile.Explain(to, full.error)
		}
		return badinput.Errorf("%s: %s: %w", a.path, f.Name, err)
	}
	return nil
}

// pathless returns an error of the file system without the path, which is of no interest.
func pathless(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// writer tells errors of writing from those of reading.
type (
	writer    struct{ io.Writer }
	diskError struct{ error }
)

func (w writer) Write(b []byte) (int, error) {
	n, err := w.Writer.Write(b)
	if err != nil {
		err = diskError{err}
	}
	return n, err
}

// named returns an error that has the archive's path in place of the directory's.
func (a archive) named(err error) error {
	if err == nil || a.dir == "" || !strings.Contains(err.Error(), a.dir) {
		return err
	}
	return namedError{err, strings.ReplaceAll(err.Error(), a.dir, a.path)}
}

type namedError struct {
	error
	text string
}

func (e namedError) Error() string { return e.text }
func (e namedError) Unwrap() error { return e.error }
