package main

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"text/template"

	"golang.org/x/term"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/recipe"
)

type initCmd struct {
	File       string `arg:"" optional:"" help:"Recipe to write." default:"recipe.yaml"`
	Name       string `help:"Name of the run." placeholder:"NAME"`
	Language   string `help:"Target language, as NLLB writes it." placeholder:"CODE"`
	Titles     string `help:"Articles of the English Wikipedia to begin with, separated by commas." placeholder:"LIST"`
	Pages      int    `help:"Most articles to read, by links from the first ones." placeholder:"N"`
	Base       string `help:"Model to adapt: hub id or directory." placeholder:"MODEL"`
	Generator  string `help:"Model that writes questions and answers." placeholder:"MODEL"`
	Endpoint   string `help:"OpenAI-compatible address of the generator; default: it runs here." placeholder:"URL"`
	Translator string `help:"Model that translates: NLLB-200 or M2M-100." placeholder:"MODEL"`
	Publish    string `help:"Organisation or user of the hub under which adapter and data are published; default: none." placeholder:"ORG"`
	Defaults   bool   `help:"Ask nothing; what is not given has its default."`
	Overwrite  bool   `help:"Replace a file that is there."`
}

func (initCmd) Help() string {
	return `Writes a recipe with comments, for barka run. On a terminal it asks for what is not given by a flag;
elsewhere, and with --defaults, the defaults are taken: small open models for a laptop.

Examples:
  barka init
  barka init swahili.yaml --language swh_Latn --titles "Kenya,Swahili coast" --base Qwen/Qwen3-0.6B
  barka run recipe.yaml --dry-run`
}

//go:embed init.yaml
var initTemplate string

// question is a setting that init asks for.
type question struct {
	to    *string
	text  string
	usual string
	valid func(string) string // what is wrong, or ""
}

func (c *initCmd) questions() []question {
	some := func(s string) string {
		if strings.TrimSpace(s) == "" {
			return "it is empty"
		}
		return ""
	}
	return []question{
		{&c.Name, "Name of the run", "my-model", func(s string) string {
			if !regexp.MustCompile(`^[\w][\w.-]{0,60}$`).MatchString(s) {
				return "expected letters, digits, dots, - and _"
			}
			return ""
		}},
		{&c.Language, "Target language (an NLLB code: arb_Arab, arz_Arab, swh_Latn, …)", "arb_Arab", func(s string) string {
			if !regexp.MustCompile(`^[a-z]{3}_[A-Z][a-z]{3}$`).MatchString(s) {
				return "expected a code such as arb_Arab"
			}
			return ""
		}},
		{&c.Titles, "English Wikipedia articles to begin with, separated by commas", "Algeria, Arabic calligraphy, Islamic art", some},
		{&c.Base, "Model to adapt (hub id or directory)", "Qwen/Qwen3-0.6B", some},
		{&c.Generator, "Model that writes questions and answers", "Qwen/Qwen3-1.7B", some},
		{&c.Translator, "Model that translates (NLLB-200 forbids commercial use, M2M-100 does not)", "facebook/m2m100_418M", some},
	}
}

func (c *initCmd) Run(a *app) error {
	if _, err := os.Lstat(c.File); err == nil && !c.Overwrite {
		return badinput.Errorf("%s is there already; give another name, or --overwrite", c.File)
	}
	if c.Pages < 0 {
		return usagef("init: --pages is %d, expected at least 1", c.Pages)
	}
	if err := c.ask(a); err != nil {
		return err
	}
	text, err := c.recipe()
	if err != nil {
		return err
	}
	if _, err := recipe.Parse([]byte(text)); err != nil {
		return err
	}
	if err := a.ctx.Err(); err != nil {
		return err
	}
	if err := atomicfile.WriteFile(c.File, []byte(text)); err != nil {
		return badinput.Wrap(err)
	}
	return a.ui.Print(fmt.Sprintf("%s is written. Next:\n  barka run %s --dry-run   # checks it, and estimates time and memory\n"+
		"  barka run %s", c.File, c.File, c.File), map[string]any{"recipe": c.File})
}

// ask completes the settings with answers on a terminal, or with the defaults.
func (c *initCmd) ask(a *app) error {
	asks := !c.Defaults && !a.JSON && a.ui.Terminal() && term.IsTerminal(int(os.Stdin.Fd()))
	return c.complete(asks, bufio.NewReader(a.stdin), a.stderr)
}

// complete is ask with given streams.
func (c *initCmd) complete(asks bool, in *bufio.Reader, out io.Writer) error {
	for _, q := range c.questions() {
		if *q.to != "" {
			if wrong := q.valid(*q.to); wrong != "" {
				return usagef("init: %s: %q: %s", q.text, *q.to, wrong)
			}
			continue
		}
		*q.to = q.usual
		for asks {
			fmt.Fprintf(out, "%s [%s]: ", q.text, q.usual)
			line, err := in.ReadString('\n')
			if err != nil && err != io.EOF {
				return err
			}
			answer := strings.TrimSpace(line)
			if answer == "" {
				break
			}
			if wrong := q.valid(answer); wrong == "" {
				*q.to = answer
				break
			} else if err == io.EOF {
				return badinput.Errorf("%q: %s", answer, wrong)
			} else {
				fmt.Fprintln(out, "  "+wrong)
			}
		}
	}
	if c.Pages == 0 {
		c.Pages = 20
	}
	return nil
}

// recipe returns the text of the recipe.
func (c *initCmd) recipe() (string, error) {
	var titles []string
	for title := range strings.SplitSeq(c.Titles, ",") {
		if title = strings.TrimSpace(title); title != "" {
			titles = append(titles, title)
		}
	}
	quote := func(v any) (string, error) { // JSON is YAML
		text, err := json.Marshal(v)
		return string(text), err
	}
	t, err := template.New("").Funcs(template.FuncMap{"quote": quote}).Parse(initTemplate)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, map[string]any{"C": c, "Titles": titles, "Arabic": strings.HasSuffix(c.Language, "_Arab")})
	return b.String(), err
}
