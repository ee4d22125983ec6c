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

var updateVerbs = flag.Bool("update", false, "write docs/verbs.md")

// verbsHead is the text before the verbs of docs/verbs.md.
const verbsHead = `# The verbs

<!-- Generated from the code: go test ./cmd/barka -run TestVerbsReference -update -->

Every verb with its help, arguments and flags, as ` + "`barka VERB --help`" + ` prints them. A value after ` + "`=`" + ` is the default. Flags
of all verbs: `

// TestVerbsReference: docs/verbs.md has every verb with its help, arguments and flags.
func TestVerbsReference(t *testing.T) {
	parser, err := newParser(&commands{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString(verbsHead)
	var globals []string
	for _, f := range parser.Model.Flags {
		globals = append(globals, "`--"+f.Name+"`")
	}
	b.WriteString(strings.Join(globals, ", ") + ".\n")
	verbs := 0
	for _, node := range parser.Model.Children {
		writeVerb(&b, node, "##")
		verbs++
	}
	if verbs < 30 {
		t.Errorf("%d verbs", verbs)
	}
	path := filepath.Join("..", "..", "docs", "verbs.md")
	if *updateVerbs {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != b.String() {
		t.Errorf("docs/verbs.md is not current (%v); write it with: go test ./cmd/barka -run TestVerbsReference -update", err)
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

// writeVerb writes a verb, and those below it.
func writeVerb(b *strings.Builder, node *kong.Node, heading string) {
	name := strings.TrimPrefix(node.FullPath(), "barka ")
	fmt.Fprintf(b, "\n%s barka %s\n\n%s\n", heading, name, escaped(node.Help))
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
		flag := "--" + f.Name
		if f.HasDefault && f.Default != "" {
			flag += "=" + f.Default
		} else if !f.IsBool() {
			flag += "=" + f.FormatPlaceHolder()
		}
		help := escaped(f.Help)
		if f.Required {
			help += " Required."
		}
		for _, env := range f.Envs {
			help += " `$" + env + "`"
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s |", strings.ReplaceAll(flag, "|", "\\|"), help))
	}
	if len(rows) > 0 {
		b.WriteString("\n| argument or flag | meaning |\n|---|---|\n" + strings.Join(rows, "\n") + "\n")
	}
	for _, child := range node.Children {
		writeVerb(b, child, heading+"#")
	}
}

func escaped(s string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ", "<", "&lt;").Replace(s)
}
