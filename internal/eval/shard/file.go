package shard

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/eval/record"
	"barka/internal/eval/tasks"
	"barka/internal/jsonl"
	"barka/internal/version"
)

// A shard writes two files to its own directory: its questions with their requests and
// scores, and then a manifest of everything that the shards of one run share.
const (
	ManifestFile  = "shard.json"
	QuestionsFile = "questions.jsonl.zst"
	format        = 2
)

// Manifest is the content of ManifestFile.
type Manifest struct {
	Format  int    `json:"format"`
	Barka   string `json:"barka"`
	Shard   int    `json:"shard"`
	Shards  int    `json:"num_shards"`
	Model   record.Model
	Options record.Settings
	// Tasks holds the tasks with questions, LeftOut those that could not be loaded,
	// and Skipped those that the options do not allow, all in the run's order.
	Tasks   []recordedTask `json:"tasks"`
	LeftOut []recordedTask `json:"left_out,omitempty"`
	Skipped []recordedTask `json:"skipped,omitempty"`

	Start         time.Time `json:"start"`
	End           time.Time `json:"end"`
	Scored        int       `json:"scored"`
	Reused        int       `json:"reused"`
	QuestionsHash string    `json:"questions_xxh64"`
}

// Bounds of numbers in a manifest that decide how much memory is allocated.
const (
	maxShards    = 1 << 16
	maxQuestions = 1 << 20 // of all tasks; the leaderboards have some 100,000
	maxShots     = 1000
)

// check returns an error for a manifest whose numbers are out of bounds.
func (m Manifest) check() error {
	if m.Format != format || m.Shards < 1 || m.Shards > maxShards || m.Shard < 0 || m.Shard >= m.Shards {
		return fmt.Errorf("it is shard %d of %d in format %d, expected format %d and at most %d shards", m.Shard, m.Shards, m.Format,
			format, maxShards)
	}
	all := 0
	for _, t := range m.Tasks {
		if t.Count < 0 || t.Count > maxQuestions-all {
			return fmt.Errorf("%s has %d questions, expected at most %d in all tasks", t.Task, t.Count, maxQuestions)
		}
		if all += t.Count; t.Shots.K < 0 || t.Shots.K > maxShots {
			return fmt.Errorf("%s has %d examples before a question, expected 0 to %d", t.Task, t.Shots.K, maxShots)
		}
	}
	return nil
}

// recordedTask is a task with one number of shots.
type recordedTask struct {
	Task     string      `json:"task"`
	Shots    tasks.Shots `json:"shots"`
	Original int         `json:"original,omitempty"`
	Count    int         `json:"questions,omitempty"`
	// Digest covers all questions of the task, also those of other shards.
	Digest string `json:"xxh64,omitempty"`
	// Error is the reason why the task is left out. If that is a question without a
	// score, Question is its number, counted from 1.
	Error    string `json:"error,omitempty"`
	Question int    `json:"question,omitempty"`
}

// recordedQuestion is a line of the questions' file. Task is the index of the task in the
// manifest, and Index that of the question in evaluation order. Context is omitted if it
// equals the query.
type recordedQuestion struct {
	Task      int               `json:"task"`
	Index     int               `json:"index"`
	Doc       tasks.Doc         `json:"doc"`
	Context   *string           `json:"context,omitempty"`
	Effective int               `json:"effective_shots"`
	Requests  []recordedRequest `json:"requests,omitempty"`
	// Answer and Judgement belong to a judged question, which has no requests.
	Answer    string  `json:"answer,omitempty"`
	Judgement *string `json:"judgement,omitempty"`
}

// recordedRequest is a choice with its score. Context is omitted if it equals that of the
// previous choice.
type recordedRequest struct {
	Context      []int32 `json:"context,omitempty"`
	Continuation []int32 `json:"continuation"`
	LogProb      float64 `json:"logprob"`
	Greedy       bool    `json:"greedy"`
}

// Writer writes the files of a shard. It holds all tasks, also
// those that scoring leaves out.
type Writer struct {
	dir   string
	m     Manifest
	tasks []*record.Task
}

// Create makes a shard's directory and removes the manifest of an earlier run. The tasks
// of run have their questions, but no answers yet.
func Create(dir string, s Shard, run *record.Run) (*Writer, error) {
	w := &Writer{dir: dir, tasks: slices.Clone(run.Tasks)}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, badinput.Errorf("shard %s: %w", s, err)
	}
	if err := os.Remove(filepath.Join(dir, ManifestFile)); err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("shard %s: %w", s, err)
	}
	w.m = Manifest{Format: format, Barka: version.Barka, Shard: s.Index, Shards: s.Count, Model: run.Model, Options: run.Settings}
	for _, t := range run.Tasks {
		w.m.Tasks = append(w.m.Tasks, recordedTask{Task: t.Task.Key(), Shots: t.Shots, Original: t.Original,
			Count: len(t.Questions), Digest: t.Digest()})
	}
	for _, f := range run.LeftOut {
		w.m.LeftOut = append(w.m.LeftOut, recordedTask{Task: f.Task, Error: f.Err.Error()})
	}
	for _, f := range run.Skipped {
		w.m.Skipped = append(w.m.Skipped, recordedTask{Task: f.Task, Error: f.Err.Error()})
	}
	return w, nil
}

// Write writes the shard's two files after scoring. It returns the number of questions in
// them: those with an answer in tasks that did not fail.
func (w *Writer) Write(run *record.Run, start, end time.Time) (questions int, err error) {
	if questions, err = w.write(run, start, end); err != nil {
		return 0, fmt.Errorf("shard %s: %w", Shard{w.m.Shard, w.m.Shards}, err)
	}
	return questions, nil
}

func (w *Writer) write(run *record.Run, start, end time.Time) (questions int, err error) {
	w.m.Start, w.m.End, w.m.Scored, w.m.Reused = start, end, run.Scored, run.Reused
	for _, f := range run.LeftOut {
		if i := slices.Index(w.tasks, f.Questions); i >= 0 {
			w.m.Tasks[i].Error, w.m.Tasks[i].Question = f.Err.Error(), f.First+1
		}
	}
	path := filepath.Join(w.dir, QuestionsFile)
	if questions, err = w.writeQuestions(path); err != nil {
		return 0, err
	}
	if w.m.QuestionsHash, err = fileHash(path); err != nil {
		return 0, err
	}
	text, err := json.MarshalIndent(w.m, "", "  ")
	if err != nil {
		return 0, err
	}
	return questions, atomicfile.WriteFile(filepath.Join(w.dir, ManifestFile), append(text, '\n'))
}

func (w *Writer) writeQuestions(path string) (n int, err error) {
	out, err := jsonl.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, out.Discard())
			return
		}
		err = out.Close()
	}()
	for task, t := range w.tasks {
		if w.m.Tasks[task].Error != "" {
			continue
		}
		for i := range t.Questions {
			q := &t.Questions[i]
			if q.Answer == nil {
				continue
			}
			n++
			if err := out.Write(toLine(task, i, q)); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

func toLine(task, index int, q *record.Question) recordedQuestion {
	line := recordedQuestion{Task: task, Index: index, Doc: q.Doc, Effective: q.EffectiveShots}
	if q.Context != q.Doc.Query {
		line.Context = &q.Context
	}
	if len(q.Requests) == 0 {
		line.Answer, line.Judgement = q.Answer.Text, &q.Answer.Judgement
	}
	for i, r := range q.Requests {
		out := recordedRequest{r.Context, r.Continuation, q.Answer.Scores[i].LogProb, q.Answer.Scores[i].Greedy}
		if i > 0 && slices.Equal(r.Context, q.Requests[i-1].Context) {
			out.Context = nil
		}
		line.Requests = append(line.Requests, out)
	}
	return line
}

// question is the inverse of toLine.
func (line *recordedQuestion) question() record.Question {
	q := record.Question{Doc: line.Doc, Context: line.Doc.Query, EffectiveShots: line.Effective, Answer: new(record.Answer)}
	if line.Context != nil {
		q.Context = *line.Context
	}
	if line.Judgement != nil {
		q.Answer.Text, q.Answer.Judgement = line.Answer, *line.Judgement
	}
	var context []int32
	for _, r := range line.Requests {
		if r.Context != nil {
			context = r.Context
		}
		q.Requests = append(q.Requests, record.Request{Context: context, Continuation: r.Continuation})
		q.Answer.Scores = append(q.Answer.Scores, record.Score{LogProb: r.LogProb, Greedy: r.Greedy})
	}
	return q
}

// fileHash returns the xxHash64 of a file.
func fileHash(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := xxhash.New()
	_, err = io.Copy(h, f)
	return fmt.Sprintf("%016x", h.Sum64()), err
}
