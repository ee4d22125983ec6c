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

// ModelName returns the reference's name of a model: a hub id unchanged, and a directory
// with slashes replaced by underscores.
func ModelName(model string) string {
	dir, err := badinput.IsDir(model)
	if dir || err != nil || filepath.IsAbs(model) || strings.HasPrefix(model, ".") {
		return strings.ReplaceAll(filepath.ToSlash(model), "/", "_")
	}
	return model
}

// FormatBytes formats a size as the reference does: two decimals and units of 1024.
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

// Timestamp formats the time in the names of files: local time in ISO format, with dashes
// for colons.
func Timestamp(t time.Time) string {
	s := t.Format("2006-01-02T15-04-05")
	if us := t.Nanosecond() / 1000; us != 0 {
		s += fmt.Sprintf(".%06d", us)
	}
	return s
}

// ResultsDir returns the directory of a model's result files below the output directory.
func ResultsDir(output, model string) string {
	return filepath.Join(output, "results", filepath.FromSlash(model))
}

// DetailsDir returns the directory of a model's details below the output directory.
func DetailsDir(output, model string) string {
	return filepath.Join(output, "details", filepath.FromSlash(model))
}
