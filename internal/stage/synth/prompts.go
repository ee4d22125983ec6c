package synth

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"barka/internal/badinput"
	"barka/internal/nearest"
	"barka/internal/prose"
	"barka/internal/yamltext"
)

//go:embed prompts
var shipped embed.FS

// DefaultPrompts is the name of the set that is used if none is named.
const DefaultPrompts = "english"

// BuiltIn returns the names of the sets of prompts that the program has.
func BuiltIn() []string { return []string{DefaultPrompts, "arabic"} }

// IsBuiltIn reports whether a name is that of such a set and not of a directory.
func IsBuiltIn(name string) bool { return name == "" || slices.Contains(BuiltIn(), name) }

// The templates that a set of prompts has. A set without kindsFile asks for every record in
// the same words.
const (
	questionPrompt       = "question.txt"
	answerPrompt         = "answer.txt"
	followupPrompt       = "followup.txt"
	followupAnswerPrompt = "followup_answer.txt"
	questionsTags        = "questions_tags.txt" // all questions of an independent conversation
	questionsJSON        = "questions_json.txt" // the same, as JSON
	kindsFile            = "kinds.yaml"
	// repairPrompt complains about a text. A set without it, or without the complaint, asks
	// afresh instead.
	repairPrompt = "repair.txt"
	// judgePrompt asks a judge for a score. A set without it cannot be used with one.
	judgePrompt = "judge.txt"
)

var promptFiles = []string{questionPrompt, answerPrompt, followupPrompt, followupAnswerPrompt, questionsTags, questionsJSON}

// optionalFiles may be left out of a set.
var optionalFiles = []string{kindsFile, repairPrompt, judgePrompt}

func allFiles() []string { return append(slices.Clone(promptFiles), optionalFiles...) }

// maxPromptFile bounds a file of prompts, in bytes.
const maxPromptFile = 1 << 20

// Kind is one kind of question, such as why or multiple_choice.
type Kind struct {
	Name string `json:"name"`
	// Weight is the kind's share among the weights of all kinds; 1 if it is not set.
	Weight int `json:"weight"`
	// Ask tells the model what to write. A kind without it needs no model for the user's
	// message: the message is one of Messages.
	Ask string `json:"ask"`
	// Messages are templates of the user's message, of which one is drawn. They may use
	// {{.Question}} (what the model wrote), {{.Title}} and {{.Passage}}. Without them the
	// message is what the model wrote.
	Messages []string `json:"messages"`
	// Answer tells the model how to answer.
	Answer string `json:"answer"`
	// Shape names what the message and the answer must look like: question (the default),
	// choice (options, of which the answer names one), statement (answered by true or false)
	// or task (an instruction to do something with the text that the message shows).
	Shape string `json:"shape"`
	// Matches is a regular expression that the message must match to be of this kind.
	Matches string `json:"matches"`
	// Fixed kinds have neither a form nor a length.
	Fixed bool `json:"fixed"`
	// MinAnswerWords replaces the option of that name if it is positive.
	MinAnswerWords int `json:"min_answer_words"`

	messages []*template.Template
	matches  *regexp.Regexp
}

// fits reports whether a message is of the kind.
func (k *Kind) fits(message string) bool {
	return k.matches == nil || k.matches.MatchString(message) || k.matches.MatchString(prose.Fold(message))
}

// Shapes of a kind.
const (
	shapeQuestion  = "question"
	shapeChoice    = "choice"
	shapeStatement = "statement"
	shapeTask      = "task"
)

// kinds is the content of kindsFile.
type kinds struct {
	// Language is the NLLB code of the language that the prompts ask for.
	Language string   `json:"language"`
	Kinds    []*Kind  `json:"kinds"`
	Forms    []string `json:"forms"`   // how a question is put
	Lengths  []string `json:"lengths"` // how long an answer is to be
	// Complaints has for each check that fails what repairPrompt says about it.
	Complaints map[string]string `json:"complaints"`
}

// Prompts is a set of prompts: templates, and the kinds, forms and lengths that are drawn
// for each record.
type Prompts struct {
	kinds
	files     map[string][]byte
	templates *template.Template
}

// LoadPrompts reads a built-in set of prompts, or the one in a directory; "" names
// DefaultPrompts. Every template is tried, so that a mistake is found before anything is
// paid for.
func LoadPrompts(name string) (*Prompts, error) {
	if IsBuiltIn(name) {
		name = cmp.Or(name, DefaultPrompts)
		sub, err := fs.Sub(shipped, path.Join("prompts", name))
		if err != nil {
			return nil, err
		}
		return loadPrompts(sub, "the built-in prompts "+name)
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, badinput.Errorf("synth: prompts: %s is neither a directory nor a built-in set%s (%s)", name,
			suggestion(name, BuiltIn()), strings.Join(BuiltIn(), ", "))
	case err != nil:
		return nil, fmt.Errorf("synth: prompts: %w", badinput.Wrap(err))
	case !info.IsDir():
		return nil, badinput.Errorf("synth: prompts: %s is a file, expected a directory with %s", name, strings.Join(promptFiles, ", "))
	}
	return loadPrompts(os.DirFS(name), name)
}

func loadPrompts(dir fs.FS, name string) (*Prompts, error) {
	p := &Prompts{files: map[string][]byte{}, templates: template.New(name).Option("missingkey=error")}
	p.Language = "eng_Latn"
	for _, f := range allFiles() {
		text, err := readPrompt(dir, f)
		if slices.Contains(optionalFiles, f) && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("synth: prompts: %s: %w", path.Join(name, f), badinput.Wrap(err))
		}
		p.files[f] = text
		if f == kindsFile {
			err = p.readKinds(text)
		} else if _, err = p.templates.New(f).Parse(string(text)); err == nil {
			err = p.templates.ExecuteTemplate(io.Discard, f, data{})
		}
		if err != nil {
			return nil, badinput.Errorf("synth: prompts: %s: %w", path.Join(name, f), err)
		}
	}
	return p, nil
}

func readPrompt(dir fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(dir, name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("is not a file")
	case info.Size() > maxPromptFile:
		return nil, fmt.Errorf("has %d bytes; a file of prompts has at most %d", info.Size(), maxPromptFile)
	}
	return fs.ReadFile(dir, name)
}

// readKinds reads kindsFile, strictly.
func (p *Prompts) readKinds(text []byte) error {
	asJSON, err := yamltext.JSON(text)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(asJSON))
	d.DisallowUnknownFields()
	if err := d.Decode(&p.kinds); err != nil {
		return err
	}
	if !prose.IsLanguage(p.Language) {
		return fmt.Errorf("language is %q, expected an NLLB code such as eng_Latn", p.Language)
	}
	for name := range p.Complaints {
		if known := append(Checks(), "parse_questions"); !slices.Contains(known, name) {
			return fmt.Errorf("complaints: there is no check %s%s", name, suggestion(name, known))
		}
	}
	if len(p.Kinds) == 0 {
		return fmt.Errorf("has no kinds; without kinds, leave the file out")
	}
	seen, asking := map[string]bool{}, false
	for i, k := range p.Kinds {
		if err := k.prepare(); err != nil {
			return fmt.Errorf("kind %d (%q): %w", i+1, k.Name, err)
		}
		if seen[k.Name] {
			return fmt.Errorf("kind %d: %q is there twice", i+1, k.Name)
		}
		seen[k.Name], asking = true, asking || k.Ask != ""
	}
	if !asking {
		return fmt.Errorf("no kind has ask, so conversations have no questions")
	}
	return nil
}

func (k *Kind) prepare() error {
	if k.Weight == 0 {
		k.Weight = 1
	}
	if k.Shape == "" {
		k.Shape = shapeQuestion
	}
	switch {
	case k.Name == "" || strings.ContainsAny(k.Name, ", /"):
		return fmt.Errorf("expected a name of one word")
	case k.Weight < 0 || k.Weight > 1e6:
		return fmt.Errorf("weight is %d, expected 1 to a million", k.Weight)
	case !slices.Contains([]string{shapeQuestion, shapeChoice, shapeStatement, shapeTask}, k.Shape):
		return fmt.Errorf("shape is %q, expected question, choice, statement or task", k.Shape)
	case k.Ask == "" && len(k.Messages) == 0:
		return fmt.Errorf("has neither ask nor messages, so there is nothing to ask")
	case k.MinAnswerWords < 0:
		return fmt.Errorf("min_answer_words is %d, expected 0 (the option of that name) or more", k.MinAnswerWords)
	}
	if k.Matches != "" {
		var err error
		if k.matches, err = regexp.Compile("(?i)" + k.Matches); err != nil {
			return fmt.Errorf("matches: %w", err)
		}
	}
	for _, m := range k.Messages {
		t, err := template.New(k.Name).Parse(m)
		if err == nil {
			err = t.Execute(io.Discard, data{})
		}
		if err != nil {
			return err
		}
		k.messages = append(k.messages, t)
	}
	return nil
}

// Digest identifies the set.
func (p *Prompts) Digest() string {
	return p.digest(allFiles()...)
}

func (p *Prompts) digest(names ...string) string {
	h := sha256.New()
	for _, n := range names {
		h.Write(p.files[n])
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Show returns the files of the set, each below its name.
func (p *Prompts) Show() string {
	var b strings.Builder
	for _, n := range allFiles() {
		if text, ok := p.files[n]; ok {
			fmt.Fprintf(&b, "==> %s <==\n%s\n\n", n, bytes.TrimSpace(text))
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

// complaint returns the message that asks for a text again that failed a check, or "".
func (p *Prompts) complaint(reason string, d data) (string, error) {
	d.Complaint = p.Complaints[reason]
	if d.Complaint == "" || p.files[repairPrompt] == nil {
		return "", nil
	}
	var b strings.Builder
	err := p.templates.ExecuteTemplate(&b, repairPrompt, d)
	return strings.TrimSpace(b.String()), err
}

// suggestion names the one of the known names that was perhaps meant.
func suggestion(name string, known []string) string {
	if near := nearest.Name(name, known); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// drawn is what was drawn for one turn. A set without kinds draws none.
type drawn struct {
	kind         *Kind
	message      *template.Template // nil: the message is the question
	form, length string
}

// draw draws a turn's kind, form and length. The same seed always gives the same. In a
// conversation the model writes every question.
func (p *Prompts) draw(seed int64, conversation bool) drawn {
	if len(p.Kinds) == 0 {
		return drawn{kind: &Kind{Shape: shapeQuestion}}
	}
	rng := rand.New(rand.NewPCG(uint64(seed), 0))
	sum := 0
	for _, k := range p.Kinds {
		if k.Ask != "" || !conversation {
			sum += k.Weight
		}
	}
	var d drawn
	at := rng.IntN(sum)
	for _, k := range p.Kinds {
		if k.Ask == "" && conversation {
			continue
		}
		if at -= k.Weight; at < 0 {
			d.kind = k
			break
		}
	}
	if n := len(d.kind.messages); n > 0 {
		d.message = d.kind.messages[rng.IntN(n)]
	}
	if !d.kind.Fixed {
		d.form, d.length = pick(rng, p.Forms), pick(rng, p.Lengths)
	}
	return d
}

func pick(rng *rand.Rand, from []string) string {
	if len(from) == 0 {
		return ""
	}
	return from[rng.IntN(len(from))]
}
