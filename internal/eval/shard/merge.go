package shard

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"barka/internal/badinput"
	"barka/internal/eval/record"
	"barka/internal/eval/tasks"
	"barka/internal/jsonl"
	"barka/internal/progress"
)

// shardDir is a shard on disk.
type shardDir struct {
	path string
	m    Manifest
}

// Joined is the record of a run that was divided.
type Joined struct {
	*record.Run
	// Start is the time when the first shard began, End when the last one ended.
	Start, End time.Time
	// Asked counts the tasks of the run, including those left out.
	Asked int
}

// Join reads the shards of one run. A directory is that of one shard, or an output
// directory whose shards are all read.
func Join(ctx context.Context, dirs []string, progress progress.Reporter) (*Joined, error) {
	shards, err := openShards(dirs)
	if err != nil {
		return nil, err
	}
	if err := sameRun(shards); err != nil {
		return nil, err
	}
	if err := checkAllShards(shards); err != nil {
		return nil, err
	}
	first := shards[0].m
	if err := plainName(first.Model.Name); err != nil {
		return nil, badinput.Errorf("%s: %w", filepath.Join(shards[0].path, ManifestFile), err)
	}
	j := &Joined{Run: &record.Run{Model: first.Model, Settings: first.Options}, Start: first.Start, End: first.End,
		Asked: len(first.Tasks) + len(first.LeftOut)}
	for _, s := range shards {
		if s.m.Start.Before(j.Start) {
			j.Start = s.m.Start
		}
		if s.m.End.After(j.End) {
			j.End = s.m.End
		}
		j.Scored, j.Reused = j.Scored+s.m.Scored, j.Reused+s.m.Reused
	}
	return j, j.read(ctx, shards, progress)
}

// openShards reads the manifests, in the order of the shards.
func openShards(dirs []string) ([]shardDir, error) {
	var shards []shardDir
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
			s := shardDir{path: filepath.Dir(path)}
			if err := json.Unmarshal(text, &s.m); err != nil {
				return nil, badinput.Errorf("%s: %w", path, err)
			}
			if err := s.m.check(); err != nil {
				return nil, badinput.Errorf("%s: %w", path, err)
			}
			shards = append(shards, s)
		}
	}
	slices.SortStableFunc(shards, func(a, b shardDir) int { return a.m.Shard - b.m.Shard })
	return shards, nil
}

// plainName returns an error if a model's name in a file is not a path below the output
// directory, or cannot be shown.
func plainName(name string) error {
	hidden := func(r rune) bool { return !unicode.IsPrint(r) }
	if !filepath.IsLocal(filepath.FromSlash(name)) || path.Clean(name) != name || strings.ContainsFunc(name, hidden) {
		return fmt.Errorf("the model's name is %q, expected one such as organisation/name that stays below the output directory", name)
	}
	return nil
}

// findShards returns the paths of the manifests in a directory.
func findShards(dir string) ([]string, error) {
	own := filepath.Join(dir, ManifestFile)
	if info, err := os.Stat(own); err == nil && !info.IsDir() {
		return []string{own}, nil
	}
	root := filepath.Join(dir, "shards")
	if _, err := os.Stat(root); err != nil {
		root = dir
	}
	var found []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() == ManifestFile {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		return nil, badinput.Errorf("shards: %w", err)
	}
	if len(found) == 0 {
		return nil, badinput.Errorf("%s has no finished shard (no %s); run the command of an interrupted shard again to finish it",
			dir, ManifestFile)
	}
	return found, nil
}

// read adds the shards' questions to the run, and checks that each occurs once.
func (j *Joined) read(ctx context.Context, shards []shardDir, progress progress.Reporter) error {
	all, err := j.prepare(shards)
	if err != nil {
		return err
	}
	progress.Start("shards", int64(len(shards)), "shards")
	defer progress.Done()
	for _, s := range shards {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.read(all); err != nil {
			return err
		}
		progress.Add(1)
	}
	for n, t := range all {
		if t == nil {
			continue
		}
		for i := range t.Questions {
			if t.Questions[i].Answer == nil {
				return badinput.Errorf("%s: no shard holds question %d of %s", shards[0].path, i+1, t.Name())
			}
		}
		if got, want := t.Digest(), shards[0].m.Tasks[n].Digest; got != want {
			return badinput.Errorf("%s: %s: the shards' questions have digest %s, expected %s by the manifests",
				shards[0].path, t.Name(), got, want)
		}
		j.Tasks = append(j.Tasks, t)
	}
	return nil
}

// prepare adds the failures of the shards to the run. It returns the manifests' tasks
// without questions, and nil for a task that some shard left out.
func (j *Joined) prepare(shards []shardDir) ([]*record.Task, error) {
	first := shards[0].m
	for _, t := range first.LeftOut {
		j.LeftOut = append(j.LeftOut, record.Failure{Task: t.Task, Err: badinput.Errorf("%s", t.Error)})
	}
	for _, t := range first.Skipped {
		j.Skipped = append(j.Skipped, record.Failure{Task: t.Task, Err: badinput.Errorf("%s", t.Error)})
	}
	all := make([]*record.Task, len(first.Tasks))
	for i, t := range first.Tasks {
		task, ok := tasks.Lookup(first.Options.Leaderboard, t.Task)
		if !ok {
			return nil, badinput.Errorf("%s: no task is called %s", shards[0].path, t.Task)
		}
		if f, failed := firstFailure(shards, i); failed {
			j.LeftOut = append(j.LeftOut, record.Failure{Task: f.Task, Err: badinput.Errorf("%s", f.Error)})
			continue
		}
		all[i] = &record.Task{Task: task.Scoring(first.Options.AlGhafa), Shots: t.Shots, Original: t.Original,
			Questions: make([]record.Question, t.Count)}
	}
	return all, nil
}

// firstFailure returns the failure at a task's earliest question, which a single process
// would have met first.
func firstFailure(shards []shardDir, task int) (first recordedTask, ok bool) {
	for _, s := range shards {
		if t := s.m.Tasks[task]; t.Error != "" && (!ok || t.Question < first.Question) {
			first, ok = t, true
		}
	}
	return first, ok
}

// read adds the questions of a shard to the tasks. Questions of a nil task are skipped.
func (s shardDir) read(all []*record.Task) error {
	path := filepath.Join(s.path, QuestionsFile)
	hash, err := fileHash(path)
	if err != nil {
		return badinput.Wrap(err)
	}
	if hash != s.m.QuestionsHash {
		return badinput.Errorf("%s has digest %s, expected %s by %s; it was not copied completely: copy it again, or run the "+
			"shard again", path, hash, s.m.QuestionsHash, ManifestFile)
	}
	for line, err := range jsonl.Read[recordedQuestion](path) {
		switch {
		case err != nil:
			return err
		case line.Task < 0 || line.Task >= len(all):
			return badinput.Errorf("%s: a question belongs to task %d of %d", path, line.Task, len(all))
		case all[line.Task] == nil:
			continue
		}
		t := all[line.Task]
		if line.Index < 0 || line.Index >= len(t.Questions) || !line.fits(t) {
			return badinput.Errorf("%s: question %d of %s does not fit its task; run the shard again", path, line.Index+1, t.Name())
		}
		if t.Questions[line.Index].Answer != nil {
			return badinput.Errorf("%s: question %d of %s is in another shard too", path, line.Index+1, t.Name())
		}
		t.Questions[line.Index] = line.question()
	}
	return nil
}

// fits reports whether a question has the fields that its task needs.
func (line *recordedQuestion) fits(t *record.Task) bool {
	switch choices := len(line.Doc.Choices); {
	case line.Doc.Gold < 0 || line.Doc.Gold >= choices:
		return false
	case t.Judged():
		return line.Judgement != nil && len(line.Requests) == 0
	default:
		return len(line.Requests) > 0 && len(line.Requests) == choices
	}
}
