package report

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/stage/train"
)

// Origin is what is known about a run beside its outputs.
type Origin struct {
	Barka    string   // version of the program
	Machines []string // such as linux/amd64/avx2
	Recipe   string   // text of the recipe file
	File     string   // its name
}

// provenance lists what was made from what.
type provenance struct {
	Origin
	Outputs  []output
	Models   []named
	Licences []licence
}

// output is a directory that the run wrote.
type output struct {
	Dir, Made string
	Rows      string
	Digest    string
	Inputs    []named
}

// named is a name with the digest of its content.
type named struct{ Name, Digest string }

// Short is the start of a digest, by which people compare.
func (n named) Short() string { return short(n.Digest) }

// Short is the start of the output's digest.
func (o output) Short() string { return short(o.Digest) }

func short(digest string) string {
	_, hex, found := strings.Cut(digest, ":")
	if !found {
		hex = digest
	}
	return cut(hex, 13)
}

func newProvenance(o Origin, p *pipeline, dirs []string, manifests []*dataset.Manifest) *provenance {
	out := &provenance{Origin: o}
	for i, m := range manifests {
		e := output{Dir: shortDir(dirs[i]), Made: fmt.Sprintf("%s, version %d, barka %s", m.Stage, m.Version, m.Barka),
			Rows: thousands(m.Rows), Digest: p.nodes[i].digest}
		for _, name := range slices.Sorted(maps.Keys(m.Inputs)) {
			e.Inputs = append(e.Inputs, named{name, m.Inputs[name].Digest})
		}
		out.Outputs = append(out.Outputs, e)
		out.Models = append(out.Models, modelsOf(m)...)
	}
	slices.SortFunc(out.Models, func(a, b named) int { return strings.Compare(a.Name+"\x00"+a.Digest, b.Name+"\x00"+b.Digest) })
	out.Models = slices.Compact(out.Models)
	return out
}

// modelsOf finds the models in a stage's settings: KEY beside KEY_digest.
func modelsOf(m *dataset.Manifest) (all []named) {
	var options map[string]any
	if json.Unmarshal(m.Options, &options) != nil {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(options)) {
		name, found := strings.CutSuffix(key, "_digest")
		digest, ok := options[key].(string)
		if !found || !ok || digest == "" {
			continue
		}
		text := strings.ReplaceAll(name, "_", " ")
		if value, ok := options[name].(string); ok && value != "" {
			text = value
		}
		all = append(all, named{m.Stage + ": " + text, digest})
	}
	return all
}

// addTraining adds the adapter's directory, if it is one that barka has finished.
func (p *provenance) addTraining(path string) error {
	var s train.State
	err := badinput.ReadJSON(filepath.Join(path, train.StateFile), &s)
	if os.IsNotExist(err) || err == nil && s.Files == nil {
		return nil
	}
	if err != nil {
		if dir, derr := badinput.IsDir(path); derr == nil && !dir {
			return nil // a file of metrics alone
		}
		return err
	}
	p.Outputs = append(p.Outputs, output{Dir: shortDir(path),
		Made:   fmt.Sprintf("train, seed %d, %s parameters", s.Seed, thousands(s.Parameters)),
		Digest: s.Files["adapter_model.safetensors"], Inputs: []named{{"model", s.ModelDigest}, {"data", s.DataDigest}}})
	return nil
}

// Any reports whether there is something to show.
func (p *provenance) Any() bool { return len(p.Outputs) > 0 || p.Barka != "" || p.Recipe != "" }
