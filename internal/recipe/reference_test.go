package recipe

import (
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/recipes.md")

// referenceHead is the text before the tables of docs/recipes.md.
const referenceHead = `# Settings of recipes

<!-- Generated from the code: go test ./internal/recipe -run TestReference -update -->

A recipe is a YAML file. A stage runs if its block is there; a block without settings has the
defaults. An unknown key is an error with its line and the nearest known key. Paths are relative to
the recipe's directory. ` + "`barka init` writes a first recipe, `barka run RECIPE --dry-run` checks one, and " +
	"`recipes/` has examples.\n"

// reference describes the keys of a struct as rows of a table.
type reference struct {
	t        *testing.T
	comments map[string]map[string]string // of fields, by package and Type.Field
	b        strings.Builder
}

// TestReference: docs/recipes.md lists every key with its default and the comment of its field.
func TestReference(t *testing.T) {
	blocks := []string{"inputs", "wiki", "synth", "convert", "translate", "filter", "decontaminate", "mix", "train", "eval", "publish"}
	text := "convert: {boolq: {}}\n"
	for _, name := range blocks {
		if name != "inputs" && name != "convert" {
			text += name + ":\n"
		}
	}
	r, err := open([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	ref := &reference{t: t, comments: map[string]map[string]string{}}
	ref.b.WriteString(referenceHead)
	ref.section("recipe", "", reflect.ValueOf(*r), func(f reflect.StructField) bool {
		k := f.Type.Kind()
		return k == reflect.Pointer || k == reflect.Struct || f.Type.Kind() == reflect.Map
	})
	ref.section("models", "models.", reflect.ValueOf(r.Models), nil)
	ref.section("models.generator and models.judge", "", reflect.ValueOf(r.Models.Generator), nil)
	v := reflect.ValueOf(*r)
	for _, name := range blocks {
		for i := range v.NumField() {
			if tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ","); tag != name {
				continue
			}
			block, title := v.Field(i), name
			if name == "convert" {
				block, title = reflect.ValueOf(r.Convert["boolq"]), "convert.NAME"
			}
			if block.Kind() == reflect.Pointer && block.IsNil() {
				t.Fatalf("the block %s has no defaults", name)
			}
			ref.section(title, "", reflect.Indirect(block), nil)
		}
	}
	path := filepath.Join("..", "..", "docs", "recipes.md")
	if *update {
		if err := os.WriteFile(path, []byte(ref.b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil || string(have) != ref.b.String() {
		t.Errorf("docs/recipes.md is not what the code says (%v): go test ./internal/recipe -run TestReference -update", err)
	}
}

// section writes a table of a struct's keys. It leaves out those that skip selects.
func (r *reference) section(title, prefix string, v reflect.Value, skip func(reflect.StructField) bool) {
	fmt.Fprintf(&r.b, "\n## %s\n\n", title)
	if about := intro(v.Type().Name(), r.comment(v.Type(), "")); about != "" && title != "recipe" {
		fmt.Fprintf(&r.b, "%s\n\n", wrapped(about))
	}
	r.b.WriteString("| key | default | meaning |\n|---|---|---|\n")
	at, _, _ := strings.Cut(title, " ")
	r.rows(strings.Replace(at, "NAME", "*", 1), prefix, v, skip)
}

// noun is the beginning of a meaning that is complete without its verb.
var noun = regexp.MustCompile(`^(?:is|are) ((?:the|an?|how|what|more|\w+ or) )`)

// capital begins a text with a capital letter.
func capital(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// intro turns the comment of a type into a sentence about its block.
func intro(name, comment string) string {
	if what, ok := strings.CutPrefix(comment, name+" are everything that changes "); ok {
		return "These settings decide " + what
	}
	if rest, ok := strings.CutPrefix(comment, name+" "); ok {
		return "This block " + rest
	}
	return comment
}

// wrapped breaks a text into lines of at most 100 characters.
func wrapped(text string) string {
	var lines []string
	for _, word := range strings.Fields(text) {
		if n := len(lines); n > 0 && len(lines[n-1])+1+len(word) <= 100 {
			lines[n-1] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return strings.Join(lines, "\n")
}

func (r *reference) rows(at, prefix string, v reflect.Value, skip func(reflect.StructField) bool) {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous {
			inner := v.Field(i)
			if inner.Kind() == reflect.Pointer && inner.IsNil() {
				inner = reflect.New(inner.Type().Elem())
			}
			r.rows(at, prefix, reflect.Indirect(inner), skip)
			continue
		}
		if name == "" || name == "-" || skip != nil && skip(f) {
			continue
		}
		key := name
		if at != "recipe" {
			key = at + "." + name
		}
		if _, fixed := setElsewhere(strings.Replace(key, "*", "boolq", 1)); fixed {
			continue
		}
		fmt.Fprintf(&r.b, "| `%s` | %s | %s |\n", prefix+name, value(v.Field(i)), r.comment(t, f.Name))
	}
}

// value formats a default.
func value(v reflect.Value) string {
	if named, ok := v.Interface().(fmt.Stringer); ok && v.CanInt() {
		return "`" + named.String() + "`"
	}
	if v.IsZero() && v.Kind() != reflect.Bool {
		if v.CanInt() || v.CanFloat() {
			return "`0`"
		}
		return ""
	}
	text, err := json.Marshal(v.Interface())
	if err != nil || v.Kind() == reflect.Struct {
		return ""
	}
	s := strings.Trim(string(text), `"`)
	if s == "null" || s == "[]" || s == "{}" {
		return ""
	}
	return "`" + strings.ReplaceAll(s, "|", `\|`) + "`"
}

// comment returns the comment of a field, or of the type for "", in one line.
func (r *reference) comment(t reflect.Type, field string) string {
	pkg := t.PkgPath()
	if r.comments[pkg] == nil {
		r.comments[pkg] = r.parse(pkg)
	}
	text := strings.Join(strings.Fields(r.comments[pkg][t.Name()+"."+field]), " ")
	if field != "" {
		if own, alone := strings.CutPrefix(text, field+" "); alone && !strings.HasPrefix(own, "and ") {
			text = capital(noun.ReplaceAllString(own, "$1"))
		}
		text = valuesFor(r.comments[pkg], keysFor(t, text))
	}
	return strings.ReplaceAll(text, "|", `\|`)
}

// parse reads the comments of a package.
func (r *reference) parse(pkg string) map[string]string {
	_, inner, _ := strings.Cut(pkg, "/internal/")
	all := map[string]string{}
	tests := func(info fs.FileInfo) bool { return !strings.HasSuffix(info.Name(), "_test.go") }
	packages, err := parser.ParseDir(token.NewFileSet(), filepath.Join("..", filepath.FromSlash(inner)), tests, parser.ParseComments)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, p := range packages {
		ast.Inspect(p, func(n ast.Node) bool {
			decl, ok := n.(*ast.GenDecl)
			if !ok {
				return true
			}
			for _, s := range decl.Specs {
				spec, ok := s.(*ast.TypeSpec)
				if !ok {
					texts(all, s)
					continue
				}
				all[spec.Name.Name+"."] = decl.Doc.Text()
				if st, ok := spec.Type.(*ast.StructType); ok {
					fields(all, spec.Name.Name, st)
				}
			}
			return true
		})
	}
	return all
}

// fields collects the comments of a struct's fields: those above them, then those behind. A field
// without a comment has the last one above it that names the field.
func fields(all map[string]string, name string, st *ast.StructType) {
	last := ""
	for _, f := range st.Fields.List {
		for _, id := range f.Names {
			own := strings.TrimSpace(f.Doc.Text() + " " + f.Comment.Text())
			if own == "" && regexp.MustCompile(`\b`+id.Name+`\b`).MatchString(last) {
				own = last
			}
			all[name+"."+id.Name] = own
		}
		if f.Doc != nil {
			last = f.Doc.Text()
		}
	}
}

// texts collects the values of constants that are texts, by "const " and their names.
func texts(all map[string]string, s ast.Spec) {
	spec, ok := s.(*ast.ValueSpec)
	if !ok {
		return
	}
	for i, v := range spec.Values {
		if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			all["const "+spec.Names[i].Name] = strings.Trim(lit.Value, "`\"")
		}
	}
}

// valuesFor replaces the names of constants by their values.
func valuesFor(all map[string]string, text string) string {
	return goName.ReplaceAllStringFunc(text, func(name string) string {
		if value := all["const "+name]; value != "" {
			return "`" + value + "`"
		}
		return name
	})
}

// goName is the name of an exported field in a comment.
var goName = regexp.MustCompile(`\b[A-Z]\w*\b`)

// keysFor replaces the names of a struct's fields by their keys.
func keysFor(t reflect.Type, text string) string {
	return goName.ReplaceAllStringFunc(text, func(name string) string {
		f, ok := t.FieldByName(name)
		if key, _, _ := strings.Cut(f.Tag.Get("json"), ","); ok && key != "" && key != "-" {
			return "`" + key + "`"
		}
		return name
	})
}
