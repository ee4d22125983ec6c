package local

import (
	"encoding/json"
	"os"
	"path/filepath"

	"barka/internal/badinput"
	"barka/internal/hub"
	"barka/internal/pipeline"
	"barka/internal/stage/train"
)

// merged says what a merged model was made of.
type merged struct {
	Base    string `json:"base_digest"`
	Adapter string `json:"adapter_digest"`
}

// mergedFile lies beside a merged model's weights.
const mergedFile = "merge.json"

// Merge writes a base model with an adapter merged into it. A model already
// merged of the same two is left as it is.
func Merge(e *Engine, name, adapter, out string, progress pipeline.Progress) error {
	dir, err := hub.Resolve(name)
	if err != nil {
		return err
	}
	if adapter, err = hub.ResolveAdapter(adapter); err != nil {
		return err
	}
	var m merged
	if m.Base, err = Digest(dir); err != nil {
		return err
	}
	if m.Adapter, err = Digest(adapter); err != nil {
		return err
	}
	note, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	note = append(note, '\n')
	if before, err := os.ReadFile(filepath.Join(out, mergedFile)); err == nil {
		if string(before) == string(note) {
			return nil
		}
		return badinput.Errorf("merge: %s was merged from another base or adapter; remove it, or name another --out", out)
	}
	return train.Merge(e.Device, dir, adapter, out, map[string][]byte{mergedFile: note}, progress)
}
