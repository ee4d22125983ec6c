package chattranslator

import (
	"embed"
	"os"
	"path"
	"slices"
	"strings"
	"text/template"

	"barka/internal/badinput"
	"barka/internal/yamltext"
)

//go:embed families/*.yaml
var families embed.FS

// Plain is the family for any model that follows instructions.
const Plain = "plain"

// Family is how the models of a family are asked for a translation. Its file is YAML. The
// templates are Go's text/template with the fields of Words.
type Family struct {
	Name string `yaml:"name"`
	// Models are parts of the names of models that belong to it, in small letters.
	Models []string `yaml:"models"`
	// Source is where the format was published. Verified is false if it could not be
	// looked up there.
	Source   string `yaml:"source"`
	Verified bool   `yaml:"verified"`
	// Raw prompts are continued as they are: the models have no chat template.
	Raw bool `yaml:"raw"`
	// OwnTemplate: the models' chat template takes the two languages and the bare text.
	OwnTemplate bool `yaml:"own_template"`
	// System is the system turn; without it there is none.
	System *string `yaml:"system"`
	User   string  `yaml:"user"`
	// Glossary stands before User if terms of the glossary occur in the text. A family
	// without it takes no glossary of its own, and gets the plain one.
	Glossary string `yaml:"glossary"`
	// Stop ends the answer to a text of one line.
	Stop []string `yaml:"stop"`

	user, glossary *template.Template
}

// Words are what the templates may use.
type Words struct {
	From, To         string // English names of the languages, such as Arabic
	FromCode, ToCode string // ISO 639-1 if there is one, else ISO 639-3
	ToChinese        string // the target language's name in Chinese
	Text             string
	Terms            []Term
}

// Families returns the names of the families, sorted.
func Families() []string {
	var names []string
	for _, f := range builtIn {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	return names
}

// builtIn holds the families of this program. They are read at the start: a mistake in one
// is a mistake of the program.
var builtIn = func() (all []*Family) {
	files, err := families.ReadDir("families")
	for _, file := range files {
		data, _ := families.ReadFile(path.Join("families", file.Name()))
		f, e := parseFamily(file.Name(), data)
		if e != nil {
			panic(e)
		}
		all = append(all, f)
	}
	if err != nil || len(all) == 0 {
		panic("chattranslator: no families")
	}
	return all
}()

func parseFamily(name string, data []byte) (*Family, error) {
	f := &Family{}
	if err := yamltext.Unmarshal(data, f); err != nil {
		return nil, badinput.Errorf("%s: %w", name, err)
	}
	if f.Name == "" || strings.TrimSpace(f.User) == "" {
		return nil, badinput.Errorf("%s: name or user is missing: name is the family's name, user the prompt with {{.Text}} in it", name)
	}
	for _, t := range []struct {
		key, text string
		into      **template.Template
	}{{"user", f.User, &f.user}, {"glossary", f.Glossary, &f.glossary}} {
		parsed, err := template.New(t.key).Option("missingkey=error").Parse(t.text)
		if err != nil {
			return nil, badinput.Errorf("%s: %s: %w", name, t.key, err)
		}
		*t.into = parsed
	}
	const probe = "\x00text\x00"
	text, err := f.render(f.user, Words{Text: probe})
	if err == nil && strings.Count(text, probe) != 1 {
		err = badinput.Errorf("the prompt does not have {{.Text}} exactly once")
	}
	if err != nil {
		return nil, badinput.Errorf("%s: user: %w", name, err)
	}
	if _, err := f.render(f.glossary, Words{Terms: []Term{{"a", "b"}}}); err != nil {
		return nil, badinput.Errorf("%s: glossary: %w", name, err)
	}
	return f, nil
}

func (f *Family) render(t *template.Template, w Words) (string, error) {
	var b strings.Builder
	err := t.Execute(&b, w)
	return b.String(), err
}

// OpenFamily returns the family of a name, or one that a YAML file describes. Without a name
// it is the family of the model, or the plain one.
func OpenFamily(name, model string) (*Family, error) {
	if name == "" {
		return familyOf(model), nil
	}
	for _, f := range builtIn {
		if f.Name == name {
			return f, nil
		}
	}
	if !strings.ContainsAny(name, "./") {
		return nil, badinput.Errorf("family %q is not known; expected %s, or the path of a YAML file", name, strings.Join(Families(), ", "))
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, badinput.Errorf("family: %w; families with names are %s", err, strings.Join(Families(), ", "))
	}
	return parseFamily(name, data)
}

// familyOf returns the family with a part of the model's name, the longest if several have
// one.
func familyOf(model string) *Family {
	best, longest := (*Family)(nil), 0
	model = strings.ToLower(model)
	for _, f := range builtIn {
		if f.Name == Plain && best == nil {
			best = f
		}
		for _, part := range f.Models {
			if len(part) > longest && strings.Contains(model, part) {
				best, longest = f, len(part)
			}
		}
	}
	return best
}
