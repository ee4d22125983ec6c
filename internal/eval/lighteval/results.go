package lighteval

import (
	"strings"
	"time"

	"barka/internal/eval/record"
	"barka/internal/eval/tasks"
	"barka/internal/pytext"
)

// Metric is one line of a task's results.
type Metric struct {
	Name  string
	Value float64
}

// Result is an entry of the result file: a task with one number of shots, or an average.
type Result struct {
	Key     string
	Metrics []Metric
}

func (t Result) get(name string) (float64, bool) {
	for _, m := range t.Metrics {
		if m.Name == name {
			return m.Value, true
		}
	}
	return 0, false
}

// aggregate computes a run's results: one per task, followed by the averages of groups
// and the average of all. Averages are plain means, also of the standard errors.
func aggregate(run []*record.Task) []Result {
	var out []Result
	for _, t := range run {
		values := t.Values()
		name := t.Task.MetricName()
		r := Result{t.Name(), []Metric{{name, Mean(values)}}}
		if len(values) > 1 {
			r.Metrics = append(r.Metrics, Metric{name + "_stderr", standardError(values)})
		}
		out = append(out, r)
	}
	return withAverages(out)
}

func withAverages(results []Result) []Result {
	groups := map[string][]Result{}
	var order []string
	for _, t := range results {
		key := groupKey(t.Key)
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], t)
	}
	out := append([]Result(nil), results...)
	for _, key := range order {
		if members := groups[key]; len(members) > 1 {
			out = append(out, Result{key, Average(members, members[0].Metrics)})
		}
	}
	var names []Metric
	for _, t := range results {
		for _, m := range t.Metrics {
			if !has(names, m.Name) {
				names = append(names, m)
			}
		}
	}
	return append(out, Result{"all", Average(results, names)})
}

// groupKey returns the key of the average to which a task belongs:
// suite|family:_average|shots.
func groupKey(key string) string {
	f := strings.Split(key, "|")
	family, _, _ := strings.Cut(f[1], ":")
	return f[0] + "|" + family + ":_average|" + f[2]
}

func has(metrics []Metric, name string) bool {
	_, ok := Result{Metrics: metrics}.get(name)
	return ok
}

// Average returns the mean of each named metric over the members that have it. Terms are
// added in the members' order.
func Average(members []Result, names []Metric) []Metric {
	var out []Metric
	for _, name := range names {
		sum, n := 0.0, 0
		for _, t := range members {
			if v, ok := t.get(name.Name); ok {
				sum += v
				n++
			}
		}
		out = append(out, Metric{name.Name, sum / float64(n)})
	}
	return out
}

// general returns config_general.
func general(run *record.Run, start, end time.Time) pytext.Object {
	s := run.Settings
	maxSamples, config := any(nil), any(nil)
	if m := modes(s); m != nil {
		config = m
	}
	if s.MaxSamples > 0 {
		maxSamples = s.MaxSamples
	}
	batchSize := s.BatchSize
	if batchSize <= 0 {
		batchSize = -1
	}
	from, to := seconds(start), seconds(end)
	return pytext.Object{
		{Key: "lighteval_sha", Value: "?"}, {Key: "num_fewshot_seeds", Value: 1}, {Key: "override_batch_size", Value: batchSize},
		{Key: "max_samples", Value: maxSamples}, {Key: "job_id", Value: s.JobID},
		{Key: "start_time", Value: from}, {Key: "end_time", Value: to},
		{Key: "total_evaluation_time_secondes", Value: pytext.Float(to - from)},
		{Key: "model_name", Value: run.Model.Name}, {Key: "model_sha", Value: run.Model.Info.SHA},
		{Key: "model_dtype", Value: run.Model.Info.DType}, {Key: "model_size", Value: run.Model.Info.Size}, {Key: "config", Value: config},
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// modes returns the settings that differ from the reference of 2024-05, or nil if none
// does.
func modes(s record.Settings) pytext.Object {
	var modes pytext.Object
	if s.Leaderboard != tasks.V1 {
		modes.Set("leaderboard", string(s.Leaderboard))
	}
	if s.Boundary != record.Joint || modes != nil {
		modes.Set("token_border", string(s.Boundary))
	}
	if s.AlGhafa != tasks.Texts || s.Leaderboard != tasks.V1 {
		modes.Set("alghafa_choices", string(s.AlGhafa))
	}
	if s.Judge != "" {
		modes.Set("judge", s.Judge)
	}
	return modes
}

// taskConfig returns an entry of config_tasks.
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

// object returns the complete result file.
func (r *Report) object(start, end time.Time) pytext.Object {
	var scores, versions, configs, perTask pytext.Object
	for _, t := range r.Results {
		var o pytext.Object
		for _, m := range t.Metrics {
			o.Set(m.Name, m.Value)
		}
		scores.Set(t.Key, o)
	}
	for _, t := range r.run.Tasks {
		versions.Set(t.Name(), 0)
		if configs.Get(t.Task.Key()) == nil {
			configs.Set(t.Task.Key(), taskConfig(t.Task, t.Original, len(t.Questions)))
		}
	}
	for _, s := range r.summaries {
		perTask.Set(s.task, s.object())
	}
	return pytext.Object{
		{Key: "config_general", Value: general(r.run, start, end)}, {Key: "results", Value: scores}, {Key: "versions", Value: versions},
		{Key: "config_tasks", Value: configs}, {Key: "summary_tasks", Value: perTask},
		{Key: "summary_general", Value: overall(r.summaries)},
	}
}
