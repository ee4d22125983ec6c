// Package digestcache remembers digests of large files, so that a command does not read
// gigabytes again to find that nothing has changed. Digests are in the user's cache
// directory, below barka/digests, with the state of the files that they were computed
// from.
package digestcache

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"barka/internal/atomicfile"
	"barka/internal/filestamp"
)

const (
	// smallest is the size of files that are worth an entry, in bytes. A smaller file is
	// hashed in about a millisecond.
	smallest = 1 << 20
	// unused is the time after which an entry is removed that no command has used.
	unused = 90 * 24 * time.Hour
)

// now is the clock by which a file is settled. Tests set it.
var now = time.Now

// rehash makes Of compute all digests again.
var rehash atomic.Bool

// Rehash sets whether this process computes all digests again. It stores them all the same.
func Rehash(on bool) { rehash.Store(on) }

// entry is the content of a file of the cache.
type entry struct {
	Kind   string   `json:"kind"`
	Files  []state  `json:"files"`
	Values []string `json:"values"`
	Sum    string   `json:"sum"` // of the other fields
}

// state is a file's absolute path and its stamp. A file that does not exist has none.
type state struct {
	Path string `json:"path"`
	filestamp.Stamp
}

// Of returns values that compute derives from the content of files. It returns those of an
// earlier call with the same kind and paths, also of another process, if no file has
// changed since then. The kind names the computation and its version.
//
// Values are not stored if the files are small, changed while compute read them, or were
// written to within two seconds before: another write could then leave the same times. An
// entry that is damaged, and a cache that cannot be written, are ignored.
func Of(kind string, paths []string, compute func() ([]string, error)) ([]string, error) {
	began := now()
	before := states(paths)
	name := fileOf(kind, before)
	if name == "" {
		return compute()
	}
	if !rehash.Load() {
		if values := load(name, kind, before); values != nil {
			return values, nil
		}
	}
	values, err := compute()
	if err != nil {
		return nil, err
	}
	if settled(before, began) && same(before, states(paths)) {
		store(name, entry{Kind: kind, Files: before, Values: values})
	}
	return values, nil
}

// states returns the states of files, nil if one cannot be determined.
func states(paths []string) []state {
	all := make([]state, 0, len(paths))
	for _, p := range paths {
		absolute, err := filepath.Abs(p)
		if err != nil {
			return nil
		}
		info, err := os.Stat(p)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			all = append(all, state{Path: absolute})
		case err != nil || !info.Mode().IsRegular():
			return nil
		default:
			all = append(all, state{absolute, filestamp.Of(info)})
		}
	}
	return all
}

func same(a, b []state) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func settled(files []state, now time.Time) bool {
	for _, f := range files {
		if !f.Settled(now) {
			return false
		}
	}
	return true
}

// fileOf returns the name of the cache's file for a computation, or "" if it is not worth
// an entry or if there is no cache directory.
func fileOf(kind string, files []state) string {
	size := int64(0)
	h := xxhash.New()
	fmt.Fprintf(h, "%q", kind)
	for _, f := range files {
		size += f.Size
		fmt.Fprintf(h, "%q", f.Path)
	}
	dir, err := os.UserCacheDir()
	if err != nil || size < smallest {
		return ""
	}
	return filepath.Join(dir, "barka", "digests", fmt.Sprintf("%016x.json", h.Sum64()))
}

func (e entry) sum() string {
	e.Sum = ""
	data, err := json.Marshal(e)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%016x", xxhash.Sum64(data))
}

// load returns the values of an entry, nil if there is none that fits.
func load(name, kind string, files []state) []string {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil
	}
	var e entry
	if json.Unmarshal(data, &e) != nil || e.Sum == "" || e.Sum != e.sum() || e.Kind != kind || !same(e.Files, files) {
		return nil
	}
	if info, err := os.Stat(name); err == nil && time.Since(info.ModTime()) > unused/3 {
		used := time.Now()
		_ = os.Chtimes(name, used, used) // keeps the entry from being removed
	}
	return e.Values
}

var tidied sync.Once

// store writes an entry. It is a cache: an error only means that the digest is computed
// again.
func store(name string, e entry) {
	dir := filepath.Dir(name)
	if os.MkdirAll(dir, 0o755) != nil {
		return
	}
	tidied.Do(func() { tidy(dir) })
	e.Sum = e.sum()
	_ = atomicfile.WriteJSON(name, e)
}

// tidy removes entries that were not used for a long time.
func tidy(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && strings.HasSuffix(e.Name(), ".json") && time.Since(info.ModTime()) > unused {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}
