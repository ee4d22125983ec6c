package mix

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/durable"
)

// checkpointEvery bounds the work that an interruption can lose.
var checkpointEvery = 2 * time.Second

// pass reads the rows of all inputs in order and spools what later steps need.
// It saves a checkpoint every few seconds, from which it goes on after an
// interruption.
type pass struct {
	m       *mixer
	name    string // of its files in the directory of the run
	label   string // of its progress
	buckets int
	state   any                                              // pointer to what is saved beside the spool, as JSON
	skipped func(ordinal int64, r dataset.Instruction) error // called for rows before the checkpoint; may be nil
	end     func()                                           // called after the last row; may be nil
	row     func(ordinal int64, input string, r dataset.Instruction, s *spool) error
}

// checkpoint is how far a pass has come.
type checkpoint struct {
	Rows  int64           `json:"rows"`
	Done  bool            `json:"done"`
	Spool spoolMark       `json:"spool"`
	State json.RawMessage `json:"state"`
}

// run returns the spool of the finished pass.
func (p *pass) run(ctx context.Context, run *durable.Run) (s *spool, err error) {
	at := checkpoint{Spool: newMark(p.buckets)}
	path := filepath.Join(run.Dir(), p.name+".json")
	if err := p.load(path, &at); err != nil {
		return nil, err
	}
	if s, err = openSpool(filepath.Join(run.Dir(), p.name+".spool"), at.Spool); err != nil || at.Done {
		return s, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	progress := p.m.env.Progress
	progress.Start(p.label, p.m.total, "rows")
	defer progress.Done()
	last, ordinal := time.Now(), int64(0)
	for input, r := range p.m.rows(ctx, &err) {
		if ordinal < at.Rows {
			progress.Skip(1)
			if p.skipped != nil {
				if err := p.skipped(ordinal, r); err != nil {
					return s, err
				}
			}
			ordinal++
			continue
		}
		progress.Add(1)
		if err := p.row(ordinal, input, r, s); err != nil {
			return s, err
		}
		if ordinal++; time.Since(last) >= checkpointEvery {
			if err := p.save(path, s, ordinal, false); err != nil {
				return s, err
			}
			last = time.Now()
		}
	}
	switch {
	case err == nil:
		if p.end != nil {
			p.end()
		}
		return s, p.save(path, s, ordinal, true)
	case badinput.Is(err) || ordinal <= at.Rows:
		return s, err
	}
	return s, errors.Join(err, p.save(path, s, ordinal, false)) // interrupted
}

// load reads the checkpoint at path, if there is one.
func (p *pass) load(path string, at *checkpoint) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return badinput.Wrap(err)
	}
	err = json.Unmarshal(data, at)
	if err == nil && len(at.Spool.Last) != p.buckets {
		err = errors.New("it has another number of buckets")
	}
	if err == nil {
		err = json.Unmarshal(at.State, p.state)
	}
	if err != nil {
		return badinput.Errorf("%s is damaged (%w); begin again with --restart", path, err)
	}
	return nil
}

func (p *pass) save(path string, s *spool, rows int64, done bool) error {
	mark, err := s.mark()
	if err != nil {
		return err
	}
	state, err := json.Marshal(p.state)
	if err != nil {
		return err
	}
	return atomicfile.Explain(path, atomicfile.WriteJSON(path, checkpoint{rows, done, mark, state}))
}

// rows reads the rows of all inputs in order of their names, with the names. The
// iteration ends at the first error, which is stored in err.
func (m *mixer) rows(ctx context.Context, err *error) func(yield func(string, dataset.Instruction) bool) {
	return func(yield func(string, dataset.Instruction) bool) {
		for _, name := range slices.Sorted(maps.Keys(m.env.In)) {
			if *err = dataset.Require(m.env.In[name], dataset.Instructions); *err != nil {
				return
			}
			for r, rerr := range dataset.Rows[dataset.Instruction](ctx, m.env.In[name]) {
				if rerr != nil {
					*err = rerr
					return
				}
				if !yield(name, r) {
					return
				}
			}
		}
	}
}

// discard removes the files of the passes, which are of no use after an error in the
// input or the options.
func discard(dir string) error {
	var errs []error
	for _, name := range []string{"survey", "sort"} {
		for _, ext := range []string{".json", ".spool"} {
			if err := os.Remove(filepath.Join(dir, name+ext)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, atomicfile.Explain(dir, err))
			}
		}
	}
	return errors.Join(errs...)
}
