package publish

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"barka/internal/htmlpage"
	"barka/internal/licence"
)

// cell writes a text into a table.
func cell(s string) string { return htmlpage.Cell(strings.TrimSpace(s)) }

// quote writes a text as a string of YAML, which JSON's strings are.
func quote(s string) string {
	data, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(data)
}

// list writes a list of the YAML header, nothing if it is empty.
func list(b *strings.Builder, key string, values []string) {
	if len(values) == 0 {
		return
	}
	fmt.Fprintf(b, "%s:\n", key)
	for _, v := range values {
		fmt.Fprintf(b, "- %s\n", quote(v))
	}
}

// frontMatter begins the YAML header.
func frontMatter(b *strings.Builder, license string) {
	fmt.Fprintf(b, "---\nlicense: %s\n", license)
	if license == other {
		b.WriteString("license_name: of-each-source\n")
	}
}

// modelCard is the card of an adapter or a merged model.
func modelCard(p *Package, l *lineage, r results, id string, o Options) []byte {
	var b strings.Builder
	_, name, _ := strings.Cut(id, "/")
	p.header(&b, l, r, name, o)
	fmt.Fprintf(&b, "\n# %s\n\n", name)
	base := "an unknown base model"
	if l.base != "" {
		base = "[" + l.base + "](https://huggingface.co/" + l.base + ")"
	}
	switch {
	case p.What == Adapter:
		fmt.Fprintf(&b, "A LoRA adapter for %s, made with Barka. It is in PEFT's format.\n", base)
	case l.merged:
		fmt.Fprintf(&b, "%s with a LoRA adapter merged into its weights, made with Barka.\n", strings.ToUpper(base[:1])+base[1:])
	default:
		fmt.Fprintf(&b, "A language model in Hugging Face layout, published with Barka. Its base: %s.\n", base)
	}
	usage(&b, p, l, id)
	r.table(&b)
	l.training(&b)
	l.lineageText(&b, o)
	l.licences(&b, p)
	b.WriteString("\n## Intended use\n\nResearch and experiments with language models of the languages above. The model can be " +
		"wrong, and it has the biases of its base and of its data. Evaluate it for your purpose before you rely on it.\n")
	return []byte(b.String())
}

// header writes the YAML header.
func (p *Package) header(b *strings.Builder, l *lineage, r results, name string, o Options) {
	frontMatter(b, p.License)
	if l.base != "" {
		list(b, "base_model", []string{l.base})
		relation := "finetune"
		if p.What == Adapter {
			relation = "adapter"
		}
		fmt.Fprintf(b, "base_model_relation: %s\n", relation)
	}
	if o.Dataset != "" {
		list(b, "datasets", []string{o.Dataset})
	}
	if l.data != nil {
		list(b, "language", slices.Sorted(maps.Keys(l.data.languages)))
	}
	library, tags := "transformers", []string{"barka"}
	if p.What == Adapter {
		library, tags = "peft", append(tags, "lora")
	} else if l.merged {
		tags = append(tags, "lora-merged")
	}
	fmt.Fprintf(b, "library_name: %s\npipeline_tag: text-generation\n", library)
	list(b, "tags", tags)
	r.index(b, name)
	b.WriteString("---\n")
}

// usage shows how the files are used.
func usage(b *strings.Builder, p *Package, l *lineage, id string) {
	b.WriteString("\n## Use\n\n```sh\n")
	if p.What == Adapter {
		fmt.Fprintf(b, "barka generate --model %s --adapter %s --prompt \"…\"\n", l.base, id)
	} else {
		fmt.Fprintf(b, "barka generate --model %s --prompt \"…\"\n", id)
	}
	b.WriteString("```\n\n")
	if p.What == Adapter {
		b.WriteString("Or with Python: `peft.AutoPeftModelForCausalLM.from_pretrained(\"" + id + "\")`.\n")
	} else {
		b.WriteString("Or with Python: `transformers.AutoModelForCausalLM.from_pretrained(\"" + id + "\")`.\n")
	}
}

// training writes the settings of the training and what came of it.
func (l *lineage) training(b *strings.Builder) {
	s, o := l.state, l.options
	if s == nil {
		return
	}
	b.WriteString("\n## Training\n\n| setting | value |\n|---|---|\n")
	length := fmt.Sprintf("%d epochs, %d steps", s.Epochs, s.Steps)
	if o.MaxSteps > 0 {
		length = fmt.Sprintf("%d steps", s.Steps)
	}
	for _, row := range [][2]string{
		{"method", fmt.Sprintf("LoRA, rank %d, alpha %g, dropout %g, on %s", o.Rank, o.Alpha, o.Dropout, strings.Join(o.Targets, ", "))},
		{"length", length},
		{"conversations per step", fmt.Sprint(o.Batch)},
		{"learning rate", fmt.Sprintf("%g, %s, warm-up %g", o.LR, o.Schedule, o.WarmupRatio)},
		{"optimiser", fmt.Sprintf("AdamW, betas %g and %g, weight decay %g, gradient norm at most %g", o.Beta1, o.Beta2, o.WeightDecay, o.Clip)},
		{"maximum length", fmt.Sprintf("%d tokens", o.MaxLength)},
		{"weights of the base", o.DType},
		{"seed", fmt.Sprint(s.Seed)},
		{"trainable parameters", fmt.Sprint(s.Parameters)},
		{"trained tokens", fmt.Sprint(s.TrainedTotal)},
		{"loss, first to last step", fmt.Sprintf("%.3f to %.3f", s.FirstLoss, s.FinalLoss)},
	} {
		fmt.Fprintf(b, "| %s | %s |\n", row[0], cell(row[1]))
	}
	if s.BestVal != nil {
		fmt.Fprintf(b, "| best validation loss | %.3f |\n", *s.BestVal)
	}
	if s.Data != nil {
		fmt.Fprintf(b, "\nThe training read %d conversations of %d tokens; loss is on the assistant's %d tokens.\n", s.Data.Rows, s.Data.Tokens,
			s.Data.Trained)
	}
}

// lineageText names the parts by their digests.
func (l *lineage) lineageText(b *strings.Builder, o Options) {
	var parts [][2]string
	add := func(what, value string) {
		if value != "" {
			parts = append(parts, [2]string{what, value})
		}
	}
	if l.state != nil {
		add("base model's digest", l.state.ModelDigest)
		add("training data's digest", l.state.DataDigest)
	}
	if l.merged {
		add("digest of the merge's base", l.origin.Base)
		add("digest of the merge's adapter", l.origin.Adapter)
	}
	add("training data on the hub", o.Dataset)
	if o.Recipe != "" {
		add("recipe of the run", "recipe.yaml")
	}
	if len(parts) == 0 {
		return
	}
	b.WriteString("\n## Lineage\n\n| part | |\n|---|---|\n")
	for _, p := range parts {
		fmt.Fprintf(b, "| %s | `%s` |\n", p[0], p[1])
	}
}

// licences states the terms of the parts.
func (l *lineage) licences(b *strings.Builder, p *Package) {
	b.WriteString("\n## Licence\n\n")
	base := l.baseLicense(p)
	switch {
	case base == "":
		b.WriteString("The licence of the base model is not known here.\n")
	case licence.Read(base).Notice != "":
		fmt.Fprintf(b, "The base model is under `%s`. %s\n", base, licence.Read(base).Notice)
	default:
		fmt.Fprintf(b, "The base model is under `%s`.\n", base)
	}
	if l.data == nil {
		return
	}
	b.WriteString("\nThe training data keep the licences of their sources:\n")
	sourceTable(b, l.data)
}
