package translationmemory

import (
	"os"
	"path/filepath"

	"barka/internal/badinput"
)

// Off is the path that stands for no memory.
const Off = "off"

// DefaultPath returns the file of the user's cache directory, which all runs share, or "" if
// there is no such directory.
func DefaultPath() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "barka", "translations.db")
}

// Choose opens the memory at a path. The empty path stands for DefaultPath; Off gives a nil
// File. A default file that cannot be made or written is reported by warn, and the run does
// without it. A damaged one is an error all the same.
func Choose(path string, warn func(error)) (*File, error) {
	if path == Off {
		return nil, nil
	}
	if path != "" {
		return Open(path)
	}
	if path = DefaultPath(); path == "" {
		return nil, nil
	}
	f, err := Open(path)
	if err != nil && !badinput.Is(err) {
		warn(err)
		return nil, nil
	}
	return f, err
}

// Existing opens the memory at a path, as Choose takes it, if there is one. It makes none, and
// a default one that cannot be opened is as none.
func Existing(path string) (*File, error) {
	given := path != ""
	if path == Off {
		return nil, nil
	} else if !given {
		path = DefaultPath()
	}
	if _, err := os.Stat(path); err != nil {
		return nil, nil // the run makes it, or reports the error
	}
	f, err := Open(path)
	if err != nil && !given && !badinput.Is(err) {
		return nil, nil
	}
	return f, err
}
