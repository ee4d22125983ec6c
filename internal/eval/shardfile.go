package eval

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/eval/tasks"
	"barka/internal/jsonl"
	"barka/internal/version"
)

// What a shard leaves is two files in a directory of its own: its questions
// with their requests and scores, and a manifest, written last, of all that
// the shards of one run have in common. Merging needs neither model nor data.
const (
	shardManifest  = "shard.json"
	shardQuestions = "questions.jsonl.zst"
	shardFormat    = 2
)

// manifest is shard.json.
type manifest struct {
	Format  int    `json:"format"`
	Barka   string `json:"barka"`
	Shard   int    `json:"shard"`
	Shards  int    `json:"num_shards"`
	Model   recordedModel
	Options recordedOptions
	// Tasks are those that have questions, LeftOut those that could not be
	// loaded and Skipped those that the options do not allow, all in the run's
	// order.
	Tasks   []recordedTask `json:"tasks"`
	LeftOut []recordedTask `json:"left_out,omitempty"`
	Skipped []recordedTask `json:"skipped,omitempty"`

	Start         time.Time `json:"start"`
	End           time.Time `json:"end"`
	Scored        int       `json:"scored"`
	Reused        int       `json:"reused"`
	QuestionsHash string    `json:"questions_xxh64"`
}

// Bounds of what a manifest claims, for which memory is reserved.
const (
	maxShards    = 1 << 16
	maxQuestions = 1 << 20 // of all tasks; the leaderboards have some 100,000
	maxShots     = 1000
)

// check refuses a manifest whose numbers cannot be.
func (m manifest) check() error {
	if m.Format != shardFormat || m.Shards < 1 || m.Shards > maxShards || m.Shard < 0 || m.Shard >= m.Shards {
		return fmt.Errorf("shard %d of %d in format %d; expected format %d, and at most %d shards", m.Shard, m.Shards, m.Format, shardFormat, maxShards)
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

type recordedModel struct {
	Name      string `json:"name"`
	Info      ModelInfo
	MaxLength int   `json:"max_length"`
	EOS       int32 `json:"eos"`
}

type recordedOptions struct {
	MaxSamples      int           `json:"max_samples"`
	BatchSize       int           `json:"batch_size"`
	Board           tasks.Board   `json:"leaderboard"`
	Border          Border        `json:"border"`
	AlGhafa         tasks.Choices `json:"alghafa_choices"`
	UseChatTemplate bool          `json:"use_chat_template"`
	SystemPrompt    string        `json:"system_prompt"`
	NoDetails       bool          `json:"no_details"`
	JobID           string        `json:"job_id"`
	Judge           string        `json:"judge,omitempty"`
}

// recordedTask is a task in one number of shots. Digest is of all its
// questions and their tokens, those of other shards too. Error says why it is
// left out, and Question is the first without a score, from 1, where that is
// why.
type recordedTask struct {
	Task     string      `json:"task"`
	Shots    tasks.Shots `json:"shots"`
	Original int         `json:"original,omitempty"`
	Count    int         `json:"questions,omitempty"`
	Digest   string      `json:"xxh64,omitempty"`
	Error    string      `json:"error,omitempty"`
	Question int         `json:"question,omitempty"`
}

// recordedQuestion is a line of the questions' file. Task counts the
// manifest's tasks and Index the task's questions in evaluation order, both
// from 0. Context is left out where it is the query.
type recordedQuestion struct {
	Task      int               `json:"task"`
	Index     int               `json:"index"`
	Doc       tasks.Doc         `json:"doc"`
	Context   *string           `json:"context,omitempty"`
	Effective int               `json:"effective_shots"`
	Requests  []recordedRequest `json:"requests,omitempty"`
	// Answer and Judgement are those of a judged task, which has no requests.
	Answer    string  `json:"answer,omitempty"`
	Judgement *string `json:"judgement,omitempty"`
}

// recordedRequest is a choice with its score. Context is left out where it is
// that of the choice before.
type recordedRequest struct {
	Context      []int32 `json:"context,omitempty"`
	Continuation []int32 `json:"continuation"`
	LogProb      float64 `json:"logprob"`
	Greedy       bool    `json:"greedy"`
}

// shardWriter holds what is known before scoring: the tasks, of which scoring
// may leave some out.
type shardWriter struct {
	dir  string
	m    manifest
	runs []*taskRun
}

// openShard begins the shard's directory, and takes back what an earlier run
// left there; nil if the run is not divided.
func (e *evaluation) openShard() (*shardWriter, error) {
	s := e.o.Shard
	if s.Count == 0 {
		return nil, nil
	}
	w := &shardWriter{dir: e.shardDir(), runs: e.runs}
	if err := os.MkdirAll(w.dir, 0o755); err != nil {
		return nil, badinput.Errorf("shard %s: %w", s, err)
	}
	if err := os.Remove(filepath.Join(w.dir, shardManifest)); err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("shard %s: %w", s, err)
	}
	w.m = manifest{Format: shardFormat, Barka: version.Barka, Shard: s.Index, Shards: s.Count,
		Model: e.recordedModel(), Options: e.recordedOptions()}
	for _, r := range e.runs {
		w.m.Tasks = append(w.m.Tasks, recordedTask{Task: r.task.Key(), Shots: r.shots, Original: r.original, Count: len(r.samples), Digest: r.digest()})
	}
	for _, f := range e.failures {
		w.m.LeftOut = append(w.m.LeftOut, recordedTask{Task: f.Task, Error: f.Err.Error()})
	}
	for _, f := range e.skipped {
		w.m.Skipped = append(w.m.Skipped, recordedTask{Task: f.Task, Error: f.Err.Error()})
	}
	return w, nil
}

// shardDir is where the shard's files go.
func (e *evaluation) shardDir() string {
	return filepath.Join(e.o.OutputDir, "shards", filepath.FromSlash(e.m.Name()), e.o.Shard.String())
}

func (e *evaluation) recordedModel() recordedModel {
	return recordedModel{e.m.Name(), e.m.Info(), e.m.MaxLength(), e.m.Tokenizer().EOS()}
}

func (e *evaluation) recordedOptions() recordedOptions {
	o := recordedOptions{e.o.MaxSamples, e.o.BatchSize, e.o.board(), e.o.Border, e.o.AlGhafa, e.o.UseChatTemplate, e.o.SystemPrompt, e.o.NoDetails, e.o.JobID, ""}
	if e.o.Judge != nil {
		o.Judge = e.o.Judge.Name()
	}
	return o
}

// digest is of a task's questions, right answers and tokens.
func (r *taskRun) digest() string {
	d := xxhash.New()
	for i := range r.samples {
		s := &r.samples[i]
		key := s.key()
		fmt.Fprintf(d, "%q %q %q %d %d", s.doc.Query, s.context, s.doc.Choices, s.doc.Gold, s.effective)
		d.Write(key[:])
	}
	return hex64(d.Sum64())
}

// write writes the shard's two files and returns their directory and the
// number of questions.
func (w *shardWriter) write(e *evaluation, start, end time.Time) (dir string, questions int, err error) {
	w.m.Start, w.m.End, w.m.Scored, w.m.Reused = start, end, e.scored, e.reused
	for _, f := range e.failures {
		for i, r := range w.runs {
			if f.run == r {
				w.m.Tasks[i].Error, w.m.Tasks[i].Question = f.Err.Error(), f.question+1
			}
		}
	}
	path := filepath.Join(w.dir, shardQuestions)
	if questions, err = w.writeQuestions(path); err != nil {
		return "", 0, fmt.Errorf("shard %s: %w", e.o.Shard, err)
	}
	if w.m.QuestionsHash, err = fileHash(path); err != nil {
		return "", 0, fmt.Errorf("shard %s: %w", e.o.Shard, err)
	}
	text, err := json.MarshalIndent(w.m, "", "  ")
	if err == nil {
		err = atomicfile.WriteFile(filepath.Join(w.dir, shardManifest), append(text, '\n'))
	}
	if err != nil {
		return "", 0, fmt.Errorf("shard %s: %w", e.o.Shard, err)
	}
	return w.dir, questions, nil
}

func (w *shardWriter) writeQuestions(path string) (n int, err error) {
	out, err := jsonl.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() {
		if closeErr := out.Close(); err == nil {
			err = closeErr
		}
	}()
	for task, r := range w.runs {
		if w.m.Tasks[task].Error != "" {
			continue
		}
		for i := range r.samples {
			if r.samples[i].elsewhere {
				continue
			}
			n++
			if err := out.Write(record(task, i, &r.samples[i])); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

func record(task, index int, s *sample) recordedQuestion {
	q := recordedQuestion{Task: task, Index: index, Doc: s.doc, Effective: s.effective}
	if s.context != s.doc.Query {
		q.Context = &s.context
	}
	if len(s.requests) == 0 {
		q.Answer, q.Judgement = s.answer, &s.judgement
	}
	for i, r := range s.requests {
		out := recordedRequest{r.Context, r.Continuation, s.scores[i].LogProb, s.scores[i].Greedy}
		if i > 0 && slices.Equal(r.Context, s.requests[i-1].Context) {
			out.Context = nil
		}
		q.Requests = append(q.Requests, out)
	}
	return q
}

// restore is the inverse of record.
func (q *recordedQuestion) restore(shots int) sample {
	s := sample{doc: q.Doc, context: q.Doc.Query, asked: shots, effective: q.Effective}
	if q.Context != nil {
		s.context = *q.Context
	}
	if q.Judgement != nil {
		s.answer, s.judgement = q.Answer, *q.Judgement
		s.value, _ = mark(s.judgement)
	}
	var context []int32
	for _, r := range q.Requests {
		if r.Context != nil {
			context = r.Context
		}
		s.requests = append(s.requests, Request{context, r.Continuation})
		s.scores = append(s.scores, Score{LogProb: r.LogProb, Greedy: r.Greedy})
	}
	return s
}

func fileHash(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := xxhash.New()
	_, err = io.Copy(h, f)
	return hex64(h.Sum64()), err
}
