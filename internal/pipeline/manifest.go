package pipeline

import "encoding/json"

// Manifest describes a finished dataset directory. Nothing in it depends on
// time, host, paths, threads or interruptions.
type Manifest struct {
	Format  int                  `json:"format"`
	Stage   string               `json:"stage"`
	Version int                  `json:"version"` // of the stage's algorithm
	Barka   string               `json:"barka"`
	Options json.RawMessage      `json:"options"`
	Inputs  map[string]InputInfo `json:"inputs"`
	Seed    int64                `json:"seed"`
	Rows    int64                `json:"rows"`
	Counts  map[string]int64     `json:"counts"` // in, out, rejected, rejected_<reason>, and the stage's own
	Tokens  map[string]int64     `json:"tokens,omitempty"`
	Notes   []string             `json:"notes,omitempty"`
	Files   []FileInfo           `json:"files"`
}

// InputInfo identifies an input by its content.
type InputInfo struct {
	Digest string `json:"digest"`
	Rows   int64  `json:"rows"` // 0 for files that hold no rows
}

// FileInfo is a file of a dataset directory; Name uses forward slashes.
type FileInfo struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Rows   int64  `json:"rows"`
}
