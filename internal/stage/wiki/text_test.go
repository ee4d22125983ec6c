package wiki

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/progress"
)

// wikiOf writes a dump of an Arabic wiki with the pages, title and text alternating.
func wikiOf(t *testing.T, pages ...string) Options {
	t.Helper()
	var b strings.Builder
	b.WriteString(`<mediawiki><siteinfo><dbname>arwiki</dbname><base>https://ar.wikipedia.org/wiki/x</base></siteinfo>`)
	for i := 0; i < len(pages); i += 2 {
		fmt.Fprintf(&b, "<page><title>%s</title><ns>0</ns><id>%d</id><revision><id>%d</id><text>%s</text></revision></page>",
			pages[i], i+1, i+1, pages[i+1])
	}
	b.WriteString("</mediawiki>")
	o := Defaults()
	o.Dump, o.MinChars = filepath.Join(t.TempDir(), "arwiki.xml"), 5
	if err := os.WriteFile(o.Dump, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return o
}

func run(t *testing.T, o Options) (*dataset.Manifest, []dataset.Passage, string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	m, err := Run(t.Context(), o, nil, durable.Env{Out: out, Progress: progress.Silent})
	if err != nil {
		t.Fatal(err)
	}
	return m, rows(t, out), out
}

func items(n int) string { return strings.Repeat("* [[A]], one of them\n", n) }

// TestPagesThatAreLists: they are left out with their reason, or kept.
func TestPagesThatAreLists(t *testing.T) {
	o := wikiOf(t, "A", "قد تعني:\n* [[B]]\n{{توضيح}}", "B", "A lead.\n"+items(30)+"== انظر ايضا ==\n* x", "C",
		strings.Repeat("Prose of some length. ", 10)+"\n"+items(3)+"== المَراجع ==\n"+items(40), "D", "__DISAMBIG__ A list of them")
	m, ps, _ := run(t, o)
	if m.Counts["rejected_disambiguation"] != 2 || m.Counts["rejected_list_page"] != 1 || sections(ps) != "C/" ||
		m.Counts["rejected_skipped_heading"] != 1 {
		t.Errorf("%s, %v", sections(ps), m.Counts)
	}
	o.KeepLists = true
	if _, ps, _ = run(t, o); len(ps) != 4 {
		t.Errorf("kept: %s", sections(ps))
	}
}

// TestTemplateReport: the templates that the data do not have are in a file and in the
// notes, and a user's file adds them.
func TestTemplateReport(t *testing.T) {
	o := wikiOf(t, "A", "نص {{غريب|1}} في جملة {{غريب}} و{{آخر|2}} هنا {{تحويل|5|km}}.",
		"B", "نص {{غريب|x}} كذلك.\n\n{{صندوق معلومات مدينة|a=b}}")
	m, ps, out := run(t, o)
	if ps[0].Text != "نص في جملة و هنا 5 كم." {
		t.Errorf("%q", ps[0].Text)
	}
	if len(m.Notes) != 1 || !strings.Contains(m.Notes[0], "4 places in sentences") || !strings.Contains(m.Notes[0], "غريب 3, آخر 1") {
		t.Errorf("notes %q", m.Notes)
	}
	data, err := os.ReadFile(filepath.Join(out, reportFile))
	if err != nil {
		t.Fatal(err)
	}
	var list []droppedTemplate
	if err := json.Unmarshal(data, &list); err != nil || len(list) != 2 || list[0].Count != 3 || list[0].Pages != 2 || list[0].Page != "A" {
		t.Errorf("%v: %s", err, data)
	}
	o.Templates = filepath.Join(t.TempDir(), "more.yaml")
	if err := os.WriteFile(o.Templates, []byte("templates: {\"<{1}>\": غريب, \"\": آخر}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, ps, _ = run(t, o); !strings.Contains(ps[1].Text, "نص <x> كذلك") {
		t.Errorf("%q", ps[1].Text)
	}
	if err := os.WriteFile(o.Templates, []byte("templates: 3"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = Run(t.Context(), o, nil, durable.Env{Out: filepath.Join(t.TempDir(), "out"), Progress: progress.Silent})
	if !badinput.Is(err) || !strings.Contains(err.Error(), "more.yaml") {
		t.Errorf("a file of something else: %v", err)
	}
}

// TestSplitSentences: a paragraph beyond the bounds is cut at sentences, and nothing of it is lost.
func TestSplitSentences(t *testing.T) {
	var b strings.Builder
	for i := range 30 {
		fmt.Fprintf(&b, "Sentence number %d of Dr. Smith costs 3.50 pounds. ", i)
	}
	text := strings.TrimSpace(b.String())
	o := wikiOf(t, "A", text)
	o.Split, o.Tokenizer, o.MaxTokens, o.Tokens = true, "words", 40, func(s string) int { return len(strings.Fields(s)) }
	_, ps, _ := run(t, o)
	var all []string
	for _, p := range ps {
		if all = append(all, p.Text); len(strings.Fields(p.Text)) > 40 || !strings.HasSuffix(p.Text, "pounds.") {
			t.Errorf("%q", p.Text)
		}
	}
	if strings.Join(all, " ") != text || len(ps) != 8 {
		t.Errorf("%d passages: %q", len(ps), all)
	}
}

// TestSplit: sections beyond the bounds become several passages at paragraphs and lines.
func TestSplit(t *testing.T) {
	paragraph := func(word string, n int) string { return strings.TrimSpace(strings.Repeat(word+" ", n)) }
	o := wikiOf(t, "A", paragraph("a", 30)+"\n\n"+paragraph("b", 30)+"\n\n"+paragraph("c", 70)+"\n\n"+paragraph("d", 10)+"\n"+items(40))
	o.Tokenizer, o.MaxTokens, o.Tokens = "words", 65, func(s string) int { return len(strings.Fields(s)) }
	if m, ps, _ := run(t, o); len(ps) != 0 || m.Counts["rejected_too_long"] != 1 {
		t.Errorf("without split: %s, %v", sections(ps), m.Counts)
	}
	o.Split = true
	m, ps, _ := run(t, o)
	var lengths []int
	for _, p := range ps {
		lengths = append(lengths, len(strings.Fields(p.Text)))
	}
	// The paragraph of 70 words is one sentence and stays too long. Items have 5 words, and a
	// second passage of 13 items is a duplicate.
	if want := []int{60, 65, 65, 15}; !slices.Equal(lengths, want) || m.Counts["rejected_too_long"] != 1 {
		t.Errorf("words %v, want %v; %v", lengths, want, m.Counts)
	}
	o.MaxTokens, o.Tokens, o.Tokenizer, o.MaxChars = 0, nil, "", 100
	if _, ps, _ = run(t, o); len(ps) < 4 {
		t.Errorf("by characters: %d passages", len(ps))
	}
}
