package report

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/htmlpage/chromium"
)

// hostile is a text that would run, load or reorder if it were not text.
const hostile = `</title></style></script><script>window.hacked=1</script><img src=x onerror="window.hacked=2">` +
	`"' onmouseover="window.hacked=3" {{.}} javascript:window.hacked=4 ` + "\u202e\x00\x1b[31m&#60;b&#62; مرحبا"

// finish writes a stage of any shape.
func finish(t *testing.T, dir string, id durable.Identity, final durable.Final, files map[string]string, rejects ...dataset.Reject) {
	t.Helper()
	r, err := durable.Begin(dir, id, false)
	if err != nil {
		t.Fatal(err)
	}
	w, err := durable.NewWriter[dataset.Instruction](r)
	if err != nil {
		t.Fatal(err)
	}
	row := dataset.Instruction{ID: hostile, Title: hostile, Dataset: hostile, Licence: hostile,
		Messages:   []chat.Message{{Role: hostile, Content: hostile}, {Role: "assistant", Content: "جواب `" + hostile + "`"}},
		MessagesEN: []chat.Message{{Role: "user", Content: hostile}, {Role: "assistant", Content: "```\n" + hostile}}}
	if err := w.Write(row); err != nil {
		t.Fatal(err)
	}
	for _, why := range rejects {
		if err := w.Reject(row, why); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Finish(final); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		write(t, filepath.Join(dir, name), text)
	}
}

// hostilePage has hostile text in every field that a page shows.
func hostilePage(t *testing.T) Options {
	dir := t.TempDir()
	quoted := func(s string) string {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	h := quoted(hostile)
	first, last := filepath.Join(dir, "first"), filepath.Join(dir, "5-<b>mix")
	options := map[string]string{"model": hostile, "model_digest": hostile, hostile + "_digest": hostile}
	finish(t, first, durable.Identity{Stage: hostile, Version: 1, Options: options}, durable.Final{
		Counts: map[string]int64{"in": 9, hostile: 2}, Tokens: map[string]int64{hostile: 3}, Cost: map[string]float64{hostile: 1.5},
		Notes: []string{hostile}}, nil, dataset.Reject{Reason: hostile, Detail: hostile})
	finish(t, last, durable.Identity{Stage: "mix", Version: 1, Options: struct{}{}}, durable.Final{Counts: map[string]int64{}},
		map[string]string{"sources.json": `{"tokenizers": [` + h + `], "classes": [{"source": ` + h + `, "dataset": ` + h +
			`, "form": ` + h + `, "language": ` + h + `, "licence": ` + h + `, "generator": ` + h +
			`, "translator": ` + h + `, "train": 1, "tokens": [1, 2]}]}`})
	write(t, filepath.Join(dir, "train", "metrics.jsonl"), "{\"step\": 1, \"loss\": 2}\n")
	write(t, filepath.Join(dir, "train", "trainer_state.json"), `{"model_digest": `+h+`, "data_digest": `+h+`,
		"files": {"adapter_model.safetensors": `+h+`}}`)
	table := `{"leaderboard": "oall", "title": ` + h + `, "model": ` + h + `, "same_answers": [` + h + `],
		"rows": [{"name": ` + h + `, "key": ` +
		h + `, "score": 30}], "tasks": {` + h + `: {"questions": 3, "score": 0.5}}}`
	write(t, filepath.Join(dir, "base.json"), table)
	write(t, filepath.Join(dir, "tuned.json"), table)
	write(t, filepath.Join(dir, "audit", "audit.json"), `{"tasks": [{"task": `+h+`}], "families": [{"family": `+h+`, "answers": [`+h+`],
		"constant": [1]}], "skipped": [{"task": `+h+`, "reason": `+h+`}], "overlap": {"datasets": [{"path": `+h+`, "families": {`+h+`: 1}}]},
		"scores": [{"details": `+h+`, "families": [{"family": `+h+`}]}]}`)
	return Options{Out: filepath.Join(dir, "page.html"), Title: hostile, Facts: []Fact{{hostile, hostile}}, Stages: []string{first, last},
		Training: filepath.Join(dir, "train"), Base: filepath.Join(dir, "base.json"), Tuned: filepath.Join(dir, "tuned.json"), Samples: first,
		From: hostile, To: "arb_Arab", Audit: filepath.Join(dir, "audit"), Times: []Time{{hostile, 3}},
		Origin: Origin{Barka: hostile, Machines: []string{hostile}, Recipe: hostile, File: hostile}}
}

// TestHostilePage: no text of any field becomes markup, and in a browser none of it runs, loads
// anything or makes the page wider than a phone.
func TestHostilePage(t *testing.T) {
	o := hostilePage(t)
	if err := Write(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, bad := range []string{"<script", "<img", "</title></style>", `" onmouseover`, "ZgotmplZ", "NaN"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	if n := strings.Count(page, "window.hacked=1"); n < 30 {
		t.Errorf("the page shows %d hostile texts, expected those of all fields", n)
	}
	if m := regexp.MustCompile(`(?s)<(h1|bdi|td|strong)[^>]*>[^<]*\x1b`).FindString(page); m != "" {
		t.Errorf("a control character in %q", m)
	}
	chromium.CheckPage(t, page)
}

// TestParts: samples with their code isolated, rejected rows, tokens, licences, times, payments
// and digests are on the page.
func TestParts(t *testing.T) {
	o := hostilePage(t)
	if err := Write(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`<bdi class="code" dir="ltr">`, `<div class="lost">`, "Tokens of the training set",
		"Licences of the training set",
		`<td class="n">3.0 s</td>`, `<td class="n">1.5</td>`, "What was made from what", "No test of significance", `<svg class="flow"`,
		`href="#audit"`, "Training sets", "<details><summary>Recipe</summary>"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for name, text := range map[string]string{"nothing": `{}`, "null": `{"tasks": [null]}`, "text": `x`,
		"family": `{"tasks": [{}], "families": [null]}`} {
		write(t, filepath.Join(o.Audit, "audit.json"), text)
		if err := Write(t.Context(), o); err == nil || !strings.Contains(err.Error(), "audit.json") {
			t.Errorf("audit of %s: %v", name, err)
		}
	}
}

// TestPipeline: two sets that meet in a mix stand in two rows; a set without inputs stands before
// its reader; a stage reads the latest of equal datasets.
func TestPipeline(t *testing.T) {
	dir := t.TempDir()
	var dirs []string
	var manifests []*dataset.Manifest
	add := func(name, stage string, rows []dataset.Instruction, rejects map[string]string, inputs ...string) {
		path := filepath.Join(dir, name)
		writeStage(t, path, stage, struct{}{}, rows, rejects, nil)
		m, err := dataset.ReadManifest(path)
		if err != nil {
			t.Fatal(err)
		}
		m.Inputs = map[string]dataset.InputInfo{}
		for _, in := range inputs {
			digest, err := dataset.Digest(t.Context(), filepath.Join(dir, in))
			if err != nil {
				t.Fatal(err)
			}
			m.Inputs[in] = dataset.InputInfo{Digest: digest}
		}
		dirs, manifests = append(dirs, path), append(manifests, m)
	}
	one, two := []dataset.Instruction{{ID: "1"}, {ID: "2"}}, []dataset.Instruction{{ID: "3"}}
	add("1-passages", "wiki", one, map[string]string{"9": "too_short"})
	add("2-instructions", "synth", []dataset.Instruction{{ID: "4"}}, nil, "1-passages")
	add("2-set", "convert", two, nil)
	add("3-set", "translate", two, nil, "2-set") // equal rows, as of a set that is in the language
	add("4-clean", "filter", []dataset.Instruction{{ID: "5"}}, nil, "2-instructions")
	add("5-mix", "mix", []dataset.Instruction{{ID: "6"}}, nil, "4-clean", "3-set")
	p, err := newPipeline(t.Context(), dirs, manifests)
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		from        []int
		depth, lane int
	}{{nil, 0, 0}, {[]int{0}, 1, 0}, {nil, 0, 1}, {[]int{2}, 1, 1}, {[]int{1}, 2, 0}, {[]int{3, 4}, 3, 1}}
	for i, w := range want {
		n := p.nodes[i]
		if len(n.from) != len(w.from) || len(w.from) > 0 && n.from[0] != w.from[0] || n.depth != w.depth || n.lane != w.lane {
			t.Errorf("%s: from %v, column %d, row %d, want %v", n.Dir, n.from, n.depth, n.lane, w)
		}
	}
	drawn := string(p.picture([]box{{"train", []string{"3 steps", "<loss>"}, "up"}}))
	for _, w := range []string{`class="minus"`, ">−1<", "too short 1", "&lt;loss&gt;", `<path class="model"`} {
		if !strings.Contains(drawn, w) {
			t.Errorf("the picture lacks %q", w)
		}
	}
	if strings.Contains(drawn, "NaN") {
		t.Error("the picture has NaN")
	}
	none, err := newPipeline(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if empty := none.picture(nil); empty != "" {
		t.Errorf("a picture of nothing: %s", empty)
	}
}
