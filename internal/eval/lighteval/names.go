package lighteval

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"barka/internal/badinput"
	"barka/internal/pytext"
)

// ModelName is how the reference names a model: a hub id as it is, a directory
// with its slashes replaced by underscores.
func ModelName(model string) string {
	dir, err := badinput.IsDir(model)
	if dir || err != nil || filepath.IsAbs(model) || strings.HasPrefix(model, ".") {
		return strings.ReplaceAll(filepath.ToSlash(model), "/", "_")
	}
	return model
}

// FormatBytes writes a size as the reference does: two digits, units of 1024.
func FormatBytes(n int64) string {
	size := float64(n)
	for _, unit := range []string{"bytes", "KB", "MB", "GB"} {
		if size < 1024 {
			return formatRounded(size) + " " + unit
		}
		size /= 1024
	}
	return formatRounded(size) + " TB"
}

// formatRounded is Python's str(round(f, 2)) for sizes.
func formatRounded(f float64) string {
	s := strconv.FormatFloat(f, 'f', 2, 64)
	r, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(r, 0) {
		return s
	}
	return pytext.Float(r)
}

// Timestamp is the part of the files' names that holds the time: local time in
// ISO format, dashes for colons.
func Timestamp(t time.Time) string {
	s := t.Format("2006-01-02T15-04-05")
	if us := t.Nanosecond() / 1000; us != 0 {
		s += fmt.Sprintf(".%06d", us)
	}
	return s
}

// ResultsDir is the directory of a model's result files, and DetailsDir that of
// its details, below the output directory.
func ResultsDir(output, model string) string {
	return filepath.Join(output, "results", filepath.FromSlash(model))
}

// DetailsDir is the directory of a model's details; see ResultsDir.
func DetailsDir(output, model string) string {
	return filepath.Join(output, "details", filepath.FromSlash(model))
}
