package model

import (
	"os"
	"path/filepath"

	"barka/internal/badinput"
)

// openTorch opens pytorch_model.bin, alone or sharded; nil if there is none.
func openTorch(dir string) (Checkpoint, error) {
	for _, name := range []string{"pytorch_model.bin", "pytorch_model.bin.index.json"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return nil, badinput.Errorf("model %s: %s is not readable yet; convert it to safetensors", dir, name)
		}
	}
	return nil, nil
}
