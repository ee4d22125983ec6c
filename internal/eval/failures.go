package eval

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/benchdata"
)

// outcomeWithoutTasks returns the outcome of a run without any task that can run.
func (e *evaluation) outcomeWithoutTasks() (*Outcome, error) {
	return newOutcome(e.run), failed(e.run.Failures(), len(e.o.Tasks))
}

// failed returns the failures as one error, or nil if there are none.
func failed(failures []Failure, asked int) error {
	if len(failures) == 0 {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d tasks could not be run:", len(failures), asked)
	missing := map[string][]*benchdata.Missing{}
	bad := false
	for _, f := range failures {
		var m *benchdata.Missing
		if errors.As(f.Err, &m) {
			missing[m.Repo] = append(missing[m.Repo], m)
			continue
		}
		bad = bad || badinput.Is(f.Err)
		fmt.Fprintf(&b, "\n  %s: %v", f.Task, f.Err)
	}
	for _, repo := range slices.Sorted(maps.Keys(missing)) {
		b.WriteString(missingText(missing[repo]))
	}
	if bad || len(missing) > 0 {
		return badinput.Errorf("%s", b.String())
	}
	return errors.New(b.String())
}

// missingText lists a repository's missing splits and the commands that get them.
func missingText(missing []*benchdata.Missing) string {
	var subsets []string
	for _, m := range missing {
		subsets = append(subsets, m.Subset)
	}
	if len(subsets) > 6 {
		subsets = append(subsets[:6:6], fmt.Sprintf("… (%d in all)", len(missing)))
	}
	m := missing[0]
	text := fmt.Sprintf("\n  %v\n    missing: %s", m, strings.Join(subsets, ", "))
	if m.Why != nil {
		text += fmt.Sprintf("\n    why: %v", m.Why)
	}
	text += "\n    get it: " + m.Command()
	switch m.Repo {
	case "OALL/Arabic_MMLU", "OALL/Arabic_EXAMS", "OALL/ACVA":
		text += "\n    or: git clone https://github.com/FreedomIntelligence/AceGPT and barka eval convert AceGPT " + m.Root
	}
	return text
}

// recordFailure adds a task to those that the run leaves out.
func (e *evaluation) recordFailure(f Failure) {
	e.run.LeftOut = append(e.run.LeftOut, f)
	if missing := (*benchdata.Missing)(nil); errors.As(f.Err, &missing) {
		return // warnMissing reports all of them together
	}
	e.log.Warn("task left out", "task", f.Task, "reason", f.Err)
}

// warnMissing reports the tasks without data before hours of work, and not only at the
// end.
func (e *evaluation) warnMissing() {
	var repos []string
	n := 0
	for _, f := range e.run.LeftOut {
		if missing := (*benchdata.Missing)(nil); errors.As(f.Err, &missing) {
			n++
			if !slices.Contains(repos, missing.Repo) {
				repos = append(repos, missing.Repo)
			}
		}
	}
	if n > 0 {
		e.log.Warn("tasks without data are left out; the end of the run lists how to get it", "tasks", n, "datasets", strings.Join(repos, ", "))
	}
}
