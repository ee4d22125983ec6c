package mix

import (
	"fmt"
	"slices"
	"strings"

	"barka/internal/dataset"
)

// line is a dataset's row of the token table.
type line struct {
	rows, turns int64
	tokens      map[string]int64 // "target/<tokenizer>" and "english/<tokenizer>"
}

// count adds a row to the table and its provenance to the card.
func (m *mixer) count(r dataset.Instruction) {
	l := m.table[r.Dataset]
	if l == nil {
		l = &line{tokens: map[string]int64{}}
		m.table[r.Dataset] = l
	}
	l.rows++
	l.turns += int64(len(r.Messages) / 2)
	for name, counter := range m.counters {
		for _, msg := range r.Messages {
			l.tokens[r.Language+"/"+name] += int64(counter(msg.Content))
		}
		for _, msg := range r.MessagesEN {
			l.tokens["eng_Latn/"+name] += int64(counter(msg.Content))
		}
	}
	m.used[useOf(r)]++
	for kind, value := range map[string]string{"generator": r.Generator, "translator": r.Translator, "language": r.Language} {
		if value != "" {
			m.sources[kind+"\x00"+value] = true
		}
	}
}

// tokens sums the table by language and tokenizer.
func (m *mixer) tokens() map[string]int64 {
	sum := map[string]int64{}
	for _, l := range m.table {
		for k, n := range l.tokens {
			sum[k] += n
		}
	}
	return sum
}

func (m *mixer) values(kind string) []string {
	var out []string
	for k := range m.sources {
		if v, ok := strings.CutPrefix(k, kind+"\x00"); ok {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return out
}

// languageTags are the two-letter tags that dataset cards use.
var languageTags = map[string]string{"arb_Arab": "ar", "arz_Arab": "arz", "eng_Latn": "en", "fra_Latn": "fr",
	"pes_Arab": "fa", "urd_Arab": "ur", "tur_Latn": "tr"}

// card is README.md of the set.
func (m *mixer) card() string {
	var b strings.Builder
	tag := m.tag()
	fmt.Fprintf(&b, "---\nlicense: %s\n", tag)
	if tag == "other" {
		b.WriteString("license_name: of-each-source\n")
	}
	b.WriteString("language:\n")
	for _, code := range m.values("language") {
		tag := languageTags[code]
		if tag == "" {
			tag = code
		}
		fmt.Fprintf(&b, "- %s\n", tag)
	}
	fmt.Fprintf(&b, "task_categories:\n- text-generation\npretty_name: %s\nconfigs:\n- config_name: default\n  "+
		"data_files:\n  - split: train\n    path: part-*.parquet\n", m.o.Name)
	if m.val > 0 {
		fmt.Fprintf(&b, "  - split: validation\n    path: %s/part-*.parquet\n", ValidationName)
	}
	fmt.Fprintf(&b, "---\n\n# %s\n\nConversations for fine-tuning, made with Barka: %d to train on", m.o.Name, m.train)
	if m.val > 0 {
		fmt.Fprintf(&b, ", %d held back for validation", m.val)
	}
	b.WriteString(".\n\n## Content\n\n")
	m.tableText(&b)
	b.WriteString("\n## Origin\n\n")
	for _, k := range []struct{ kind, text string }{{"generator",
		"Questions and answers about passages were written by"}, {"translator", "Translated by"}} {
		if v := m.values(k.kind); len(v) > 0 {
			fmt.Fprintf(&b, "%s %s. ", k.text, strings.Join(v, ", "))
		}
	}
	b.WriteString("What a machine wrote or translated has not been checked by people.\n")
	m.licences(&b)
	for _, t := range m.values("translator") {
		if strings.Contains(strings.ToLower(t), "nllb-200") {
			b.WriteString("\nThe NLLB-200 models are licensed CC BY-NC 4.0; whether that reaches what they translate is " +
				"for you to judge.\n")
			break
		}
	}
	return b.String()
}

// tableText is the token table in Markdown.
func (m *mixer) tableText(b *strings.Builder) {
	columns := map[string]bool{}
	var datasets []string
	for d, l := range m.table {
		datasets = append(datasets, d)
		for k := range l.tokens {
			columns[k] = true
		}
	}
	slices.Sort(datasets)
	var keys []string
	for k := range columns {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	b.WriteString("| dataset | conversations | turns |")
	for _, k := range keys {
		lang, name, _ := strings.Cut(k, "/")
		fmt.Fprintf(b, " %s tokens (%s) |", lang, name)
	}
	b.WriteString("\n|---|---:|---:|" + strings.Repeat("---:|", len(keys)) + "\n")
	total := line{tokens: map[string]int64{}}
	row := func(name string, l *line) {
		fmt.Fprintf(b, "| %s | %d | %d |", name, l.rows, l.turns)
		for _, k := range keys {
			fmt.Fprintf(b, " %d |", l.tokens[k])
		}
		b.WriteString("\n")
	}
	for _, d := range datasets {
		l := m.table[d]
		row(d, l)
		total.rows += l.rows
		total.turns += l.turns
		for k, n := range l.tokens {
			total.tokens[k] += n
		}
	}
	row("**all**", &total)
}
