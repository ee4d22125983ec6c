package eval

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"barka/internal/badinput"
	"barka/internal/eval/tasks"
	"barka/internal/jsonl"
	"barka/internal/llm"
	"barka/internal/progress"
	"barka/internal/version"
)

// part is a shard on disk.
type part struct {
	dir string
	m   manifest
}

// Merge joins the shards of one run into the files that one process would
// have written, in outputDir. A directory is a shard's own, or an OutputDir
// below which all shards are taken. The time of the run is from the first
// shard's beginning to the last one's end, so that merging again writes the
// same files. Like Run it returns the outcome together with the error of the
// tasks that were left out.
func Merge(ctx context.Context, dirs []string, outputDir string, reporter progress.Reporter) (*Outcome, error) {
	parts, err := openParts(dirs)
	if err != nil {
		return nil, err
	}
	if err := sameRun(parts); err != nil {
		return nil, err
	}
	if err := complete(parts); err != nil {
		return nil, err
	}
	first := parts[0].m
	if err := plainName(first.Model.Name); err != nil {
		return nil, badinput.Errorf("%s: %w", filepath.Join(parts[0].dir, shardManifest), err)
	}
	e := &evaluation{m: mergedModel{first.Model}, progress: progress.OrSilent(reporter), log: slog.New(slog.DiscardHandler)}
	o := first.Options
	e.o = Options{OutputDir: outputDir, MaxSamples: o.MaxSamples, BatchSize: o.BatchSize, Border: o.Border, AlGhafa: o.AlGhafa, UseChatTemplate: o.UseChatTemplate,
		SystemPrompt: o.SystemPrompt, NoDetails: o.NoDetails, JobID: o.JobID, Tasks: []tasks.Selection{{Task: tasks.Task{Board: o.Board}}}}
	if o.Judge != "" {
		e.o.Judge = recordedJudge(o.Judge)
	}
	start, end := first.Start, first.End
	for _, p := range parts {
		if p.m.Start.Before(start) {
			start = p.m.Start
		}
		if p.m.End.After(end) {
			end = p.m.End
		}
		e.scored, e.reused = e.scored+p.m.Scored, e.reused+p.m.Reused
	}
	e.o.Now = func() time.Time { return end }
	if err := e.join(ctx, parts); err != nil {
		return nil, err
	}
	if err := e.checkOutput(); err != nil {
		return nil, err
	}
	// The names of the files follow from the shards, so that two merges of one
	// run would write the same ones.
	lock, err := openClaim(e.resultsDir(), "merge")
	if err != nil {
		return nil, err
	}
	out, err := e.finish(start)
	if err = errors.Join(err, lock.close()); err != nil {
		return nil, err
	}
	return out, failed(e.failures, len(first.Tasks)+len(first.LeftOut))
}

// mergedModel is a model of which there is only the record.
type mergedModel struct{ recordedModel }

func (m mergedModel) Name() string         { return m.recordedModel.Name }
func (m mergedModel) Info() ModelInfo      { return m.recordedModel.Info }
func (m mergedModel) MaxLength() int       { return m.recordedModel.MaxLength }
func (m mergedModel) Tokenizer() Tokenizer { return onlyEOS(m.EOS) }
func (m mergedModel) Score(context.Context, []Request, func(int, Score) error) error {
	return errors.New("shards are merged without the model")
}

// recordedJudge is a judge of which there is only the name.
type recordedJudge string

func (j recordedJudge) Name() string { return string(j) }
func (j recordedJudge) Complete(context.Context, llm.Request) (llm.Response, error) {
	return llm.Response{}, errors.New("shards are merged without the judge")
}

// onlyEOS is a tokenizer of which only the end token is known, which pads.
type onlyEOS int32

func (t onlyEOS) EOS() int32                  { return int32(t) }
func (t onlyEOS) Encode(string, bool) []int32 { return nil }

// openParts reads the manifests, in the order of the shards.
func openParts(dirs []string) ([]part, error) {
	var parts []part
	for _, dir := range dirs {
		found, err := findShards(dir)
		if err != nil {
			return nil, err
		}
		for _, path := range found {
			text, err := badinput.ReadFile(path, badinput.MaxSettings)
			if err != nil {
				return nil, badinput.Wrap(err)
			}
			p := part{dir: filepath.Dir(path)}
			if err := json.Unmarshal(text, &p.m); err != nil {
				return nil, badinput.Errorf("%s: %w", path, err)
			}
			if err := p.m.check(); err != nil {
				return nil, badinput.Errorf("%s: %w", path, err)
			}
			parts = append(parts, p)
		}
	}
	slices.SortStableFunc(parts, func(a, b part) int { return a.m.Shard - b.m.Shard })
	return parts, nil
}

// plainName refuses a model's name from a file that is no path below the
// directory it is joined to, or cannot be shown.
func plainName(name string) error {
	if !filepath.IsLocal(filepath.FromSlash(name)) || path.Clean(name) != name || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("the model's name is %q; expected one such as organisation/name, that stays below the output directory", name)
	}
	return nil
}

// findShards returns the manifests of a directory.
func findShards(dir string) ([]string, error) {
	if path := filepath.Join(dir, shardManifest); isFile(path) {
		return []string{path}, nil
	}
	root := filepath.Join(dir, "shards")
	if _, err := os.Stat(root); err != nil {
		root = dir
	}
	var found []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() == shardManifest {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		return nil, badinput.Errorf("shards: %w", err)
	}
	if len(found) == 0 {
		return nil, badinput.Errorf("%s: no finished shard (a %s) in it; a shard that was stopped is continued by its own command", dir, shardManifest)
	}
	return found, nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// property is something that the shards of one run have in common.
type property struct{ name, value string }

func (m manifest) properties() []property {
	o, i := m.Options, m.Model.Info
	return []property{
		{"number of shards", fmt.Sprint(m.Shards)}, {"version of barka", m.Barka}, {"model's digest and type", i.Digest}, {"adapter's digest", i.AdapterDigest},
		{"dtype", i.DType}, {"model's revision", i.SHA}, {"longest input", fmt.Sprint(m.Model.MaxLength)}, {"end token", fmt.Sprint(m.Model.EOS)},
		{"--max-samples", fmt.Sprint(o.MaxSamples)}, {"--override-batch-size", fmt.Sprint(o.BatchSize)}, {"leaderboard's version", string(o.Board)}, {"--border", string(o.Border)}, {"--alghafa", string(o.AlGhafa)},
		{"--use-chat-template", fmt.Sprint(o.UseChatTemplate)}, {"--system-prompt", o.SystemPrompt}, {"--no-details", fmt.Sprint(o.NoDetails)},
		{"--job-id", o.JobID}, {"--judge-model", o.Judge}, {"tasks", names(m.Tasks)}, {"tasks that could not be loaded", names(m.LeftOut)}, {"tasks skipped", names(m.Skipped)},
	}
}

// questions are what tasks ask: the shards of one run read the same data.
func (m manifest) questions() []property {
	var out []property
	for _, t := range m.Tasks {
		out = append(out, property{"questions of " + t.name(), fmt.Sprintf("%d with digest %s", t.Count, t.Digest)})
	}
	return out
}

func (t recordedTask) name() string {
	return fmt.Sprintf("%s|%d|%d", t.Task, t.Shots.K, count(t.Shots.Truncate))
}

func names(ts []recordedTask) string {
	var out []string
	for _, t := range ts {
		out = append(out, t.name())
	}
	return strings.Join(out, ", ")
}

// sameRun refuses shards that are not of one run, and says what differs.
func sameRun(parts []part) error {
	a := parts[0]
	for _, b := range parts[1:] {
		differ := differences(a.m.properties(), b.m.properties())
		if len(differ) == 0 { // else the questions may differ for that
			differ = differences(a.m.questions(), b.m.questions())
		}
		if len(differ) > 8 {
			differ = append(differ[:8:8], fmt.Sprintf("\n  and %d more", len(differ)-8))
		}
		if len(differ) > 0 {
			return badinput.Errorf("%s and %s are shards of different runs:%s\nName the directories of one run's shards", a.dir, b.dir, strings.Join(differ, ""))
		}
	}
	if a.m.Barka != version.Barka {
		return badinput.Errorf("%s was written by barka %s, this is %s; merge with the version that scored", a.dir, a.m.Barka, version.Barka)
	}
	return nil
}

// differences are the lines that say which properties are not the same.
func differences(a, b []property) []string {
	var out []string
	for i, p := range a {
		if q := b[i]; p.value != q.value {
			out = append(out, fmt.Sprintf("\n  %s: %s, and %s", p.name, different(p.value, q.value), different(q.value, p.value)))
		}
	}
	return out
}

// different shortens one of two lists to what the other lacks.
func different(a, b string) string {
	var out []string
	others := strings.Split(b, ", ")
	for _, item := range strings.Split(a, ", ") {
		if !slices.Contains(others, item) {
			out = append(out, item)
		}
	}
	if len(out) == 0 || out[0] == "" {
		return "nothing"
	}
	return strings.Join(out, ", ")
}

// complete refuses a shard that is there twice or missing.
func complete(parts []part) error {
	var missing []string
	next := 0
	for i, p := range parts {
		if i > 0 && p.m.Shard == parts[i-1].m.Shard {
			return badinput.Errorf("shard %d of %d is there twice: %s and %s", p.m.Shard, p.m.Shards, parts[i-1].dir, p.dir)
		}
		for ; next < p.m.Shard; next++ {
			missing = append(missing, fmt.Sprint(next))
		}
		next++
	}
	n := parts[0].m.Shards
	for ; next < n; next++ {
		missing = append(missing, fmt.Sprint(next))
	}
	if len(missing) > 0 {
		return badinput.Errorf("%d of %d shards are missing: %s (counted from 0); run them, or name their directories: barka eval … --num-shards %d --shard %s",
			len(missing), n, strings.Join(missing, ", "), n, missing[0])
	}
	return nil
}

// join fills the evaluation with the parts' questions, and checks that each
// is there once.
func (e *evaluation) join(ctx context.Context, parts []part) error {
	first := parts[0].m
	for _, t := range first.LeftOut {
		e.failures = append(e.failures, Failure{Task: t.Task, Err: badinput.Errorf("%s", t.Error)})
	}
	for _, t := range first.Skipped {
		e.skipped = append(e.skipped, Failure{Task: t.Task, Err: badinput.Errorf("%s", t.Error)})
	}
	var runs []*taskRun
	for i, t := range first.Tasks {
		task, ok := tasks.Lookup(first.Options.Board, t.Task)
		if !ok {
			return badinput.Errorf("%s: no task is called %s", parts[0].dir, t.Task)
		}
		runs = append(runs, &taskRun{task: task.Scoring(first.Options.AlGhafa), shots: t.Shots, original: t.Original, samples: make([]sample, t.Count)})
		for q := range runs[i].samples {
			runs[i].samples[q].elsewhere = true // until a part has it
		}
		if f, ok := firstFailure(parts, i); ok {
			e.failures = append(e.failures, Failure{Task: f.Task, Err: badinput.Errorf("%s", f.Error)})
			runs[i] = nil
		}
	}
	e.progress.Start("shards", int64(len(parts)), "shards")
	defer e.progress.Done()
	for _, p := range parts {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.read(runs); err != nil {
			return err
		}
		e.progress.Add(1)
	}
	at := 0
	for _, r := range runs {
		if r == nil {
			continue
		}
		for i := range r.samples {
			if r.samples[i].elsewhere {
				return badinput.Errorf("%s: no shard holds question %d of %s", parts[0].dir, i+1, r.name())
			}
			r.samples[i].first = at
			at += len(r.samples[i].requests)
		}
		if d := r.digest(); d != first.Tasks[slices.Index(runs, r)].Digest {
			return badinput.Errorf("%s: %s: the shards' questions have digest %s, the manifests say %s", parts[0].dir, r.name(), d, first.Tasks[slices.Index(runs, r)].Digest)
		}
		e.runs = append(e.runs, r)
	}
	return nil
}

// firstFailure is that of a task's earliest question, which one process would
// have met first.
func firstFailure(parts []part, task int) (first recordedTask, ok bool) {
	for _, p := range parts {
		if t := p.m.Tasks[task]; t.Error != "" && (!ok || t.Question < first.Question) {
			first, ok = t, true
		}
	}
	return first, ok
}

// read takes the questions of a shard; a nil run's are passed over.
func (p part) read(runs []*taskRun) error {
	path := filepath.Join(p.dir, shardQuestions)
	hash, err := fileHash(path)
	if err != nil {
		return badinput.Wrap(err)
	}
	if hash != p.m.QuestionsHash {
		return badinput.Errorf("%s: the file has digest %s, %s says %s; it was not copied whole: copy it again, or run the shard again", path, hash, shardManifest, p.m.QuestionsHash)
	}
	for q, err := range jsonl.Read[recordedQuestion](path) {
		switch {
		case err != nil:
			return err
		case q.Task < 0 || q.Task >= len(runs):
			return badinput.Errorf("%s: a question of task %d, and there are %d", path, q.Task, len(runs))
		case runs[q.Task] == nil:
			continue
		case q.Index < 0 || q.Index >= len(runs[q.Task].samples) || !q.answers(runs[q.Task].task) || q.Doc.Gold < 0 || q.Doc.Gold >= len(q.Doc.Choices):
			return badinput.Errorf("%s: question %d of %s is broken", path, q.Index+1, runs[q.Task].name())
		}
		r := runs[q.Task]
		if !r.samples[q.Index].elsewhere {
			return badinput.Errorf("%s: question %d of %s is in another shard too", path, q.Index+1, r.name())
		}
		r.samples[q.Index] = q.restore(r.shots.K)
	}
	return nil
}

// answers says whether a question holds what its task asks for.
func (q *recordedQuestion) answers(t tasks.Task) bool {
	if t.Metric == tasks.Judged {
		return q.Judgement != nil && len(q.Requests) == 0
	}
	return len(q.Requests) > 0 && len(q.Requests) == len(q.Doc.Choices)
}
