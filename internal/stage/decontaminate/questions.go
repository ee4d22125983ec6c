package decontaminate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/benchdata"
	"barka/internal/digestcache"
	"barka/internal/eval/tasks"
	"barka/internal/overlap"
	"barka/internal/pyrandom"
	program "barka/internal/version"
)

// place is where a question stands.
type place struct {
	task  string // a task of the leaderboard, or "original:" and a name
	split string
	row   int    // from 1
	item  string // the row's own id, "" if it has none
}

// source is a split with questions to look for.
type source struct {
	name  string      // a task of the leaderboard, or "original:" and a name
	task  *tasks.Task // nil for an original
	split string
	files []string
}

// sources are the splits to read, in order.
type sources struct {
	o      Options
	list   []source
	absent []string // tasks and originals without data, with their repositories
}

// questions are the texts to look for, with their places.
type questions struct {
	places []place
	texts  []overlap.Question
	absent []string // as of sources
	broken int      // rows of benchmarks that are no questions
	sum    hash.Hash
}

// open opens the directories that exist.
func open(dirs []string, pins benchdata.Revisions) (stores []*benchdata.Store, err error) {
	for _, dir := range dirs {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		s, err := benchdata.Open(dir)
		if err != nil {
			return nil, err
		}
		s.Pin(pins)
		stores = append(stores, s)
	}
	return stores, nil
}

// locate returns the files of a split in the first store that has them, or nil.
func locate(stores []*benchdata.Store, repo, subset, split string) ([]string, error) {
	for _, s := range stores {
		files, err := s.Locate(repo, subset, split)
		if err == nil {
			return files, nil
		}
		if missing := (*benchdata.Missing)(nil); !errors.As(err, &missing) {
			return nil, err
		}
	}
	return nil, nil
}

// locate finds the splits of the tasks and originals in the directories, of which the first
// that has a split counts. Those without data are listed in absent. Without any split it
// returns an error.
func (o Options) locate(dirs []string) (*sources, error) {
	stores, err := open(dirs, o.Revisions)
	if err != nil {
		return nil, err
	}
	all := &sources{o: o}
	list, err := o.selection()
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		t := s.Task
		if err := all.add(stores, source{name: t.Name, task: &t}, t.Repo, t.Subset, t.EvalSplit); err != nil {
			return nil, err
		}
	}
	for _, name := range o.Originals {
		if IsFile(name) {
			all.list = append(all.list, source{name: filepath.Base(name), split: "file", files: []string{name}})
			continue
		}
		from := originals[name]
		if err := all.add(stores, source{name: "original:" + name}, from.repo, from.subset, from.splits...); err != nil {
			return nil, err
		}
	}
	if len(all.list) == 0 {
		return nil, badinput.Errorf("decontaminate: no questions to look for: none of %s is in %s; download them "+
			"(barka download --dataset NAME), or name the directory that holds OALL/… with --data",
			shortList(all.absent), strings.Join(dirs, " or "))
	}
	return all, nil
}

// add adds the splits that are there. If there is none, the source is absent.
func (s *sources) add(stores []*benchdata.Store, from source, repo, subset string, splits ...string) error {
	found := false
	for _, split := range splits {
		files, err := locate(stores, repo, subset, split)
		if err != nil {
			return err
		}
		if files != nil {
			found, from.split, from.files = true, split, files
			s.list = append(s.list, from)
		}
	}
	if !found {
		s.absent = append(s.absent, from.name+" ("+repo+")")
	}
	return nil
}

// read reads the questions.
func (s *sources) read(ctx context.Context) (*questions, error) {
	q := &questions{absent: s.absent, sum: sha256.New()}
	for _, from := range s.list {
		err := ctx.Err()
		if err == nil && from.task != nil {
			err = s.o.readTask(q, from.files, *from.task)
		} else if err == nil {
			err = s.o.readFiles(ctx, q, from)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(q.texts) == 0 {
		return nil, badinput.Errorf("decontaminate: no questions to look for: %s has no rows", s.list[0].files[0])
	}
	return q, nil
}

// digest identifies the questions. It reads them only if a file has changed since an earlier
// run, and returns them then.
func (s *sources) digest(ctx context.Context) (digest string, q *questions, err error) {
	kind := fmt.Sprintf("questions of decontaminate %d of barka %s, passages %v", version, program.Barka, s.o.Passages)
	var files []string
	for _, from := range s.list {
		kind += fmt.Sprintf(", %s %s %d", from.name, from.split, len(from.files))
		files = append(files, from.files...)
	}
	values, err := digestcache.Of(kind, files, func() ([]string, error) {
		if q, err = s.read(ctx); err != nil {
			return nil, err
		}
		return []string{q.digest()}, nil
	})
	if err != nil {
		return "", nil, err
	}
	return values[0], q, nil
}

// add adds a question.
func (q *questions) add(at place, passage string, text overlap.Question, passages bool) {
	if passages && passage != "" {
		text.Text = passage + "\n" + text.Text
	}
	q.places, q.texts = append(q.places, at), append(q.texts, text)
	fmt.Fprintf(q.sum, "%q %q %d %q %q %v\n", at.task, at.split, at.row, text.Text, text.Proof, text.Fixed)
}

func (q *questions) digest() string { return "sha256:" + hex.EncodeToString(q.sum.Sum(nil)) }

func (o Options) readTask(q *questions, files []string, t tasks.Task) error {
	table, err := benchdata.Read(files)
	if err != nil {
		return err
	}
	rnd := pyrandom.New(tasks.SciQSeed)
	first := len(q.texts)
	type read struct {
		at       place
		passage  string
		question string
		options  []string
		gold     int
	}
	var rows []read
	fixed := true
	for n, values := range table.Rows {
		row := tasks.Row{Columns: table.Columns, Values: values}
		doc, err := t.Prompt(row, rnd)
		if err != nil {
			q.broken++
			continue
		}
		r := read{at: place{t.Name, t.EvalSplit, n + 1, identifier(table.Columns, values)}, gold: doc.Gold}
		r.passage, r.question, r.options = overlap.Texts(t, row, doc)
		fixed = fixed && (len(rows) == 0 || slices.Equal(r.options, rows[0].options))
		rows = append(rows, r)
	}
	for _, r := range rows {
		text := overlap.Question{Text: r.question, Fixed: fixed && len(rows) > 1}
		if r.gold < len(r.options) {
			text.Proof = r.options[r.gold : r.gold+1]
		}
		q.add(r.at, r.passage, text, o.Passages)
	}
	if len(q.texts) == first {
		return badinput.Errorf("%s: none of %d rows is a question of %s", files[0], len(table.Rows), t.Name)
	}
	return nil
}

// identifier returns the id of a benchmark's row, "" if it has none.
func identifier(columns []string, values []any) string {
	for _, name := range []string{"id", "ID", "question_id", "qid"} {
		if i := slices.Index(columns, name); i >= 0 && i < len(values) && values[i] != nil {
			return fmt.Sprint(values[i])
		}
	}
	return ""
}

func (o Options) readFiles(ctx context.Context, q *questions, from source) error {
	n := 0
	for _, file := range from.files {
		for row, err := range overlap.Rows(ctx, file) {
			if err != nil {
				return err
			}
			n++
			id, _ := row["id"].(string)
			passage, question, proof := overlap.Original(row)
			q.add(place{from.name, from.split, n, id}, passage, overlap.Question{Text: question, Proof: proof}, o.Passages)
		}
	}
	return nil
}

// shortList lists at most four names.
func shortList(names []string) string {
	if len(names) > 4 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:4], ", "), len(names)-4)
	}
	return strings.Join(names, ", ")
}
