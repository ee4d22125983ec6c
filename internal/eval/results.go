package eval

import (
	"math"
	"strconv"
	"strings"

	"barka/internal/eval/tasks"
	"barka/internal/pytext"
)

// metric is one line of a task's results.
type metric struct {
	name  string
	value float64
}

// taskResult is what results holds under one key.
type taskResult struct {
	key     string
	metrics []metric
}

func (t taskResult) get(name string) (float64, bool) {
	for _, m := range t.metrics {
		if m.name == name {
			return m.value, true
		}
	}
	return 0, false
}

// aggregate computes a run's results: a line a task, then the averages of
// groups, then the average of all. Averages are plain means, of the standard
// errors too.
func aggregate(runs []*taskRun) []taskResult {
	var out []taskResult
	for _, r := range runs {
		values := make([]float64, len(r.samples))
		for i, s := range r.samples {
			values[i] = s.value
		}
		name := r.task.MetricName()
		t := taskResult{r.name(), []metric{{name, mean(values)}}}
		if len(values) > 1 {
			t.metrics = append(t.metrics, metric{name + "_stderr", standardError(values)})
		}
		out = append(out, t)
	}
	return withAverages(out)
}

func withAverages(results []taskResult) []taskResult {
	groups := map[string][]taskResult{}
	var order []string
	for _, t := range results {
		key := groupKey(t.key)
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], t)
	}
	out := append([]taskResult(nil), results...)
	for _, key := range order {
		if members := groups[key]; len(members) > 1 {
			out = append(out, taskResult{key, average(members, members[0].metrics)})
		}
	}
	var names []metric
	for _, t := range results {
		for _, m := range t.metrics {
			if !has(names, m.name) {
				names = append(names, m)
			}
		}
	}
	return append(out, taskResult{"all", average(results, names)})
}

// groupKey is the key of the average a task belongs to: suite|family:_average|shots.
func groupKey(key string) string {
	f := strings.Split(key, "|")
	family, _, _ := strings.Cut(f[1], ":")
	return f[0] + "|" + family + ":_average|" + f[2]
}

func has(metrics []metric, name string) bool {
	_, ok := taskResult{metrics: metrics}.get(name)
	return ok
}

// average takes the mean of each named metric over the members that have it,
// added in order.
func average(members []taskResult, names []metric) []metric {
	var out []metric
	for _, name := range names {
		sum, n := 0.0, 0
		for _, t := range members {
			if v, ok := t.get(name.name); ok {
				sum += v
				n++
			}
		}
		out = append(out, metric{name.name, sum / float64(n)})
	}
	return out
}

// general is config_general.
type general struct {
	batchSize, maxSamples int
	jobID                 string
	start, end            float64
	model                 string
	info                  ModelInfo
	// modes is what differs from the reference of 2024-05; nil when nothing.
	modes pytext.Object
}

func (g general) object() pytext.Object {
	maxSamples, config := any(nil), any(nil)
	if g.modes != nil {
		config = g.modes
	}
	if g.maxSamples > 0 {
		maxSamples = g.maxSamples
	}
	batchSize := g.batchSize
	if batchSize <= 0 {
		batchSize = -1
	}
	return pytext.Object{
		{Key: "lighteval_sha", Value: "?"}, {Key: "num_fewshot_seeds", Value: 1}, {Key: "override_batch_size", Value: batchSize},
		{Key: "max_samples", Value: maxSamples}, {Key: "job_id", Value: g.jobID},
		{Key: "start_time", Value: g.start}, {Key: "end_time", Value: g.end},
		{Key: "total_evaluation_time_secondes", Value: pytext.Float(g.end - g.start)},
		{Key: "model_name", Value: g.model}, {Key: "model_sha", Value: g.info.SHA},
		{Key: "model_dtype", Value: g.info.DType}, {Key: "model_size", Value: g.info.Size}, {Key: "config", Value: config},
	}
}

// modes lists the options that make a run another one than the reference's of
// 2024-05.
func (o Options) modes() pytext.Object {
	var modes pytext.Object
	if o.board() != tasks.V1 {
		modes.Set("leaderboard", string(o.board()))
	}
	if o.Border != Joint || modes != nil {
		modes.Set("token_border", string(o.Border))
	}
	if o.AlGhafa != tasks.Texts || o.board() != tasks.V1 {
		modes.Set("alghafa_choices", string(o.AlGhafa))
	}
	if o.Judge != nil {
		modes.Set("judge", o.Judge.Name())
	}
	return modes
}

// taskConfig is an entry of config_tasks.
func taskConfig(t tasks.Task, original, effective int) pytext.Object {
	o := pytext.Object{
		{Key: "name", Value: t.Name}, {Key: "prompt_function", Value: t.PromptName},
		{Key: "hf_repo", Value: t.Repo}, {Key: "hf_subset", Value: t.Subset}, {Key: "metric", Value: []string{t.Metric}},
		{Key: "hf_avail_splits", Value: t.Splits}, {Key: "evaluation_splits", Value: []string{t.EvalSplit}},
	}
	if t.FewShotSplit == "" {
		o.Set("few_shots_split", nil)
		o.Set("few_shots_select", nil)
	} else {
		o.Set("few_shots_split", t.FewShotSplit)
		o.Set("few_shots_select", "sequential")
	}
	o.Set("generation_size", t.GenerationSize)
	if t.StopSequence == nil {
		o.Set("stop_sequence", nil)
	} else {
		o.Set("stop_sequence", t.StopSequence)
	}
	o.Set("output_regex", nil)
	o.Set("num_samples", nil)
	o.Set("frozen", false)
	o.Set("suite", []string{t.Suite})
	o.Set("original_num_docs", original)
	o.Set("effective_num_docs", effective)
	if t.TrustDataset == nil {
		o.Set("trust_dataset", nil)
	} else {
		o.Set("trust_dataset", *t.TrustDataset)
	}
	o.Set("must_remove_duplicate_docs", nil)
	o.Set("version", 0)
	return o
}

// summary is an entry of summary_tasks. The counters count requests, but for
// nonTruncated, which the reference computes from questions.
type summary struct {
	task                                              string
	hashes                                            [4]string // as hashNames
	truncated, nonTruncated, padded, nonPadded, fewer int
	effective                                         float64
}

var hashNames = [4]string{"hash_examples", "hash_full_prompts", "hash_input_tokens", "hash_cont_tokens"}

func hashObject(hashes [4]string) pytext.Object {
	var o pytext.Object
	for i, name := range hashNames {
		o.Set(name, hashes[i])
	}
	return o
}

func (s summary) object() pytext.Object {
	return pytext.Object{
		{Key: "hashes", Value: hashObject(s.hashes)}, {Key: "truncated", Value: s.truncated}, {Key: "non_truncated", Value: s.nonTruncated},
		{Key: "padded", Value: s.padded}, {Key: "non_padded", Value: s.nonPadded},
		{Key: "effective_few_shots", Value: s.effective}, {Key: "num_truncated_few_shots", Value: s.fewer},
	}
}

// overall is summary_general: sums, and digests of the tasks' digests in the
// order of their names.
func overall(summaries []summary) pytext.Object {
	var sum summary
	for _, s := range summaries {
		sum.truncated += s.truncated
		sum.nonTruncated += s.nonTruncated
		sum.padded += s.padded
		sum.nonPadded += s.nonPadded
		sum.fewer += s.fewer
	}
	for i := range hashNames {
		byName := map[string]string{}
		for _, s := range summaries {
			byName[s.task] = s.hashes[i]
		}
		var joined strings.Builder
		for _, name := range sortedKeys(byName) {
			joined.WriteString(byName[name])
		}
		sum.hashes[i] = digestText(joined.String())
	}
	return pytext.Object{
		{Key: "hashes", Value: hashObject(sum.hashes)}, {Key: "truncated", Value: sum.truncated}, {Key: "non_truncated", Value: sum.nonTruncated},
		{Key: "padded", Value: sum.padded}, {Key: "non_padded", Value: sum.nonPadded}, {Key: "num_truncated_few_shots", Value: sum.fewer},
	}
}

// resultsFile is the whole result file.
func resultsFile(g general, results []taskResult, runs []*taskRun, summaries []summary) pytext.Object {
	var scores, versions, configs, perTask pytext.Object
	for _, t := range results {
		var o pytext.Object
		for _, m := range t.metrics {
			o.Set(m.name, m.value)
		}
		scores.Set(t.key, o)
	}
	for _, r := range runs {
		versions.Set(r.name(), 0)
		if configs.Get(r.task.Key()) == nil {
			configs.Set(r.task.Key(), taskConfig(r.task, r.original, len(r.samples)))
		}
	}
	for _, s := range summaries {
		perTask.Set(s.task, s.object())
	}
	return pytext.Object{
		{Key: "config_general", Value: g.object()}, {Key: "results", Value: scores}, {Key: "versions", Value: versions},
		{Key: "config_tasks", Value: configs}, {Key: "summary_tasks", Value: perTask}, {Key: "summary_general", Value: overall(summaries)},
	}
}

// formatRounded is str(round(f, 2)) for sizes.
func formatRounded(f float64) string {
	s := strconv.FormatFloat(f, 'f', 2, 64)
	r, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(r, 0) {
		return s
	}
	return pytext.Float(r)
}
