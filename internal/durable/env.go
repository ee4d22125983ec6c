package durable

import (
	"log/slog"

	"barka/internal/progress"
)

// Env is what a stage is run with, apart from its options: what it reads and
// writes, its seed, and how it reports.
type Env struct {
	Out      string            // the dataset directory to make
	In       map[string]string // inputs by name: dataset directories or files
	Retry    bool              // work again on the records that failed (dataset.Reject.Failed)
	Restart  bool              // discard an unfinished or finished Out that was made with other options
	Seed     int64
	Progress progress.Reporter
	Log      *slog.Logger
}
