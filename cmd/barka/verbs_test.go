package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

var updateVerbs = flag.Bool("update", false, "write docs/verbs")

const generatedVerbs = "<!-- Generated from the code: go test ./cmd/barka -run TestVerbsReference -update -->\n"

// guides are the pages of docs that say more about a verb than its help.
var guides = map[string][]string{
	"audit":         {"evaluation"},
	"bench":         {"performance", "performance-gpu"},
	"bleu":          {"translation"},
	"compare":       {"evaluation"},
	"convert":       {"data"},
	"decontaminate": {"data"},
	"diff":          {"data"},
	"doctor":        {"gpu", "models"},
	"download":      {"models"},
	"eval":          {"evaluation", "evaluation-sharing"},
	"filter":        {"data"},
	"init":          {"tutorial", "recipes", "another-language"},
	"lock":          {"reproduce"},
	"merge":         {"merge"},
	"mix":           {"data"},
	"models":        {"models"},
	"publish":       {"publish"},
	"reproduce":     {"reproduce"},
	"run":           {"tutorial", "recipes", "reliability", "json-events"},
	"score":         {"score"},
	"show":          {"data"},
	"synth":         {"data", "chat-templates"},
	"train":         {"train", "chat-templates", "gpu"},
	"translate":     {"translation", "another-language"},
	"view":          {"data"},
	"wiki":          {"wiki"},
}

// TestVerbsReference: docs/verbs has a page for every verb, with its help, arguments and flags, and a list of them.
func TestVerbsReference(t *testing.T) {
	parser, err := newParser(&commands{})
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]string{"README.md": verbsIndex(parser.Model)}
	for _, node := range parser.Model.Children {
		pages[node.Name+".md"] = verbPage(node)
	}
	if len(pages) < 30 {
		t.Errorf("%d pages", len(pages))
	}
	dir := filepath.Join("..", "..", "docs", "verbs")
	if *updateVerbs {
		writePages(t, dir, pages)
	}
	const update = "write the pages with: go test ./cmd/barka -run TestVerbsReference -update"
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(got) != want {
			t.Errorf("docs/verbs/%s is not current (%v); %s", name, err, update)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != len(pages) {
		t.Errorf("docs/verbs has %d files, expected %d (%v); %s", len(files), len(pages), err, update)
	}
	for verb, names := range guides {
		if _, ok := pages[verb+".md"]; !ok {
			t.Errorf("guides: no verb %s", verb)
		}
		for _, name := range names {
			if _, err := os.Stat(filepath.Join(dir, "..", name+".md")); err != nil {
				t.Error(err)
			}
		}
	}
	// The READMEs name every verb that people use.
	for _, readme := range []string{"README.md", "README.ar.md"} {
		text, err := os.ReadFile(filepath.Join("..", "..", readme))
		if err != nil {
			t.Fatal(err)
		}
		for _, node := range parser.Model.Children {
			if !regexp.MustCompile("[`, ]" + node.Name + "\\b[^\n]*\\|").Match(text) {
				t.Errorf("the table of %s lacks the verb %s", readme, node.Name)
			}
		}
	}
}

// writePages replaces the files of dir.
func writePages(t *testing.T, dir string, pages map[string]string) {
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// verbsIndex returns the list of verbs, with the flags that all have.
func verbsIndex(app *kong.Application) string {
	var b strings.Builder
	b.WriteString("# The verbs\n\n" + generatedVerbs + "\n| verb | does |\n|---|---|\n")
	for _, node := range app.Children {
		fmt.Fprintf(&b, "| [barka %s](%s.md) | %s |\n", node.Name, node.Name, escaped(node.Help))
	}
	b.WriteString("\nFlags of all verbs:\n\n| flag | meaning |\n|---|---|\n")
	for _, f := range app.Flags {
		fmt.Fprintf(&b, "| `%s` | %s |\n", flagSummary(f), flagMeaning(f))
	}
	return b.String()
}

// verbPage returns the page of a verb and of the verbs below it.
func verbPage(node *kong.Node) string {
	var b strings.Builder
	writeVerb(&b, node, "#")
	b.WriteString("\nAfter `=` stands the default, or in capitals what to give. [Flags of all verbs](README.md).\n")
	if names := guides[node.Name]; len(names) > 0 {
		links := make([]string, len(names))
		for i, name := range names {
			links[i] = fmt.Sprintf("[docs/%s.md](../%s.md)", name, name)
		}
		b.WriteString("More:\n" + strings.Join(links, ",\n") + ".\n")
	}
	return b.String()
}

// writeVerb writes a verb, and those below it.
func writeVerb(b *strings.Builder, node *kong.Node, heading string) {
	name := strings.TrimPrefix(node.FullPath(), "barka ")
	if heading == "#" {
		fmt.Fprintf(b, "# barka %s\n\n%s\n%s\n", name, generatedVerbs, escaped(node.Help))
	} else {
		fmt.Fprintf(b, "\n%s barka %s\n\n%s\n", heading, name, escaped(node.Help))
	}
	if detail := strings.TrimSpace(node.Detail); detail != "" {
		b.WriteString("\n```text\n" + detail + "\n```\n")
	}
	var rows []string
	for _, p := range node.Positional {
		rows = append(rows, fmt.Sprintf("| `%s` | %s |", p.Summary(), escaped(p.Help)))
	}
	for _, f := range node.Flags {
		if f.Hidden || f.Name == "help" {
			continue
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s |", flagSummary(f), flagMeaning(f)))
	}
	if len(rows) > 0 {
		b.WriteString("\n| argument or flag | meaning |\n|---|---|\n" + strings.Join(rows, "\n") + "\n")
	}
	for _, child := range node.Children {
		writeVerb(b, child, heading+"#")
	}
}

// flagSummary returns a flag with its default or placeholder.
func flagSummary(f *kong.Flag) string {
	flag := "--" + f.Name
	if f.HasDefault && f.Default != "" {
		flag += "=" + f.Default
	} else if !f.IsBool() {
		flag += "=" + f.FormatPlaceHolder()
	}
	return strings.ReplaceAll(flag, "|", "\\|")
}

func flagMeaning(f *kong.Flag) string {
	help := escaped(f.Help)
	if f.Required {
		help += " Required."
	}
	for _, env := range f.Envs {
		help += " `$" + env + "`"
	}
	return help
}

func escaped(s string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ", "<", "&lt;").Replace(s)
}
