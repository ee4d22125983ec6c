package recipe

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/stage/train"
)

// Result is the output of a stage.
type Result struct {
	Dir   string `json:"dir"` // below the run's directory
	Files []File `json:"files"`
	// Measures are the numbers by which outputs of different machines are compared.
	Measures []Measure `json:"measures,omitempty"`
}

// Measure is a number that describes an output.
type Measure struct {
	Name  string  `json:"name"`
	Kind  Kind    `json:"kind"`
	Value float64 `json:"value"`
	// Questions is the number of questions behind an accuracy.
	Questions int `json:"questions,omitempty"`
}

// Kind is what a measure counts. Each kind has its own tolerance.
type Kind string

// The kinds of measures.
const (
	Rows     Kind = "rows"
	LossKind Kind = "loss"
	Accuracy Kind = "accuracy"
)

// Results lists the outputs of a finished run. Pages, logs, caches and checkpoints are left
// out; times are taken out of the names and contents of evaluations' files.
func Results(ctx context.Context, out string) ([]Result, error) {
	entries, err := os.ReadDir(out)
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	var all []Result
	for _, e := range entries {
		if !e.IsDir() || !outputDir.MatchString(e.Name()) {
			continue
		}
		if strings.HasSuffix(e.Name(), ".partial") {
			return nil, badinput.Errorf("%s is not finished; end the run first: the same `barka run` resumes it", filepath.Join(out, e.Name()))
		}
		r, err := resultOf(ctx, out, e.Name())
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	if len(all) == 0 {
		return nil, badinput.Errorf("%s holds no output of a stage; expected the directory of a finished run", out)
	}
	return all, nil
}

// outputDir matches the names of stages' outputs.
var outputDir = regexp.MustCompile(`^[1-9]-`)

func resultOf(ctx context.Context, out, name string) (Result, error) {
	r, root := Result{Dir: name}, filepath.Join(out, name)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return badinput.Wrap(err)
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if rel == "cache" || rel == "checkpoints" || rel == "shards" {
				return fs.SkipDir
			}
			return ctx.Err()
		}
		if !d.Type().IsRegular() || unlocked(rel) {
			return nil
		}
		f, err := timeless(root, rel)
		r.Files = append(r.Files, f)
		return err
	})
	if err != nil {
		return r, err
	}
	slices.SortFunc(r.Files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	r.Measures, err = measures(root)
	return r, err
}

// unlocked reports whether a file of an output holds times, or shows what others hold.
func unlocked(name string) bool {
	base := filepath.Base(name)
	return strings.Contains(base, "tfevents") || strings.HasPrefix(base, "leaderboard_") || strings.HasSuffix(base, ".lock")
}

var (
	// timeOfDay matches the times in the file names of evaluations.
	timeOfDay = regexp.MustCompile(`20\d\d-\d\d-\d\dT\d\d-\d\d-\d\d(\.\d+)?`)
	// timed are the fields of lighteval's results that hold times.
	timed = []string{"start_time", "end_time", "total_evaluation_time_secondes"}
)

// timeless describes a file without the times in its name and, for results of evaluations, in
// its content.
func timeless(root, name string) (File, error) {
	info, err := dataset.Describe(root, name)
	f := File{timeOfDay.ReplaceAllString(name, "TIME"), info.Size, info.SHA256}
	if err != nil || f.Name == name || !strings.HasSuffix(name, ".json") {
		return f, err
	}
	data, err := badinput.ReadFile(filepath.Join(root, filepath.FromSlash(name)), badinput.MaxSettings)
	if err != nil {
		return f, err
	}
	var v map[string]any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return f, badinput.Errorf("%s: %w", filepath.Join(root, name), err)
	}
	if c, ok := v["config_general"].(map[string]any); ok {
		for _, key := range timed {
			delete(c, key)
		}
	}
	clean, err := json.Marshal(v)
	sum := sha256.Sum256(clean)
	f.Size, f.SHA256 = int64(len(clean)), hex.EncodeToString(sum[:])
	return f, err
}

// measures reads the numbers of an output from the file that marks its end.
func measures(dir string) ([]Measure, error) {
	var all []Measure
	if m, err := dataset.ManifestIfAny(dir); err != nil {
		return nil, err
	} else if m != nil {
		return append(all, Measure{Name: "rows", Kind: Rows, Value: float64(m.Rows)}), nil
	}
	var state train.State
	switch err := badinput.ReadJSON(filepath.Join(dir, train.StateFile), &state); {
	case err == nil:
		all = append(all, Measure{Name: "steps", Kind: Rows, Value: float64(state.Steps)},
			Measure{Name: "first loss", Kind: LossKind, Value: state.FirstLoss}, Measure{Name: "final loss", Kind: LossKind, Value: state.FinalLoss})
		if state.BestVal != nil {
			all = append(all, Measure{Name: "best validation loss", Kind: LossKind, Value: *state.BestVal})
		}
		return all, nil
	case !os.IsNotExist(err):
		return nil, err
	}
	var e evaluation
	if err := badinput.ReadJSON(filepath.Join(dir, evaluatedFile), &e); err != nil {
		if os.IsNotExist(err) {
			return nil, nil
		}
		return nil, err
	}
	scores := map[string]Measure{}
	for _, s := range e.Found.Scores {
		if s.Value != nil {
			scores[s.Task] = Measure{Name: s.Task, Kind: Accuracy, Value: *s.Value, Questions: s.Questions}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(scores)) {
		all = append(all, scores[name])
	}
	return all, nil
}
