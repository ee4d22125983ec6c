package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"barka/internal/eval/shard"
)

// TestShardOfTheEnvironment: the variables of launchers, their precedence, and the errors
// of unclear ones.
func TestShardOfTheEnvironment(t *testing.T) {
	n := func(n int) *int { return &n }
	array := func(id, least, most, count string) string {
		return fmt.Sprintf("SLURM_JOB_ID=5 SLURM_ARRAY_TASK_ID=%s SLURM_ARRAY_TASK_MIN=%s SLURM_ARRAY_TASK_MAX=%s "+
			"SLURM_ARRAY_TASK_COUNT=%s", id, least, most, count)
	}
	slurmStep := "SLURM_JOB_ID=5 SLURM_STEP_ID=0 "
	for _, c := range []struct {
		flags shardFlags
		env   string
		want  shard.Shard
		err   string
	}{
		{shardFlags{}, "", shard.Shard{}, ""},
		{shardFlags{n(3), n(1)}, "", shard.Shard{Index: 1, Count: 3}, ""},
		{shardFlags{NumShards: n(1)}, "", shard.Shard{Index: 0, Count: 1}, ""},
		{shardFlags{}, "RANK=2 WORLD_SIZE=4 LOCAL_RANK=0", shard.Shard{Index: 2, Count: 4}, ""},
		{shardFlags{}, "RANK=0 WORLD_SIZE=1", shard.Shard{}, ""},
		{shardFlags{n(3), n(1)}, "RANK=2 WORLD_SIZE=4", shard.Shard{Index: 1, Count: 3}, ""},
		{shardFlags{NumShards: n(1)}, "RANK=2 WORLD_SIZE=4", shard.Shard{Index: 0, Count: 1}, ""},
		{shardFlags{}, "SLURM_PROCID=1 SLURM_NTASKS=2", shard.Shard{Index: 1, Count: 2}, ""},
		{shardFlags{}, slurmStep + "SLURM_PROCID=1 SLURM_NTASKS=2", shard.Shard{Index: 1, Count: 2}, ""},
		{shardFlags{}, slurmStep + "SLURM_PROCID=1 SLURM_NTASKS=2 RANK=9 WORLD_SIZE=16", shard.Shard{Index: 9, Count: 16}, ""},
		{shardFlags{NumShards: n(7)}, "JOB_COMPLETION_INDEX=6", shard.Shard{Index: 6, Count: 7}, ""},
		{shardFlags{}, "JOB_COMPLETION_INDEX=6 JOB_COMPLETIONS=7", shard.Shard{Index: 6, Count: 7}, ""},
		// A batch script has SLURM_PROCID too, although it is one process.
		{shardFlags{}, "SLURM_JOB_ID=5 SLURM_PROCID=0", shard.Shard{}, ""},
		{shardFlags{}, "SLURM_JOB_ID=5 SLURM_PROCID=0 SLURM_NTASKS=1", shard.Shard{}, ""},
		{shardFlags{}, "SLURM_JOB_ID=5 SLURM_PROCID=0 SLURM_NTASKS=8", shard.Shard{}, "start barka with srun"},
		{shardFlags{NumShards: n(1)}, "SLURM_JOB_ID=5 SLURM_PROCID=0 SLURM_NTASKS=8", shard.Shard{Index: 0, Count: 1}, ""},

		// A job array without gaps: the highest index gives the number of tasks.
		{shardFlags{}, array("3", "0", "7", "8"), shard.Shard{Index: 3, Count: 8}, ""},
		{shardFlags{}, array("0", "0", "0", "1"), shard.Shard{}, ""},
		{shardFlags{}, array("3", "0", "7", "8") + " SLURM_PROCID=0 SLURM_NTASKS=1", shard.Shard{Index: 3, Count: 8}, ""},
		{shardFlags{}, array("3", "0", "7", "8") + " SLURM_STEP_ID=0 SLURM_PROCID=0 SLURM_NTASKS=1", shard.Shard{Index: 3, Count: 8}, ""},
		{shardFlags{}, array("3", "0", "7", "8") + " RANK=0 WORLD_SIZE=1", shard.Shard{Index: 3, Count: 8}, ""},
		{shardFlags{}, array("17", "3", "17", "2"), shard.Shard{},
			`task 17 of a Slurm array whose size is not clear: SLURM_ARRAY_TASK_MIN is "3"`},
		{shardFlags{NumShards: n(20)}, array("17", "3", "17", "2"), shard.Shard{Index: 17, Count: 20}, ""},
		{shardFlags{NumShards: n(20)}, array("17", "3", "17", "2") + " SLURM_PROCID=0 SLURM_NTASKS=1",
			shard.Shard{Index: 17, Count: 20}, ""},
		{shardFlags{}, array("1", "0", "17", "2"), shard.Shard{}, "without gaps"},
		{shardFlags{}, array("1", "1", "8", "8"), shard.Shard{}, "expected the indexes 0 to N-1"},
		{shardFlags{NumShards: n(8)}, array("8", "1", "8", "8"), shard.Shard{},
			"shard 8 of 8, by SLURM_ARRAY_TASK_ID and --num-shards, does not exist; shards are counted from 0"},
		{shardFlags{NumShards: n(1)}, array("5", "5", "5", "1"), shard.Shard{Index: 0, Count: 1}, ""},
		{shardFlags{}, "SLURM_ARRAY_TASK_ID=3", shard.Shard{}, `MAX ""`},
		{shardFlags{}, "SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_COUNT=8", shard.Shard{}, "not clear"},
		// Its tasks divide the work; a step inside a task would divide it again.
		{shardFlags{}, array("3", "0", "7", "8") + " SLURM_STEP_ID=0 SLURM_PROCID=1 SLURM_NTASKS=2", shard.Shard{},
			"would be divided twice, by the Slurm array whose task 3 this is and by SLURM_NTASKS, which is 2"},
		{shardFlags{NumShards: n(16)}, array("3", "0", "7", "8") + " SLURM_STEP_ID=0 SLURM_PROCID=1 SLURM_NTASKS=2",
			shard.Shard{}, "give --num-shards and --shard"},
		{shardFlags{n(16), n(7)}, array("3", "0", "7", "8") + " SLURM_STEP_ID=0 SLURM_PROCID=1 SLURM_NTASKS=2",
			shard.Shard{Index: 7, Count: 16}, ""},
		{shardFlags{}, array("3", "0", "7", "8") + " RANK=1 WORLD_SIZE=2", shard.Shard{}, "by WORLD_SIZE, which is 2"},
		{shardFlags{}, array("3", "0", "7", "8") + " SLURM_NTASKS=4", shard.Shard{}, "start barka with srun"},
		// Barka's own variables come before all others.
		{shardFlags{}, array("3", "0", "7", "8") + " BARKA_SHARD=5 BARKA_SHARDS=9 RANK=1 WORLD_SIZE=2",
			shard.Shard{Index: 5, Count: 9}, ""},
		{shardFlags{}, array("3", "0", "7", "8") + " BARKA_SHARD_OFFSET=1000 BARKA_SHARDS=1008", shard.Shard{Index: 1003, Count: 1008}, ""},
		{shardFlags{n(3), n(1)}, "BARKA_SHARD=5 BARKA_SHARDS=9", shard.Shard{Index: 1, Count: 3}, ""},
		{shardFlags{}, "BARKA_SHARD=5", shard.Shard{}, "BARKA_SHARD is 5, but BARKA_SHARDS"},
		{shardFlags{}, "BARKA_SHARDS=5", shard.Shard{}, "BARKA_SHARDS is 5, but BARKA_SHARD,"},
		{shardFlags{}, array("3", "0", "7", "8") + " BARKA_SHARD_OFFSET=1000", shard.Shard{},
			"BARKA_SHARDS, the number of processes, is not set"},
		{shardFlags{}, "BARKA_SHARD_OFFSET=1000 BARKA_SHARDS=1008", shard.Shard{}, "SLURM_ARRAY_TASK_ID, to which it is added, is not set"},
		{shardFlags{}, array("3", "0", "7", "8") + " BARKA_SHARD_OFFSET=x BARKA_SHARDS=9", shard.Shard{}, `BARKA_SHARD_OFFSET is "x"`},

		{shardFlags{NumShards: n(3)}, "", shard.Shard{}, "give --shard"},
		{shardFlags{NumShards: n(3)}, "SLURM_JOB_ID=5 SLURM_PROCID=0 SLURM_NTASKS=1", shard.Shard{}, "give --shard"},
		{shardFlags{Shard: n(3)}, "", shard.Shard{}, "--shard is 3"},
		{shardFlags{n(3), n(3)}, "", shard.Shard{}, "shard 3 of 3, by --num-shards and --shard, does not exist; shards are counted from 0"},
		{shardFlags{n(3), n(-1)}, "", shard.Shard{}, "shard -1 of 3"},
		{shardFlags{NumShards: n(0)}, "", shard.Shard{}, "--num-shards is 0"},
		{shardFlags{}, "RANK=2", shard.Shard{}, "RANK is 2, but WORLD_SIZE"},
		{shardFlags{}, "WORLD_SIZE=4", shard.Shard{}, "WORLD_SIZE is 4, but RANK"},
		{shardFlags{}, "SLURM_NTASKS=4", shard.Shard{}, "SLURM_NTASKS is 4, but SLURM_PROCID"},
		{shardFlags{}, slurmStep + "SLURM_PROCID=4", shard.Shard{}, "SLURM_PROCID is 4, but SLURM_NTASKS"},
		{shardFlags{}, "JOB_COMPLETION_INDEX=6", shard.Shard{}, "JOB_COMPLETION_INDEX is 6, but JOB_COMPLETIONS"},
		{shardFlags{}, "RANK=x WORLD_SIZE=4", shard.Shard{}, `RANK is "x"`},
		{shardFlags{}, "RANK=1 WORLD_SIZE=many", shard.Shard{}, `WORLD_SIZE is "many"`},
		{shardFlags{}, "RANK=4 WORLD_SIZE=4", shard.Shard{}, "shard 4 of 4"},
	} {
		env := map[string]string{}
		for _, kv := range strings.Fields(c.env) {
			k, v, _ := strings.Cut(kv, "=")
			env[k] = v
		}
		got, _, err := c.flags.shard(func(name string) string { return env[name] })
		if c.err == "" && (err != nil || got != c.want) {
			t.Errorf("%+v with %q: %v, %v; want %v", c.flags, c.env, got, err, c.want)
		}
		if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%+v with %q: %v, %v; want an error with %q", c.flags, c.env, got, err, c.err)
		}
	}
}

// evalLine returns the command line of an evaluation of testdata/chain's tasks.
func evalLine(dir, out string, more ...string) []string {
	return append([]string{"eval", "--model", filepath.Join(dir, "models", "gemma2"), "--tasks", filepath.Join(dir, "data", "tasks.txt"),
		"--data", filepath.Join(dir, "data", "benchmarks"), "--output-dir", out, "--quiet"}, more...)
}

// merged runs eval merge and returns the files that it wrote, without times.
func merged(t *testing.T, dirs ...string) map[string][]byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "x-eval-merged")
	ok(t, "", append(append([]string{"eval", "merge", "--quiet"}, dirs...), "--output-dir", out)...)
	return files(t, out)
}

// files reads an evaluation's files, except shards and journals, without times.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for name, data := range contents(t, filepath.Dir(dir)) {
		if strings.HasPrefix(name, filepath.Base(dir)+"/") && !strings.Contains(name, "/shards/") {
			all[strings.TrimPrefix(name, filepath.Base(dir)+"/")] = data
		}
	}
	return all
}

func same(t *testing.T, what string, want, got map[string][]byte) {
	t.Helper()
	if len(want) < 8 || len(got) != len(want) {
		t.Errorf("%s: %d files, whole run %d", what, len(got), len(want))
	}
	for name, data := range want {
		if string(got[name]) != string(data) {
			t.Errorf("%s: %s differs", what, name)
		}
	}
}

// TestEvalShards runs each shard of an evaluation in its own process. Shards are numbered
// by flags and by launchers, write to one directory and to several, and one is killed and
// resumed.
func TestEvalShards(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs signals")
	}
	dir, root := inputs(t), t.TempDir()
	whole := filepath.Join(root, "a-eval-whole")
	ok(t, "", evalLine(dir, whole)...)
	want := files(t, whole)

	apart := []string{filepath.Join(root, "b-eval-0"), filepath.Join(root, "b-eval-1"), filepath.Join(root, "b-eval-2")}
	ok(t, "", evalLine(dir, apart[0], "--num-shards", "3", "--shard", "0")...)
	ok(t, "", evalLine(dir, apart[2], "--num_shards", "3", "--shard", "2")...)
	if r := barka(t, "", "eval", "merge", apart[0], apart[2],
		"--output-dir", filepath.Join(root, "none")); r.code != exitBadInput || !strings.Contains(r.err, "1 of 3 shards are missing: 1") {
		t.Errorf("a missing shard: exit code %d, %q", r.code, r.err)
	}
	killed := program(evalLine(dir, apart[1], "--num-shards", "3", "--shard", "1", "--threads", "1")...)
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if logs, _ := filepath.Glob(filepath.Join(apart[1], "cache", "*.log")); len(logs) > 0 {
			break
		}
	}
	if err := killed.Process.Kill(); err != nil {
		t.Log(err) // it may have ended already
	}
	_ = killed.Wait()
	ok(t, "", evalLine(dir, apart[1], "--num-shards", "3", "--shard", "1")...)
	same(t, "three directories", want, merged(t, apart...))

	for launcher, env := range map[string][2][]string{
		"torchrun": {{"RANK=0", "WORLD_SIZE=2"}, {"RANK=1", "WORLD_SIZE=2"}},
		"slurm":    {{"SLURM_PROCID=0", "SLURM_NTASKS=2"}, {"SLURM_PROCID=1", "SLURM_NTASKS=2"}},
		"slurm array": {{"SLURM_JOB_ID=7", "SLURM_ARRAY_TASK_ID=0", "SLURM_ARRAY_TASK_MIN=0",
			"SLURM_ARRAY_TASK_MAX=1", "SLURM_ARRAY_TASK_COUNT=2"},
			{"SLURM_JOB_ID=7", "SLURM_ARRAY_TASK_ID=1", "SLURM_ARRAY_TASK_MIN=0", "SLURM_ARRAY_TASK_MAX=1", "SLURM_ARRAY_TASK_COUNT=2"}},
		"kubernetes": {{"JOB_COMPLETION_INDEX=0", "JOB_COMPLETIONS=2"}, {"JOB_COMPLETION_INDEX=1", "JOB_COMPLETIONS=2"}},
	} {
		shared := filepath.Join(root, "c-eval-"+launcher)
		ended := make(chan error)
		for _, vars := range env {
			c := program(evalLine(dir, shared)...)
			c.Env = append(c.Env, vars...)
			go func() { ended <- c.Run() }()
		}
		for range env {
			if err := <-ended; err != nil {
				t.Fatalf("%s: %v", launcher, err)
			}
		}
		same(t, launcher, want, merged(t, shared))
	}

	half := program(evalLine(dir, root)...)
	half.Env = append(half.Env, "RANK=1")
	if text, _ := half.CombinedOutput(); half.ProcessState.ExitCode() != exitUsage || !strings.Contains(string(text), "WORLD_SIZE") {
		t.Errorf("half an environment: %s", text)
	}
	other := filepath.Join(root, "d-eval-other")
	ok(t, "", evalLine(dir, other, "--num-shards", "3", "--shard", "1", "--dtype", "f32", "--max-samples", "2")...)
	r := barka(t, "", "eval", "merge", apart[0], other, apart[2], "--output-dir", filepath.Join(root, "none"))
	if r.code != exitBadInput || !strings.Contains(r.err, "model's digest and type") ||
		!strings.Contains(r.err, "-F32") || !strings.Contains(r.err, "--max-samples: 0, and 2") {
		t.Errorf("shards of two runs: exit code %d, %q", r.code, r.err)
	}
	if _, err := os.Stat(filepath.Join(root, "none")); err == nil {
		t.Error("a merge that was refused left files")
	}
	planned := func(more ...string) (questions int) {
		lines := strings.Split(strings.TrimSpace(ok(t, "", evalLine(dir, other, append(more, "--dry-run")...)...)), "\n")
		if _, err := fmt.Sscanf(lines[len(lines)-1], "all\t%d", &questions); err != nil {
			t.Errorf("dry run: %v in %q", err, lines)
		}
		return questions
	}
	if n, a, b := planned(), planned("--num-shards", "2", "--shard", "0"),
		planned("--num-shards", "2", "--shard", "1"); n != 33 || a+b != n || a == 0 || b == 0 {
		t.Errorf("dry runs of the shards: %d and %d questions of %d", a, b, n)
	}
}
