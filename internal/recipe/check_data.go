package recipe

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/benchdata"
	"barka/internal/dataset"
	"barka/internal/eval"
	"barka/internal/eval/tasks"
	"barka/internal/hub"
	"barka/internal/nearest"
	"barka/internal/review"
	"barka/internal/stage/convert"
	"barka/internal/stage/decontaminate"
	"barka/internal/stage/wiki"
)

// wiki checks the titles in the dump, or asks the wiki for them.
func (k *checker) wiki(ctx context.Context) {
	o := k.r.Wiki
	if o == nil || (o.Dump == "") == (o.API == "") || k.made(passagesDir) {
		return
	}
	pages, faults := wiki.Check(ctx, k.r.wikiOptions())
	k.pages = pages
	for _, f := range faults {
		if f.Mild {
			k.warn("wiki."+f.Key, f.Err)
		} else {
			k.problem("wiki."+f.Key, f.Err)
		}
	}
}

// made reports whether a stage has written its dataset.
func (k *checker) made(dir string) bool {
	return exists(filepath.Join(k.w.Out, dir, dataset.ManifestName))
}

// convert reads all rows of the benchmarks. Those that have to be downloaded first are not
// read.
func (k *checker) convert(ctx context.Context) {
	for _, name := range slices.Sorted(maps.Keys(k.r.Convert)) {
		b, key := k.r.Convert[name], "convert."+name
		if b.Validate() != nil || b.Data == "" && convert.HubID(b.Benchmark) == "" || k.made(instructionsDir+"-"+name) {
			continue // already a problem, or finished
		}
		data, ok := k.data(ctx, key+".data", b)
		if !ok {
			continue
		}
		e, err := convert.Plan(ctx, k.r.convertOptions(b), k.r.Seed, k.r.convertInputs(b, data))
		k.problem(key+".data", err)
		if err == nil && e.Rows == 0 {
			k.problem(key+".data", badinput.Errorf("no row of %s is usable: all %d are rejected", data, e.Rejected))
		}
		k.converted[name] = e
	}
}

// data finds the data of a benchmark. If they are not on this machine, it adds the download,
// or the problem why there is none.
func (k *checker) data(ctx context.Context, key string, b *Convert) (path string, ok bool) {
	data := k.r.convertData(b)
	if !b.IsHubID(data) && data != "" && !exists(data) {
		k.problem(key, k.absent(b.Data))
		return "", false
	}
	if k.w.Hub == nil || k.silent {
		if exists(data) {
			return data, true
		}
		if k.w.Hub == nil {
			k.problem(key, badinput.Errorf("the data are not on this machine"))
		}
		return "", false
	}
	source, err := b.Locate(ctx, k.w.Hub, data)
	k.silent = k.silent || hub.IsUnreachable(err)
	k.problem(key, k.nearDirectory(b.Data, err))
	if err == nil && source.Plan != nil {
		k.Downloads = append(k.Downloads, source.Plan)
		return "", false
	}
	return source.Data, err == nil
}

// absent returns the error for a missing file or directory.
func (k *checker) absent(name string) error {
	return k.nearDirectory(name, badinput.Errorf("there is no %s", k.r.path(name)))
}

// convertData returns the data of a benchmark: a path beside the recipe if it exists or cannot
// be a hub id, else the hub id.
func (r *Recipe) convertData(b *Convert) string {
	if path := r.path(b.Data); exists(path) || !b.IsHubID(b.Data) {
		return path
	}
	return b.Data
}

// convertInputs returns the input files of a benchmark.
func (r *Recipe) convertInputs(b *Convert, data string) map[string]string {
	in := map[string]string{"data": data}
	if b.Labels != "" {
		in["labels"] = r.path(b.Labels)
	}
	return in
}

// convertOptions returns the options of a benchmark with resolved paths.
func (r *Recipe) convertOptions(b *Convert) convert.Options {
	o := b.Options
	o.Templates, o.Concurrency = r.path(o.Templates), r.Models.Generator.Concurrency
	return o
}

// inputs checks the datasets that the recipe takes from outside.
func (k *checker) inputs(ctx context.Context) {
	in := k.r.Inputs
	if in.Passages != "" {
		usable := func(p dataset.Passage) bool { return p.ID != "" && p.Text != "" }
		checkDataset(ctx, k, "inputs.passages", in.Passages, usable, "id and text")
	}
	usable := func(i dataset.Instruction) bool { return i.ID != "" && len(i.Messages) > 0 }
	for _, name := range slices.Sorted(maps.Keys(in.Instructions)) {
		checkDataset(ctx, k, "inputs.instructions."+name, in.Instructions[name], usable, "id and messages")
	}
	for _, name := range slices.Sorted(maps.Keys(in.Mix)) {
		checkDataset(ctx, k, "inputs.mix."+name, in.Mix[name], usable, "id and messages")
	}
	if in.Replay != "" {
		usable := func(c dataset.Conversation) bool { return len(c.Messages)+len(c.Conversations) > 0 }
		checkDataset(ctx, k, "inputs.replay", in.Replay, usable, "messages or conversations")
	}
	if in.Review != "" {
		_, err := review.Read(ctx, k.r.path(in.Review))
		if !exists(k.r.path(in.Review)) {
			err = k.absent(in.Review)
		}
		k.problem("inputs.review", err)
	}
}

// checkDataset checks that a dataset has rows and that its first one is usable.
// needs names the fields of a usable row.
func checkDataset[Row any](ctx context.Context, k *checker, key, name string, usable func(Row) bool, needs string) {
	path := k.r.path(name)
	if !exists(path) {
		k.problem(key, k.absent(name))
		return
	}
	n, err := dataset.Count(path)
	if err == nil && n == 0 {
		err = badinput.Errorf("%s has no rows", path)
	}
	if err != nil {
		k.problem(key, err)
		return
	}
	for row, err := range dataset.Rows[Row](ctx, path) {
		if err == nil && !usable(row) {
			err = badinput.Errorf("%s: the first row lacks %s", path, needs)
		}
		k.problem(key, err)
		return
	}
}

// decontaminate finds the benchmarks whose questions are looked for. What is not on this
// machine is downloaded from the hub; what cannot be is not searched, with a warning.
func (k *checker) decontaminate(ctx context.Context) {
	if k.r.Decontaminate == nil {
		return
	}
	const key = "decontaminate"
	o, dirs := k.w.decontaminateOptions(k.r)
	if data := k.r.Decontaminate.Data; data != "" && !exists(dirs[0]) {
		k.problem(key+".data", k.absent(data))
		return
	}
	for _, name := range o.Originals {
		if decontaminate.IsFile(name) && !exists(name) {
			k.problem(key+".originals", k.absent(name))
			return
		}
	}
	if err := o.Validate(); err != nil {
		if k.r.Decontaminate.Tasks != "" { // else the error is about eval.tasks
			k.problem(key+".tasks", err)
		}
		return
	}
	needs, err := o.Lacking(dirs)
	if err != nil || len(needs) == 0 {
		k.problem(key, err)
		return
	}
	if k.w.Hub == nil || k.silent {
		k.warnAbsent(key, needs, nil)
		return
	}
	d, err := benchdata.Downloads(ctx, k.w.Hub, needs, o.Revisions)
	if err != nil {
		return // the context has ended
	}
	for _, plan := range d.Plans {
		k.download(plan)
	}
	k.warnAbsent(key, needs, d.Why)
}

// warnAbsent warns of datasets that are not on this machine and cannot be downloaded. why
// has the reasons by repository; nil means that the hub was not asked.
func (k *checker) warnAbsent(key string, needs []benchdata.Need, why map[string]error) {
	var names []string
	var reason error
	for _, n := range needs {
		if err := why[n.Repo]; (why == nil || err != nil) && !slices.Contains(names, n.Repo) {
			names, reason = append(names, n.Repo), cmp.Or(reason, err)
			k.silent = k.silent || hub.IsUnreachable(err)
		}
	}
	if len(names) == 0 {
		return
	}
	err := fmt.Errorf("not searched, because they are not on this machine: %s", strings.Join(names, ", "))
	if reason != nil {
		err = fmt.Errorf("%w; %w", err, reason)
	}
	k.warn(key, err)
}

// mix finds limits and weights of datasets that no stage writes. It does not compare
// them if there are datasets from outside, whose rows may name any dataset.
func (k *checker) mix(context.Context) {
	r := k.r
	if r.Mix == nil {
		return
	}
	o := *r.Mix
	o.Tokenizers = r.tokenizers()
	k.problem("mix.weights_of", o.CheckUnit())
	if len(r.Inputs.Instructions)+len(r.Inputs.Mix) > 0 {
		return
	}
	var names []string
	if r.Synth != nil {
		names = append(names, r.Synth.Dataset+"-single", r.Synth.Dataset+"-multi")
	}
	for _, name := range slices.Sorted(maps.Keys(r.Convert)) {
		names = append(names, r.Convert[name].Dataset)
	}
	k.datasets("mix.limits.", slices.Sorted(maps.Keys(o.Limits)), names)
	k.datasets("mix.at_least.", slices.Sorted(maps.Keys(o.AtLeast)), names)
	if o.WeightsBy == "" || o.WeightsBy == "dataset" {
		k.datasets("mix.weights.", slices.Sorted(maps.Keys(o.Weights)), names)
	}
}

// datasets finds names in a block that are not among those of the stages' datasets.
func (k *checker) datasets(key string, used, names []string) {
	for _, name := range used {
		if slices.Contains(names, name) {
			continue
		}
		hint := ""
		if near := nearest.Name(name, names); near != "" {
			hint = "; did you mean " + near + "?"
		}
		k.problem(key+name, badinput.Errorf("no stage writes a dataset %s%s (the stages write %s)",
			name, hint, strings.Join(names, ", ")))
	}
}

// eval checks the tasks, reads their benchmarks and estimates the work.
func (k *checker) eval(ctx context.Context) {
	e := k.r.Eval
	if e == nil {
		return
	}
	selection, err := k.r.tasks()
	if err != nil {
		k.problem("eval.tasks", k.nearTasks(err))
		return
	}
	o := k.w.evalOptions(k.r, selection, "")
	there := k.evalData(ctx, o)
	for _, s := range selection {
		if s.Task.Metric == tasks.Judged {
			k.warn("eval.tasks", fmt.Errorf("%s needs a judge, which a recipe cannot name, and is skipped; run it with "+
				"barka eval --judge-url", s.Task.Key()))
		}
	}
	if !there || k.base == nil || k.evaluated() {
		return // without the tokenizer nothing can be counted
	}
	m, err := k.w.Engine.UnloadedModel(k.r.model(k.r.Models.Base), "")
	if err != nil {
		k.problem("models.base", err)
		return
	}
	k.evaluation, err = eval.Estimate(ctx, m, o, k.w.Progress)
	k.problem("eval.data", err)
	if k.evaluation != nil {
		k.needs = m.Memory(k.evaluation)
	}
}

// evaluated reports whether every evaluation has been run.
func (k *checker) evaluated() bool {
	r := k.r
	return (!r.evaluatesBase() || exists(filepath.Join(k.w.Out, BaseEvalDir, evaluatedFile))) &&
		(!r.evaluatesTuned() || exists(filepath.Join(k.w.Out, TunedEvalDir, evaluatedFile)))
}

// tasks parses the tasks, which are a file beside the recipe or a list.
func (r *Recipe) tasks() ([]tasks.Selection, error) {
	list := r.Eval.Tasks
	if exists(r.path(list)) {
		list = r.path(list)
	}
	selection, err := tasks.ParseList(list)
	return selection, badinput.Wrap(err)
}

// nearTasks adds the most similar file name to an error about tasks that look like
// a file's name.
func (k *checker) nearTasks(err error) error {
	if name := k.r.Eval.Tasks; strings.ContainsAny(name, `/.`) && !strings.Contains(name, ",") {
		return k.nearDirectory(name, err)
	}
	return err
}
