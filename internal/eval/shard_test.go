package eval

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"barka/internal/badinput"
	"barka/internal/eval/record"
	"barka/internal/eval/shard"
	"barka/internal/eval/tasks"
	"barka/internal/llm"
)

// runShards runs each of n shards in its own directory and returns the directories.
func runShards(t *testing.T, n int, o Options, model func() *hashModel) []string {
	t.Helper()
	var dirs []string
	for i := range n {
		o.Shard, o.OutputDir = shard.Shard{Index: i, Count: n}, t.TempDir()
		if _, err := Run(t.Context(), model(), o, nil); err != nil && !badinput.Is(err) {
			t.Fatal(err)
		}
		dirs = append(dirs, o.OutputDir)
	}
	return dirs
}

func merge(t *testing.T, dirs []string) map[string]string {
	t.Helper()
	out := t.TempDir()
	if _, err := Merge(t.Context(), dirs, out, nil); err != nil {
		t.Fatal(err)
	}
	return tree(t, out)
}

// wholeRun returns the files of a single process.
func wholeRun(t *testing.T, o Options, m *hashModel) map[string]string {
	t.Helper()
	o.OutputDir = t.TempDir()
	if _, err := Run(t.Context(), m, o, nil); err != nil {
		t.Fatal(err)
	}
	return tree(t, o.OutputDir)
}

// TestShardsEqualWhole: the files of any number of merged shards equal those of one
// process, byte for byte, as the clock is fixed.
func TestShardsEqualWhole(t *testing.T) {
	shots := "community|arabic_mmlu:anatomy|2|1,community|arabic_mmlu:anatomy|0|1,lighteval|xstory_cloze:ar|1|0,community|boolq_ar|0|1"
	for name, list := range map[string]string{"all": "", "shots": shots} {
		o := fixtureOptions(t, list)
		want := wholeRun(t, o, newHashModel())
		for _, n := range []int{1, 2, 3, 7, 40} {
			if diff := cmp.Diff(want, merge(t, runShards(t, n, o, newHashModel))); diff != "" {
				t.Errorf("%s in %d shards:\n%.2000s", name, n, diff)
			}
		}
	}
	// A model with truncated requests, a sample, a chat template, and no details.
	o := fixtureOptions(t, "")
	o.MaxSamples, o.UseChatTemplate, o.SystemPrompt, o.NoDetails, o.BatchSize, o.JobID = 3, true, "S", true, 0, "j"
	short := func() *hashModel {
		m := newHashModel()
		m.maxLength = fixtureLength
		return m
	}
	if diff := cmp.Diff(wholeRun(t, o, short()), merge(t, runShards(t, 3, o, short))); diff != "" {
		t.Errorf("with options:\n%.2000s", diff)
	}
}

// TestJudgedShards: shards carry answers and marks too, and each is requested once. Shards
// with different judges are refused.
func TestJudgedShards(t *testing.T) {
	m, j := newFakeWriter(), judge{asked: new(atomic.Int64)}
	o := judgedOptions(t, j)
	want := func(o Options) map[string]string {
		o.OutputDir = t.TempDir()
		if _, err := Run(t.Context(), newFakeWriter(), o, nil); err != nil {
			t.Fatal(err)
		}
		return tree(t, o.OutputDir)
	}
	shards := func(n int, o Options) (dirs []string) {
		t.Helper()
		for i := range n {
			o.Shard, o.OutputDir = shard.Shard{Index: i, Count: n}, t.TempDir()
			if _, err := Run(t.Context(), m, o, nil); err != nil {
				t.Fatal(err)
			}
			dirs = append(dirs, o.OutputDir)
		}
		return dirs
	}
	whole := want(o)
	for _, n := range []int{1, 2, 3, 9} {
		wrote, asked := m.wrote.Load(), j.asked.Load()
		dirs := shards(n, o)
		if wrote, asked = m.wrote.Load()-wrote, j.asked.Load()-asked; wrote != 5 || asked != 5 {
			t.Errorf("%d shards: %d answers, %d judgements, want 5 of each", n, wrote, asked)
		}
		if diff := cmp.Diff(whole, merge(t, dirs)); diff != "" {
			t.Errorf("%d shards:\n%.2000s", n, diff)
		}
	}
	dirs := shards(2, o)
	other := o
	other.Shard, other.OutputDir, other.Judge = shard.Shard{Index: 1, Count: 2}, t.TempDir(), otherJudge{}
	if _, err := Run(t.Context(), m, other, nil); err == nil {
		t.Error("the other judge answered")
	}
	if _, err := Merge(t.Context(), []string{dirs[0], other.OutputDir}, t.TempDir(), nil); !badinput.Is(err) ||
		!strings.Contains(err.Error(), "--judge-model") {
		t.Errorf("shards of two judges: %v", err)
	}
	// Without a judge the task is skipped, by shards and by a single process.
	o.Judge = nil
	if diff := cmp.Diff(want(o), merge(t, shards(2, o))); diff != "" {
		t.Errorf("no judge:\n%.2000s", diff)
	}
}

// TestShardsShareADirectory: shards may write to one directory, in which Merge finds them,
// and a single process reuses their scores.
func TestShardsShareADirectory(t *testing.T) {
	o := fixtureOptions(t, "")
	want := wholeRun(t, o, newHashModel())
	done := make(chan error)
	for i := range 3 {
		shared := o
		shared.Shard = shard.Shard{Index: i, Count: 3}
		go func() {
			_, err := Run(t.Context(), newHashModel(), shared, nil)
			done <- err
		}()
	}
	for range 3 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, merge(t, []string{o.OutputDir})); diff != "" {
		t.Errorf("%.2000s", diff)
	}
	m := newHashModel()
	out, err := Run(t.Context(), m, o, nil)
	if err != nil || out.Scored != 0 || m.asked.Load() != 0 {
		t.Errorf("one process after the shards: %+v, %v", out, err)
	}
	again := o
	again.Shard = shard.Shard{Index: 1, Count: 2}
	if out, err := Run(t.Context(), m, again, nil); err != nil || m.asked.Load() != 0 || out.Questions == 0 {
		t.Errorf("another division: %+v, %v", out, err)
	}
}

// TestDivision: every question is in one shard, the shards' tokens are equal to within a
// question, and a repeated question is scored by one shard only.
func TestDivision(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7} {
		held := map[string]int{}
		by := map[record.Key]int{}
		tokens := make([]int64, n)
		total, longest := int64(0), int64(0)
		for i := range n {
			o := fixtureOptions(t, "")
			o.Shard = shard.Shard{Index: i, Count: n}
			e, err := prepare(t.Context(), newHashModel(), o, nil)
			if err != nil {
				t.Fatal(err)
			}
			for at, r := range e.run.Tasks {
				for _, q := range e.own[at] {
					s := &r.Questions[q]
					held[fmt.Sprintf("%s %d", r.Name(), q)]++
					if other, ok := by[s.Key()]; ok && other != i {
						t.Errorf("%d shards: a question is asked by %d and %d", n, other, i)
					} else if !ok {
						c := e.cost(r, q)
						tokens[i], total, longest = tokens[i]+c, total+c, max(longest, c)
					}
					by[s.Key()] = i
				}
			}
		}
		questions := 0
		for _, f := range fixtureDigests(t, tasks.V1) {
			questions += f.questions
		}
		if len(held) != questions {
			t.Errorf("%d shards hold %d of %d questions", n, len(held), questions)
		}
		for q, times := range held {
			if times != 1 {
				t.Errorf("%d shards: %s is in %d", n, q, times)
			}
		}
		for i, got := range tokens {
			if d := got - total/int64(n); d > longest || -d > longest {
				t.Errorf("shard %d of %d has %d tokens of %d", i, n, got, total)
			}
		}
	}
}

// TestShardResumes stops a shard in the middle and continues it.
func TestShardResumes(t *testing.T) {
	o := fixtureOptions(t, "")
	want := wholeRun(t, o, newHashModel())
	dirs := runShards(t, 3, o, newHashModel)
	o.Shard, o.OutputDir = shard.Shard{Index: 1, Count: 3}, t.TempDir()
	m := newHashModel()
	m.fail, m.err = 20, errors.New("stopped")
	if _, err := Run(t.Context(), m, o, nil); !errors.Is(err, m.err) {
		t.Fatalf("error %v, want the model's", err)
	}
	stopped := []string{dirs[0], o.OutputDir, dirs[2]}
	if _, err := Merge(t.Context(), stopped, t.TempDir(), nil); !badinput.Is(err) || !strings.Contains(err.Error(), "no finished shard") {
		t.Errorf("a shard that was stopped: error %v", err)
	}
	m.fail = 0
	out, err := Run(t.Context(), m, o, nil)
	if err != nil || out.Reused == 0 || out.Scored == 0 {
		t.Fatalf("continued: %+v, %v", out, err)
	}
	if diff := cmp.Diff(want, merge(t, stopped)); diff != "" {
		t.Errorf("%.2000s", diff)
	}
	// A run removes the old manifest at its start.
	o.OutputDir = dirs[1]
	m.fail = 1
	o.MaxSamples = 2
	m.maxLength = 100
	if _, err := Run(t.Context(), m, o, nil); !errors.Is(err, m.err) {
		t.Fatalf("error %v, want the model's", err)
	}
	if _, err := Merge(t.Context(), dirs, t.TempDir(), nil); !badinput.Is(err) {
		t.Errorf("a shard begun again: error %v", err)
	}
}

// TestShardFailures: a task that one shard cannot score is left out of the merge, with the
// reason that a single process would have given.
func TestShardFailures(t *testing.T) {
	o := fixtureOptions(t, "community|boolq_ar|0|1,community|piqa_ar|0|1,acva:Oman")
	broken := func() *hashModel {
		m := newHashModel()
		m.broken = func(r Request) bool {
			return record.KeyOf(r)[0]%4 == 0 && strings.Contains(characters(r.Context), "المقطع")
		}
		return m
	}
	whole := o
	whole.OutputDir = t.TempDir()
	out, err := Run(t.Context(), broken(), whole, nil)
	if !badinput.Is(err) || len(out.Failures) != 2 || !strings.Contains(err.Error(), "question ") {
		t.Fatalf("%+v, %v", out, err)
	}
	for _, n := range []int{2, 5} {
		to := t.TempDir()
		out, err := Merge(t.Context(), runShards(t, n, o, broken), to, nil)
		if !badinput.Is(err) || len(out.Failures) != 2 || !strings.Contains(err.Error(), "2 of 3 tasks") {
			t.Errorf("%d shards: %+v, %v", n, out, err)
		}
		if diff := cmp.Diff(tree(t, whole.OutputDir), tree(t, to)); diff != "" {
			t.Errorf("%d shards:\n%.2000s", n, diff)
		}
	}
}

// TestMergeRefuses: shards that are not exactly those of one run are refused with the
// reason.
func TestMergeRefuses(t *testing.T) {
	o := fixtureOptions(t, "acva:Iraq,piqa_ar,boolq_ar")
	dirs := runShards(t, 3, o, newHashModel)
	other := func(change func(*Options, *hashModel)) string {
		o, m := o, newHashModel()
		o.Shard, o.OutputDir = shard.Shard{Index: 1, Count: 3}, t.TempDir()
		change(&o, m)
		if _, err := Run(t.Context(), m, o, nil); err != nil {
			t.Fatal(err)
		}
		return o.OutputDir
	}
	changedData := t.TempDir()
	if err := os.CopyFS(changedData, os.DirFS(fixtureDir)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(changedData, "OALL/ACVA/Iraq/test.jsonl")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(text, []byte("الجملة"), []byte("الجمله"), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	damaged := other(func(*Options, *hashModel) {})
	file := filepath.Join(damaged, "shards/test/hash-model/1-of-3", shard.QuestionsFile)
	text, err = os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, text[:len(text)-3], 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	old := other(func(*Options, *hashModel) {})
	rewrite(t, filepath.Join(old, "shards/test/hash-model/1-of-3", shard.ManifestFile), func(m *shard.Manifest) { m.Barka = "0.0.1" })
	for name, c := range map[string]struct {
		dirs []string
		want []string
	}{
		"two missing":  {dirs[1:2], []string{"2 of 3 shards are missing: 0, 2", "--num-shards 3 --shard 0"}},
		"one missing":  {dirs[:2], []string{"1 of 3 shards are missing: 2"}},
		"twice":        {append([]string{dirs[1]}, dirs...), []string{"shard 1 of 3 occurs twice", dirs[1]}},
		"nothing":      {[]string{t.TempDir()}, []string{"no finished shard"}},
		"no directory": {[]string{"/no/such"}, []string{"/no/such"}},
		"model": {[]string{dirs[0], other(func(_ *Options, m *hashModel) { m.info.Digest = "e" }), dirs[2]},
			[]string{"different runs", "model's digest and type: d, and e"}},
		"adapter": {[]string{dirs[0], other(func(_ *Options, m *hashModel) { m.info.AdapterDigest = "e" }), dirs[2]},
			[]string{"adapter's digest: nothing, and e"}},
		"dtype": {[]string{dirs[0], other(func(_ *Options, m *hashModel) { m.info.DType = "torch.bfloat16" }), dirs[2]},
			[]string{"dtype: torch.float32, and torch.bfloat16"}},
		"length": {[]string{dirs[0], other(func(_ *Options, m *hashModel) { m.maxLength = 99 }), dirs[2]},
			[]string{"longest input: 8192, and 99"}},
		"samples": {[]string{dirs[0], other(func(o *Options, _ *hashModel) { o.MaxSamples = 2 }), dirs[2]},
			[]string{"--max-samples: 0, and 2"}},
		"border": {[]string{dirs[0], other(func(o *Options, _ *hashModel) { o.TokenBoundary = record.Pairwise }), dirs[2]},
			[]string{"--token-boundary: joint, and pairwise"}},
		"chat": {[]string{dirs[0], other(func(o *Options, _ *hashModel) { o.UseChatTemplate = true }), dirs[2]},
			[]string{"--use-chat-template: false, and true"}},
		"tasks": {[]string{dirs[0], other(func(o *Options, _ *hashModel) {
			o.Tasks = fixtureOptions(t,
				"acva:Iraq,boolq_ar").Tasks
		}), dirs[2]}, []string{"tasks: community|piqa_ar|0|1, and nothing"}},
		"data": {[]string{dirs[0], other(func(o *Options, _ *hashModel) { o.DataDir = changedData }), dirs[2]},
			[]string{"questions of community|acva:Iraq|0|1"}},
		"number":  {append(runShards(t, 2, o, newHashModel), dirs...), []string{"number of shards: 2, and 3"}},
		"version": {[]string{dirs[0], old, dirs[2]}, []string{"version of barka"}},
		"damaged": {[]string{dirs[0], damaged, dirs[2]}, []string{shard.QuestionsFile, "not copied completely"}},
	} {
		to := t.TempDir()
		_, err := Merge(t.Context(), c.dirs, to, nil)
		if !badinput.Is(err) {
			t.Errorf("%s: error %v, want bad input", name, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the error lacks %q:\n%v", name, want, err)
			}
		}
		if files := tree(t, to); len(files) != 0 {
			t.Errorf("%s: refused, and wrote %v", name, slices.Sorted(maps.Keys(files)))
		}
	}
	// Shards whose manifests agree, but whose questions overlap.
	rewritten := other(func(*Options, *hashModel) {})
	dir := filepath.Join(rewritten, "shards/test/hash-model/1-of-3")
	zero := filepath.Join(dirs[0], "shards/test/hash-model/0-of-3")
	if text, err = os.ReadFile(filepath.Join(zero, shard.QuestionsFile)); err == nil {
		err = os.WriteFile(filepath.Join(dir, shard.QuestionsFile), text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	hash := fileHash(t, filepath.Join(dir, shard.QuestionsFile))
	rewrite(t, filepath.Join(dir, shard.ManifestFile), func(m *shard.Manifest) { m.QuestionsHash = hash })
	if _, err := Merge(t.Context(), []string{dirs[0], rewritten, dirs[2]}, t.TempDir(), nil); !badinput.Is(err) ||
		!strings.Contains(err.Error(), "is in another shard too") {
		t.Errorf("overlapping questions: error %v", err)
	}
}

func rewrite(t *testing.T, path string, change func(*shard.Manifest)) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var m shard.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	change(&m)
	if text, err = json.Marshal(m); err == nil {
		err = os.WriteFile(path, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestMergedTime: the run lasts from the first start to the last end. The clock of the
// merging machine does not matter.
func TestMergedTime(t *testing.T) {
	o := fixtureOptions(t, "acva:Iraq")
	zone := time.FixedZone("", 3*3600)
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, zone)
	var dirs []string
	for i := range 2 {
		o.Shard, o.OutputDir = shard.Shard{Index: i, Count: 2}, t.TempDir()
		clock := at.Add(time.Duration(i) * time.Minute)
		o.Now = func() time.Time { clock = clock.Add(time.Second); return clock }
		if _, err := Run(t.Context(), newHashModel(), o, nil); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, o.OutputDir)
	}
	out, err := Merge(t.Context(), dirs, t.TempDir(), nil)
	if err != nil || filepath.Base(out.ResultsPath) != "results_2026-01-02T03-05-07.000006.json" {
		t.Fatalf("%+v, %v", out, err)
	}
	text, err := os.ReadFile(out.ResultsPath)
	if err != nil || !strings.Contains(string(text), `"total_evaluation_time_secondes": "61.0"`) {
		t.Errorf("%v, %s", err, text)
	}
}

// otherJudge is a judge that does not answer.
type otherJudge struct{}

func (otherJudge) Name() string { return "test/other" }

func (otherJudge) Complete(context.Context, llm.Request) (llm.Response, error) {
	return llm.Response{}, errors.New("no answer")
}
