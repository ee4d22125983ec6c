package compare

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"barka/internal/badinput"
)

// Run is an evaluation on disk.
type Run struct {
	// Model is the model's name. Time is the end of the run, as in the names of its
	// files.
	Model, Time string
	// Dir is the directory of its details.
	Dir string
	// Runs counts the evaluations below the path; this one is the newest.
	Runs int

	general map[string]any // config_general, or nil without a result file
	files   map[string]map[int]string
}

// Open opens an evaluation by its result file, by the directory of its details, or by an
// output directory of Barka or lighteval. Of an output directory it opens the newest
// evaluation.
func Open(path string) (*Run, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, badinput.Errorf("evaluation: %w; expected an output directory of barka eval or lighteval", err)
	}
	if !info.IsDir() {
		return openResults(path)
	}
	dirs, err := detailDirs(path)
	if err != nil {
		return nil, err
	}
	if len(dirs) == 0 {
		return nil, noDetails(path)
	}
	newest := slices.MaxFunc(dirs, func(a, b string) int { return cmp.Compare(filepath.Base(a), filepath.Base(b)) })
	return openDetails(newest, len(dirs))
}

// noDetails returns the error for a directory without details.
func noDetails(path string) error {
	if found, _ := filepath.Glob(filepath.Join(path, "shards", "*")); len(found) > 0 {
		return badinput.Errorf("%s has shards that are not joined yet; run barka eval merge %s --output-dir %s", path, path, path)
	}
	found := false
	filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		found = found || err == nil && resultsName.MatchString(filepath.Base(p))
		return nil
	})
	if found {
		return badinput.Errorf("%s has results, but no details_suite|task|shots_time.parquet; evaluate again without "+
			"--no-details (scores are reused)", path)
	}
	return badinput.Errorf("%s has no evaluation (no details_suite|task|shots_time.parquet below it); expected "+
		"an output directory of barka eval or lighteval", path)
}

var (
	// detailName matches task and shots in the name of a details file.
	detailName  = regexp.MustCompile(`^details_(.+\|.+)\|(\d+)_\d{4}-\d\d-\d\dT[\d.-]+\.parquet$`)
	resultsName = regexp.MustCompile(`^results_(\d{4}-\d\d-\d\dT[\d.-]+)\.json$`)
)

// detailDirs returns the directories at or below root that contain details.
func detailDirs(root string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if dir := filepath.Dir(path); detailName.MatchString(d.Name()) && !slices.Contains(out, dir) {
			out = append(out, dir)
		}
		return nil
	})
	if err != nil {
		return nil, badinput.Errorf("evaluation: %w", err)
	}
	return out, nil
}

// openResults opens the evaluation of a result file. Its details are beside it or, if it
// is below a directory named results, below one named details in its place.
func openResults(path string) (*Run, error) {
	m := resultsName.FindStringSubmatch(filepath.Base(path))
	if m == nil {
		return nil, badinput.Errorf("%s is not an evaluation; expected an output directory, a directory of details or a results_time.json", path)
	}
	if _, err := readGeneral(path); err != nil {
		return nil, err
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	dir := filepath.Dir(absolute)
	candidates := []string{filepath.Join(dir, m[1])}
	parts := strings.Split(dir, string(filepath.Separator))
	for i := len(parts) - 1; i > 0; i-- {
		if parts[i] == "results" {
			other := slices.Clone(parts)
			other[i] = "details"
			candidates = append(candidates, filepath.Join(strings.Join(other, string(filepath.Separator)), m[1]))
		}
	}
	for _, c := range candidates {
		if found, err := detailDirs(c); err == nil && len(found) > 0 {
			return openDetails(c, 1)
		}
	}
	return nil, badinput.Errorf("%s: this evaluation has no details in %s; evaluate again without --no-details", path,
		strings.Join(candidates, " or "))
}

func openDetails(dir string, runs int) (*Run, error) {
	r := &Run{Dir: dir, Time: filepath.Base(dir), Runs: runs, files: map[string]map[int]string{}}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, badinput.Errorf("evaluation: %w", err)
	}
	for _, e := range entries {
		m := detailName.FindStringSubmatch(e.Name())
		if m == nil {
			continue
		}
		shots, err := strconv.Atoi(m[2])
		if err != nil {
			return nil, badinput.Errorf("%s: %s is not a number of shots", e.Name(), m[2])
		}
		if r.files[m[1]] == nil {
			r.files[m[1]] = map[int]string{}
		}
		r.files[m[1]][shots] = filepath.Join(dir, e.Name())
	}
	r.Model = filepath.Base(filepath.Dir(dir))
	results := filepath.Join(filepath.Dir(dir), "results_"+r.Time+".json")
	there, err := badinput.Exists(results)
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	if !there {
		return r, nil
	}
	if r.general, err = readGeneral(results); err != nil {
		return nil, err
	}
	if name, ok := r.general["model_name"].(string); ok && name != "" {
		r.Model = name
	}
	return r, nil
}

// Answer holds a question's prompt without examples, and the value of the metric: 0 or 1,
// or the judge's mark.
type Answer struct {
	Prompt string
	Value  float64
}

// Answers reads the answers to all questions, by suite|task|shots.
func (r *Run) Answers() (map[string][]Answer, error) {
	out := map[string][]Answer{}
	for task, byShots := range r.files {
		for shots, path := range byShots {
			questions, err := readQuestions(path)
			if err != nil {
				return nil, err
			}
			key := fmt.Sprintf("%s|%d", task, shots)
			for _, q := range questions {
				out[key] = append(out[key], Answer{q.example, q.value})
			}
		}
	}
	return out, nil
}

// readGeneral reads the options that a result file records.
func readGeneral(path string) (map[string]any, error) {
	text, err := badinput.ReadFile(path, badinput.MaxSettings)
	if err != nil {
		return nil, badinput.Errorf("evaluation: %w", err)
	}
	var file struct {
		General map[string]any `json:"config_general"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, badinput.Errorf("%s: %w", path, err)
	}
	if file.General == nil {
		return nil, badinput.Errorf("%s has no config_general; expected a result file of barka eval or lighteval", path)
	}
	return file.General, nil
}
