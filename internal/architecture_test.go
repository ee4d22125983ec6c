package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// placeholder is a name in docs/architecture.md that stands for one of the reader's.
var placeholder = regexp.MustCompile(`foo|<.*>|(^|/)x(_\w+)?\.(go|s)$`)

// TestArchitecture holds docs/architecture.md to the code: its files, packages,
// functions and tests exist.
func TestArchitecture(t *testing.T) {
	text, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	p := page{T: t, files: tracked(t)}
	for i, paragraph := range strings.Split(string(text), "\n\n") {
		switch {
		case i == 2:
			p.picture(paragraph)
		case strings.HasPrefix(strings.TrimSpace(paragraph), "|"):
			for _, row := range strings.Split(paragraph, "\n") {
				p.row(row)
			}
		default:
			p.prose(paragraph)
		}
	}
	if p.named < 100 {
		t.Errorf("%d names found, expected over 100: the page is no longer read as it is written", p.named)
	}
}

// TestPages: the files, the tests and the links that other pages name exist.
func TestPages(t *testing.T) {
	p := page{T: t, files: tracked(t)}
	for _, file := range p.files {
		if path.Ext(file) != ".md" || strings.Contains(file, "testdata/") || file == "CHANGELOG.md" || file == "docs/architecture.md" {
			continue
		}
		text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		t.Run(file, func(t *testing.T) {
			p.T = t
			for _, m := range quoted.FindAllStringSubmatch(string(text), -1) {
				if inTree.MatchString(m[1]) || testName.MatchString(m[1]) {
					p.name(m[1])
				}
			}
			p.links(path.Dir(file), string(text))
		})
	}
	if p.named < 30 {
		t.Errorf("%d names found, expected over 30: the pages are no longer read as they are written", p.named)
	}
}

// page checks names against the files of the repository.
type page struct {
	*testing.T
	files []string
	named int
	last  string // the folder of the path before, to which bare file names belong
}

// exists reports whether a path below the root is a file or a folder that git knows.
func (p *page) exists(name string) bool {
	name = strings.TrimSuffix(name, "/")
	return slices.ContainsFunc(p.files, func(file string) bool {
		if ok, _ := path.Match(name, file); ok || strings.HasPrefix(file, name+"/") {
			return true
		}
		ok, _ := path.Match(name, path.Dir(file))
		return ok
	})
}

// picture checks the packages of the drawing: the words at the start of a line.
func (p *page) picture(drawing string) {
	for _, line := range strings.Split(drawing, "\n") {
		line = strings.TrimLeft(line, " │├└─")
		line, _, _ = strings.Cut(line, " ──")
		line, _, _ = strings.Cut(line, "  ")
		for _, name := range strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == ',' }) {
			name = strings.TrimSuffix(strings.TrimSuffix(name, "…"), "<architecture>")
			if name != "" && !p.exists("internal/"+name) && !p.exists(name) {
				p.Errorf("the picture has %s, which is no package", name)
			}
			p.named++
		}
	}
}

var quoted = regexp.MustCompile("`([^`]+)`")

// row checks a row of a table. In a cell that starts with a file, the names after
// it are declared there.
func (p *page) row(row string) {
	for _, cell := range strings.Split(row, "|") {
		file := ""
		for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
			switch name := m[1]; {
			case p.name(name):
				file = path.Join(p.last, path.Base(name))
			case file != "" && strings.HasPrefix(strings.TrimSpace(cell), "`"):
				p.declared(file, name)
			}
		}
	}
}

var (
	link  = regexp.MustCompile(`\]\(([^):#]+)\)`)
	where = regexp.MustCompile("`([\\w.]+)` in\\s+`([\\w/.]+)`")
)

// prose checks the names, the links, and what the text says is in a file.
func (p *page) prose(text string) {
	for _, m := range quoted.FindAllStringSubmatch(text, -1) {
		p.name(m[1])
	}
	p.links("docs", text)
	for _, m := range where.FindAllStringSubmatch(text, -1) {
		if strings.Contains(m[2], "/") && path.Ext(m[2]) != "" && p.exists(m[2]) {
			p.declared(m[2], m[1])
		}
	}
}

// links checks the links of a text in the folder dir.
func (p *page) links(dir, text string) {
	for _, m := range link.FindAllStringSubmatch(text, -1) {
		if !p.exists(path.Join(dir, m[1])) {
			p.Errorf("the link to %s leads nowhere", m[1])
		}
	}
}

var (
	inTree   = regexp.MustCompile(`^(\.ci|cmd|docs|internal|recipes|reference|testdata)(/[\w.*-]+)+/?$`)
	bareFile = regexp.MustCompile(`^\w+\.(go|s|tsv|py)$`)
	testName = regexp.MustCompile(`^Test[A-Z]\w+$`)
	exported = regexp.MustCompile(`^([a-z][a-z0-9]*)\.([A-Z]\w*)`)
)

// name checks a name in backquotes if it is a path, a file's name, a test or an
// exported name of a package. It reports whether it is a file.
func (p *page) name(name string) (file bool) {
	if placeholder.MatchString(name) {
		return false
	}
	switch {
	case inTree.MatchString(name):
		if !p.exists(name) {
			p.Errorf("%s does not exist", name)
		}
		p.last, file = name, path.Ext(name) != ""
		if file {
			p.last = path.Dir(name)
		}
	case bareFile.MatchString(name):
		if !p.exists(path.Join(p.last, name)) {
			p.Errorf("%s is not in %s", name, p.last)
		}
		file = true
	case testName.MatchString(name):
		tests := slices.DeleteFunc(slices.Clone(p.files), func(f string) bool { return !strings.HasSuffix(f, "_test.go") })
		if !slices.ContainsFunc(tests, func(f string) bool { return p.contains(f, "func "+name+"(") }) {
			p.Errorf("there is no test %s", name)
		}
	default:
		m := exported.FindStringSubmatch(name)
		if m == nil {
			return false
		}
		sources := slices.DeleteFunc(slices.Clone(p.files), func(f string) bool {
			return path.Ext(f) != ".go" || path.Base(path.Dir(f)) != m[1] || strings.HasSuffix(f, "_test.go")
		})
		if len(sources) == 0 {
			return false // not a package but a variable
		}
		if !slices.ContainsFunc(sources, func(f string) bool { return slices.Contains(p.declarations(f), m[2]) }) {
			p.Errorf("package %s has no %s", m[1], m[2])
		}
	}
	p.named++
	return file
}

// declared checks that a file declares a name: a function, a type, a variable, a
// method as Type.Method, or a routine of assembly. A script only has to contain it.
func (p *page) declared(file, name string) {
	p.named++
	switch path.Ext(file) {
	case ".go":
		if !slices.Contains(p.declarations(file), name) {
			p.Errorf("%s does not declare %s", file, name)
		}
	case ".s":
		if !p.contains(file, "TEXT ·"+name+"(SB)") {
			p.Errorf("%s has no routine %s", file, name)
		}
	default:
		if !p.contains(file, name) {
			p.Errorf("%s does not contain %s", file, name)
		}
	}
}

func (p *page) contains(file, text string) bool {
	data, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(file)))
	return err == nil && strings.Contains(string(data), text)
}

// declarations lists what a Go file declares at its top.
func (p *page) declarations(name string) (names []string) {
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", filepath.FromSlash(name)), nil, parser.SkipObjectResolution)
	if err != nil {
		p.Error(err)
		return nil
	}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if d.Recv != nil {
				name = receiver(d.Recv.List[0].Type) + "." + name
			}
			names = append(names, name)
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					names = append(names, s.Name.Name)
				case *ast.ValueSpec:
					for _, n := range s.Names {
						names = append(names, n.Name)
					}
				}
			}
		}
	}
	return names
}

// receiver is the name of a method's type.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}
