package recipe

import (
	"cmp"
	"context"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/benchdata"
	"barka/internal/dataset"
	"barka/internal/hub"
	"barka/internal/lines"
	"barka/internal/version"
)

// RunFile is the file of a run's directory that describes what was run.
const RunFile = "run.json"

// Ran describes a run: its recipe and the machines that worked on it.
type Ran struct {
	Format int    `json:"format"` // 1
	Barka  string `json:"barka"`  // version of the program
	// Recipe is the text of the recipe file, Path where it was; "" if it was in no file.
	Recipe string `json:"recipe"`
	Path   string `json:"path"`
	// Machines lists operating system, processor and kernel level of each machine that made
	// a part of the run, such as linux/amd64/avx2.
	Machines []string `json:"machines"`
}

const ranFormat = 1

// ReadRun reads the description of a run.
func ReadRun(dir string) (*Ran, error) {
	var r Ran
	path := filepath.Join(dir, RunFile)
	if there, err := badinput.Exists(dir); err == nil && !there {
		return nil, badinput.Missing(dir, "expected the directory of a run, such as runs/NAME, which `barka run RECIPE` makes")
	}
	if err := badinput.ReadJSON(path, &r); os.IsNotExist(err) {
		return nil, badinput.Errorf("%s has no %s; expected the directory of a run of this version of barka: the same `barka run` "+
			"again writes it, without repeating what is finished", dir, RunFile)
	} else if err != nil {
		return nil, err
	}
	if r.Format != ranFormat {
		return nil, badinput.Errorf("%s has format %d; this barka reads %d: use the version that made it, %s", path, r.Format, ranFormat, r.Barka)
	}
	return &r, nil
}

// describe writes RunFile. The machine is added if there is work left to do.
func (w *Runner) describe(r *Recipe) error {
	now := Ran{Format: ranFormat, Barka: version.Barka, Recipe: r.text, Path: r.file}
	if path, err := filepath.Abs(r.file); err == nil && r.file != "" {
		now.Path = path
	}
	if before, err := ReadRun(w.Out); err == nil {
		now.Machines = before.Machines
	}
	machine := runtime.GOOS + "/" + runtime.GOARCH + "/" + w.Kernels
	if !slices.Contains(now.Machines, machine) {
		finished := false
		if len(now.Machines) > 0 {
			var err error
			if finished, err = w.Finished(r); err != nil {
				return err
			}
		}
		if !finished {
			now.Machines = append(now.Machines, machine)
		}
	}
	return atomicfile.WriteJSON(filepath.Join(w.Out, RunFile), now)
}

// Finished reports whether every stage of the recipe has left its output.
func (w *Runner) Finished(r *Recipe) (bool, error) {
	entries, err := os.ReadDir(w.Out)
	if err != nil {
		return false, err
	}
	for _, st := range stages() {
		if !st.wanted(r) || st.marker == "" {
			continue
		}
		if made, err := w.made(st, entries); !made || err != nil {
			return false, err
		}
	}
	return true, nil
}

// made reports whether a stage has left an output among the entries of w.Out, and no unfinished one.
func (w *Runner) made(st stage, entries []os.DirEntry) (bool, error) {
	made := false
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), st.dir) { // a set's directory has the set's name behind the stage's
			continue
		}
		if strings.HasSuffix(e.Name(), dataset.PartialSuffix) {
			return false, nil
		}
		there, err := badinput.Exists(filepath.Join(w.Out, e.Name(), st.marker))
		if err != nil {
			return false, err
		}
		made = made || there
	}
	return made, nil
}

// OpenText is Open for a recipe whose text is known. Paths in it are relative to the directory
// of path.
func OpenText(text, path string) (*Recipe, error) {
	if err := lines.Check(path, []byte(text)); err != nil {
		return nil, err
	}
	r, err := open([]byte(text))
	if err != nil {
		return nil, badinput.Errorf("%s: %w", path, err)
	}
	r.file, r.dir = path, filepath.Dir(path)
	return r, nil
}

// Input is something that a recipe names and reads: a file, a directory, or files of a
// repository of the hub.
type Input struct {
	Key    string   `json:"key"`              // of the recipe, such as models.base
	Name   string   `json:"name"`             // as the recipe or the task writes it
	Commit []string `json:"commit,omitempty"` // of a repository of the hub
	Files  []File   `json:"files"`
}

// BenchmarksKey is the Key of datasets of the hub that evaluations and decontamination read.
const BenchmarksKey = "benchmarks"

// Network lists what the stages ask of the network while they run, by key and address. It is
// in no digest.
func (r *Recipe) Network() []string {
	var all []string
	if r.Wiki != nil && r.Wiki.API != "" {
		all = append(all, "wiki.api "+r.Wiki.API)
	}
	for key, g := range map[string]Generator{"models.generator": r.Models.Generator, "models.judge": r.Models.Judge,
		"models.second": r.Models.Second.Generator} {
		for _, s := range g.servers() {
			all = append(all, key+" "+s.Endpoint)
		}
	}
	slices.Sort(all)
	return all
}

// File is a file of an input or a result; Name uses forward slashes.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// unread are the keys whose values are never paths of inputs.
var unread = []string{"name", "language", "dtype", "mix.name", "mix.licence", "wiki.cache", "publish"}

// Inputs lists everything on this machine that the stages of a recipe read, with digests.
// Downloads must have been made. It reads all files, and remembers the digests of large ones.
func (w *Runner) Inputs(ctx context.Context, r *Recipe) ([]Input, error) {
	var all []Input
	var failed error
	r.doc.each(func(key, value string) {
		if failed != nil || value == "" || slices.ContainsFunc(unread, func(k string) bool {
			return key == k || strings.HasPrefix(key, k+".")
		}) {
			return
		}
		if path := r.path(value); exists(path) {
			var in Input
			if in.Files, failed = tree(ctx, path); failed == nil {
				in.Key, in.Name = key, value
				all = append(all, in)
			}
		}
	})
	if failed != nil {
		return nil, failed
	}
	for _, list := range []func(context.Context, *Recipe) ([]Input, error){w.modelInputs, w.convertInputs, w.benchmarkInputs} {
		more, err := list(ctx, r)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	slices.SortStableFunc(all, func(a, b Input) int { return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Name, b.Name)) })
	return all, nil
}

// modelInputs lists the models that are named by hub ids.
func (w *Runner) modelInputs(ctx context.Context, r *Recipe) ([]Input, error) {
	var all []Input
	for _, name := range append(r.LocalModels(), r.Tokenizers()...) {
		if !hub.IsID(name) || slices.ContainsFunc(all, func(in Input) bool { return in.Name == name }) {
			continue
		}
		dir, err := hub.Resolve(name)
		if err != nil {
			return nil, err
		}
		files, err := tree(ctx, dir)
		if err != nil {
			return nil, err
		}
		all = append(all, Input{Key: "models", Name: name, Commit: []string{filepath.Base(dir)}, Files: files})
	}
	return all, nil
}

// convertInputs lists the training sets that are not files beside the recipe.
func (w *Runner) convertInputs(ctx context.Context, r *Recipe) ([]Input, error) {
	var all []Input
	for _, name := range slices.Sorted(maps.Keys(r.Convert)) {
		b := r.Convert[name]
		data := r.convertData(b)
		if w.Hub == nil || data != "" && !b.IsHubID(data) {
			continue
		}
		source, err := b.Locate(ctx, w.Hub, data)
		if err != nil {
			return nil, err
		}
		if source.Plan != nil {
			return nil, badinput.Errorf("convert.%s: the data are not on this machine; the run downloads them", name)
		}
		files, err := tree(ctx, source.Data)
		if err != nil {
			return nil, err
		}
		all = append(all, Input{Key: "convert." + name + ".data", Name: source.Repo, Files: files})
	}
	return all, nil
}

// benchmarkInputs lists the files of the hub's cache that evaluations and decontamination read.
func (w *Runner) benchmarkInputs(ctx context.Context, r *Recipe) ([]Input, error) {
	var needs []benchdata.Need
	if r.Eval != nil && r.Eval.Data == "" {
		selection, err := r.tasks()
		if err != nil {
			return nil, err
		}
		needs = append(needs, w.evalOptions(r, selection, "").Needs()...)
	}
	if r.Decontaminate != nil && r.Decontaminate.Data == "" && (r.Eval == nil || r.Eval.Data == "") {
		o, _ := w.decontaminateOptions(r)
		needs = append(needs, o.Needs()...)
	}
	if len(needs) == 0 {
		return nil, nil
	}
	store := benchdata.Cache(w.pins(r))
	byRepo := map[string]*Input{}
	for _, n := range benchdata.Sorted(needs) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		paths, err := store.Locate(n.Repo, n.Subset, n.Split)
		if err != nil {
			continue // it is not read either
		}
		in := byRepo[n.Repo]
		if in == nil {
			in = &Input{Key: BenchmarksKey, Name: n.Repo}
			byRepo[n.Repo] = in
		}
		for _, path := range paths {
			info, err := dataset.Describe(filepath.Dir(path), filepath.Base(path))
			if err != nil {
				return nil, err
			}
			in.Files = append(in.Files, File{n.Subset + "/" + n.Split + "/" + info.Name, info.Size, info.SHA256})
			if c := hub.CommitOf(hub.CacheDir(), n.Repo, path); c != "" && !slices.Contains(in.Commit, c) {
				in.Commit = append(in.Commit, c)
			}
		}
	}
	var all []Input
	for _, repo := range slices.Sorted(maps.Keys(byRepo)) {
		all = append(all, *byRepo[repo])
	}
	return all, nil
}

// tree describes a file, or the files of a directory at any depth without those of hidden
// names.
func tree(ctx context.Context, root string) ([]File, error) {
	var files []File
	add := func(path, name string) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		f, err := dataset.Describe(filepath.Dir(path), filepath.Base(path))
		files = append(files, File{filepath.ToSlash(name), f.Size, f.SHA256})
		return err
	}
	if dir, err := badinput.IsDir(root); err != nil {
		return nil, badinput.Wrap(err)
	} else if !dir {
		return files, add(root, filepath.Base(root))
	}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return badinput.Wrap(err)
		}
		if path != root && strings.HasPrefix(d.Name(), ".") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		info, err := os.Stat(path) // files of the hub's cache are links
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		return add(path, name)
	})
	return files, err
}

// each calls yield with the text values of the document, by key.
func (d *document) each(yield func(key, value string)) {
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case string:
			yield(at, v)
		case []any:
			for _, e := range v {
				walk(at, e)
			}
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(v)) {
				walk(join(at, name), v[name])
			}
		}
	}
	walk("", d.values)
}
