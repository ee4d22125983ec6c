package benchdata

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/eval/tasks"
	"barka/internal/filelock"
	"barka/internal/jsonl"
	"barka/internal/parquet"
	"barka/internal/progress"
	"barka/internal/pyrandom"
	"barka/internal/pytext"
)

// aceGPTRoots are the places of the benchmark files below the directory that the
// user names: a checkout of FreedomIntelligence/AceGPT, or the benchmarks
// directory itself.
var aceGPTRoots = []string{"eval/benchmark_eval/benchmarks", "benchmark_eval/benchmarks", "benchmarks", "."}

// acvaFewShots is the number of rows of each ACVA subject in the validation split
// of the hub's version.
const acvaFewShots = 5

type choiceRow struct {
	ID       string `parquet:"id" json:"id"`
	Question string `parquet:"question" json:"question"`
	A        string `parquet:"A" json:"A"`
	B        string `parquet:"B" json:"B"`
	C        string `parquet:"C" json:"C"`
	D        string `parquet:"D" json:"D"`
	Answer   string `parquet:"answer" json:"answer"`
	Subject  string `parquet:"subject" json:"-"`
}

type culturalRow struct {
	ID       string `parquet:"id" json:"id"`
	Question string `parquet:"question" json:"question"`
	Answer   string `parquet:"answer" json:"answer"`
}

// ConvertAceGPT writes the public benchmark files of AceGPT (Apache-2.0;
// MMLUArabic csv, EXAMS_Arabic jsonl, ArabicCulture jsonl) in the hub's
// layout below dst: OALL/Arabic_MMLU, OALL/Arabic_EXAMS and OALL/ACVA, the
// data of 116 of the 137 tasks. It returns the number of splits written.
//
// The prompts made of the result have the published digests. The csv files lack
// the Arabic names of the subjects, which are in package tasks.
func ConvertAceGPT(ctx context.Context, src, dst string, reporter progress.Reporter) (n int, err error) {
	root, err := aceGPTRoot(src)
	if err != nil {
		return 0, err
	}
	lock, err := filelock.Hold(dst)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, lock.Discard()) }()
	c := converter{ctx: ctx, root: root, dst: dst, progress: progress.OrSilent(reporter)}
	c.progress.Start("convert", int64(2*len(tasks.MMLUSubjects)+2*58+2), "splits")
	defer c.progress.Done()
	for _, step := range []func() error{c.mmlu, c.exams, c.acva} {
		if err := step(); err != nil {
			return c.written, err
		}
	}
	return c.written, nil
}

func aceGPTRoot(src string) (string, error) {
	for _, below := range aceGPTRoots {
		root := filepath.Join(src, filepath.FromSlash(below))
		if info, err := os.Stat(filepath.Join(root, "MMLUArabic")); err == nil && info.IsDir() {
			return root, nil
		}
	}
	return "", badinput.Errorf("%s: no directory MMLUArabic here or in eval/benchmark_eval/benchmarks; expected a "+
		"checkout of github.com/FreedomIntelligence/AceGPT", src)
}

type converter struct {
	ctx       context.Context
	root, dst string
	progress  progress.Reporter
	written   int
}

func (c *converter) mmlu() error {
	for _, split := range []string{"dev", "test"} {
		for _, subset := range slices.Sorted(maps.Keys(tasks.MMLUSubjects)) {
			file := filepath.Join(c.root, "MMLUArabic", split, subset+"_"+split+".csv")
			rows, err := readChoicesCSV(file, tasks.MMLUSubjects[subset])
			if err != nil {
				return err
			}
			if err := writeSplit(c, "OALL/Arabic_MMLU", subset, split, rows); err != nil {
				return err
			}
		}
	}
	return nil
}

// readChoicesCSV reads a headerless csv of question, four options, letter.
func readChoicesCSV(file, subject string) ([]choiceRow, error) {
	text, err := badinput.ReadFile(file, badinput.MaxSettings)
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	records, err := pytext.CSV(string(text), ',')
	if err != nil {
		return nil, badinput.Errorf("%s: %w", file, err)
	}
	rows := make([]choiceRow, len(records))
	for i, r := range records {
		if len(r) != 6 {
			return nil, badinput.Errorf("%s row %d: %d fields, expected question, A, B, C, D, answer", file, i+1, len(r))
		}
		rows[i] = choiceRow{Question: r[0], A: r[1], B: r[2], C: r[3], D: r[4], Answer: r[5], Subject: subject}
	}
	return rows, nil
}

func (c *converter) exams() error {
	for from, split := range map[string]string{"dev": "validation", "test": "test"} {
		file := filepath.Join(c.root, "EXAMS_Arabic", "exam_"+from+".jsonl")
		rows, err := readJSONLines[choiceRow](file)
		if err != nil {
			return err
		}
		for i, r := range rows {
			subject, ok := tasks.ExamsSubjects[idPrefix(r.ID)]
			if !ok {
				return badinput.Errorf("%s row %d: id %q names no known subject (%s)", file, i+1, r.ID,
					strings.Join(slices.Sorted(maps.Keys(tasks.ExamsSubjects)), ", "))
			}
			rows[i].Subject = subject
		}
		if err := writeSplit(c, "OALL/Arabic_EXAMS", "default", split, rows); err != nil {
			return err
		}
	}
	return nil
}

// acva splits as the hub's version was split: all rows are shuffled with seed 42,
// and the first five of each subject are the validation split.
func (c *converter) acva() error {
	file := filepath.Join(c.root, "ArabicCulture", "difficulty-easy-TF_all.jsonl")
	rows, err := readJSONLines[culturalRow](file)
	if err != nil {
		return err
	}
	pyrandom.New(42).Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	subjects := map[string][]culturalRow{}
	for _, r := range rows {
		subject := strings.ReplaceAll(idPrefix(r.ID), " ", "_")
		if _, ok := tasks.Lookup(tasks.V1, "community|acva:"+subject); !ok { // it names a directory
			return badinput.Errorf("%s: id %q names no subject of ACVA", file, r.ID)
		}
		subjects[subject] = append(subjects[subject], r)
	}
	for _, subject := range slices.Sorted(maps.Keys(subjects)) {
		rows := subjects[subject]
		cut := min(acvaFewShots, len(rows))
		if err := writeSplit(c, "OALL/ACVA", subject, "validation", rows[:cut]); err != nil {
			return err
		}
		if err := writeSplit(c, "OALL/ACVA", subject, "test", rows[cut:]); err != nil {
			return err
		}
	}
	return nil
}

// idPrefix is the subject in an id such as "Islamic Studies-71".
func idPrefix(id string) string {
	if i := strings.LastIndexByte(id, '-'); i >= 0 {
		return id[:i]
	}
	return id
}

func readJSONLines[T any](file string) ([]T, error) {
	var rows []T
	for row, err := range jsonl.Read[T](file) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return nil, badinput.Errorf("%s: no rows", file)
	}
	return rows, nil
}

// writeSplit writes one split as the hub does. The file appears whole or not
// at all, and equal rows give equal bytes.
func writeSplit[T any](c *converter, repo, subset, split string, rows []T) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	file := Missing{Repo: repo, Subset: subset, Split: split}
	path := filepath.Join(c.dst, filepath.FromSlash(repo), filepath.FromSlash(file.DefaultFile()))
	if err := parquet.WriteAtomic(path, "", slices.Values(rows)); err != nil {
		return fmt.Errorf("convert: %w", err)
	}
	c.written++
	c.progress.Add(1)
	for _, t := range tasks.All(tasks.V1) {
		if t.Repo == repo && t.Subset == subset && t.EvalSplit == split && t.Docs != len(rows) {
			c.progress.Note(fmt.Sprintf("%s has %d questions, the published set %d: is a file cut, or of another version? "+
				"Scores will not be comparable", t.Key(), len(rows), t.Docs))
		}
	}
	return nil
}
