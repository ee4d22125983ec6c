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
	// Model is its name. Time is when it ended, as in the names of its files.
	Model, Time string
	// Dir holds its details.
	Dir string
	// Runs counts the evaluations below the path; this one is the newest.
	Runs int

	general map[string]any // config_general; nil without the result file
	files   map[string]map[int]string
}

// Open finds an evaluation by its result file, by the directory of its details,
// or in an output directory of Barka or lighteval, of which it takes the newest.
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

// noDetails is the error of a directory without details.
func noDetails(path string) error {
	if found, _ := filepath.Glob(filepath.Join(path, "shards", "*")); len(found) > 0 {
		return badinput.Errorf("%s: shards that were not joined yet; run barka eval merge %s --output-dir %s", path, path, path)
	}
	found := false
	filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		found = found || err == nil && resultsName.MatchString(filepath.Base(p))
		return nil
	})
	if found {
		return badinput.Errorf("%s: results, but no details_suite|task|shots_time.parquet; evaluate again without "+
			"--no-details (scores are reused)", path)
	}
	return badinput.Errorf("%s: no evaluation here, that is no details_suite|task|shots_time.parquet below it; expected "+
		"an output directory of barka eval or lighteval", path)
}

var (
	// detailName takes task and shots out of a details file's name.
	detailName  = regexp.MustCompile(`^details_(.+\|.+)\|(\d+)_\d{4}-\d\d-\d\dT[\d.-]+\.parquet$`)
	resultsName = regexp.MustCompile(`^results_(\d{4}-\d\d-\d\dT[\d.-]+)\.json$`)
)

// detailDirs are the directories at or below root with details in them.
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

// openResults opens the evaluation that a result file belongs to. Its details are
// beside it or, if it is below a directory results, below details instead.
func openResults(path string) (*Run, error) {
	m := resultsName.FindStringSubmatch(filepath.Base(path))
	if m == nil {
		return nil, badinput.Errorf("%s: expected an output directory, a directory of details or a results_time.json", path)
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
	return nil, badinput.Errorf("%s: no details of this evaluation in %s; evaluate without --no-details", path,
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

// Answer is a question's prompt without examples and the metric's value: 0 or 1,
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
		return nil, badinput.Errorf("%s: no config_general; expected a result file of barka eval or lighteval", path)
	}
	return file.General, nil
}
