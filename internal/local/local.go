// Package local runs models on this machine for the stages: it opens model
// directories and offers them as the generator, the translator and the
// evaluated model that stages ask for by interface.
package local

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"

	"barka/internal/badinput"
	"barka/internal/generate"
	"barka/internal/hub"
	"barka/internal/model"
	_ "barka/internal/model/all"
	"barka/internal/progress"
	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
	"barka/internal/tokenizer"
)

// Engine is a device and the settings models are opened with.
type Engine struct {
	Device tensor.Device
	DType  string // f32, bf16 or int8; "" means the checkpoint's own type
	Log    func(string)
	// Progress shows how far a model that takes a while is loaded; nil: it
	// does not show.
	Progress progress.Reporter
	// CacheBytes bounds the key/value cache of each model that generates; 0
	// means a quarter of the memory that is free then.
	CacheBytes int64
	// Context, if not nil, ends the loading and digesting of models.
	Context context.Context

	threads int
	watch   *watch
}

// ctx is the engine's context.
func (e *Engine) ctx() context.Context {
	if e.Context == nil {
		return context.Background()
	}
	return e.Context
}

// longLoad is how many bytes of weights take so long that one wants to know.
const longLoad = 512 << 20

// quiet is the engine for work during which something else shows progress.
func (e *Engine) quiet() *Engine {
	q := *e
	q.Progress = nil
	return &q
}

// As returns the engine with weights of another type; "" keeps the engine's.
func (e *Engine) As(dt string) *Engine {
	other := *e
	other.DType = cmp.Or(dt, e.DType)
	return &other
}

// TypeOf returns the type that a model's weights are packed as: f32, bf16 or
// int8.
func (e *Engine) TypeOf(name string) (string, error) {
	dir, err := hub.Resolve(name)
	if err != nil {
		return "", err
	}
	o, err := e.options(dir)
	return strings.ToLower(string(o.DType)), err
}

// NewEngine makes an engine on the CPU; threads 0 means all cores.
func NewEngine(threads int, dt string, log func(string)) *Engine {
	return &Engine{Device: cpu.New(threads), DType: dt, Log: log, threads: threads, watch: &watch{seen: map[string]fs.FileInfo{}}}
}

// options resolves the type of the packed weights.
func (e *Engine) options(dir string) (model.Options, error) {
	dt := e.DType
	if dt == "" {
		var err error
		if dt, err = storedType(dir); err != nil {
			return model.Options{}, err
		}
	}
	parsed, err := model.ParseDType(dt)
	return model.Options{Context: e.ctx(), Device: e.Device, DType: parsed, Log: e.Log, Progress: e.showLoading(dir)}, err
}

// showLoading returns what model.Options.Progress wants.
func (e *Engine) showLoading(dir string) func(loaded, total int64) {
	if e.Progress == nil {
		return nil
	}
	var shown int64
	return func(loaded, total int64) {
		if total < longLoad {
			return
		}
		if shown == 0 {
			e.Progress.Start("load "+filepath.Base(dir), total, "bytes")
		}
		e.Progress.Add(loaded - shown)
		if shown = loaded; loaded >= total {
			e.Progress.Done()
		}
	}
}

// Digest identifies a model by content and by the type its weights are packed
// as: all that its outputs depend on.
func (e *Engine) Digest(name string) (string, error) {
	dir, err := hub.Resolve(name)
	if err != nil {
		return "", err
	}
	o, err := e.options(dir)
	if err != nil {
		return "", err
	}
	content, err := e.digest(dir)
	return content + "-" + strings.ToLower(string(o.DType)), err
}

// digest is Digest of what the engine loads from a directory, at any time.
func (e *Engine) digest(dir string) (string, error) {
	if err := e.watch.check(dir); err != nil {
		return "", err
	}
	d, err := digest(e.ctx(), dir)
	return d, cmp.Or(e.watch.check(dir), err)
}

// Decoder is an opened causal language model with its tokenizer.
type Decoder struct {
	Name      string // as the user gave it
	Dir       string
	Model     model.Decoder
	Tokenizer *tokenizer.Tokenizer
	Adapter   *model.Adapter
	digest    string
	adapter   string // its directory

	engine    *Engine // that opened it
	once      sync.Once
	generator *generate.Engine
}

// OpenDecoder opens a causal language model, and an adapter on top if one is
// given.
func (e *Engine) OpenDecoder(name, adapter string) (*Decoder, error) {
	dir, err := hub.Resolve(name)
	if err != nil {
		return nil, err
	}
	if err := e.watch.check(dir); err != nil {
		return nil, err
	}
	o, err := e.options(dir)
	if err != nil {
		return nil, err
	}
	if err := fits(dir, o); err != nil {
		return nil, err
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		return nil, err
	}
	m, err := model.OpenDecoder(dir, o)
	if err != nil {
		return nil, err
	}
	if v := m.Info().Vocab; tok.VocabSize() > v {
		return nil, badinput.Errorf("model %s: the tokenizer has %d tokens, the model's vocabulary %d; they do not belong together", name, tok.VocabSize(), v)
	}
	d := &Decoder{Name: name, Dir: dir, Model: m, Tokenizer: tok, engine: e}
	if adapter != "" {
		if d.adapter, err = hub.ResolveAdapter(adapter); err != nil {
			return nil, err
		}
		if err := e.watch.check(d.adapter); err != nil {
			return nil, err
		}
		if d.Adapter, err = model.LoadAdapter(m, d.adapter); err != nil {
			return nil, err
		}
	}
	return d, e.watch.check(d.directories()...)
}

// directories are the model's and the adapter's, if there is one.
func (d *Decoder) directories() []string {
	if d.adapter == "" {
		return []string{d.Dir}
	}
	return []string{d.Dir, d.adapter}
}

// EndTokens returns the tokens that end a text: those of generation_config.json
// or config.json, or else the tokenizer's, and those given, which a chat format
// may want beside them.
func (d *Decoder) EndTokens(more ...int32) ([]int32, error) {
	g, err := model.ReadGeneration(d.Dir)
	if err != nil {
		return nil, err
	}
	ids := g.EOS
	if eos := d.Tokenizer.Special().EOS; len(ids) == 0 && eos >= 0 {
		ids = []int32{eos}
	}
	for _, id := range more {
		if id >= 0 && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// Digest identifies the model's weights and configuration by content.
func (d *Decoder) Digest() (string, error) {
	if d.digest != "" {
		return d.digest, nil
	}
	var err error
	d.digest, err = d.engine.digest(d.Dir)
	return d.digest, err
}

// digested lists the files of a model or adapter directory that its digest is
// of.
func digested(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir) // filepath.Glob would take an error for an empty directory
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	patterns := []string{"config.json", "adapter_config.json", "*.safetensors", "pytorch_model*.bin", "adapter_model.bin", "tokenizer.json", "tokenizer_config.json",
		"chat_template.jinja", "chat_template.json", "*.model"}
	if !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == "tokenizer.json" }) {
		// Only then do these say which pieces and control tokens there are.
		patterns = append(patterns, "vocab.json", "added_tokens.json", "special_tokens_map.json")
	}
	var names []string
	for _, e := range entries {
		if slices.ContainsFunc(patterns, func(p string) bool { ok, _ := filepath.Match(p, e.Name()); return ok }) {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	template := filepath.Join(dir, "additional_chat_templates", "default.jinja")
	there, err := badinput.Exists(template)
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	if there {
		names = append(names, template)
	}
	slices.Sort(names)
	return names, nil
}

// Digest hashes the files of a model or adapter directory that matter.
func Digest(dir string) (string, error) { return digest(context.Background(), dir) }

func digest(ctx context.Context, dir string) (string, error) {
	names, err := digested(dir)
	if err != nil {
		return "", err
	}
	h := xxhash.New()
	for _, n := range names {
		err := hashFile(ctx, h, n)
		switch {
		case ctx.Err() != nil:
			return "", ctx.Err()
		case err != nil:
			return "", badinput.Wrap(err)
		}
	}
	// Of generation_config.json only what ends and begins a text counts, and
	// only where config.json, which is hashed, says otherwise.
	g, err := model.ReadGeneration(dir)
	if err != nil {
		return "", err
	}
	if g.Overrides {
		fmt.Fprintf(h, "generation %d %d\n", g.Start, g.EOS)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func hashFile(ctx context.Context, h hash.Hash, path string) error {
	f, err := badinput.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	fmt.Fprintf(h, "%s\n", filepath.Base(path))
	const block = 64 << 20
	for err == nil {
		if err = ctx.Err(); err == nil {
			_, err = io.CopyN(h, f, block)
		}
	}
	if err == io.EOF {
		return nil
	}
	return err
}
