package eval

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"barka/internal/benchdata"
	"barka/internal/eval/evaltest"
	"barka/internal/eval/lighteval"
	"barka/internal/eval/prompt"
	"barka/internal/eval/tasks"
	"barka/internal/pyrandom"
)

// converted returns the directory of the converted AceGPT files, made once for all tests,
// and the number of splits.
var converted struct {
	sync.Once
	dir    string
	splits int
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if converted.dir != "" {
		os.RemoveAll(converted.dir)
	}
	os.Exit(code)
}

// convertedData converts the AceGPT files.
func convertedData(t *testing.T) string {
	t.Helper()
	src := filepath.Join(evaltest.SharedOALL(t), "acegpt")
	converted.Do(func() {
		if converted.dir, converted.err = os.MkdirTemp("", "barka-eval-*"); converted.err == nil {
			converted.splits, converted.err = benchdata.ConvertAceGPT(context.Background(), src, converted.dir, nil)
		}
	})
	if converted.err != nil {
		t.Fatal(converted.err)
	}
	return converted.dir
}

// TestPromptDigests compares the prompts of 116 tasks with the digests of a published run.
// The public csv and jsonl files go through the converter, Parquet and the prompt
// functions.
func TestPromptDigests(t *testing.T) {
	store, err := benchdata.Open(convertedData(t))
	if err != nil {
		t.Fatal(err)
	}
	if converted.splits != 2*(57+58+1) {
		t.Errorf("%d splits written, want %d", converted.splits, 2*(57+58+1))
	}
	start, built, matched := time.Now(), 0, 0
	var all []string
	for _, task := range tasks.All(tasks.V1) {
		docs, err := prompt.Questions(store, task, task.EvalSplit, pyrandom.New(tasks.SciQSeed))
		var missing *benchdata.Missing
		if errors.As(err, &missing) {
			all = append(all, task.PromptsDigest)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		built += len(docs)
		if len(docs) != task.Docs || len(docs[0].Choices) != task.Choices {
			t.Errorf("%s: %d questions of %d choices, want %d of %d", task.Key(), len(docs), len(docs[0].Choices), task.Docs, task.Choices)
		}
		digest := promptsDigest(docs)
		if digest != task.PromptsDigest {
			t.Errorf("%s: prompts %s, published %s", task.Key(), digest, task.PromptsDigest)
		}
		matched++
		all = append(all, digest)
	}
	t.Logf("%d prompts of %d tasks in %v", built, matched, time.Since(start))
	if matched != 116 {
		t.Errorf("%d tasks built, want 116", matched)
	}
	// The run's digest over all 137 tasks also covers the table's entries of tasks without
	// public data.
	if got := lighteval.DigestText(strings.Join(all, "")); got != "f3f05fc95b7ed68f" {
		t.Errorf("all prompts: %s, published f3f05fc95b7ed68f", got)
	}
}

func promptsDigest(docs []tasks.Doc) string {
	digests := make([]string, len(docs))
	for i, d := range docs {
		digests[i] = lighteval.DigestText(d.Query)
	}
	return lighteval.DigestSorted(digests)
}

// TestFullScale runs all 116 tasks whose data is public, with a fake model:
// 23,289 questions.
func TestFullScale(t *testing.T) {
	o := fixtureOptions(t, "acva,arabic_mmlu,arabic_exams")
	o.DataDir, o.NoDetails = convertedData(t), true
	start := time.Now()
	out, err := Run(t.Context(), newHashModel(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d questions, %d choices (%d asked) in %v", out.Questions, out.Scored+out.Reused, out.Scored, time.Since(start))
	if out.Questions != 23289 || out.Scored+out.Reused != 2*8710+4*14042+4*537 {
		t.Errorf("%d questions, %d choices", out.Questions, out.Scored+out.Reused)
	}
	extra, err := os.ReadFile(out.LeaderboardJSON)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(extra), `"prompts_as_published": true`); n != 116 {
		t.Errorf("%d tasks report published prompts, want 116", n)
	}
	// The score of always giving the more common of true and false, as in the published
	// audit of ACVA.
	if m := out.Leaderboard.Rows[0].Majority; m < 64.185 || m > 64.195 {
		t.Errorf("ACVA's majority baseline %.2f, want 64.19", m)
	}
	if r := out.Leaderboard.Rows[0]; r.Constant < 60.485 || r.Constant > 60.495 || r.ConstantAnswer != "صح" {
		t.Errorf("ACVA's best single answer %s scores %.2f, want صح and 60.49", r.ConstantAnswer, r.Constant)
	}
}
