package main

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// TestTranslateSettings: each setting of the search changes the output, drawn outputs are
// the seed's, and lines can have their own target language.
func TestTranslateSettings(t *testing.T) {
	model := filepath.Join(inputs(t), "models", "nllb")
	const text = "Where do people drink mint tea in the evening?\n"
	run := func(args ...string) string {
		t.Helper()
		return ok(t, text, append([]string{"translate", "--model", model, "--raw", "--json", "--dtype", "f32"}, args...)...)
	}
	usual, greedy, drawn := run(), run("--beam", "1"), run("--beam", "1", "--temperature", "1.5")
	for _, args := range [][]string{{"--min-length", "60"}, {"--max-length-ratio", "0.01"}, {"--repetition-penalty", "3"},
		{"--early-stopping", "ctranslate2", "--patience", "3", "--num-return", "5"}, {"--vocabulary", "restricted"}} {
		if run(args...) == usual {
			t.Errorf("%v: the output is the usual one", args)
		}
	}
	again, other := run("--beam", "1", "--temperature", "1.5"), run("--beam", "1", "--temperature", "1.5", "--seed", "7")
	if drawn == greedy || drawn != again || drawn == other {
		t.Error("drawn outputs are not the seed's")
	}
	one := run("--beam", "1", "--temperature", "1.5", "--top-k", "1")
	if strings.Split(one, "score")[0] != strings.Split(greedy, "score")[0] {
		t.Errorf("with one candidate the output is %s, want %s", one, greedy)
	}

	lines := `{"text":"Wash your hands.","lang":"fra_Latn","id":1}` + "\n" + `{"text":"Wash your hands."}` + "\n" +
		`{"text":"Wash your hands.","lang":"deu_Latn"}` + "\n"
	args := []string{"translate", "--model", model, "--json", "--to-column", "lang"}
	for _, raw := range [][]string{nil, {"--raw"}} {
		out := strings.Split(strings.TrimSpace(ok(t, lines, append(args, raw...)...)), "\n")
		for i, to := range []string{"fra_Latn", "arb_Arab", "deu_Latn"} {
			var got, want struct {
				Text  string
				Input json.RawMessage
			}
			alone := ok(t, "Wash your hands.\n", append([]string{"translate", "--model", model, "--json", "--to", to}, raw...)...)
			if err := errors.Join(json.Unmarshal([]byte(out[i]), &got), json.Unmarshal([]byte(alone), &want)); err != nil ||
				got.Text != want.Text || string(got.Input) != strings.Split(lines, "\n")[i] {
				t.Errorf("line %d: %+v, want %q (%v)", i, got, want.Text, err)
			}
		}
	}
	for line, want := range map[string]string{`{"text":"x","lang":"zz"}`: "is not one of the model's 7 codes",
		`{"text":"x","lang":"eng_Latn"}`: "the language of the text", `{"lang":"fra_Latn"}`: "text is missing",
		`{"text":7}`: "text is 7, expected a string", "x": "with --to-column every line is a JSON object"} {
		if r := barka(t, line+"\n", args...); r.code != exitBadInput || !strings.Contains(r.err, want) ||
			!strings.Contains(r.err, "standard input, line 1") {
			t.Errorf("%s: exit code %d, %q; expected %q", line, r.code, r.err, want)
		}
	}
}
