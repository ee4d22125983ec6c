package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// maxLine is how many characters a line may have; a tab is one.
const maxLine = 140

// tracked lists the files of the repository and new ones that git does not ignore, by their
// paths below its root.
func tracked(t *testing.T) []string {
	t.Helper()
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = ".."
	out, err := list.Output()
	if err != nil {
		t.Skipf("not a checkout of git: %v", err)
	}
	files := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	return slices.DeleteFunc(files, func(name string) bool {
		_, err := os.Lstat(filepath.Join("..", filepath.FromSlash(name)))
		return err != nil // removed, and git does not know it yet
	})
}

// TestLineLength covers Go, C++, Python, shell scripts, Markdown and templates of pages. Test data and
// generated files may have long lines, and so may lines of these kinds, which
// cannot be broken without changing what they say:
//
//   - in Go, a line with a struct tag, or a line of a raw string that spans lines;
//   - in Markdown, a row of a table;
//   - anywhere, a line with an address that is too long for a line by itself.
func TestLineLength(t *testing.T) {
	for _, name := range tracked(t) {
		if strings.Contains("/"+name, "/testdata/") && path.Ext(name) != ".py" {
			continue
		}
		for _, n := range longLines(t, name) {
			t.Errorf("%s:%d: more than %d characters", name, n, maxLine)
		}
	}
}

var address = regexp.MustCompile(`https?://\S+`)

// longLines returns the numbers of the lines of a file that are too long.
func longLines(t *testing.T, name string) []int {
	kind := path.Ext(name)
	if strings.HasPrefix(name, ".ci/") {
		kind = ".sh"
	}
	if !slices.Contains([]string{".go", ".cu", ".cc", ".h", ".py", ".sh", ".md", ".html"}, kind) {
		return nil
	}
	text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(string(text), "// Code generated ") {
		return nil
	}
	var exempt map[int]bool // found when a line is too long, as parsing takes time
	var long []int
	for i, line := range strings.Split(string(text), "\n") {
		n := utf8.RuneCountInString(line)
		if n <= maxLine || n-len(address.FindString(line)) < maxLine/4 || kind == ".md" && strings.HasPrefix(strings.TrimSpace(line), "|") {
			continue
		}
		if kind == ".go" && exempt == nil {
			exempt = unbreakable(t, name, text)
		}
		if !exempt[i+1] {
			long = append(long, i+1)
		}
	}
	return long
}

// unbreakable returns the lines of a Go file that hold a struct tag or belong to
// a raw string that spans lines.
func unbreakable(t *testing.T, name string, text []byte) map[int]bool {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	lines := map[int]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			if n.Tag != nil {
				lines[files.Position(n.Tag.Pos()).Line] = true
			}
		case *ast.BasicLit:
			first, last := files.Position(n.Pos()).Line, files.Position(n.End()).Line
			for ; last > first; first++ {
				lines[first], lines[first+1] = true, true
			}
		}
		return true
	})
	return lines
}
