package convert

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"text/template"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/nearest"
	"barka/internal/yamltext"
)

//go:embed templates
var shipped embed.FS

// Files beside the templates of the sets.
const (
	wordingsFile = "wordings.yaml"
	justifyFile  = "justify.txt"
	rewriteFile  = "rewrite.txt"
)

// maxTemplateFile bounds a file of templates, in bytes.
const maxTemplateFile = 256 << 10

// Templates lay out the rows of a set.
type Templates struct {
	wordings map[string][]string
	list     []*layout // empty for sets that are conversations already
	prompts  *template.Template
	names    []string // of the files, in order
	files    map[string][]byte
}

// layout is one template: the two messages of a row.
type layout struct {
	Name      string `json:"name"`
	Weight    int    `json:"weight"` // its share among the weights of all; 1 if it is not set
	User      string `json:"user"`
	Assistant string `json:"assistant"`

	user, assistant *template.Template
}

// LoadTemplates reads the templates of a set. Files of the directory dir replace the built-in
// ones of the same name; "" replaces none. Every template is tried on made-up rows: it must
// show all options in order, and its answers must differ as the right options do.
func LoadTemplates(dir, benchmark string) (*Templates, error) {
	b, ok := benchmarks[benchmark]
	if !ok {
		return nil, unknownBenchmark(benchmark)
	}
	t := &Templates{files: map[string][]byte{}, prompts: template.New("").Option("missingkey=error")}
	if b.files == "" {
		if dir != "" {
			return nil, badinput.Errorf("convert: %s are conversations already, to which templates do not apply", benchmark)
		}
		return t, nil
	}
	if err := knownFiles(dir); err != nil {
		return nil, err
	}
	t.names = []string{b.files + ".yaml", wordingsFile, justifyFile, rewriteFile}
	for _, name := range t.names {
		text, where, err := readTemplate(dir, name)
		if err == nil {
			t.files[name] = text
			err = t.add(name, text, b)
		}
		if err != nil {
			return nil, fmt.Errorf("convert: templates: %s: %w", where, badinput.Wrap(err))
		}
	}
	return t, nil
}

// knownFiles refuses a directory with a file that no set uses: its name may be misspelt.
func knownFiles(dir string) error {
	if dir == "" {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("convert: templates: %w", badinput.Wrap(err))
	}
	builtIn, err := fs.ReadDir(shipped, "templates")
	if err != nil {
		return err
	}
	var known []string
	for _, e := range builtIn {
		known = append(known, e.Name())
	}
	some := false
	for _, e := range entries {
		switch name := e.Name(); {
		case slices.Contains(known, name):
			some = true
		case strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".txt"):
			hint := ""
			if near := nearest.Name(name, known); near != "" {
				hint = "; did you mean " + near + "?"
			}
			return badinput.Errorf("convert: templates: %s: no set uses a file %s%s; those used are %s", dir, name, hint,
				strings.Join(known, ", "))
		}
	}
	if !some {
		return badinput.Errorf("convert: templates: %s has none of the files %s", dir, strings.Join(known, ", "))
	}
	return nil
}

// readTemplate reads a file of the directory, or the built-in one.
func readTemplate(dir, name string) (text []byte, where string, err error) {
	if dir != "" {
		path := dir + string(os.PathSeparator) + name
		text, err := badinput.ReadFile(path, maxTemplateFile)
		if !errors.Is(err, fs.ErrNotExist) {
			return text, path, err
		}
	}
	text, err = shipped.ReadFile("templates/" + name)
	return text, name, err
}

// add reads a file, strictly.
func (t *Templates) add(name string, text []byte, b benchmark) error {
	switch name {
	case wordingsFile:
		if err := decodeYAML(text, &t.wordings); err != nil {
			return err
		}
		for _, ask := range []string{askGap, askOpen, askCause, askEffect, askEnding, askGoal, askThing} {
			if len(t.wordings[ask]) == 0 || slices.Contains(t.wordings[ask], "") {
				return fmt.Errorf("%s has no wording, or an empty one", ask)
			}
		}
		return nil
	case justifyFile, rewriteFile:
		_, err := t.prompts.New(name).Parse(string(text))
		if err == nil {
			err = t.prompts.ExecuteTemplate(&bytes.Buffer{}, name, probe(b, 0))
		}
		return err
	}
	var file struct {
		Templates []*layout `json:"templates"`
	}
	if err := decodeYAML(text, &file); err != nil {
		return err
	}
	if len(file.Templates) == 0 {
		return fmt.Errorf("has no templates")
	}
	t.list = file.Templates
	seen := map[string]bool{}
	for i, l := range t.list {
		if err := l.prepare(b); err != nil {
			return fmt.Errorf("template %d (%q): %w", i+1, l.Name, err)
		}
		if seen[l.Name] {
			return fmt.Errorf("template %d: the name %q is there twice", i+1, l.Name)
		}
		seen[l.Name] = true
	}
	return nil
}

func decodeYAML(text []byte, into any) error {
	asJSON, err := yamltext.JSON(text)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(asJSON))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// prepare parses a template and tries it.
func (l *layout) prepare(b benchmark) (err error) {
	if l.Weight == 0 {
		l.Weight = 1
	}
	switch {
	case l.Name == "" || strings.ContainsAny(l.Name, ", /"):
		return fmt.Errorf("expected a name of one word")
	case l.Weight < 0 || l.Weight > 1e6:
		return fmt.Errorf("weight is %d, expected 1 to a million", l.Weight)
	}
	if l.user, err = template.New("user").Parse(l.User); err != nil {
		return err
	}
	if l.assistant, err = template.New("assistant").Parse(l.Assistant); err != nil {
		return err
	}
	answers := map[string]bool{}
	n := 1
	if s := probe(b, 0); len(s.options) > 0 {
		n = len(s.options)
	} else if s.verdict != nil {
		n = 2
	}
	first := ""
	for right := range n {
		s := probe(b, right)
		messages, err := l.render(s)
		if err != nil {
			return err
		}
		user, assistant := messages[0].Content, messages[1].Content
		switch {
		case !strings.Contains(words(user), words(s.Stem)):
			return fmt.Errorf("the user's message lacks the question: {{.Question}} or {{.Stem}}")
		case s.Passage != "" && !strings.Contains(words(user), words(s.Passage)):
			return fmt.Errorf("the user's message lacks {{.Passage}}")
		case len(s.options) > 0 && listed(user, s.options) == "":
			return fmt.Errorf(`the user's message lacks the options: {{.Options "1."}} or another of the styles %s`, strings.Join(styles, " "))
		case right > 0 && user != first:
			return fmt.Errorf("the user's message depends on the answer")
		case answers[assistant]:
			return fmt.Errorf("two different answers are worded alike: %q", assistant)
		case s.Answer != "" && !strings.Contains(words(assistant), words(s.Answer)):
			return fmt.Errorf("the assistant's message lacks {{.Answer}}")
		case len(s.options) > 0:
			if err := names(assistant, s.options, right, listed(user, s.options)); err != nil {
				return err
			}
		}
		first, answers[assistant] = user, true
	}
	return nil
}

// probe is a made-up row of a set, on which templates are tried.
func probe(b benchmark, right int) shown {
	s := shown{Question: "The question of the row?", Stem: "The question of the row?"}
	switch b.kind() {
	case kindOptions:
		s.options, s.gold = []string{"the apple", "a pear", "some figs", "no dates"}, right
		s.Ask = "Which is it?"
		if b.files == "reading" {
			s.Passage = "Words to read."
		}
	case kindVerdict:
		yes := right == 0
		s.verdict = &yes
		if b.files == "boolq" {
			s.Passage = "Words to read."
		}
	default:
		s.Answer = "The worked answer is 7."
	}
	return s
}

// Digest identifies the files that take part: the prompts only if a model is asked.
func (t *Templates) digest(o Options) string {
	h := sha256.New()
	for _, n := range t.names {
		if n == justifyFile && !o.Justify || n == rewriteFile && !o.Rewrite {
			continue
		}
		h.Write(t.files[n])
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Show returns the files, each below its name.
func (t *Templates) Show() string {
	var b strings.Builder
	for _, n := range t.names {
		fmt.Fprintf(&b, "==> %s <==\n%s\n\n", n, bytes.TrimSpace(t.files[n]))
	}
	return strings.TrimRight(b.String(), "\n")
}

// ShowTemplates returns the templates of a set, or of all sets for "".
func ShowTemplates(dir, benchmark string) (string, error) {
	names := []string{benchmark}
	if benchmark == "" {
		names = Benchmarks()
	}
	all := &Templates{files: map[string][]byte{}}
	for _, name := range names {
		if benchmarks[name].files == "" && benchmark == "" {
			continue
		}
		t, err := LoadTemplates(dir, name)
		if err != nil {
			return "", err
		}
		maps.Copy(all.files, t.files)
	}
	all.names = slices.Sorted(maps.Keys(all.files))
	return all.Show(), nil
}

// draw draws a row's template, and the wording of what is asked. With first, it takes the
// first of each.
func (t *Templates) draw(seed int64, ask string, first bool) (l *layout, wording string) {
	rng := rand.New(rand.NewPCG(uint64(seed), 0))
	sum := 0
	for _, l := range t.list {
		sum += l.Weight
	}
	at, which := rng.IntN(sum), 0
	if n := len(t.wordings[ask]); n > 0 {
		which = rng.IntN(n)
	}
	if first {
		at, which = 0, 0
	}
	if ask != "" {
		wording = t.wordings[ask][which]
	}
	for _, l = range t.list {
		if at -= l.Weight; at < 0 {
			break
		}
	}
	return l, wording
}

// lay makes an entry's messages. A row whose answer would be ambiguous gets the first template,
// such as the answer "2" if 2 is the text of another option; so does one with a reason whose
// answer would not have the option's text.
func (t *Templates) lay(e *entry, l *layout, wording, answer, reason string) error {
	s := show(e.item, wording)
	if reason != "" {
		s.Fact = ""
	}
	messages, err := l.render(s)
	if err == nil && len(s.options) > 0 && l != t.list[0] {
		right := s.options[s.gold]
		if names(messages[1].Content, s.options, s.gold, listed(messages[0].Content, s.options)) != nil ||
			reason != "" && !strings.Contains(messages[1].Content, right) {
			l = t.list[0]
			messages, err = l.render(s)
		}
	}
	if err != nil {
		return fmt.Errorf("template %s: %w", l.Name, err)
	}
	if answer == AnswerText && len(s.options) > 0 {
		messages[1].Content = s.options[s.gold]
	}
	if reason != "" {
		messages[1].Content += "\n" + reason
	}
	e.out.Messages, e.out.Template = messages, l.Name
	return nil
}

// render returns the messages of a row.
func (l *layout) render(s shown) ([]chat.Message, error) {
	user, err := render(l.user, s)
	if err != nil {
		return nil, err
	}
	assistant, err := render(l.assistant, s)
	return []chat.Message{{Role: "user", Content: user}, {Role: "assistant", Content: assistant}}, err
}

func render(t *template.Template, values any) (string, error) {
	var b strings.Builder
	err := t.Execute(&b, values)
	return strings.TrimSpace(b.String()), err
}
