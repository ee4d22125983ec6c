package durable

import (
	"log/slog"

	"barka/internal/progress"
)

// Env is the environment of a stage: what it reads and writes, its seed, and how it
// reports. The stage's options are separate.
type Env struct {
	Out     string            // dataset directory to make
	In      map[string]string // inputs by name: dataset directories or files
	Retry   bool              // work again on the records that failed (dataset.Reject.Failed)
	Restart bool              // discard a finished or unfinished Out that was made with other options
	// AllowOtherDevice continues a training that began on another kind of device, a CPU or a GPU.
	AllowOtherDevice bool
	Seed             int64
	Progress         progress.Reporter
	Log              *slog.Logger
}
