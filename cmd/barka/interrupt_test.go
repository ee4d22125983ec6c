package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// verbRun is a verb on testdata/chain's data. It writes to out if that is
// among its arguments, and to standard output otherwise.
type verbRun struct {
	verb, stdin string
	args        []string
	goesOn      bool // where it was interrupted
}

// everyVerb lists runs of all verbs; made holds a whole run of testdata/chain.
func everyVerb(made, out string) []verbRun {
	in := func(name ...string) string { return filepath.Join(append([]string{made}, name...)...) }
	gemma, nllb, data := in("inputs", "models", "gemma2"), in("inputs", "models", "nllb"), in("inputs", "data", "benchmarks")
	request := strings.Repeat(`{"context": "2+2=", "continuations": ["4", "5"]}`+"\n", 40)
	prompts := strings.Repeat("How is coffee poured?\n", 40)
	return []verbRun{
		{"run", "", []string{in("inputs", "recipe.yaml"), "--offline", "--out", out}, true},
		{"wiki", "", []string{"--dump", in("inputs", "data", "pages.xml"), "--licence", "CC0 1.0", "--out", out}, true},
		{"synth", "", []string{"--in", in("1-passages"), "--model", gemma, "--max-tokens", "60", "--out", out}, true},
		{"convert", "", []string{"alpaca", "--data", in("inputs", "data", "questions.jsonl"), "--licence", "CC0 1.0", "--out", out}, true},
		{"filter", "", []string{"--in", in("3-translated"), "--out", out}, true},
		{"decontaminate", "", []string{"--in", in("4-clean"), "--data", data, "--tasks", in("inputs", "data", "tasks.txt"),
			"--originals", "none", "--out", out}, true},
		{"mix", "", []string{"--in", "a=" + in("4-clean"), "--out", out}, false},
		{"translate", "", []string{"--model", nllb, "--to", "arb_Arab", "--in", in("2-instructions"), "--memory", "off", "--out", out}, true},
		{"translate", prompts, []string{"--model", nllb, "--to", "arb_Arab"}, false},
		{"bleu", "", []string{"--reference", in("inputs", "data", "questions.jsonl"), in("inputs", "data", "questions.jsonl")}, false},
		{"train", "", []string{"--model", gemma, "--data", in("5-mix"), "--rank", "4", "--batch", "4",
			"--epochs", "2", "--save-steps", "2", "--out", out}, true},
		{"merge", "", []string{"--model", gemma, "--adapter", in("6-adapter"), "--out", out}, false},
		{"eval", "", []string{"--model", gemma, "--data", data, "--tasks", in("inputs", "data", "tasks.txt"), "--output-dir", out}, true},
		{"compare", "", []string{in("8-eval-base"), in("9-eval-tuned")}, false},
		{"audit", "", []string{"--data", data, "--tasks", in("inputs", "data", "tasks.txt"), "--train", in("5-mix")}, false},
		{"show", "", []string{in("3-translated"), "--limit", "0"}, false},
		{"view", "", []string{in("4-clean"), "--out", out}, false},
		{"diff", "", []string{in("4-clean"), in("4-clean"), "--show", "3"}, false},
		{"report", "", []string{"--training", in("6-adapter"), "--out", out}, false},
		{"generate", prompts, []string{"--model", gemma, "--input", "-", "--max-tokens", "20"}, false},
		{"score", request, []string{"--model", gemma}, false},
		{"tokenize", prompts, []string{"--model", gemma}, false},
		{"bench", "", []string{"decode", "--shape", "pythia-70m", "--layers", "1", "--repeat", "1"}, false},
		{"doctor", "", nil, false},
		{"models", "", []string{"--cache-dir", in("inputs")}, false},
		{"init", "", []string{out, "--defaults", "--overwrite"}, false},
		{"lock", "", []string{made, "--out", out}, false},
		{"reproduce", "", []string{made + ".lock.json", "--out", out}, true},
	}
}

// TestEveryVerbEndsWhenInterrupted interrupts each verb at several moments, the first
// before it begins, and runs it again. The exit code is 130, only resumable verbs say so,
// and the last run writes the files of an undisturbed one.
func TestEveryVerbEndsWhenInterrupted(t *testing.T) {
	if testing.Short() {
		t.Skip("runs every verb several times")
	}
	made, root := filepath.Join(t.TempDir(), "made"), t.TempDir()
	ok(t, "", append(runChain(t, made), "--quiet")...)
	out := filepath.Join(root, "work", "x-eval-out")
	ok(t, "", "lock", made)
	seen := map[string]bool{"version": true, "completion": true, // they only print
		"demo":     true,                  // its run is that of run
		"download": true, "publish": true} // see TestDownloadSurvivesKills and TestPublishSurvivesKills
	for _, v := range everyVerb(made, out) {
		seen[v.verb] = true
		args := append(append([]string{v.verb}, v.args...), "--quiet")
		if err := os.Mkdir(filepath.Dir(out), 0o755); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		stdout := ok(t, v.stdin, args...)
		took := time.Since(start)
		want := contents(t, filepath.Dir(out))
		if err := os.RemoveAll(filepath.Dir(out)); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Dir(out), 0o755); err != nil {
			t.Fatal(err)
		}
		shares := []float64{0, 0.2, 0.5, 0.7, 0.9}
		if took > time.Second {
			shares = []float64{0, 0.4}
		}
		inTheMiddle := 0
		for _, share := range shares {
			ctx, cancel := context.WithCancel(t.Context())
			if share == 0 {
				cancel()
			}
			timer := time.AfterFunc(time.Duration(share*float64(took)), cancel)
			r := interrupted(ctx, v.stdin, args...)
			timer.Stop()
			cancel()
			if v.verb == "eval" { // each finished evaluation writes results under its own time
				for _, results := range []string{"results", "details"} {
					if err := os.RemoveAll(filepath.Join(out, results)); err != nil {
						t.Fatal(err)
					}
				}
			}
			switch {
			case r.code == exitDone && share > 0: // it was finished before
			case r.code != exitInterrupted || strings.Contains(r.err, "resumes from here") != v.goesOn ||
				!strings.Contains(r.err, "interrupted"):
				t.Errorf("barka %s, interrupted after %g of its time: exit code %d, %s", strings.Join(args, " "), share, r.code, r.err)
			case !strings.Contains(strings.Join(args, " "), out) && !strings.HasPrefix(stdout, r.out) &&
				v.verb != "bench" && v.verb != "doctor":
				t.Errorf("barka %s wrote what it does not write undisturbed: %q", strings.Join(args, " "), r.out)
			default:
				inTheMiddle++
			}
		}
		again := ok(t, v.stdin, args...)
		if v.verb != "bench" && v.verb != "doctor" && v.stdin != "" && again != stdout {
			t.Errorf("barka %s: other output in the end", strings.Join(args, " "))
		}
		got := contents(t, filepath.Dir(out))
		for name, data := range want {
			if !bytes.Equal(got[name], data) {
				t.Errorf("barka %s: %s differs in the end", strings.Join(args, " "), name)
			}
		}
		if len(got) != len(want) {
			t.Errorf("barka %s: %d files in the end, expected %d", strings.Join(args, " "), len(got), len(want))
		}
		t.Logf("%s takes %v; %d files; interrupted %d times", v.verb, took, len(want), inTheMiddle)
		if err := os.RemoveAll(filepath.Dir(out)); err != nil {
			t.Fatal(err)
		}
	}
	for _, verb := range verbs(t) {
		if !seen[verb] {
			t.Errorf("%s was not tried", verb)
		}
	}
}

// interrupted runs a command in this process, under a context.
func interrupted(ctx context.Context, stdin string, args ...string) result {
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, strings.NewReader(stdin), &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// verbs lists all verbs of the help.
func verbs(t *testing.T) []string {
	t.Helper()
	_, list, _ := strings.Cut(ok(t, "", "--help"), "Commands:\n")
	var all []string
	for line := range strings.Lines(list) {
		if fields := strings.Fields(line); strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "   ") && len(fields) > 1 {
			all = append(all, fields[0])
		}
	}
	if len(all) < 15 {
		t.Fatalf("%d verbs in the help", len(all))
	}
	return all
}
