// Package hub finds models by their Hugging Face id in the cache directory
// that the Python tools use, so that one download serves both.
package hub

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"barka/internal/badinput"
)

var id = regexp.MustCompile(`^[A-Za-z0-9][\w.-]*/[\w.-]+$`)

// CacheDir returns the cache's directory, by the same environment variables
// as huggingface_hub: HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME.
func CacheDir() string {
	if d := os.Getenv("HF_HUB_CACHE"); d != "" {
		return d
	}
	if d := os.Getenv("HF_HOME"); d != "" {
		return filepath.Join(d, "hub")
	}
	if d := os.Getenv("XDG_CACHE_HOME"); d != "" {
		return filepath.Join(d, "huggingface", "hub")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		home = "."
	}
	return filepath.Join(home, ".cache", "huggingface", "hub")
}

// Resolve returns the directory of a model: the argument itself if it is a
// directory, or the cached snapshot of a hub id such as google/gemma-2-2b-it,
// optionally with @revision.
func Resolve(model string) (string, error) {
	if model == "" {
		return "", badinput.Errorf("no model given; --model takes a directory in Hugging Face layout, or a hub id")
	}
	if info, err := os.Stat(model); err == nil {
		if !info.IsDir() {
			return "", badinput.Errorf("model %s is a file; expected a directory in Hugging Face layout", model)
		}
		return model, nil
	}
	name, revision, _ := strings.Cut(model, "@")
	if !id.MatchString(name) || strings.Contains(name, "..") {
		return "", badinput.Errorf("model %s: there is no such directory, and it is not a hub id (organisation/name)", model)
	}
	if revision == "" {
		revision = "main"
	}
	root := filepath.Join(CacheDir(), "models--"+strings.ReplaceAll(name, "/", "--"))
	if !filepath.IsLocal(revision) {
		return "", badinput.Errorf("model %s: revision %q is not a name or a commit", model, revision)
	}
	commit := revision
	if data, err := os.ReadFile(filepath.Join(root, "refs", revision)); err == nil {
		commit = strings.TrimSpace(string(data))
	}
	dir := filepath.Join(root, "snapshots", commit)
	if _, err := os.Stat(filepath.Join(dir, "config.json")); err != nil {
		return "", badinput.Errorf("model %s is not in the cache %s; download it with `hf download %s`, or give a directory", model, CacheDir(), name)
	}
	return dir, nil
}
