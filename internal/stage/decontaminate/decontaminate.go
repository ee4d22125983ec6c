package decontaminate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/overlap"
	"barka/internal/rowlog"
)

// version changes when the same options would give another output.
const version = 1

// Match is the question of which a row holds the largest share. MatchesDir has one per
// contaminated row.
type Match struct {
	ID    string  `json:"id" parquet:"id"`       // of the row
	Task  string  `json:"task" parquet:"task"`   // of the leaderboard, or "original:" and a name
	Split string  `json:"split" parquet:"split"` // of the benchmark
	Row   int64   `json:"row" parquet:"row"`     // in the split, from 1
	Item  string  `json:"item" parquet:"item"`   // the benchmark's id of the question, "" if it has none
	Share float64 `json:"share" parquet:"share"` // of the question's sequences that the row holds
	Asks  string  `json:"asks" parquet:"asks"`   // the start of the question
}

// MatchesDir is the subdirectory of the rows of type Match.
const MatchesDir = "matches"

// where names the question.
func (m Match) where() string {
	if m.Item != "" {
		return fmt.Sprintf("%s, %s, row %d (%s)", m.Task, m.Split, m.Row, m.Item)
	}
	return fmt.Sprintf("%s, %s, row %d", m.Task, m.Split, m.Row)
}

// detail describes the match in rejected/ and in the column contaminated.
func (m Match) detail(ngram int) string {
	return fmt.Sprintf("%s: %.0f %% of its sequences of %d words: %s", m.where(), 100*m.Share, ngram, m.Asks)
}

// Run looks for the questions in the rows of env.In["instructions"]. dirs are the
// directories of the benchmarks, in the hub's layout; the first that has a split counts.
func Run(ctx context.Context, o Options, dirs []string, env durable.Env) (*dataset.Manifest, error) {
	path := env.In["instructions"]
	from, total, err := o.prepare(dirs, path)
	if err != nil {
		return nil, err
	}
	recorded := o
	var q *questions // nil as long as nobody had to read them
	if recorded.QuestionsDigest, q, err = from.digest(ctx); err != nil {
		return nil, err
	}
	if strings.ContainsAny(o.Tasks, "./\\") && badinput.Regular(o.Tasks) == nil { // the digest identifies this file too
		recorded.Tasks = filepath.Base(o.Tasks)
	}
	recorded.Originals = slices.Clone(o.Originals)
	for i, name := range recorded.Originals { // the digest identifies the file
		if IsFile(name) {
			recorded.Originals[i] = filepath.Base(name)
		}
	}
	return durable.Execute(ctx, env, durable.Identity{Stage: "decontaminate", Version: version, Options: recorded},
		func(run *durable.Run) (final durable.Final, err error) {
			if q == nil {
				if q, err = from.read(ctx); err != nil {
					return final, err
				}
			}
			log, err := rowlog.Open(filepath.Join(run.Dir(), "verdicts"))
			if err != nil {
				return final, err
			}
			final, err = o.run(ctx, run, log, q, env, total)
			if badinput.Is(err) {
				return final, errors.Join(err, log.Remove()) // verdicts about refused rows must not stop a run over others
			}
			return final, errors.Join(err, log.Close())
		})
}

// prepare checks options and rows and finds the questions.
func (o Options) prepare(dirs []string, path string) (from *sources, rows int, err error) {
	if err := o.Validate(); err != nil {
		return nil, 0, err
	}
	if err := dataset.Require(path, dataset.Instructions); err != nil {
		return nil, 0, err
	}
	if rows, err = dataset.CountSome(path); err != nil {
		return nil, 0, err
	}
	from, err = o.locate(dirs)
	return from, rows, err
}

// texts are the texts of a row in both languages.
func texts(r dataset.Instruction) []string {
	var out []string
	for _, m := range slices.Concat(r.Messages, r.MessagesEN) {
		out = append(out, m.Content)
	}
	return out
}

// search looks for the questions in a row.
type search struct {
	o     Options
	q     *questions
	index *overlap.Index
}

func (o Options) search(q *questions) *search {
	return &search{o, q, overlap.NewIndex(o.NGram, q.texts)}
}

// all returns the questions of which a row holds at least the threshold's share.
func (s *search) all(by *overlap.Searcher, r dataset.Instruction) (found []Match, numbers []int32) {
	for _, m := range by.Matches(texts(r)) {
		share := float64(m.Sequences) / float64(s.index.Size(int(m.Question)))
		if share < s.o.Threshold {
			continue
		}
		at := s.q.places[m.Question]
		found = append(found, Match{ID: r.ID, Task: at.task, Split: at.split, Row: int64(at.row), Item: at.item, Share: share,
			Asks: start(s.q.texts[m.Question].Text)})
		numbers = append(numbers, m.Question)
	}
	return found, numbers
}

// worst returns the question of which a row holds the largest share, the first of equals.
func (s *search) worst(by *overlap.Searcher, r dataset.Instruction) *Match {
	all, _ := s.all(by, r)
	if len(all) == 0 {
		return nil
	}
	worst := slices.MaxFunc(all, func(a, b Match) int {
		switch {
		case a.Share < b.Share:
			return -1
		case a.Share > b.Share:
			return 1
		}
		return 0
	})
	return &worst
}

// start returns enough of a question to recognise it.
func start(question string) string {
	question = overlap.Squeeze(question)
	if runes := []rune(question); len(runes) > 160 {
		return string(runes[:159]) + "…"
	}
	return question
}

// fill stores the match of each row in the log, as JSON, or an empty record.
func (s *search) fill(ctx context.Context, log *rowlog.Log, rows iter.Seq2[dataset.Instruction, error], done func(int, bool)) error {
	workers := make([]*overlap.Searcher, runtime.GOMAXPROCS(0))
	for i := range workers {
		workers[i] = s.index.NewSearcher()
	}
	in := rowlog.Input[dataset.Instruction]{Rows: rows, Size: size, Workers: len(workers), Done: done}
	return rowlog.Fill(ctx, log, in, func(worker int, r dataset.Instruction) ([]byte, error) {
		m := s.worst(workers[worker], r)
		if m == nil {
			return nil, nil
		}
		return json.Marshal(m)
	})
}

func size(r dataset.Instruction) (n int) {
	for _, messages := range [][]chat.Message{r.Messages, r.MessagesEN} {
		for _, m := range messages {
			n += len(m.Content)
		}
	}
	return n
}

// run searches all rows and writes them.
func (o Options) run(ctx context.Context, run *durable.Run, log *rowlog.Log, q *questions, env durable.Env, total int) (
	final durable.Final, err error) {
	s := o.search(q)
	rows := dataset.Rows[dataset.Instruction](ctx, env.In["instructions"])
	env.Progress.Start("search", int64(total), "rows")
	defer env.Progress.Done()
	err = s.fill(ctx, log, rows, func(n int, skipped bool) {
		if skipped {
			env.Progress.Skip(int64(n))
		} else {
			env.Progress.Add(int64(n))
		}
	})
	if err != nil {
		return final, err
	}
	counts, err := o.write(run, log, rows)
	if err != nil {
		return final, err
	}
	counts["questions"], counts["questions_too_short"] = int64(len(q.texts)), s.tooShort()
	final.Counts = counts
	if len(q.absent) > 0 {
		final.Notes = append(final.Notes, fmt.Sprintf("not searched, because their data are not on this machine: %s",
			strings.Join(q.absent, ", ")))
	}
	return final, nil
}

// tooShort counts the questions by which no row can be found.
func (s *search) tooShort() (n int64) {
	for i := range s.q.texts {
		if s.index.Size(i) == 0 {
			n++
		}
	}
	return n
}

// write writes the rows and their matches. It returns the number of contaminated rows, in
// all and by task.
func (o Options) write(run *durable.Run, log *rowlog.Log, rows iter.Seq2[dataset.Instruction, error]) (map[string]int64, error) {
	w, err := durable.NewWriter[dataset.Instruction](run)
	if err != nil {
		return nil, err
	}
	notes, err := durable.NewNotes[Match](run, MatchesDir)
	if err != nil {
		return nil, err
	}
	counts := map[string]int64{"contaminated": 0}
	err = rowlog.Join(log, rows, func(_ int, r dataset.Instruction, record []byte) error {
		r.Contaminated = ""
		if len(record) == 0 {
			return w.Write(r)
		}
		var m Match
		if err := json.Unmarshal(record, &m); err != nil {
			return err
		}
		counts["contaminated"]++
		counts["contaminated_"+m.Task]++
		if err := notes.Write(m); err != nil {
			return err
		}
		if o.Flag {
			r.Contaminated = m.detail(o.NGram)
			return w.Write(r)
		}
		return w.Reject(r, dataset.Reject{Reason: "contaminated", Detail: m.detail(o.NGram)})
	})
	return counts, err
}
