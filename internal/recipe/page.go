package recipe

import (
	"os"
	"path/filepath"
	"slices"
	"time"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/stage/report"
)

// TimesFile is the file of a run's directory with the time that each stage took.
const TimesFile = "times.json"

// auditDir is where the page about a run looks for an audit.
const auditDir = "audit"

// times is the content of TimesFile, in order of the stages.
type times struct {
	Stages []report.Time `json:"stages"`
}

// took adds to the time of a stage. A file that cannot be read is replaced: it is no input.
func (w *Runner) took(name string, d time.Duration) error {
	var t times
	path := filepath.Join(w.Out, TimesFile)
	if err := badinput.ReadJSON(path, &t); err != nil {
		t = times{}
	}
	i := slices.IndexFunc(t.Stages, func(s report.Time) bool { return s.Stage == name })
	if i < 0 {
		i = len(t.Stages)
		t.Stages = append(t.Stages, report.Time{Stage: name})
	}
	t.Stages[i].Seconds += d.Seconds()
	return atomicfile.WriteJSON(path, t)
}

// PageOf returns what the page about a run's directory shows: whatever of the stages' outputs
// is there, and an audit in its directory audit.
func PageOf(dir string) (o report.Options, err error) {
	o.Out, o.Title = filepath.Join(dir, reportFile), filepath.Base(filepath.Clean(dir))
	ran, err := ReadRun(dir)
	if err != nil {
		return o, err
	}
	o.Origin = report.Origin{Barka: ran.Barka, Machines: ran.Machines, Recipe: ran.Recipe, File: filepath.Base(ran.Path)}
	if ran.Path == "" {
		o.Origin.File = ""
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return o, badinput.Wrap(err)
	}
	for _, e := range entries {
		if path := filepath.Join(dir, e.Name()); outputDir.MatchString(e.Name()) && dataset.HasManifest(path) {
			o.Stages = append(o.Stages, path)
		}
	}
	for _, f := range []struct {
		to   *string
		name string
	}{{&o.Training, adapterDir}, {&o.Base, BaseEvalDir}, {&o.Tuned, TunedEvalDir}, {&o.Samples, cleanDir}, {&o.Audit, auditDir}} {
		if path := filepath.Join(dir, f.name); exists(path) {
			*f.to = path
		}
	}
	var t times
	if badinput.ReadJSON(filepath.Join(dir, TimesFile), &t) == nil {
		o.Times = t.Stages
	}
	return o, nil
}
