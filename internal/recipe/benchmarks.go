package recipe

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/benchdata"
	"barka/internal/eval"
	"barka/internal/eval/tasks"
	"barka/internal/hub"
)

// evalOptions returns the options of an evaluation in a directory, with the data that it
// reads: the recipe's directory, or the hub's cache.
func (w *Runner) evalOptions(r *Recipe, selection []tasks.Selection, dir string) eval.Options {
	o := eval.Options{Tasks: selection, DataDir: r.path(r.Eval.Data), OutputDir: filepath.Join(w.Out, dir),
		MaxSamples: r.Eval.MaxSamples, Log: w.Log}
	if o.DataDir == "" {
		o.DataDir, o.Revisions = hub.CacheDir(), w.pins(r)
	}
	return o
}

// pins returns the revisions of the datasets that the recipe names, or else those that an
// evaluation of this run has read: base and tuned model get the same questions even if the
// hub's main has moved on between them.
func (w *Runner) pins(r *Recipe) benchdata.Revisions {
	if w.Revisions != nil {
		return w.Revisions
	}
	if pins, _ := benchdata.Pins(r.Eval.Revisions); len(pins) > 0 { // an error is already a problem
		return pins
	}
	if w.Restart {
		return nil
	}
	for _, dir := range []string{BaseEvalDir, TunedEvalDir} {
		var before evaluation
		if badinput.ReadJSON(filepath.Join(w.Out, dir, evaluatedFile), &before) == nil && len(before.Revisions) > 0 {
			return before.Revisions
		}
	}
	return nil
}

// benchmarks opens the data of an evaluation.
func benchmarks(o eval.Options) (*benchdata.Store, error) {
	if o.DataDir == hub.CacheDir() {
		return benchdata.Cache(o.Revisions), nil
	}
	return benchdata.Open(o.DataDir)
}

// evalData reports whether the data of an evaluation are on this machine. If not, it adds
// their downloads, or the problem why there are none.
func (k *checker) evalData(ctx context.Context, o eval.Options) bool {
	if k.r.Eval.Data != "" {
		info, err := os.Stat(o.DataDir)
		switch {
		case err != nil:
			k.problem("eval.data", k.absent(k.r.Eval.Data))
		case !info.IsDir():
			k.problem("eval.data", badinput.Errorf("%s is a file; expected the directory of OALL/Arabic_MMLU and the other "+
				"benchmarks", o.DataDir))
		default:
			return true // a task without data is a problem of the estimate
		}
		return false
	}
	for repo := range k.r.Eval.Revisions {
		if !slices.ContainsFunc(o.Needs(), func(n benchdata.Need) bool { return n.Repo == repo }) {
			k.problem("eval.revisions", badinput.Errorf("no task of eval reads the dataset %s; leave it out", repo))
		}
	}
	needs := benchdata.Cache(o.Revisions).Lacking(o.Needs())
	if len(needs) == 0 {
		return true
	}
	if k.w.Hub == nil || k.silent {
		k.problem("eval.data", absentData(needs, o.Revisions, nil))
		return false
	}
	d, err := benchdata.Downloads(ctx, k.w.Hub, needs, o.Revisions)
	if err != nil {
		return false // the context has ended
	}
	for _, plan := range d.Plans {
		k.download(plan)
	}
	needs = slices.DeleteFunc(needs, func(n benchdata.Need) bool { return d.Why[n.Repo] == nil })
	if len(needs) > 0 {
		k.problem("eval.data", absentData(needs, o.Revisions, d.Why))
		k.silent = k.silent || hub.IsUnreachable(d.Why[needs[0].Repo])
	}
	return false
}

// absentData returns the error for datasets that are not in the cache and cannot be
// downloaded, with what to do about it.
func absentData(needs []benchdata.Need, pins benchdata.Revisions, why map[string]error) error {
	var names, reasons []string
	for _, n := range needs {
		name := n.Repo
		if pinned := pins[n.Repo]; len(pinned) > 0 {
			name += "@" + pinned[0]
		}
		if slices.Contains(names, name) {
			continue
		}
		names = append(names, name)
		if err := why[n.Repo]; err != nil && !slices.Contains(reasons, err.Error()) {
			reasons = append(reasons, err.Error())
		}
	}
	text := fmt.Sprintf("not in the hub's cache: %s", strings.Join(names, ", "))
	if len(reasons) > 0 {
		text += " (" + strings.Join(reasons, "; ") + ")"
	}
	return badinput.Errorf("%s; get them with `barka download --dataset %s`, set data to a directory that holds OALL/…, or leave the "+
		"eval block out", text, names[0])
}

// download adds a plan to the downloads, unless another part of the recipe needs the same.
func (k *checker) download(plan *hub.Plan) {
	for i, p := range k.Downloads {
		if p.Repo != plan.Repo || p.Commit != plan.Commit {
			continue
		}
		files := slices.Clone(p.Files)
		for _, f := range plan.Files {
			if !slices.Contains(files, f) {
				files = append(files, f)
			}
		}
		k.Downloads[i] = k.w.Hub.Plan(p.Listing, files)
		return
	}
	k.Downloads = append(k.Downloads, plan)
}
