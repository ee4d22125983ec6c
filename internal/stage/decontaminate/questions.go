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
	"barka/internal/eval/tasks"
	"barka/internal/overlap"
	"barka/internal/pyrandom"
)

// place is where a question stands.
type place struct {
	task  string // a task of the leaderboard, or "original:" and a name
	split string
	row   int    // from 1
	item  string // the row's own id, "" if it has none
}

// questions are the texts to look for, with their places.
type questions struct {
	places []place
	texts  []overlap.Question
	absent []string // tasks and originals without data, with their repositories
	broken int      // rows of benchmarks that are no questions
	sum    hash.Hash
}

// open opens the directories that exist.
func open(dirs []string) (stores []*benchdata.Store, err error) {
	for _, dir := range dirs {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		s, err := benchdata.Open(dir)
		if err != nil {
			return nil, err
		}
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

// read reads the questions of the tasks and originals from the directories, of which the
// first that has a split counts. Those without data are listed in absent. Without any
// question it returns an error.
func (o Options) read(ctx context.Context, dirs []string) (*questions, error) {
	stores, err := open(dirs)
	if err != nil {
		return nil, err
	}
	q := &questions{sum: sha256.New()}
	list, err := o.selection()
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		if err := errors.Join(ctx.Err(), o.readTask(q, stores, s.Task)); err != nil {
			return nil, err
		}
	}
	for _, name := range o.Originals {
		if err := o.readOriginal(ctx, q, stores, name); err != nil {
			return nil, err
		}
	}
	if len(q.texts) == 0 {
		return nil, badinput.Errorf("decontaminate: no questions to look for: none of %s is in %s; download them "+
			"(barka download --dataset NAME), or name the directory that holds OALL/… with --data",
			shortList(q.absent), strings.Join(dirs, " or "))
	}
	return q, nil
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

func (o Options) readTask(q *questions, stores []*benchdata.Store, t tasks.Task) error {
	files, err := locate(stores, t.Repo, t.Subset, t.EvalSplit)
	if err != nil {
		return err
	}
	if files == nil {
		q.absent = append(q.absent, t.Name+" ("+t.Repo+")")
		return nil
	}
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

func (o Options) readOriginal(ctx context.Context, q *questions, stores []*benchdata.Store, name string) error {
	if IsFile(name) {
		return o.readFiles(ctx, q, filepath.Base(name), "file", []string{name})
	}
	from := originals[name]
	found := false
	for _, split := range from.splits {
		files, err := locate(stores, from.repo, from.subset, split)
		if err != nil {
			return err
		}
		if files == nil {
			continue
		}
		found = true
		if err := o.readFiles(ctx, q, "original:"+name, split, files); err != nil {
			return err
		}
	}
	if !found {
		q.absent = append(q.absent, "original:"+name+" ("+from.repo+")")
	}
	return nil
}

func (o Options) readFiles(ctx context.Context, q *questions, task, split string, files []string) error {
	n := 0
	for _, file := range files {
		for row, err := range overlap.Rows(ctx, file) {
			if err != nil {
				return err
			}
			n++
			id, _ := row["id"].(string)
			passage, question, proof := overlap.Original(row)
			q.add(place{task, split, n, id}, passage, overlap.Question{Text: question, Proof: proof}, o.Passages)
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
