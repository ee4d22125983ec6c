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
	apart    bool // its packages do not import each other
}

// layers is the table, from the top down. A package belongs to the first layer
// with a pattern that matches. Tests may import what they like.
var layers = []layer{
	{"command", []string{"cmd/...", "reference/...", "release/..."},
		[]string{"recipe", "report", "publish", "ui", "bench", "assembly", "audit", "compare", "look", "page", "review", "eval", "eval files",
			"record",
			"benchdata", "tasks", "stage", "hub", "chat translator", "client", "durable", "dataset", "decoding", "registry",
			"model", "layer", "device", "kernel", "tensor", "weights", "format", "machine"}, false},
	{"recipe", []string{"internal/recipe", "internal/demo", "internal/reproduce"},
		[]string{"report", "publish", "assembly", "eval", "eval files",
			"benchdata", "tasks", "stage", "review", "hub", "chat translator", "client", "durable", "dataset", "model", "format"}, false},

	// What a run made, with its card, for the hub.
	{"publish", []string{"internal/publish"}, []string{"assembly", "stage", "hub", "page", "dataset", "layer", "format"}, false},
	{"ui", []string{"internal/ui"}, nil, false},

	// The engine measured by itself.
	{"bench", []string{"internal/bench"},
		[]string{"dataset", "decoding", "registry", "model", "layer", "device", "kernel", "tensor", "weights", "format", "machine"}, false},

	// What stages ask for as an interface (a generator, a translator, a model to
	// evaluate) is built here from the engine.
	{"assembly", []string{"internal/backend"},
		[]string{"eval", "eval files", "tasks", "stage", "hub", "chat translator", "client", "durable", "dataset", "decoding", "registry",
			"model", "layer", "device", "tensor", "weights", "format", "machine"}, false},

	// Evaluation. Comparisons and audits read what evaluations and benchmarks left
	// in files. None of them runs a model: the assembly hands eval one.
	{"audit", []string{"internal/audit"},
		[]string{"overlap", "compare", "benchdata", "tasks", "page", "durable", "dataset", "format", "machine"}, false},
	{"compare", []string{"internal/compare"}, []string{"eval files", "tasks", "page", "format"}, false},
	{"eval", []string{"internal/eval"}, []string{"eval files", "record", "benchdata", "tasks", "client", "decoding", "format"}, false},
	{"eval files", []string{"internal/eval/prompt", "internal/eval/store", "internal/eval/shard",
		"internal/eval/lighteval", "internal/eval/leaderboard", "internal/eval/evaltest"},
		[]string{"record", "benchdata", "tasks", "page", "format"}, false},
	{"record", []string{"internal/eval/record"}, []string{"tasks", "decoding"}, false},
	{"overlap", []string{"internal/overlap"}, []string{"benchdata", "tasks", "dataset", "format"}, false}, // rows that hold questions
	{"benchdata", []string{"internal/benchdata"}, []string{"hub", "tasks", "dataset", "format"}, false},
	{"tasks", []string{"internal/eval/tasks"}, []string{"format"}, false},
	{"page", []string{"internal/htmlpage/..."}, []string{"format"}, false},

	// The page about a run reads what every stage and every tool left in files.
	{"report", []string{"internal/stage/report"},
		[]string{"ui", "audit", "compare", "look", "stage", "page", "durable", "dataset", "eval files", "tasks", "format"}, false},

	// What people use to look at rows.
	{"look", []string{"internal/look/..."}, []string{"page", "review", "durable", "dataset", "format"}, false},

	// Stages meet in files. Nothing below them may reach the network by the hub.
	{"stage", []string{"internal/stage/..."},
		[]string{"overlap", "benchdata", "tasks", "page", "hub", "client", "review", "durable", "dataset", "decoding", "registry",
			"model", "layer", "device", "tensor", "weights", "format", "machine"}, true},
	{"review", []string{"internal/review"}, []string{"dataset", "format"}, false}, // verdicts about rows
	{"client", []string{"internal/llm"}, []string{"format"}, false},               // chat completions over HTTP, journaled
	{"chat translator", []string{"internal/chattranslator"}, []string{"client", "format"}, false},
	{"hub", []string{"internal/hub/..."}, []string{"weights", "format"}, false},
	{"durable", []string{"internal/durable"}, []string{"dataset", "format"}, false}, // runs that can be killed and continued
	{"dataset", []string{"internal/dataset"}, []string{"format"}, false},            // dataset directories are Parquet and JSON lines

	// The engine. Checkpoint files hold tensors, so safetensors stands on the
	// tensor types, and adapters are read and written beside their layers.
	{"decoding", []string{"internal/generate", "internal/score"}, []string{"model", "layer", "tensor", "format", "machine"}, false},
	{"registry", []string{"internal/model/all"}, []string{"architecture", "model"}, false},
	{"architecture", []string{"internal/model/*"}, []string{"model", "layer", "tensor", "machine"}, true},
	{"model", []string{"internal/model"}, []string{"layer", "weights", "tensor", "format", "machine"}, false},
	{"layer", []string{"internal/nn", "internal/lora", "internal/optim"}, []string{"weights", "tensor", "machine"}, false},
	{"weights", []string{"internal/checkpoint", "internal/safetensors", "internal/torchfile/...", "internal/gguf", "internal/golden"},
		[]string{"tensor", "machine"}, false},
	{"test device", []string{"internal/testdevice"}, []string{"device", "tensor", "machine"}, false}, // for tests of models
	{"device", []string{"internal/tensor/*"}, []string{"kernel", "tensor", "machine"}, true},
	{"tensor", []string{"internal/tensor"}, []string{"machine"}, false},
	{"kernel", []string{"internal/kernel"}, []string{"machine"}, false},
	{"machine", []string{"internal/cpu", "internal/parallel", "internal/dtype", "internal/mapped",
		"internal/resident", "internal/hostile", "internal/cuda/...", "internal/lowrank"}, nil, false},

	// Formats compute nothing and know nothing of models. A chat template may
	// ask its tokenizer for names of tokens.
	{"format", []string{"internal/tokenizer", "internal/chat", "internal/jinja", "internal/parquet", "internal/minhash", "internal/wordhash",
		"internal/rowlog", "internal/bidi", "internal/langid", "internal/fineweb", "internal/literals", "internal/modeltext",
		"internal/jsonl", "internal/compressed", "internal/yamltext", "internal/lines", "internal/wikitext", "internal/wikihtml",
		"internal/mediawiki/...", "internal/tensorboard", "internal/segment", "internal/prose", "internal/pyrandom", "internal/pytext",
		"internal/sacrebleu", "internal/licence", "internal/scoretable", "internal/numerals"}, nil, false},
	{"foundation", []string{"internal/badinput/...", "internal/jsonstream", "internal/atomicfile", "internal/pause",
		"internal/nearest", "internal/diskmap", "internal/translationmemory", "internal/digestcache", "internal/filestamp",
		"internal/panics", "internal/filelock", "internal/progress", "internal/version",
		"internal/printable", "internal/testfiles"}, nil, false},
}

const module = "barka"

// layerOf finds the layer of a package path below the module.
func layerOf(pkg string) *layer {
	for i := range layers {
		if slices.ContainsFunc(layers[i].packages, func(pattern string) bool { return matches(pattern, pkg) }) {
			return &layers[i]
		}
	}
	return nil
}

// matches reports whether a pattern of the table covers a package.
func matches(pattern, pkg string) bool {
	if base, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == base || strings.HasPrefix(pkg, base+"/")
	}
	ok, _ := path.Match(pattern, pkg)
	return ok
}

// breach says what is wrong with pkg importing dependency, "" if nothing.
func breach(pkg, dependency string) string {
	from, to := layerOf(pkg), layerOf(dependency)
	switch {
	case from == nil || to == nil: // reported by itself
	case from == to && from.apart:
		return pkg + " imports " + dependency + ": packages of the layer " + from.name + " do not import each other"
	case from != to && to.name != "foundation" && !slices.Contains(from.imports, to.name):
		return pkg + " (layer " + from.name + ") imports " + dependency + " (layer " + to.name +
			"), which is above it or out of its reach"
	}
	return ""
}

func TestImportsGoDown(t *testing.T) {
	for _, tags := range []string{"", "cuda"} {
		t.Run("tags="+tags, func(t *testing.T) { importsGoDown(t, tags) })
	}
}

func importsGoDown(t *testing.T, tags string) {
	list := exec.Command("go", "list", "-e", "-deps", "-tags", tags, "-json=ImportPath,Imports", "./...")
	list.Dir = ".."
	var stderr bytes.Buffer
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var seen []string
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
		seen = append(seen, pkg)
		if layerOf(pkg) == nil {
			t.Errorf("package %s is in no layer: add it to the table `layers` in internal/layers_test.go, "+
				"in the lowest layer whose imports suffice for it", pkg)
		}
		for _, dependency := range p.Imports {
			if dependency, ok := strings.CutPrefix(dependency, module+"/"); ok {
				if b := breach(pkg, dependency); b != "" {
					t.Error(b)
				}
			}
		}
	}
	for _, l := range layers {
		for _, pattern := range l.packages {
			if !slices.ContainsFunc(seen, func(pkg string) bool { return matches(pattern, pkg) }) {
				t.Errorf("layer %s lists %s, which matches no package: remove it", l.name, pattern)
			}
		}
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
		{"internal/eval", "internal/eval/tasks", true},
		{"internal/eval", "internal/benchdata", true},
		{"internal/compare", "internal/eval/lighteval", true},
		{"internal/stage/translate", "internal/llm", true},
		{"internal/stage/train", "internal/tensor/cpu", true},
		{"internal/tensor/cuda", "internal/cuda", true},
		{"internal/tensor/cuda", "internal/cuda/kernels", true},
		{"internal/durable", "internal/dataset", true},
		{"internal/dataset", "internal/parquet", true},
		{"internal/generate", "internal/tokenizer", true},
		{"internal/kernel", "internal/badinput", true},
		{"internal/recipe", "internal/backend", true},
		{"internal/backend", "internal/eval", true},
		{"internal/model/all", "internal/model/gemma2", true},
		{"internal/stage/wiki", "internal/stage/synth", false},
		{"internal/eval/tasks", "internal/stage/mix", false},
		{"internal/eval", "internal/compare", false},
		{"internal/eval/record", "internal/eval/shard", false},
		{"internal/eval/lighteval", "internal/eval", false},
		{"internal/eval/tasks", "internal/benchdata", false},
		{"internal/stage/mix", "internal/recipe", false},
		{"internal/stage/mix", "internal/ui", false},
		{"internal/model/gemma2", "internal/model/llama", false},
		{"internal/model/gemma2", "internal/model/all", false},
		{"internal/model", "internal/model/gemma2", false},
		{"internal/model", "internal/hub", false},
		{"internal/dataset", "internal/durable", false},
		{"internal/durable", "internal/hub", false},
		{"internal/durable", "internal/ui", false},
		{"internal/tensor", "internal/tensor/cpu", false},
		{"internal/tensor/cpu", "internal/tensor/cuda", false},
		{"internal/tensor/cuda", "internal/tensor/cpu", false},
		{"internal/nn", "internal/kernel", false},
		{"internal/nn", "internal/tensor/cpu", false},
		{"internal/tokenizer", "internal/tensor", false},
		{"internal/badinput", "internal/cpu", false},
		{"internal/llm", "internal/generate", false},
		{"internal/llm", "internal/hub", false},
		{"internal/generate", "internal/hub", false},
		{"internal/eval", "internal/backend", false},
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
