package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestBLEU(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	hyp := "The cat is on the mat , it costs $5.00 (or 3.5-4).\n"
	ref := file("ref", "The cat sat on a mat, it costs $5.00 (or 3.5-4%).\n")
	// Printed by sacrebleu 2.6.0.
	const want = `BLEU|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0 = 62.3 88.9/70.6/56.2/53.3 (BP = 0.946 ratio = 0.947 hyp_len = 18 ref_len = 19)
chrF2|nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0 = 71.6
chrF2++|nrefs:1|case:mixed|eff:yes|nc:6|nw:2|space:no|version:2.6.0 = 70.9
`
	if r := barka(t, hyp, "bleu", "--reference", ref); r.code != 0 || r.out != want {
		t.Errorf("exit %d, printed\n%s%s", r.code, r.out, r.err)
	}
	if out := ok(t, "", "bleu", "--reference", ref, file("hyp", hyp)); out != want {
		t.Errorf("from a file: printed\n%s", out)
	}
	if out := ok(t, hyp+hyp, "bleu", "--sentences", "--metrics", "chrf", "--reference", file("two", "a\nThe cat\n")); out != "11.6\n34.1\n" {
		t.Errorf("line by line: printed %q", out)
	}
	for _, c := range []struct{ hyp, ref, want string }{
		{hyp + hyp, ref, "has 1 lines"},
		{hyp, file("long", "a\nb\n"), "more than the 1 lines"},
		{"", ref, "more than the 0 lines"},
		{"", file("empty", ""), "no line"},
		{"\xff\n", ref, "line 1"},
		{hyp, filepath.Join(dir, "none"), "none"},
	} {
		if r := barka(t, c.hyp, "bleu", "--reference", c.ref); r.code != exitBadInput || r.out != "" || !strings.Contains(r.err, c.want) {
			t.Errorf("%q against %s: %+v", c.hyp, c.ref, r)
		}
	}
}

// TestTranslateBack: --back scores what translating the translations back gives.
func TestTranslateBack(t *testing.T) {
	nllb := filepath.Join(inputs(t), "models", "nllb")
	text := "How is coffee poured?\nBread is baked.\n"
	lines := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(lines, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, flags := range [][]string{nil, {"--raw"}, {"--vocabulary", "restricted"}} {
		there := ok(t, text, slices.Concat([]string{"translate", "--model", nllb}, flags)...)
		back := ok(t, there, slices.Concat([]string{"translate", "--model", nllb, "--from", "arb_Arab", "--to", "eng_Latn", "--checks", "off"},
			flags)...)
		want := ok(t, back, "bleu", "--metrics", "chrf,chrf++", "--reference", lines)
		r := barka(t, text, slices.Concat([]string{"translate", "--model", nllb, "--back"}, flags)...)
		for line := range strings.Lines(want) {
			if r.code != exitDone || r.out != there || !strings.Contains(r.err, strings.TrimSpace(line)) {
				t.Errorf("%v: %+v, want the scores\n%s", flags, r, want)
			}
		}
	}
	if r := barka(t, text, "translate", "--model", nllb, "--back", "--in", "x", "--out", "y"); r.code != exitUsage {
		t.Errorf("--back with a dataset: %+v", r)
	}
}

// TestTranslateReference: translated lines are scored as bleu does.
func TestTranslateReference(t *testing.T) {
	dir := t.TempDir()
	nllb := filepath.Join(inputs(t), "models", "nllb")
	text := "How is coffee poured?\nBread is baked.\n"
	out := ok(t, text, "translate", "--model", nllb)
	ref := filepath.Join(dir, "ref")
	if err := os.WriteFile(ref, []byte(strings.Replace(out, " ", " x ", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	want := ok(t, out, "bleu", "--reference", ref)
	r := barka(t, text, "translate", "--model", nllb, "--reference", ref)
	for line := range strings.Lines(want) {
		if r.code != exitDone || r.out != out || !strings.Contains(r.err, strings.TrimSpace(line)) {
			t.Errorf("%+v, want the scores\n%s", r, want)
		}
	}
	r = barka(t, text, "translate", "--json", "--model", nllb, "--reference", ref)
	var event struct {
		Event  string
		Lines  int
		Scores []struct{ Name string }
	}
	for line := range strings.Lines(r.err) {
		if json.Unmarshal([]byte(line), &event); event.Event == "scores" {
			break
		}
	}
	if r.code != exitDone || event.Lines != 2 || len(event.Scores) != 3 {
		t.Errorf("event %+v of %+v", event, r)
	}
	if err := os.WriteFile(ref, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r = barka(t, text, "translate", "--model", nllb, "--reference", ref)
	if r.code != exitBadInput || !strings.Contains(r.err, "has 0 lines") {
		t.Errorf("no references: %+v", r)
	}
}
