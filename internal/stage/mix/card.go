package mix

import (
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"barka/internal/dataset"

	"golang.org/x/text/language"
)

// values lists the different values of a field of the classes in the mix.
func (m *mixer) values(field func(*class) string) []string {
	seen := map[string]bool{}
	for _, c := range m.classes {
		if v := field(c); v != "" && c.Rows > 0 {
			seen[v] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

func generators(c *class) string  { return c.Generator }
func translators(c *class) string { return c.Translator }
func languageOf(c *class) string  { return c.Language }

// languageTags are the two-letter tags that dataset cards use.
var languageTags = map[string]string{"arb_Arab": "ar", "arz_Arab": "arz", "eng_Latn": "en", "fra_Latn": "fr",
	"pes_Arab": "fa", "zho_Hans": "zh", "zho_Hant": "zh"}

// LanguageTag returns the tag of a language, an NLLB code, that cards use: the shortest code of
// the language, or the code as it is if it is none.
func LanguageTag(code string) string {
	if tag, ok := languageTags[code]; ok {
		return tag
	}
	name, _, _ := strings.Cut(code, "_")
	if base, err := language.ParseBase(name); err == nil {
		return base.String()
	}
	return code
}

// card is README.md of the set.
func (m *mixer) card(lineage []ancestor) string {
	var b strings.Builder
	sources, all := m.lines(func(c *class) string { return c.Dataset })
	m.frontMatter(&b, all)
	fmt.Fprintf(&b, "\n# %s\n\nConversations for fine-tuning, made with Barka: %d to train on", m.o.Name, all.train)
	if all.validation > 0 {
		fmt.Fprintf(&b, ", %d held back for validation. Rows of one page, of one passage to read, or of one cluster of "+
			"near-duplicates are on the same side", all.validation)
	}
	b.WriteString(".\n\n## Content\n\n")
	contentTable(&b, "dataset", sources, all)
	forms, _ := m.lines(func(c *class) string { return c.Form })
	b.WriteString("\n")
	contentTable(&b, "form", forms, nil)
	m.kindTable(&b)
	tokenTable(&b, sources, all)
	m.exampleText(&b)
	m.origin(&b)
	lineageTable(&b, lineage)
	m.licences(&b)
	for _, t := range m.values(translators) {
		if strings.Contains(strings.ToLower(t), "nllb-200") {
			b.WriteString("\nThe NLLB-200 models are licensed CC BY-NC 4.0; whether that reaches what they translate is " +
				"for you to judge.\n")
			break
		}
	}
	m.use(&b)
	return b.String()
}

// frontMatter is the YAML that the hub reads.
func (m *mixer) frontMatter(b *strings.Builder, all *line) {
	tag := m.tag()
	fmt.Fprintf(b, "---\nlicense: %s\n", tag)
	if tag == "other" {
		b.WriteString("license_name: of-each-source\n")
	}
	b.WriteString("language:\n")
	for _, code := range m.values(languageOf) {
		fmt.Fprintf(b, "- %s\n", LanguageTag(code))
	}
	name, _ := json.Marshal(m.o.Name) // a JSON string is one of YAML
	fmt.Fprintf(b, "task_categories:\n- text-generation\nsize_categories:\n- %s\npretty_name: %s\ntags:\n", sizeCategory(all.train+
		all.validation), name)
	for _, tag := range m.tags() {
		fmt.Fprintf(b, "- %s\n", tag)
	}
	b.WriteString("configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: part-*.parquet\n")
	if all.validation > 0 {
		fmt.Fprintf(b, "  - split: validation\n    path: %s/part-*.parquet\n", ValidationName)
	}
	b.WriteString("---\n")
}

// tags are the set's key words.
func (m *mixer) tags() []string {
	tags := []string{"barka", "instruction-tuning"}
	if len(m.values(generators)) > 0 {
		tags = append(tags, "synthetic")
	}
	if len(m.values(translators)) > 0 {
		tags = append(tags, "machine-translated")
	}
	return tags
}

// sizeCategory is the hub's name of a number of rows.
func sizeCategory(rows int64) string {
	names := []string{"n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B"}
	i := 0
	for n := int64(1000); rows >= n && i < len(names)-1; n *= 10 {
		i++
	}
	return names[i]
}

// contentTable has the rows before and after the mix. all may be nil.
func contentTable(b *strings.Builder, of string, lines []*line, all *line) {
	fmt.Fprintf(b, "| %s | rows read | in the mix | conversations to train on | for validation | turns |\n"+
		"|---|---:|---:|---:|---:|---:|\n", of)
	if all != nil {
		lines = append(lines, all)
	}
	for _, l := range lines {
		fmt.Fprintf(b, "| %s | %d | %d | %d | %d | %d |\n", l.name, l.read, l.rows, l.train, l.validation, l.turns)
	}
}

func (m *mixer) kindTable(b *strings.Builder) {
	if len(m.kinds) == 0 {
		return
	}
	b.WriteString("\nKinds of generated turns:")
	for i, kind := range slices.Sorted(maps.Keys(m.kinds)) {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(b, " %s %d", kind, m.kinds[kind])
	}
	b.WriteString(".\n")
}

// tokenTable has the tokens of each dataset before and after the mix, by tokenizer and
// language.
func tokenTable(b *strings.Builder, sources []*line, all *line) {
	keys := all.tokenKeys()
	if len(keys) == 0 {
		return
	}
	b.WriteString("\n## Tokens\n\nOf the messages alone, without the chat template. English is the source of a translation. " +
		"The first number is of the rows read, the second of the mix with repeated rows.\n\n| dataset |")
	for _, k := range keys {
		fmt.Fprintf(b, " %s, %s |", k.language, k.tokenizer)
	}
	b.WriteString("\n|---|" + strings.Repeat("---:|", len(keys)) + "\n")
	for _, l := range append(slices.Clone(sources), all) {
		fmt.Fprintf(b, "| %s |", l.name)
		for _, k := range keys {
			fmt.Fprintf(b, " %d → %d |", l.tokensRead[k], l.tokens[k])
		}
		b.WriteString("\n")
	}
}

// maxExamples is the number of rows that the card shows.
const maxExamples = 3

// example keeps a row for the card, one of each form.
func (m *mixer) example(c dataset.Conversation) {
	if len(m.examples) < maxExamples &&
		!slices.ContainsFunc(m.examples, func(e dataset.Conversation) bool { return e.Form == c.Form && c.Form != "" }) {
		m.examples = append(m.examples, c)
	}
}

// exampleText shows the examples, each in the direction of its script.
func (m *mixer) exampleText(b *strings.Builder) {
	if len(m.examples) == 0 {
		return
	}
	b.WriteString("\n## Examples\n")
	for _, c := range m.examples {
		direction := "ltr"
		if rightToLeft(c.Language) {
			direction = "rtl"
		}
		fmt.Fprintf(b, "\n`%s` of %s:\n\n<div dir=\"%s\" lang=\"%s\">\n", c.ID, c.Dataset, direction, LanguageTag(c.Language))
		for _, msg := range c.Messages {
			text := html.EscapeString(shorten(msg.Content))
			fmt.Fprintf(b, "<p><b dir=\"ltr\">%s:</b> %s</p>\n", msg.Role, strings.ReplaceAll(text, "\n", "<br>"))
		}
		b.WriteString("</div>\n")
	}
}

// rightToLeft reports whether a language, an NLLB code, is written from right to left.
func rightToLeft(language string) bool {
	_, script, _ := strings.Cut(language, "_")
	return script == "Arab" || script == "Hebr" || script == "Thaa" || script == "Syrc"
}

// shorten cuts a text after 400 characters.
func shorten(s string) string {
	const most = 400
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}

func (m *mixer) origin(b *strings.Builder) {
	b.WriteString("\n## Origin\n\n")
	if v := m.values(generators); len(v) > 0 {
		fmt.Fprintf(b, "Questions and answers about passages were written by %s. ", strings.Join(v, ", "))
	}
	if v := m.values(translators); len(v) > 0 {
		fmt.Fprintf(b, "Translated by %s. ", strings.Join(v, ", "))
	}
	b.WriteString("What a machine wrote or translated has not been checked by people")
	if m.o.Review != "" {
		b.WriteString(", except for the rows of the review")
	}
	b.WriteString(". Each row names its source: `dataset`, `title`, `url`, `revision`, `passage_id` and `licence`; its makers: " +
		"`generator`, `prompt_digest` and `translator`; and what the checks noted about it: `checks`.\n")
}

// use states what the set is for and what it is not.
func (m *mixer) use(b *strings.Builder) {
	b.WriteString("\n## Intended use\n\nSupervised fine-tuning of language models. Each row has the conversation as `messages` " +
		"(role and content) and as `conversations` (from and value).\n\n## Limitations\n\n")
	if len(m.values(generators)) > 0 {
		b.WriteString("- Generated answers can be wrong. The checks compare words, numbers and names with the passage, not " +
			"meanings.\n")
	}
	if len(m.values(translators)) > 0 {
		b.WriteString("- Machine translation has errors of its own, and it carries the culture of its sources over.\n")
	}
	b.WriteString("- Encyclopedias and benchmarks cover some regions, views and dialects more than others.\n" +
		"- Near-duplicates are removed, and overlap with evaluation sets is looked for, only as far as the table of stages above says " +
		"so.\n- Names of people in public sources are in the rows.\n")
}
