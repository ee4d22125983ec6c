package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"barka/internal/badinput"
	"barka/internal/digestcache"
)

// Manifest describes a finished dataset directory. Nothing in it depends on
// time, host, paths, threads or interruptions.
type Manifest struct {
	Format  int                  `json:"format"`
	Stage   string               `json:"stage"`
	Version int                  `json:"version"` // of the stage's algorithm
	Barka   string               `json:"barka"`
	Options json.RawMessage      `json:"options"`
	Inputs  map[string]InputInfo `json:"inputs"`
	Seed    int64                `json:"seed"`
	Rows    int64                `json:"rows"`
	Counts  map[string]int64     `json:"counts"` // in, out, rejected, rejected_<reason>, and the stage's own
	Tokens  map[string]int64     `json:"tokens,omitempty"`
	Cost    map[string]float64   `json:"cost,omitempty"` // what models were paid, by the prices given
	Notes   []string             `json:"notes,omitempty"`
	Files   []FileInfo           `json:"files"`
}

// EarlierInput begins the names of inputs that a stage compares its rows with and does not write.
const EarlierInput = "earlier "

// InputInfo identifies an input by its content.
type InputInfo struct {
	Digest string `json:"digest"`
	Rows   int64  `json:"rows"` // 0 for files that hold no rows
}

// FileInfo is a file of a dataset directory; Name uses forward slashes.
type FileInfo struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Rows   int64  `json:"rows"`
}

// Lists reports whether a file of the directory is the manifest or listed in it.
func (m *Manifest) Lists(name string) bool {
	return name == ManifestName || slices.ContainsFunc(m.Files, func(f FileInfo) bool { return f.Name == name })
}

// Describe returns the size and digest of a file of dir, as a manifest states
// them.
func Describe(dir, name string) (FileInfo, error) {
	f, err := describe(context.Background(), filepath.Join(dir, filepath.FromSlash(name)))
	f.Name = name
	return f, err
}

// describe returns the size and digest of a file. The digest of a large file that has not
// changed since it was computed comes from the cache of digests.
func describe(ctx context.Context, path string) (f FileInfo, err error) {
	values, err := digestcache.Of("sha256 and size", []string{path}, func() ([]string, error) {
		sum, size, err := hashFile(ctx, path)
		return []string{sum, strconv.FormatInt(size, 10)}, err
	})
	if err != nil {
		return f, err
	}
	f.SHA256 = values[0]
	f.Size, err = strconv.ParseInt(values[1], 10, 64)
	return f, err
}

// hashFile reads a file. It looks at ctx every few milliseconds: a file may have a hundred
// gigabytes.
func hashFile(ctx context.Context, path string) (sum string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, badinput.Wrap(err)
	}
	defer f.Close()
	h, buffer := sha256.New(), make([]byte, 1<<20)
	for {
		if err := ctx.Err(); err != nil {
			return "", 0, err
		}
		n, err := f.Read(buffer)
		h.Write(buffer[:n])
		size += int64(n)
		switch {
		case err == io.EOF:
			return hex.EncodeToString(h.Sum(nil)), size, nil
		case err != nil:
			return "", 0, badinput.Wrap(err)
		}
	}
}

// CheckFiles returns a badinput error for the first file of dir whose size or
// digest is not what is stated.
func CheckFiles(dir string, files []FileInfo) error {
	for _, f := range files {
		if err := checkSize(dir, f); err != nil { // says more than a digest
			return err
		}
	}
	for _, f := range files {
		if err := checkDigest(dir, f); err != nil {
			return err
		}
	}
	return nil
}

func checkDigest(dir string, f FileInfo) error {
	got, err := Describe(dir, f.Name)
	if err != nil {
		return err
	}
	if got.SHA256 != f.SHA256 {
		return badinput.Errorf("%s has SHA-256 %s, %s was recorded when it was made: the file was changed or "+
			"damaged; make it again, or restore it",
			filepath.Join(dir, filepath.FromSlash(f.Name)), got.SHA256, f.SHA256)
	}
	return nil
}

// Sums returns the SHA-256 of files of dir, by name.
func Sums(dir string, names ...string) (map[string]string, error) {
	sums := map[string]string{}
	for _, name := range names {
		f, err := Describe(dir, name)
		if err != nil {
			return nil, err
		}
		sums[name] = f.SHA256
	}
	return sums, nil
}

// CheckSums returns a badinput error for the first file of dir, in order of
// names, for which Sums would return another digest.
func CheckSums(dir string, sums map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return badinput.Errorf("%s: %q is no file of this directory", dir, name)
		}
		if err := checkDigest(dir, FileInfo{Name: name, SHA256: sums[name]}); err != nil {
			return err
		}
	}
	return nil
}
