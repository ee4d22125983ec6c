package train

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/dtype"
	"barka/internal/lora"
	"barka/internal/model"
	"barka/internal/progress"
	"barka/internal/safetensors"
	"barka/internal/tensor"
	"barka/internal/tensorboard"
)

// Checkpoints lie beside the directory in the making. The last one stays with the finished
// run, which can be extended from it.
const (
	checkpointDir = "checkpoints"
	stateTensors  = "state.safetensors"
	stateNumbers  = "state.json"
)

// isCheckpoint reports whether a name below checkpoints is one that save
// writes.
func isCheckpoint(name string) bool {
	dir, file := path.Split(atomicfile.Target(name))
	return (dir == ".tmp/" || strings.HasPrefix(dir, "step-")) && (file == stateTensors || file == stateNumbers)
}

// numbers is the part of a checkpoint that is no tensor.
type numbers struct {
	// Identity is the digest of the run's, so that no other run continues here.
	Identity string   `json:"identity"`
	Step     int      `json:"step"`
	First    float64  `json:"first_loss"`
	Last     float64  `json:"last_loss"`
	BestVal  *float64 `json:"best_val_loss,omitempty"`
	BestStep int      `json:"best_step,omitempty"`
	Trained  int64    `json:"trained_tokens"`
	// Level and Calm are the running mean of the loss and the last step near it. Setbacks is the
	// number of divergences before.
	Level    float64 `json:"loss_level"`
	Calm     int     `json:"calm_step"`
	Setbacks int     `json:"setbacks,omitempty"`
	// Pending is set if the step is finished, but its validation was interrupted.
	Pending *Metrics `json:"pending,omitempty"`
	// Before is the evaluation before the first step.
	Before *Scores `json:"scores_before,omitempty"`
	// Tensors is the digest of state.safetensors. Metrics and Samples are what metrics.jsonl
	// and samples.jsonl held, Events how long TensorBoard's file was.
	Tensors map[string]string `json:"tensors"`
	Metrics mark              `json:"metrics"`
	Samples mark              `json:"samples"`
	Events  int64             `json:"events_bytes"`
}

// checkpointFile is state.json.
type checkpointFile struct {
	State  json.RawMessage `json:"state"`
	SHA256 string          `json:"sha256"` // of State without white space
}

// digest is of JSON, whatever its white space.
func digest(v any) (string, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		return "", err
	}
	sum := sha256.Sum256(compact.Bytes())
	return hex.EncodeToString(sum[:]), nil
}

// save writes a checkpoint under a temporary name, renames it, and removes
// older ones.
func (t *trainer) save() error {
	if t.step == 0 {
		return nil
	}
	root := filepath.Join(t.work.Dir(), checkpointDir)
	tmp := filepath.Join(root, ".tmp")
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	if err := os.MkdirAll(tmp, 0o755); err != nil {
		return err
	}
	if err := t.syncRecords(); err != nil {
		return err
	}
	n, err := t.write(tmp)
	if err != nil {
		return err
	}
	if err := t.writeNumbers(tmp, n); err != nil {
		return err
	}
	name := filepath.Join(root, checkpointName(t.step))
	if err := os.RemoveAll(name); err != nil {
		return err
	}
	if err := os.Rename(tmp, name); err != nil {
		return err
	}
	if err := atomicfile.SyncDir(root); err != nil {
		return err
	}
	names, err := t.checkpoints()
	if err != nil {
		return err
	}
	for _, old := range names[:max(0, len(names)-t.o.Keep)] {
		if err := os.RemoveAll(old); err != nil {
			return err
		}
	}
	t.saved = time.Now()
	return nil
}

// checkpoints lists the directories of checkpoints, the newest last.
func (t *trainer) checkpoints() ([]string, error) {
	return listCheckpoints(t.work.Dir())
}

// listCheckpoints lists the directories of checkpoints below dir, the newest last.
func listCheckpoints(dir string) ([]string, error) {
	dir = filepath.Join(dir, checkpointDir)
	entries, err := os.ReadDir(dir) // sorted
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "step-") {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	return names, nil
}

// checkpointName is the name of the directory of a step's checkpoint.
func checkpointName(step int) string { return fmt.Sprintf("step-%08d", step) }

// lastCheckpoint returns the newest checkpoint below dir, or "".
func lastCheckpoint(dir string) string {
	names, _ := listCheckpoints(dir)
	if len(names) == 0 {
		return ""
	}
	return names[len(names)-1]
}

// write writes the tensors and returns what state.json says.
func (t *trainer) write(dir string) (numbers, error) {
	n := numbers{Identity: t.identityDigest, Step: t.step, First: t.first, Last: t.last, BestVal: t.bestVal, BestStep: t.bestStep,
		Trained: t.trained, Level: t.level, Calm: t.calm, Setbacks: len(t.setbacks),
		Pending: t.pending, Before: t.before, Metrics: t.metrics.mark(), Samples: t.samples.mark()}
	s := model.Stream{Dev: t.dev}
	for i, p := range t.adapter.Params() {
		s.Add("p."+p.Name, p.Value)
		s.Add("m."+p.Name, t.opt.M[i])
		s.Add("v."+p.Name, t.opt.V[i])
	}
	err := s.Write(filepath.Join(dir, stateTensors), nil)
	if err == nil {
		n.Tensors, err = dataset.Sums(dir, stateTensors)
	}
	if err == nil {
		n.Events, err = t.board.Sync()
	}
	return n, err
}

func (t *trainer) writeNumbers(dir string, n numbers) error {
	state, err := json.Marshal(n)
	if err != nil {
		return err
	}
	sum, err := digest(n)
	if err != nil {
		return err
	}
	return atomicfile.WriteJSON(filepath.Join(dir, stateNumbers), checkpointFile{state, sum})
}

// resume loads the newest checkpoint, if there is one, and cuts the records of
// later steps off: these steps will be taken again.
func (t *trainer) resume() error {
	names, err := t.checkpoints()
	if err != nil {
		return err
	}
	var n numbers
	if len(names) == 0 {
		if names, err = t.extend(); err != nil {
			return err
		}
	}
	if len(names) > 0 {
		name := names[len(names)-1]
		if n, err = t.restore(name); err != nil {
			return fmt.Errorf("checkpoint %s: %w; remove it to go back to the one before, or --restart", name, err)
		}
	}
	if t.metrics, err = openLog(filepath.Join(t.work.Final(), metricsFile), n.Metrics); err != nil {
		return err
	}
	if t.samples, err = openLog(filepath.Join(t.work.Final(), samplesFile), n.Samples); err != nil {
		return err
	}
	t.board, err = tensorboard.Append(t.work.Final(), n.Events)
	return err
}

// extend copies what a finished run left at OUT, if this run extends it, and returns the
// list of checkpoints. The checkpoint is copied last: without it, a killed process is
// followed by one that copies again.
func (t *trainer) extend() ([]string, error) {
	there, err := readStanding(t.env.Out)
	if err != nil || there == nil || t.env.Restart || !there.extendedBy(t.id) {
		return nil, err
	}
	last := there.checkpoint(t.env.Out)
	if last == "" {
		return nil, nil
	}
	if t.total <= there.state.Steps {
		return nil, badinput.Errorf("%s holds a finished run of %d steps, and this one would have %d: give more epochs or steps, "+
			"or remove %s", t.env.Out, there.state.Steps, t.total, t.work.Dir())
	}
	final := t.work.Final()
	for _, name := range []string{
		metricsFile, samplesFile, tensorboard.Name, bestDir + "/" + lora.WeightsFile, bestDir + "/" + lora.ConfigFile,
	} {
		if err := copyFile(filepath.Join(final, name), filepath.Join(t.env.Out, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	root := filepath.Join(t.work.Dir(), checkpointDir)
	tmp := filepath.Join(root, ".tmp")
	for _, name := range []string{stateTensors, stateNumbers} {
		if err := copyFile(filepath.Join(tmp, name), filepath.Join(last, name)); err != nil {
			return nil, err
		}
	}
	if err := os.Rename(tmp, filepath.Join(root, filepath.Base(last))); err != nil {
		return nil, err
	}
	progress.Event(t.env.Progress, "extend", fmt.Sprintf("extends the finished run of %d steps to %d; the learning rate goes on "+
		"at %.2e, where the schedule of %d steps has it", there.state.Steps, t.total, t.o.LR*t.schedule(there.state.Steps), t.total),
		extendEvent{there.state.Steps, t.total})
	return t.checkpoints()
}

// extendEvent is the extension of a finished run, as an event.
type extendEvent struct {
	From int `json:"from_step"`
	To   int `json:"to_step"`
}

// copyFile copies a file, whose directory is made.
func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(to, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
}

// readNumbers reads and checks state.json of a checkpoint.
func readNumbers(dir string) (n numbers, err error) {
	var file checkpointFile
	if err := badinput.ReadJSON(filepath.Join(dir, stateNumbers), &file); err != nil {
		return n, badinput.Wrap(err)
	}
	if sum, err := digest(file.State); err != nil || sum != file.SHA256 {
		return n, badinput.Errorf("%s is damaged: its content has SHA-256 %s, recorded is %s", stateNumbers, sum, file.SHA256)
	}
	return n, badinput.Wrap(json.Unmarshal(file.State, &n))
}

// restore checks a checkpoint and loads it.
func (t *trainer) restore(dir string) (numbers, error) {
	n, err := readNumbers(dir)
	if err != nil {
		return n, err
	}
	if n.Identity != t.identityDigest {
		return n, badinput.Errorf("it belongs to a run with other options or data")
	}
	if err := dataset.CheckSums(dir, n.Tensors); err != nil {
		return n, err
	}
	if err := t.readTensors(filepath.Join(dir, stateTensors)); err != nil {
		return n, err
	}
	t.step, t.first, t.last, t.trained = n.Step, n.First, n.Last, n.Trained
	t.bestVal, t.bestStep, t.pending, t.level, t.calm = n.BestVal, n.BestStep, n.Pending, n.Level, n.Calm
	t.before = n.Before
	t.opt.Steps = n.Step
	return n, nil
}

// readTensors reads the parameters and the optimiser's moments.
func (t *trainer) readTensors(path string) error {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for i, p := range t.adapter.Params() {
		for prefix, dst := range map[string]tensor.Tensor{"p.": p.Value, "m.": t.opt.M[i], "v.": t.opt.V[i]} {
			m, err := f.Matrix(prefix+p.Name, dst.Rows, dst.Cols)
			if err != nil {
				return err
			}
			values, err := dtype.Float32s(m.DType, m.Bytes)
			if err != nil {
				return badinput.Wrap(err)
			}
			t.dev.Upload(dst, values)
			f.Release(prefix + p.Name)
		}
	}
	t.adapter.Pack(t.dev)
	return nil
}

// syncRecords makes durable what a checkpoint or the summary vouches for.
func (t *trainer) syncRecords() error {
	_, err := t.board.Sync()
	return errors.Join(t.metrics.sync(), t.samples.sync(), err)
}
