package kernel

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var twinName = regexp.MustCompile(`Plain Go twin: (\w+)\.`)

// TestRoutinesNameTheirTwins: each assembly routine has a declaration with a
// comment, the same comment and declaration stand above it in the .s file, and the
// plain Go function that the comment names exists.
func TestRoutinesNameTheirTwins(t *testing.T) {
	functions, stubs, assembly := map[string]bool{}, map[string]*ast.FuncDecl{}, ""
	names, err := filepath.Glob("*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		switch {
		case strings.HasSuffix(name, ".s"):
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			assembly += string(text)
		case strings.HasSuffix(name, ".go"):
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
					functions[f.Name.Name] = true
				} else if ok {
					stubs[f.Name.Name] = f
				}
			}
		}
	}
	if n := strings.Count(assembly, "\nTEXT "); n != len(stubs) || n == 0 {
		t.Errorf("%d assembly routines, %d declarations", n, len(stubs))
	}
	for name, f := range stubs {
		twin := twinName.FindStringSubmatch(strings.Join(strings.Fields(f.Doc.Text()), " "))
		if twin == nil || !strings.HasPrefix(f.Doc.Text(), name+" ") {
			t.Errorf("%s: the comment does not begin with its name or names no twin", name)
			continue
		}
		if !functions[twin[1]] {
			t.Errorf("%s: its twin %s does not exist", name, twin[1])
		}
		if !strings.Contains(assembly, "\n// func "+name+"(") || !strings.Contains(assembly, "// "+name+" ") {
			t.Errorf("%s: the .s file lacks its comment or its declaration", name)
		}
	}
}
