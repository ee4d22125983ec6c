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

// A shard leaves two files in a directory of its own: its questions with their
// requests and scores, and a manifest of everything that the shards of one run
// share, which is written last.
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
	// Tasks have questions, LeftOut could not be loaded, and Skipped are not
	// allowed by the options, all in the run's order.
	Tasks   []recordedTask `json:"tasks"`
	LeftOut []recordedTask `json:"left_out,omitempty"`
	Skipped []recordedTask `json:"skipped,omitempty"`

	Start         time.Time `json:"start"`
	End           time.Time `json:"end"`
	Scored        int       `json:"scored"`
	Reused        int       `json:"reused"`
	QuestionsHash string    `json:"questions_xxh64"`
}

// Bounds of the numbers in a manifest for which memory is reserved.
const (
	maxShards    = 1 << 16
	maxQuestions = 1 << 20 // of all tasks; the leaderboards have some 100,000
	maxShots     = 1000
)

// check refuses a manifest whose numbers are out of bounds.
func (m Manifest) check() error {
	if m.Format != format || m.Shards < 1 || m.Shards > maxShards || m.Shard < 0 || m.Shard >= m.Shards {
		return fmt.Errorf("shard %d of %d in format %d; expected format %d, and at most %d shards", m.Shard, m.Shards, m.Format,
			format, maxShards)
	}
	all := 0
	for _, t := range m.Tasks {
		if t.Count < 0 || t.Count > maxQuestions-all {
			return fmt.Errorf("%s has %d questions; at most %d of all tasks are expected", t.Task, t.Count, maxQuestions)
		}
		if all += t.Count; t.Shots.K < 0 || t.Shots.K > maxShots {
			return fmt.Errorf("%s has %d examples in front of a question; 0 to %d are expected", t.Task, t.Shots.K, maxShots)
		}
	}
	return nil
}

// recordedTask is a task in one number of shots.
type recordedTask struct {
	Task     string      `json:"task"`
	Shots    tasks.Shots `json:"shots"`
	Original int         `json:"original,omitempty"`
	Count    int         `json:"questions,omitempty"`
	// Digest covers all questions of the task, also those of other shards.
	Digest string `json:"xxh64,omitempty"`
	// Error says why the task is left out. Question is the first question
	// without a score, counted from 1, where that is the reason.
	Error    string `json:"error,omitempty"`
	Question int    `json:"question,omitempty"`
}

// recordedQuestion is a line of the questions' file. Task counts the
// manifest's tasks and Index the task's questions in evaluation order, both
// from 0. Context is left out where it equals the query.
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

// recordedRequest is a choice with its score. Context is left out where it
// equals that of the choice before.
type recordedRequest struct {
	Context      []int32 `json:"context,omitempty"`
	Continuation []int32 `json:"continuation"`
	LogProb      float64 `json:"logprob"`
	Greedy       bool    `json:"greedy"`
}

// Writer writes the files of a shard. It holds what is known before scoring:
// the tasks, of which scoring may leave some out.
type Writer struct {
	dir   string
	m     Manifest
	tasks []*record.Task
}

// Create begins a shard's directory, and removes the manifest that an earlier
// run left there. The run's tasks have their questions, but no answers yet.
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

// Write writes the shard's two files after scoring and returns the number of
// questions in them: those that have an answer, of tasks that did not fail.
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

// fileHash is the xxHash64 of a file.
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
