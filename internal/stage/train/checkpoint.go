package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/dtype"
	"barka/internal/model"
	"barka/internal/safetensors"
	"barka/internal/tensor"
)

const (
	version       = 1
	identityFile  = "train.json"
	metricsFile   = "metrics.jsonl"
	checkpointDir = "checkpoints"
	stateTensors  = "state.safetensors"
	stateNumbers  = "state.json"
)

// identity is what must be the same for a run to be continued.
type identity struct {
	Version int             `json:"version"`
	Options json.RawMessage `json:"options"`
	Seed    int64           `json:"seed"`
	Model   string          `json:"model"`
	Chat    string          `json:"chat,omitempty"` // digest of the chat template and its options
	Data    string          `json:"data"`
	Val     string          `json:"val,omitempty"`
}

// begin prepares the output directory. It returns the summary of a run that
// is already finished, and refuses one made otherwise.
func begin(out string, id identity, restart bool) (*State, error) {
	if restart {
		for _, name := range []string{StateFile, identityFile, metricsFile, checkpointDir, "adapter_model.safetensors", "adapter_config.json"} {
			if err := os.RemoveAll(filepath.Join(out, name)); err != nil {
				return nil, err
			}
		}
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, badinput.Wrap(err)
	}
	path := filepath.Join(out, identityFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, writeJSON(path, id)
	}
	if err != nil {
		return nil, err
	}
	var old identity
	if err := json.Unmarshal(data, &old); err != nil {
		return nil, badinput.Errorf("%s: %w; --restart begins anew", path, err)
	}
	if _, err := os.Stat(filepath.Join(out, StateFile)); err == nil && old.Chat == "" {
		old.Chat = id.Chat // finished before templates were recorded
	}
	if diff := old.differences(id); len(diff) > 0 {
		return nil, badinput.Errorf("%s holds a run made otherwise: %s; use --restart to train anew, or another --out", out, strings.Join(diff, "; "))
	}
	data, err = os.ReadFile(filepath.Join(out, StateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, badinput.Errorf("%s: %w; --restart begins anew", filepath.Join(out, StateFile), err)
	}
	return &s, nil
}

// differences names what differs, old and new.
func (a identity) differences(b identity) []string {
	var out []string
	var x, y map[string]json.RawMessage
	if json.Unmarshal(a.Options, &x) == nil && json.Unmarshal(b.Options, &y) == nil {
		for k := range y {
			var p, q bytes.Buffer
			json.Compact(&p, x[k])
			json.Compact(&q, y[k])
			if p.String() != q.String() {
				out = append(out, fmt.Sprintf("%s was %s, is %s", k, p.String(), q.String()))
			}
		}
	}
	slices.Sort(out)
	for _, d := range []struct{ name, a, b string }{
		{"seed", strconv.FormatInt(a.Seed, 10), strconv.FormatInt(b.Seed, 10)}, {"the model", a.Model, b.Model}, {"the chat template", a.Chat, b.Chat},
		{"the dataset", a.Data, b.Data}, {"the validation set", a.Val, b.Val}, {"the program's version of this stage", strconv.Itoa(a.Version), strconv.Itoa(b.Version)},
	} {
		if d.a != d.b {
			out = append(out, fmt.Sprintf("%s was %s, is %s", d.name, d.a, d.b))
		}
	}
	return out
}

// numbers is the part of a checkpoint that is no tensor.
type numbers struct {
	Step    int      `json:"step"`
	First   float64  `json:"first_loss"`
	Last    float64  `json:"last_loss"`
	BestVal *float64 `json:"best_val_loss,omitempty"`
	Trained int64    `json:"trained_tokens"`
}

// save writes a checkpoint under a temporary name, renames it, and removes
// older ones.
func (t *trainer) save() error {
	if t.step == 0 {
		return nil
	}
	root := filepath.Join(t.io.Out, checkpointDir)
	tmp := filepath.Join(root, ".tmp")
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	if err := os.MkdirAll(tmp, 0o755); err != nil {
		return err
	}
	var ts []safetensors.Tensor
	for i, p := range t.adapter.Params() {
		ts = append(ts, model.TensorOf(t.dev, "p."+p.Name, p.Value), model.TensorOf(t.dev, "m."+p.Name, t.opt.M[i]), model.TensorOf(t.dev, "v."+p.Name, t.opt.V[i]))
	}
	if err := safetensors.Write(filepath.Join(tmp, stateTensors), ts, nil); err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(tmp, stateNumbers), numbers{t.step, t.first, t.last, t.bestVal, t.trained}); err != nil {
		return err
	}
	name := filepath.Join(root, fmt.Sprintf("step-%08d", t.step))
	if err := os.RemoveAll(name); err != nil {
		return err
	}
	if err := os.Rename(tmp, name); err != nil {
		return err
	}
	names, err := filepath.Glob(filepath.Join(root, "step-*"))
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, old := range names[:max(0, len(names)-2)] {
		if err := os.RemoveAll(old); err != nil {
			return err
		}
	}
	return nil
}

// resume loads the newest checkpoint, if there is one, and cuts metrics.jsonl
// back to it.
func (t *trainer) resume() error {
	names, err := filepath.Glob(filepath.Join(t.io.Out, checkpointDir, "step-*"))
	if err != nil {
		return err
	}
	slices.Sort(names)
	if len(names) > 0 {
		if err := t.restore(names[len(names)-1]); err != nil {
			return fmt.Errorf("checkpoint %s: %w; remove it to go back to the one before, or --restart", names[len(names)-1], err)
		}
	}
	return t.cutMetrics()
}

func (t *trainer) restore(dir string) error {
	data, err := os.ReadFile(filepath.Join(dir, stateNumbers))
	if err != nil {
		return badinput.Wrap(err)
	}
	var n numbers
	if err := json.Unmarshal(data, &n); err != nil {
		return badinput.Wrap(err)
	}
	f, err := safetensors.Open(filepath.Join(dir, stateTensors))
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
		}
	}
	t.adapter.Pack(t.dev)
	t.step, t.first, t.last, t.bestVal, t.trained = n.Step, n.First, n.Last, n.BestVal, n.Trained
	t.opt.Steps = n.Step
	return nil
}

// cutMetrics drops the lines of steps after the checkpoint, which will be
// taken again, and a torn last line.
func (t *trainer) cutMetrics() error {
	path := filepath.Join(t.io.Out, metricsFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	keep := 0
	for keep < len(data) {
		end := bytes.IndexByte(data[keep:], '\n')
		if end < 0 {
			break
		}
		var m Metrics
		if json.Unmarshal(data[keep:keep+end], &m) != nil || m.Step > t.step {
			break
		}
		keep += end + 1
	}
	return os.Truncate(path, int64(keep))
}

func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(path, append(data, '\n'))
}
