package badinput

import (
	"io/fs"
	"os"
	"path/filepath"

	"barka/internal/nearest"
)

// Missing returns the Error for a path at which nothing is: with a similar name beside it, if
// there is one, and what to do. Its cause is fs.ErrNotExist.
func Missing(path, todo string) error {
	hint := ""
	if near := beside(path); near != "" {
		hint = "; did you mean " + near + "?"
	}
	return Errorf("%s: %w%s\n  %s", path, errMissing, hint, todo)
}

// errMissing is fs.ErrNotExist in plainer words.
var errMissing error = missing{}

type missing struct{}

func (missing) Error() string { return "there is no such file or directory" }
func (missing) Unwrap() error { return fs.ErrNotExist }

// mostNames bounds the names of a directory that are compared with a missing one.
const mostNames = 10_000

// beside returns the path of a name in the same directory that a misspelt one probably means. It
// also looks for the first missing directory of the path.
func beside(path string) string {
	path = filepath.Clean(path)
	dir, rest := filepath.Dir(path), ""
	for {
		if there, err := IsDir(dir); err != nil || there || dir == filepath.Dir(dir) {
			break
		}
		rest = filepath.Join(filepath.Base(path), rest)
		path, dir = dir, filepath.Dir(dir)
	}
	f, err := os.Open(dir)
	if err != nil {
		return ""
	}
	defer f.Close()
	names, _ := f.Readdirnames(mostNames) // fewer names are fewer hints
	near := nearest.Name(filepath.Base(path), names)
	if near == "" || len(near) < 3 {
		return ""
	}
	found := filepath.Join(dir, near, rest)
	if there, err := Exists(found); err != nil || !there {
		return ""
	}
	return found
}

// IsMissing reports whether the error of reading a path is that nothing is there.
func IsMissing(err error) bool {
	there, unknown := known(err)
	return err != nil && unknown == nil && !there
}
