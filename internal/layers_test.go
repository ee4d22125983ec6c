// Package internal_test holds the direction of imports: down the layers, never
// up and never sideways where packages are meant to meet in files only.
package internal_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// layer is a set of packages and the layers that they may import beside
// foundation, which all may, and their own.
type layer struct {
	name     string
	packages []string // below barka/; path.Match patterns; "x/..." is x and all below it
	imports  []string
	apart    bool // its packages do not import each other; see family
}

// layers is the table, from the top down. A package belongs to the first layer
// with a pattern that matches. Tests may import what they like.
var layers = []layer{
	{"command", []string{"cmd/...", "reference/..."},
		[]string{"recipe", "ui", "service", "bench", "assembly", "stage", "hub", "client", "pipeline", "decoding", "registry", "model", "layer", "device", "kernel", "tensor", "weights", "format", "machine"}, false},
	{"recipe", []string{"internal/recipe", "internal/demo"}, []string{"assembly", "stage", "hub", "client", "pipeline", "model", "format"}, false},
	{"ui", []string{"internal/ui"}, nil, false},
	{"service", []string{"internal/serve"}, []string{"decoding", "registry", "model", "layer", "device", "tensor", "weights", "format", "machine"}, false},

	// The engine measured by itself.
	{"bench", []string{"internal/bench"}, []string{"decoding", "registry", "model", "layer", "device", "kernel", "tensor", "weights", "format", "machine"}, false},

	// What stages ask for as an interface (a generator, a translator, a model to
	// evaluate) is built here from the engine.
	{"assembly", []string{"internal/local"},
		[]string{"stage", "hub", "client", "pipeline", "decoding", "registry", "model", "layer", "device", "tensor", "weights", "format", "machine"}, false},

	// Stages meet in files. Nothing below them may reach the network by the hub.
	{"stage", []string{"internal/stage/..."},
		[]string{"hub", "client", "pipeline", "decoding", "registry", "model", "layer", "device", "tensor", "weights", "format", "machine"}, true},
	{"client", []string{"internal/llm"}, []string{"format"}, false}, // chat completions over HTTP, journaled
	{"hub", []string{"internal/hub/..."}, []string{"format"}, false},
	{"pipeline", []string{"internal/pipeline"}, []string{"format"}, false}, // dataset directories are Parquet and JSON lines

	// The engine. Checkpoint files hold tensors, so safetensors stands on the
	// tensor types, and adapters are read and written beside their layers.
	{"decoding", []string{"internal/generate", "internal/score"}, []string{"model", "layer", "tensor", "format", "machine"}, false},
	{"registry", []string{"internal/model/all"}, []string{"architecture", "model"}, false},
	{"architecture", []string{"internal/model/*"}, []string{"model", "layer", "tensor", "machine"}, true},
	{"model", []string{"internal/model"}, []string{"layer", "weights", "tensor", "format", "machine"}, false},
	{"layer", []string{"internal/nn", "internal/lora", "internal/optim"}, []string{"weights", "tensor", "machine"}, false},
	{"weights", []string{"internal/checkpoint", "internal/safetensors", "internal/torchfile/...", "internal/gguf", "internal/golden"}, []string{"tensor", "machine"}, false},
	{"device", []string{"internal/tensor/*"}, []string{"kernel", "tensor", "machine"}, true},
	{"tensor", []string{"internal/tensor"}, []string{"machine"}, false},
	{"kernel", []string{"internal/kernel", "internal/kernel/_asm"}, []string{"machine"}, false},
	{"machine", []string{"internal/cpu", "internal/parallel", "internal/dtype", "internal/mapped", "internal/resident", "internal/hostile"}, nil, false},

	// Formats compute nothing and know nothing of models. A chat template may
	// ask its tokenizer for names of tokens.
	{"format", []string{"internal/tokenizer", "internal/chat", "internal/jinja", "internal/parquet", "internal/jsonl", "internal/compressed", "internal/lines", "internal/wikitext",
		"internal/mediawiki", "internal/tensorboard", "internal/segment", "internal/prose", "internal/licence", "internal/pyrandom", "internal/pytext"}, nil, false},
	{"foundation", []string{"internal/badinput", "internal/jsonstream", "internal/atomicfile", "internal/pause", "internal/nearest", "internal/panics", "internal/progress", "internal/printable"}, nil, false},
}

const module = "barka"

// layerOf finds the layer of a package path below the module.
func layerOf(pkg string) *layer {
	for i := range layers {
		for _, pattern := range layers[i].packages {
			if base, ok := strings.CutSuffix(pattern, "/..."); ok && (pkg == base || strings.HasPrefix(pkg, base+"/")) {
				return &layers[i]
			}
			if ok, _ := path.Match(pattern, pkg); ok {
				return &layers[i]
			}
		}
	}
	return nil
}

// family is the part of a path that packages share which may import each other
// in a layer that keeps its packages apart: internal/stage/eval/tasks is of the
// family internal/stage/eval.
func family(pkg string) string {
	parts := strings.SplitN(pkg, "/", 4)
	return strings.Join(parts[:min(3, len(parts))], "/")
}

// breach says what is wrong with pkg importing dependency, "" if nothing.
func breach(pkg, dependency string) string {
	from, to := layerOf(pkg), layerOf(dependency)
	switch {
	case from == nil || to == nil: // reported by itself
	case from == to && from.apart && family(pkg) != family(dependency):
		return pkg + " imports " + dependency + ": packages of the layer " + from.name + " do not import each other"
	case from != to && to.name != "foundation" && !slices.Contains(from.imports, to.name):
		return pkg + " (layer " + from.name + ") imports " + dependency + " (layer " + to.name +
			"), which is above it or out of its reach"
	}
	return ""
}

func TestImportsGoDown(t *testing.T) {
	list := exec.Command("go", "list", "-e", "-deps", "-json=ImportPath,Imports", "./...")
	list.Dir = ".."
	var stderr bytes.Buffer
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	seen := 0
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pkg, ok := strings.CutPrefix(p.ImportPath, module+"/")
		if !ok || pkg == "internal" {
			continue
		}
		seen++
		if layerOf(pkg) == nil {
			t.Errorf("package %s is in no layer: add it to the table `layers` in internal/layers_test.go, in the lowest layer whose imports suffice for it", pkg)
		}
		for _, dependency := range p.Imports {
			if dependency, ok := strings.CutPrefix(dependency, module+"/"); ok {
				if b := breach(pkg, dependency); b != "" {
					t.Error(b)
				}
			}
		}
	}
	if seen < 5 {
		t.Errorf("go list showed %d packages of the module only", seen)
	}
}

// TestTable tries the table itself, so that it cannot come to allow everything.
func TestTable(t *testing.T) {
	for _, c := range []struct {
		from, to string
		allowed  bool
	}{
		{"cmd/barka", "internal/hub", true},
		{"internal/stage/wiki", "internal/hub", true},
		{"internal/stage/eval", "internal/stage/eval/tasks", true},
		{"internal/stage/eval/hubdata", "internal/stage/eval/tasks", true},
		{"internal/stage/translate", "internal/llm", true},
		{"internal/stage/train", "internal/tensor/cpu", true},
		{"internal/pipeline", "internal/parquet", true},
		{"internal/generate", "internal/tokenizer", true},
		{"internal/kernel", "internal/badinput", true},
		{"internal/recipe", "internal/local", true},
		{"internal/local", "internal/stage/eval", true},
		{"internal/model/all", "internal/model/gemma2", true},
		{"internal/stage/wiki", "internal/stage/synth", false},
		{"internal/stage/eval/tasks", "internal/stage/mix", false},
		{"internal/stage/mix", "internal/recipe", false},
		{"internal/stage/mix", "internal/ui", false},
		{"internal/model/gemma2", "internal/model/llama", false},
		{"internal/model/gemma2", "internal/model/all", false},
		{"internal/model", "internal/model/gemma2", false},
		{"internal/model", "internal/hub", false},
		{"internal/pipeline", "internal/hub", false},
		{"internal/pipeline", "internal/ui", false},
		{"internal/tensor", "internal/tensor/cpu", false},
		{"internal/tensor/cpu", "internal/tensor/cuda", false},
		{"internal/nn", "internal/kernel", false},
		{"internal/nn", "internal/tensor/cpu", false},
		{"internal/tokenizer", "internal/tensor", false},
		{"internal/badinput", "internal/cpu", false},
		{"internal/llm", "internal/generate", false},
		{"internal/llm", "internal/hub", false},
		{"internal/generate", "internal/hub", false},
		{"internal/stage/eval", "internal/local", false},
		{"internal/segment", "internal/model", false},
	} {
		if b := breach(c.from, c.to); (b == "") != c.allowed {
			t.Errorf("%s → %s: %q", c.from, c.to, b)
		}
	}
	if layerOf("internal/newthing") != nil || layerOf("internal/stage") == nil {
		t.Error("unknown packages must be in no layer")
	}
	for _, l := range layers {
		for _, name := range l.imports {
			if !slices.ContainsFunc(layers, func(o layer) bool { return o.name == name }) {
				t.Errorf("layer %s may import %s, which does not exist", l.name, name)
			}
		}
	}
}
