//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// killedTrainings returns a training per objective, with everything that a run keeps beside the
// adapter: moments, dropout, noise, validations, samples and evaluations.
func killedTrainings(t *testing.T) []*trial {
	t.Helper()
	dir, root := inputs(t), t.TempDir()
	file := func(name string, line func(i int) string) string {
		var text strings.Builder
		for i := range 48 {
			text.WriteString(line(i) + "\n")
		}
		path := filepath.Join(root, name)
		if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	answer := func(i int) string { return strings.Repeat("In small cups, with dates. ", 1+i%4) }
	chats := file("chats.jsonl", func(i int) string {
		return fmt.Sprintf(`{"messages":[{"role":"user","content":"How is coffee served in place %d?"},`+
			`{"role":"assistant","content":%q}]}`, i, answer(i))
	})
	pairs := file("pairs.jsonl", func(i int) string {
		return fmt.Sprintf(`{"prompt":"How is coffee served in place %d?","chosen":%q,"rejected":"In barrels."}`, i, answer(i))
	})
	texts := file("texts.jsonl", func(i int) string { return fmt.Sprintf(`{"text":"Place %d. %s"}`, i, answer(i)) })
	prompts := filepath.Join(root, "prompts.txt")
	if err := os.WriteFile(prompts, []byte("How is coffee served?\nWhere?\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var all []*trial
	for name, c := range map[string]struct {
		data string
		more []string
	}{
		"sft": {chats, []string{"--neftune", "5", "--eval", filepath.Join(dir, "data", "tasks.txt"), "--eval-data",
			filepath.Join(dir, "data", "benchmarks")}},
		"dpo":  {pairs, []string{"--objective", "dpo"}},
		"text": {texts, []string{"--objective", "text", "--max-length", "32"}},
	} {
		work := filepath.Join(root, name, "work")
		tr := &trial{name: name, work: work, out: filepath.Join(work, "out"), stdout: filepath.Join(root, name, "stdout"),
			env: []string{"TMPDIR=" + filepath.Join(root, name)}}
		args := []string{"--model", filepath.Join(dir, "models", "gemma2"), "--data", c.data, "--val", c.data, "--out", tr.out,
			"--rank", "4", "--dtype", "f32", "--dropout", "0.1", "--batch", "8", "--epochs", "2", "--save-steps", "2", "--eval-steps", "4",
			"--sample-prompts", prompts, "--sample-tokens", "8"}
		tr.verbRun = verbRun{"train", "", append(args, c.more...), true}
		all = append(all, tr)
	}
	return all
}

// TestTrainingSurvivesKills kills trainings at random moments and continues each with another
// number of threads, to the files of an undisturbed run. BARKA_KILLS is the number of kills
// per objective, BARKA_KILLS_SEED the seed.
func TestTrainingSurvivesKills(t *testing.T) {
	if testing.Short() {
		t.Skip("runs trainings several times")
	}
	kills, err := strconv.Atoi(os.Getenv("BARKA_KILLS"))
	if err != nil {
		kills = 2
	}
	for _, tr := range killedTrainings(t) {
		t.Run(tr.name, func(t *testing.T) {
			rng := seeded(t, "BARKA_KILLS_SEED", tr.name)
			args := tr.args
			threads := func() { tr.args = append(slices.Clone(args), "--threads", strconv.Itoa(1+rng.IntN(5))) }
			tr.measure(t, nil)
			killed, most := 0, 0
			for tries := 0; killed < kills && tries < 10*kills; tries++ {
				tr.reset(t)
				parts := 0
				for again := true; again; again = killed < kills && rng.IntN(3) > 0 {
					wait := time.Duration(rng.Float64() * float64(tr.took))
					threads()
					e := tr.run(t, nil, func(p *os.Process) {
						time.Sleep(wait)
						_ = p.Kill() // it may have ended already
					})
					if parts++; e.killed {
						killed++
					} else if e.code != exitDone {
						t.Errorf("exit code %d, %s", e.code, e.stderr)
					}
				}
				most = max(most, parts)
				threads()
				if problem := tr.finish(t); problem != "" {
					t.Fatalf("after %d kills: %s", killed, problem)
				}
			}
			t.Logf("train %s: %d kills, at most %d MiB resident; up to %d processes of one run, with 1 to 5 threads each", tr.name, killed,
				tr.peak>>20, most+1)
			if killed < kills {
				t.Errorf("only %d kills", killed)
			}
		})
	}
}
