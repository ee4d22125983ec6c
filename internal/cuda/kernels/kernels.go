// Package kernels holds the compiled GPU kernels and their table. The sources beside it are compiled
// by build.py; the gate compares. It needs no driver, so every build can read the table.
package kernels

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

//go:embed images.zip
var archive []byte

//go:embed manifest.json
var manifest []byte

// Kernel is how a kernel is launched.
type Kernel struct {
	Module  string `json:"module"`
	Threads int    `json:"threads"` // of a block
	Blocks  int    `json:"blocks"`  // that a multiprocessor is meant to hold at once
	Shared  int    `json:"shared"`  // dynamic shared memory of a block, bytes
	// Family tells products by their operands: bf16_tn, f32_nn, … All of one family give the same bits.
	Family string `json:"family"`
	// A product's block computes Outputs by Tokens. Small ones are meant for few tokens, and have their
	// tiles of tokens in the grid's y.
	Outputs int  `json:"outputs"`
	Tokens  int  `json:"tokens"`
	Small   bool `json:"small"`
	Maps    bool `json:"maps"` // takes x and W as tensor maps
	// Registers of a thread by target: sm_80, sm_90a.
	Registers map[string]int `json:"registers"`
}

// Table is the manifest with its images.
type Table struct {
	NVRTC   string            `json:"nvrtc"`
	Sources string            `json:"sources"` // SHA-256 of the sources
	Images  map[string]string `json:"images"`  // SHA-256 by name: MODULE.TARGET.KIND
	Kernels map[string]Kernel `json:"kernels"`

	files *zip.Reader
}

// Load reads the embedded table.
func Load() (*Table, error) {
	t := new(Table)
	if err := json.Unmarshal(manifest, t); err != nil {
		return nil, fmt.Errorf("GPU kernels: manifest.json: %w", err)
	}
	var err error
	if t.files, err = zip.NewReader(bytes.NewReader(archive), int64(len(archive))); err != nil {
		return nil, fmt.Errorf("GPU kernels: images.zip: %w", err)
	}
	return t, nil
}

// Modules lists the modules by name.
func (t *Table) Modules() []string {
	var modules []string
	for _, k := range t.Kernels {
		if !slices.Contains(modules, k.Module) {
			modules = append(modules, k.Module)
		}
	}
	slices.Sort(modules)
	return modules
}

// Image returns a module for a GPU of the given compute capability: its machine code if there is
// some, else PTX for the driver to translate. A module for other chips alone has no image: nil.
func (t *Table) Image(module string, major, minor int) (name string, image []byte, err error) {
	switch {
	case major == 9 && minor == 0:
		name = module + ".sm_90a.cubin"
	case major == 8: // code for 8.0 runs on all of 8.x
		name = module + ".sm_80.cubin"
	default:
		name = module + ".compute_80.ptx"
	}
	if t.Images[name] == "" {
		return "", nil, nil
	}
	f, err := t.files.Open(name)
	if err != nil {
		return name, nil, fmt.Errorf("GPU kernels: %s: %w", name, err)
	}
	defer f.Close()
	image, err = io.ReadAll(f)
	return name, image, err
}
