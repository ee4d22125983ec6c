package golden

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Held counts the mappings of files below a directory, and the descriptors open on them.
func Held(t testing.TB, dir string) (mappings, descriptors int) {
	t.Helper()
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if strings.Contains(s.Text(), dir+string(filepath.Separator)) {
			mappings++
		}
	}
	open, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range open {
		if to, _ := os.Readlink(fd); strings.HasPrefix(to, dir+string(filepath.Separator)) {
			descriptors++
		}
	}
	return mappings, descriptors
}
