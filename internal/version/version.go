// Package version holds the version of this program, which manifests and
// results state, and what is known of its build.
package version

import (
	"cmp"
	"runtime"
	"runtime/debug"
)

// Barka is the version of this program.
const Barka = "0.1.0"

// Commit and Date are those of the source. Release builds set them by -ldflags; other builds
// have them from Go's own stamp.
var Commit, Date string

// Build describes how the program was built.
type Build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Date     string `json:"date,omitempty"`     // of the commit
	Modified bool   `json:"modified,omitempty"` // the source had changes that were not committed
	Go       string `json:"go"`
	System   string `json:"system"` // such as linux/amd64
}

// Of returns the description of this program.
func Of() Build {
	b := Build{Version: Barka, Commit: Commit, Date: Date, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok || Commit != "" {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Date = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// String returns the description in one line.
func (b Build) String() string {
	source := cmp.Or(b.Commit, "commit unknown")
	if b.Date != "" {
		source += " of " + b.Date
	}
	if b.Modified {
		source += ", with changes"
	}
	return "barka " + b.Version + " (" + source + "; " + b.Go + ", " + b.System + ")"
}
