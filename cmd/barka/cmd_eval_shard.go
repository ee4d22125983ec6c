package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"barka/internal/eval/shard"
)

// shardFlags select the shard of an evaluation that a process scores.
type shardFlags struct {
	NumShards *int `aliases:"num_shards" help:"Number of processes that divide the questions; see barka eval merge." placeholder:"N"`
	Shard     *int `help:"Number of this process, from 0." placeholder:"I"`
}

// number is a number from the environment or a flag, with the name of its source.
// A missing number has an empty text.
type number struct{ text, from string }

// division holds the number of shards and the index of this process, as one source
// gives them.
type division struct {
	index, count number
	// unclear is the reason why the variables do not give the number of shards, or
	// "". If it is set, --num-shards is needed.
	unclear string
}

// launchers read the variables of programs that start and number processes. The
// first that divides the work is used: torchrun may run in a Slurm step or in a
// Kubernetes pod, and a step of one task in an array.
var launchers = []func(getenv func(string) string) *division{own, torchrun, slurmStep, slurmArray, kubernetes}

// own reads Barka's own variables. BARKA_SHARD_OFFSET is for an evaluation with
// more shards than an array may have tasks: it is added to the array's index.
func own(getenv func(string) string) *division {
	d := variables(getenv, "BARKA_SHARD", "BARKA_SHARDS")
	offset, task := getenv("BARKA_SHARD_OFFSET"), getenv("SLURM_ARRAY_TASK_ID")
	if offset == "" || d != nil && d.index.text != "" {
		return d
	}
	if d == nil {
		d = &division{count: number{"", "BARKA_SHARDS"}}
	}
	if task == "" {
		d.index = number{"", "SLURM_ARRAY_TASK_ID"}
		d.unclear = fmt.Sprintf("BARKA_SHARD_OFFSET is %s, but SLURM_ARRAY_TASK_ID, to which it is added, is not set", offset)
		return d
	}
	d.index = number{offset, "BARKA_SHARD_OFFSET"}
	if n, err := sum(offset, task); err == nil {
		d.index = number{n, "BARKA_SHARD_OFFSET + SLURM_ARRAY_TASK_ID"}
	}
	return d
}

// sum adds two decimal numbers.
func sum(a, b string) (string, error) {
	x, err := strconv.Atoi(a)
	y, err2 := strconv.Atoi(b)
	return strconv.Itoa(x + y), errors.Join(err, err2)
}

func torchrun(getenv func(string) string) *division {
	return variables(getenv, "RANK", "WORLD_SIZE")
}

// slurmStep reads the numbers of a task that srun started. A batch script has
// SLURM_PROCID 0 too, but no SLURM_STEP_ID: it is one process.
func slurmStep(getenv func(string) string) *division {
	d := variables(getenv, "SLURM_PROCID", "SLURM_NTASKS")
	if d != nil && script(getenv) {
		return nil
	}
	return d
}

// script reports whether this process is the script of a Slurm job and not a task
// that srun started.
func script(getenv func(string) string) bool {
	return getenv("SLURM_JOB_ID") != "" && getenv("SLURM_STEP_ID") == ""
}

// slurmArray reads the numbers of a job array's task. If the indexes run from 0
// without gaps, the number of tasks is the highest index plus one.
// SLURM_ARRAY_TASK_COUNT is not used: a resubmission of two failed tasks
// (--array=3,17) has a count of 2.
func slurmArray(getenv func(string) string) *division {
	const prefix = "SLURM_ARRAY_TASK_"
	task := getenv(prefix + "ID")
	if task == "" {
		return nil
	}
	d := &division{index: number{task, prefix + "ID"}, count: number{"", prefix + "MAX"}}
	least, most, count := getenv(prefix+"MIN"), getenv(prefix+"MAX"), getenv(prefix+"COUNT")
	n, err := sum(most, "1")
	if err != nil || least != "0" || count != n {
		d.unclear = fmt.Sprintf("this is task %s of a Slurm array whose size is not clear: SLURM_ARRAY_TASK_MIN is %q, "+
			"MAX %q and COUNT %q, expected the indexes 0 to N-1 without gaps", task, least, most, count)
		return d
	}
	d.count.text = n
	return d
}

// kubernetes reads the numbers of an indexed job. Kubernetes does not set the number
// of completions; the job's manifest can set it as JOB_COMPLETIONS.
func kubernetes(getenv func(string) string) *division {
	return variables(getenv, "JOB_COMPLETION_INDEX", "JOB_COMPLETIONS")
}

// variables reads two variables; nil if neither is set.
func variables(getenv func(string) string, index, count string) *division {
	d := &division{index: number{getenv(index), index}, count: number{getenv(count), count}}
	if d.index.text == "" && d.count.text == "" {
		return nil
	}
	return d
}

// one reports whether the division has a single process.
func (d *division) one() bool { return d.index.text == "0" && d.count.text == "1" }

// shard returns the shard to score and the source of its numbers. Flags override the
// environment. An environment of one process does not divide the run. If only one of
// the two numbers is known, shard returns an error: a guess would score everything
// several times or leave most of it out.
func (f shardFlags) shard(getenv func(string) string) (s shard.Shard, from string, err error) {
	if f.NumShards != nil && *f.NumShards < 1 {
		return s, "", usagef("eval: --num-shards is %d, expected 1 or more", *f.NumShards)
	}
	if f.NumShards != nil && f.Shard == nil && *f.NumShards == 1 {
		f.Shard = new(int)
	}
	if f.NumShards != nil && f.Shard != nil {
		return checked(shard.Shard{Index: *f.Shard, Count: *f.NumShards}, "--num-shards and --shard")
	}
	if err := contradiction(f, getenv); err != nil {
		return s, "", err
	}
	for _, read := range launchers {
		if d := read(getenv); d != nil && !(d.one() && f == (shardFlags{})) {
			return f.launched(d)
		}
	}
	switch {
	case f.Shard != nil:
		return s, "", usagef("eval: --shard is %d, but the number of shards is not known; give --num-shards", *f.Shard)
	case f.NumShards != nil:
		return s, "", usagef("eval: --num-shards is %d, but the number of this process is not known; give --shard, or start it "+
			"with torchrun, srun, a Slurm array or an indexed Kubernetes job", *f.NumShards)
	}
	return s, "", nil
}

// contradiction refuses a run that would be divided twice, and a batch script that
// runs barka itself instead of in its tasks.
func contradiction(f shardFlags, getenv func(string) string) error {
	if own(getenv) != nil {
		return nil
	}
	task := getenv("SLURM_ARRAY_TASK_ID")
	for _, read := range launchers[1:3] {
		if d := read(getenv); d != nil && task != "" && d.count.text != "" && d.count.text != "1" {
			return usagef("eval: the work would be divided twice, by the Slurm array whose task %s this is and by %s, which is %s; "+
				"start one process in each array task, or give --num-shards and --shard", task, d.count.from, d.count.text)
		}
	}
	if n := getenv("SLURM_NTASKS"); n != "" && n != "1" && script(getenv) && torchrun(getenv) == nil && f == (shardFlags{}) {
		return usagef("eval: SLURM_NTASKS is %s, but this is the script of the Slurm job and not one of its tasks (SLURM_STEP_ID "+
			"is not set); start barka with srun, or give --num-shards 1 for one process", n)
	}
	return nil
}

// launched returns the shard of a division, with its numbers replaced by the flags
// that are set.
func (f shardFlags) launched(d *division) (s shard.Shard, from string, err error) {
	if f.Shard != nil {
		d.index = number{strconv.Itoa(*f.Shard), "--shard"}
	}
	if f.NumShards != nil {
		d.count, d.unclear = number{strconv.Itoa(*f.NumShards), "--num-shards"}, ""
	}
	switch {
	case d.unclear != "":
		return s, "", usagef("eval: %s; give --num-shards, 1 for one process, or submit with --array=0-(N-1)", d.unclear)
	case d.index.text == "":
		return s, "", usagef("eval: %s is %s, but %s, the number of this process, is not set; give --shard, or --num-shards "+
			"1 for one process", d.count.from, d.count.text, d.index.from)
	case d.count.text == "":
		return s, "", usagef("eval: %s is %s, but %s, the number of processes, is not set; give --num-shards, 1 for one process",
			d.index.from, d.index.text, d.count.from)
	}
	if s.Index, err = strconv.Atoi(d.index.text); err != nil {
		return s, "", usagef("eval: %s is %q, expected a number", d.index.from, d.index.text)
	}
	if s.Count, err = strconv.Atoi(d.count.text); err != nil {
		return s, "", usagef("eval: %s is %q, expected a number", d.count.from, d.count.text)
	}
	return checked(s, d.index.from+" and "+d.count.from)
}

func checked(s shard.Shard, from string) (shard.Shard, string, error) {
	if s.Count < 1 || s.Index < 0 || s.Index >= s.Count {
		return s, "", usagef("eval: shard %d of %d, by %s, does not exist; shards are counted from 0", s.Index, s.Count, from)
	}
	return s, from, nil
}

// shardOf returns the shard of this process and prints it.
func (c *evalRunCmd) shardOf(a *app) (shard.Shard, error) {
	s, from, err := c.shard(os.Getenv)
	if err == nil && s.Count > 0 {
		a.ui.Infof("shard %d of %d, by %s", s.Index, s.Count, from)
	}
	return s, err
}
