package main

import (
	"os"
	"strconv"
	"strings"

	"barka/internal/stage/eval"
)

// shardFlags say which part of an evaluation a process does.
type shardFlags struct {
	NumShards *int `name:"num-shards" aliases:"num_shards" help:"Divide the questions over this many processes; see eval merge. Found in the environment of torchrun, Slurm and indexed Kubernetes jobs."`
	Shard     *int `help:"Which of them this is, from 0."`
}

// launcher is the variables by which something that starts processes numbers
// them.
type launcher struct {
	name         string
	index, count string
	// script, if set, is missing where the variables are those of a whole job
	// and not of one of its processes, and job tells that they are its own.
	script, job string
}

// launchers, the innermost first: torchrun may run in a Slurm step or in a
// Kubernetes pod. Kubernetes does not tell how many completions a job has;
// its manifest can, in JOB_COMPLETIONS.
var launchers = []launcher{
	{name: "torchrun", index: "RANK", count: "WORLD_SIZE"},
	{name: "Slurm", index: "SLURM_PROCID", count: "SLURM_NTASKS", script: "SLURM_STEP_ID", job: "SLURM_JOB_ID"},
	{name: "Kubernetes", index: "JOB_COMPLETION_INDEX", count: "JOB_COMPLETIONS"},
}

// shard returns the part to do, and where the numbers are from. Flags win
// over the environment; half of one that is not made whole by a flag is an
// error, since guessing would do everything several times or leave most of it
// out. An environment of one process is no division.
func (f shardFlags) shard(getenv func(string) string) (s eval.Shard, from string, err error) {
	if f.NumShards != nil && *f.NumShards < 1 {
		return s, "", usagef("eval: --num-shards is %d, expected 1 or more", *f.NumShards)
	}
	if f.NumShards != nil && f.Shard == nil && *f.NumShards == 1 {
		f.Shard = new(int)
	}
	if f.NumShards != nil && f.Shard != nil {
		return checked(eval.Shard{Index: *f.Shard, Count: *f.NumShards}, "--num-shards and --shard")
	}
	for _, l := range launchers {
		index, count := getenv(l.index), getenv(l.count)
		if index == "" && count == "" || l.job != "" && f == (shardFlags{}) && getenv(l.job) != "" && getenv(l.script) == "" && (count == "" || count == "1") {
			continue
		}
		return f.launched(l, index, count, getenv)
	}
	switch {
	case f.Shard != nil:
		return s, "", usagef("eval: --shard is %d, and nothing says of how many: give --num-shards", *f.Shard)
	case f.NumShards != nil:
		return s, "", usagef("eval: --num-shards is %d, and nothing says which of them this is: give --shard, or start it with torchrun, srun or an indexed Kubernetes job", *f.NumShards)
	}
	return s, "", nil
}

// launched reads one launcher's variables.
func (f shardFlags) launched(l launcher, index, count string, getenv func(string) string) (s eval.Shard, from string, err error) {
	sources := []string{l.index, l.count}
	if f.Shard != nil {
		index, sources[0] = strconv.Itoa(*f.Shard), "--shard"
	}
	if f.NumShards != nil {
		count, sources[1] = strconv.Itoa(*f.NumShards), "--num-shards"
	}
	from = strings.Join(sources, " and ")
	switch {
	case index == "":
		return s, "", usagef("eval: %s is %s, and %s, which would say which of them this is, is not set; give --shard, or --num-shards 1 for one process", sources[1], count, l.index)
	case count == "":
		return s, "", usagef("eval: %s is %s, and %s, which would say of how many, is not set; give --num-shards, 1 for one process", sources[0], index, l.count)
	case l.job != "" && f == (shardFlags{}) && getenv(l.job) != "" && getenv(l.script) == "":
		return s, "", usagef("eval: %s is %s, but this is the %s job's script and not one of its tasks (%s is not set): start barka with srun, or give --num-shards 1 for one process", l.count, count, l.name, l.script)
	}
	if s.Index, err = strconv.Atoi(index); err != nil {
		return s, "", usagef("eval: %s is %q, expected a number", sources[0], index)
	}
	if s.Count, err = strconv.Atoi(count); err != nil {
		return s, "", usagef("eval: %s is %q, expected a number", sources[1], count)
	}
	if s.Count == 1 && s.Index == 0 && f == (shardFlags{}) {
		return eval.Shard{}, "", nil
	}
	return checked(s, from)
}

func checked(s eval.Shard, from string) (eval.Shard, string, error) {
	if s.Count < 1 || s.Index < 0 || s.Index >= s.Count {
		return s, "", usagef("eval: %s say shard %d of %d; shards are counted from 0", from, s.Index, s.Count)
	}
	return s, from, nil
}

// part takes the shard of this process.
func (c *evalRunCmd) part(a *app) (eval.Shard, error) {
	s, from, err := c.shard(os.Getenv)
	if err == nil && s.Count > 0 {
		a.ui.Infof("shard %d of %d, by %s", s.Index, s.Count, from)
	}
	return s, err
}
