package eval

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/eval/lighteval"
	"barka/internal/filelock"
	"barka/internal/version"
)

// claim keeps two processes from running the same evaluation in one output directory.
// It also records the times in the names of a run's files, so that a run that was
// killed while writing them writes them again under the same names. Each evaluation
// has its own claim, whose two files are beside the results:
//
//	.eval-ID.lock   held while the evaluation runs
//	.eval-ID.json   the times of the run, from before its first file to its end
type claim struct {
	path string // of both files, without their endings
	lock *filelock.Lock
}

// times is the record of a claim.
type times struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

const (
	claimPrefix = ".eval-"
	claimLock   = ".lock"
	claimTimes  = ".json"
)

// openClaim locks an evaluation, by its identity, in a directory, which it makes if
// necessary.
func openClaim(dir, identity string) (*claim, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, badinput.Errorf("output directory: %w; choose another --output-dir, or move what is in the way", err)
	}
	c := &claim{path: filepath.Join(dir, claimPrefix+identity)}
	var err error
	if c.lock, err = filelock.Acquire(c.path + claimLock); err != nil {
		return nil, fmt.Errorf("the same evaluation: %w", err)
	}
	return c, nil
}

// times returns the times that an earlier process recorded. If there are none, it
// records now and returns it.
func (c *claim) times(now times) (times, error) {
	data, err := badinput.ReadFile(c.path+claimTimes, badinput.MaxSettings)
	if err == nil {
		var before times
		if json.Unmarshal(data, &before) == nil && !before.End.IsZero() {
			return before, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return now, badinput.Wrap(err)
	}
	if data, err = json.Marshal(now); err == nil {
		err = atomicfile.WriteFile(c.path+claimTimes, append(data, '\n'))
	}
	return now, err
}

// done removes the record of times, once all files of the run are written.
func (c *claim) done() error {
	err := os.Remove(c.path + claimTimes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (c *claim) close() error { return c.lock.Discard() }

// identity returns a digest of everything that decides the content of the run's files,
// except the times.
func (e *evaluation) identity() (string, error) {
	var questions []string
	for _, t := range e.run.Tasks {
		questions = append(questions, t.Name(), t.Digest())
	}
	for _, f := range e.run.LeftOut {
		questions = append(questions, f.Task, f.Err.Error())
	}
	data, err := json.Marshal([]any{version.Barka, e.run.Model, e.run.Settings, questions, e.o.Shard})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8]), nil
}

// openClaim opens the claim of the evaluation, or of its shard.
func (e *evaluation) openClaim() (*claim, error) {
	id, err := e.identity()
	if err != nil {
		return nil, err
	}
	if e.o.Shard.Count > 1 {
		return openClaim(e.shardDir(), id)
	}
	return openClaim(resultsDir(e.o.OutputDir, e.run), id)
}

// Tidy removes the claims that killed evaluations of a model left behind. Call it once
// their results are known to be complete. Claims of evaluations in progress stay.
func Tidy(outputDir, model string) error {
	return tidy(lighteval.ResultsDir(outputDir, model), true)
}

// tidy removes the locks that no process holds. With all, it also removes their records
// of times; otherwise a lock with a record stays.
func tidy(dir string, all bool) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := strings.TrimSuffix(strings.TrimSuffix(e.Name(), claimLock), claimTimes)
		if !strings.HasPrefix(name, claimPrefix) || name == e.Name() {
			continue
		}
		c := &claim{path: filepath.Join(dir, name)}
		if _, err := os.Stat(c.path + claimTimes); err == nil && !all {
			continue
		}
		if c.lock, err = filelock.Acquire(c.path + claimLock); err != nil {
			continue // the evaluation is in progress
		}
		if all {
			err = c.done()
		}
		if err = errors.Join(err, c.close()); err != nil {
			return err
		}
	}
	return nil
}
