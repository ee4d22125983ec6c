package report

import (
	"path/filepath"
	"slices"

	"barka/internal/audit"
	"barka/internal/badinput"
	"barka/internal/htmlpage"
)

// audited is the audit of the benchmarks, and what decontamination found.
type audited struct {
	Report   *audit.Report     // nil if there was none
	Tables   []htmlpage.Table  // without the long table of tasks
	Contains []decontamination // of each set
}

// decontamination is how many rows of a set held a benchmark's question.
type decontamination struct {
	Dir                          string
	In, Contaminated, Out        int64
	Questions, QuestionsTooShort int64
}

func readAudit(dir string, stages []stage) (*audited, error) {
	a := &audited{}
	for _, s := range stages {
		if s.Name != "decontaminate" {
			continue
		}
		a.Contains = append(a.Contains, decontamination{s.Dir, s.In, s.count("contaminated"), s.Out, s.count("questions"),
			s.count("questions too short")})
	}
	if dir != "" {
		a.Report = &audit.Report{}
		if err := badinput.ReadJSON(filepath.Join(dir, audit.ReportFile), a.Report); err != nil {
			return nil, badinput.Errorf("audit: %w; expected the --out directory of barka audit", err)
		}
		if len(a.Report.Tasks) == 0 || slices.Contains(a.Report.Tasks, nil) || slices.Contains(a.Report.Families, nil) {
			return nil, badinput.Errorf("audit: %s has no tasks; expected the --out directory of barka audit", filepath.Join(dir, audit.ReportFile))
		}
		for _, t := range a.Report.ReadingOrder() {
			if t.Title != "Tasks" {
				a.Tables = append(a.Tables, t)
			}
		}
	}
	if a.Report == nil && a.Contains == nil {
		return nil, nil
	}
	return a, nil
}

// count is one of the stage's own counts.
func (s stage) count(name string) int64 {
	for _, c := range s.Counts {
		if c.Name == name {
			return c.N
		}
	}
	return 0
}
