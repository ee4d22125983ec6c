package durable

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/cespare/xxhash/v2"

	"barka/internal/badinput"
	"barka/internal/dataset"
)

// Unfinished is a run that was not finished, or that another process works on.
type Unfinished struct {
	Stage string
	dir   string
	files []string // journals of its Maps, in order
}

// OpenUnfinished reads the directory of an unfinished run. ok is false if dir is none.
func OpenUnfinished(dir string) (u *Unfinished, ok bool, err error) {
	dir = filepath.Clean(dir)
	if !strings.HasSuffix(dir, dataset.PartialSuffix) {
		return nil, false, nil
	}
	var begun struct {
		Identity identity `json:"identity"`
	}
	err = badinput.ReadJSON(filepath.Join(dir, identityName), &begun)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	entries, err := os.ReadDir(dir) // in the order of names; filepath.Glob would take an error for an empty directory
	if err != nil {
		return nil, false, err
	}
	var files []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "rows-") && strings.HasSuffix(e.Name(), ".jsonl") {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return &Unfinished{begun.Identity.Stage, dir, files}, true, nil
}

// UnfinishedRow is a row of an unfinished run, as JSON.
type UnfinishedRow struct {
	JSON   json.RawMessage
	Reject *dataset.Reject // why it is rejected; nil for a row of the dataset
}

// Rows returns the rows that the run's Maps have made so far, in the order in which their
// records were done, without those of results that were replaced later. Stages that use a
// Writer have none before their end. Rows takes no lock and changes nothing.
func (u *Unfinished) Rows() iter.Seq2[UnfinishedRow, error] {
	return func(yield func(UnfinishedRow, error) bool) {
		if len(u.files) == 0 {
			yield(UnfinishedRow{}, badinput.Errorf("%s: %s writes its rows at its end, so there are none to read yet", u.dir, u.Stage))
			return
		}
		for _, path := range u.files {
			last := map[uint64]int64{} // offsets of the results that count, by hashes of keys
			err := eachLine(path, func(offset int64, entry journalLine) bool {
				last[xxhash.Sum64String(entry.Key)] = offset
				return true
			})
			more := true
			if err == nil {
				err = eachLine(path, func(offset int64, entry journalLine) bool {
					if last[xxhash.Sum64String(entry.Key)] == offset && !strings.HasPrefix(entry.Key, "\x00") {
						more = rowsOf(entry.Value, yield)
					}
					return more
				})
			}
			if err != nil {
				yield(UnfinishedRow{}, err)
			}
			if err != nil || !more {
				return
			}
		}
	}
}

// rowsOf yields the rows of a result.
func rowsOf(value json.RawMessage, yield func(UnfinishedRow, error) bool) (more bool) {
	var res result
	var rows []json.RawMessage
	err := json.Unmarshal(value, &res)
	if err == nil && res.Out != nil {
		err = json.Unmarshal(res.Out, &rows)
	}
	if err != nil {
		yield(UnfinishedRow{}, err)
		return false
	}
	if res.Reject != nil && res.Out == nil {
		return yield(UnfinishedRow{res.Row, res.Reject}, nil)
	}
	for _, row := range rows {
		if !yield(UnfinishedRow{JSON: row}, nil) {
			return false
		}
	}
	return true
}

// eachLine calls use for the good lines of a journal, up to a torn end or until use returns
// false.
func eachLine(path string, use func(offset int64, entry journalLine) bool) error {
	f, err := os.Open(path)
	if err != nil {
		return badinput.Wrap(err)
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	for offset := int64(0); ; {
		line, err := r.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return badinput.Wrap(err)
		}
		if len(line) == 0 {
			return nil
		}
		entry, bad := parseJournalLine(line)
		if bad != nil || !use(offset, entry) {
			return nil
		}
		offset += int64(len(line))
	}
}
