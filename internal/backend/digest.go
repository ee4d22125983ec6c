package backend

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"barka/internal/badinput"
	"barka/internal/digestcache"
	"barka/internal/dtype"
	"barka/internal/hub"
	"barka/internal/model"
)

// Digest identifies a model by its content, by the kind of device if that is a GPU, and by the type
// of its packed weights. Outputs depend on nothing else.
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
	if e.gpu != nil {
		content += "-" + e.gpu.Kind()
	}
	return content + "-" + strings.ToLower(packedType(o.DType)), err
}

// packedType names the type of packed weights in digests. For integers it includes the
// scheme: until November 2026 a row had one scale, and outputs differed.
func packedType(dt dtype.DType) string {
	if dt == dtype.I8 {
		return "I8-rotated-64"
	}
	return string(dt)
}

// digest returns the Digest of a directory, and an error if its files are not those
// that the engine loads.
func (e *Engine) digest(dir string) (string, error) {
	if err := e.watch.check(dir); err != nil {
		return "", err
	}
	d, err := digest(e.ctx(), dir)
	return d, cmp.Or(e.watch.check(dir), err)
}

// digested lists the files of a model or adapter directory that its digest
// covers.
func digested(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir) // filepath.Glob would take an error for an empty directory
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	patterns := []string{"config.json", "adapter_config.json", "*.safetensors", "pytorch_model*.bin", "*.gguf", "adapter_model.bin",
		"tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "chat_template.json", "*.model"}
	if !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == "tokenizer.json" }) {
		// Without a tokenizer.json these files define the pieces and control
		// tokens.
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

// Digest hashes the files of a model or adapter directory on which outputs depend.
func Digest(dir string) (string, error) { return digest(context.Background(), dir) }

// digest returns the Digest of a directory. If its files are large and have not changed, it
// comes from the cache of digests.
func digest(ctx context.Context, dir string) (string, error) {
	names, err := digested(dir)
	if err != nil {
		return "", err
	}
	files := append(slices.Clone(names), filepath.Join(dir, model.GenerationFile))
	values, err := digestcache.Of("model", files, func() ([]string, error) {
		d, err := hashModel(ctx, dir, names)
		return []string{d}, err
	})
	if err != nil {
		return "", err
	}
	return values[0], nil
}

func hashModel(ctx context.Context, dir string, names []string) (string, error) {
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
	// Of generation_config.json only the start and end tokens matter, and only if
	// they differ from those of config.json, which is hashed.
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
