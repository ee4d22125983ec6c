package hub

import (
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"barka/internal/badinput"
)

// FileSet selects files of a model repository.
type FileSet int

// The selections: a whole model, its tokenizer and configuration only, or a
// LoRA adapter.
const (
	Weights FileSet = iota
	Tokenizer
	Adapter
	// part is the configuration of a model or an adapter. It shows that a download
	// began.
	part
)

const (
	configFile        = "config.json"
	adapterConfigFile = "adapter_config.json"
	indexFile         = "model.safetensors.index.json"
	pickledFile       = "pytorch_model.bin"
	pickledIndexFile  = "pytorch_model.bin.index.json"
)

// adapterFiles hold an adapter's weights, the preferred one first.
var adapterFiles = []string{"adapter_model.safetensors", "adapter_model.bin"}

// companions are the files other than weights that barka needs, or that a
// reader of its output needs.
var companions = regexp.MustCompile(`^(config\.json|generation_config\.json|tokenizer[\w.-]*\.(json|model)|` +
	`special_tokens_map\.json|added_tokens\.json|vocab\.(json|txt)|merges\.txt|[\w.-]+\.model|chat_template\.(json|jinja)|` +
	`additional_chat_templates/[\w.-]+\.jinja)$`)

var (
	shard        = regexp.MustCompile(`^[\w.-]+-\d+-of-\d+\.safetensors$`)
	pickledShard = regexp.MustCompile(`^pytorch_model-\d+-of-\d+\.bin$`)
	// notWeights are safetensors files that are not the model's weights: the
	// publisher's own format, and adapters.
	notWeights = regexp.MustCompile(`^(consolidated|adapter_)`)
)

// Kind returns Adapter if the repository has the configuration of an adapter and no
// other, else Weights.
func (l *Listing) Kind() FileSet {
	_, model := l.Find(configFile)
	if _, adapter := l.Find(adapterConfigFile); adapter && !model {
		return Adapter
	}
	return Weights
}

// Choose returns the selected files of a model repository. Pickled weights are
// chosen only if there are no others.
func (l *Listing) Choose(want FileSet) ([]File, error) {
	needed := configFile
	if want == Adapter {
		needed = adapterConfigFile
	}
	if _, ok := l.Find(needed); !ok && want != Tokenizer {
		return nil, badinput.Errorf("%s has no %s; found %s", what(l.Repo), needed, l.some())
	}
	if want == Adapter {
		for _, name := range adapterFiles {
			if _, ok := l.Find(name); ok {
				return l.matching(func(p string) bool { return p == adapterConfigFile || p == name }), nil
			}
		}
		return nil, badinput.Errorf("%s has no %s; found %s", what(l.Repo), strings.Join(adapterFiles, " or "), l.some())
	}
	files := l.matching(companions.MatchString)
	if want == Tokenizer {
		if len(files) == 0 {
			return nil, badinput.Errorf("%s has neither a tokenizer nor a configuration; found %s", what(l.Repo), l.some())
		}
		return files, nil
	}
	weights := l.weights()
	if len(weights) == 0 {
		return nil, badinput.Errorf("%s has no weights, neither safetensors nor pytorch_model.bin; found %s", what(l.Repo), l.some())
	}
	return append(files, weights...), nil
}

// weights returns the weight files of one format: a single file, or an index
// and its shards.
func (l *Listing) weights() []File {
	if _, ok := l.Find(indexFile); ok {
		return l.matching(func(p string) bool {
			return p == indexFile || shard.MatchString(p) && !notWeights.MatchString(p)
		})
	}
	for _, name := range []string{"model.safetensors", pickledFile} {
		if f, ok := l.Find(name); ok {
			return []File{f}
		}
	}
	if _, ok := l.Find(pickledIndexFile); ok {
		return l.matching(func(p string) bool { return p == pickledIndexFile || pickledShard.MatchString(p) })
	}
	return l.matching(func(p string) bool {
		return strings.HasSuffix(p, ".safetensors") && !strings.Contains(p, "/") && !notWeights.MatchString(p)
	})
}

func (l *Listing) matching(is func(path string) bool) []File {
	var out []File
	for _, f := range l.Files {
		if is(f.Path) {
			out = append(out, f)
		}
	}
	return out
}

// Include returns the files that match any of the patterns.
func (l *Listing) Include(patterns []string) ([]File, error) {
	taken := map[string]bool{}
	for _, p := range patterns {
		if strings.HasSuffix(p, "/") {
			p += "*"
		}
		re, err := Glob(p, true)
		if err != nil {
			return nil, err
		}
		for _, f := range l.matching(re.MatchString) {
			taken[f.Path] = true
		}
	}
	files := l.matching(func(p string) bool { return taken[p] })
	if len(files) == 0 {
		return nil, badinput.Errorf("%s has no file that matches %s; found %s", what(l.Repo), strings.Join(patterns, ", "), l.some())
	}
	return files, nil
}

// some lists the first few files, for error messages.
func (l *Listing) some() string {
	if len(l.Files) == 0 {
		return "no files"
	}
	var names []string
	for _, f := range l.Files[:min(len(l.Files), 6)] {
		names = append(names, f.Path)
	}
	if len(l.Files) > len(names) {
		names = append(names, "…")
	}
	return strings.Join(names, ", ")
}

// isComplete reports whether a directory holds the selected files of a model.
func isComplete(dir string, want FileSet) bool {
	has := func(pattern string) bool {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if yes, _ := path.Match(pattern, e.Name()); !yes {
				continue
			}
			if _, err := os.Stat(filepath.Join(dir, e.Name())); err == nil { // not a dangling link
				return true
			}
		}
		return false
	}
	if want == part {
		return has(configFile) || has(adapterConfigFile)
	}
	if want == Adapter {
		return has(adapterConfigFile) && slices.ContainsFunc(adapterFiles, has)
	}
	if !has(configFile) || !has("tokenizer*.json") && !has("*.model") && !has("vocab.*") {
		return false
	}
	return want == Tokenizer || has("model.safetensors") || whole(filepath.Join(dir, indexFile)) ||
		has(pickledFile) || whole(filepath.Join(dir, pickledIndexFile)) || !has(indexFile) && has("*.safetensors")
}

// whole reports whether every file that an index names is in its directory.
func whole(index string) bool {
	data, err := badinput.ReadFile(index, badinput.MaxSettings)
	if err != nil {
		return false
	}
	var x struct {
		Map map[string]string `json:"weight_map"`
	}
	if json.Unmarshal(data, &x) != nil || len(x.Map) == 0 {
		return false
	}
	seen := map[string]bool{}
	for _, name := range x.Map {
		if seen[name] {
			continue
		}
		seen[name] = true
		if !filepath.IsLocal(name) {
			return false
		}
		if _, err := os.Stat(filepath.Join(filepath.Dir(index), name)); err != nil {
			return false
		}
	}
	return true
}
