package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"barka/internal/badinput"
	"barka/internal/progress"
)

// ConvertRevision is the branch on which the hub keeps its own conversion of a
// dataset to parquet, whatever the dataset's own files are.
const ConvertRevision = "refs/convert/parquet"

// Missing returns a plan of the files to download before the model can be opened.
// It returns nil, without contacting the hub, for a local directory or a
// complete cache entry.
func (c *Client) Missing(ctx context.Context, name string, want FileSet) (*Plan, error) {
	if !IsID(name) {
		return nil, nil // Resolve reports the error
	}
	r, err := ParseRepo(Model, name)
	if err != nil {
		return nil, err
	}
	dir := r.snapshot(c.cache)
	if isComplete(dir, want) {
		return nil, nil
	}
	// The repository may have no more files than the cache. If so, opening the
	// model reports what is missing.
	begun := isComplete(dir, part)
	if c.offline && begun {
		return nil, nil
	}
	if c.offline {
		return nil, badinput.Errorf("%s %s is not complete in the cache %s, and barka is %w (--offline, or HF_HUB_OFFLINE); "+
			"run `%s` without it, or give a directory",
			r.Kind.word(), r, c.cache, errOffline, r.command())
	}
	l, err := c.List(ctx, r)
	if IsUnreachable(err) && begun {
		return nil, nil
	}
	if IsUnreachable(err) {
		return nil, fmt.Errorf("%s %s is not complete in the cache %s and cannot be downloaded: %w\n  without a network: run `%s` elsewhere, "+
			"copy its cache to this one, and add --offline; or give a directory", r.Kind.word(), r, c.cache, err, r.command())
	}
	if err != nil {
		return nil, err
	}
	files, err := l.Choose(want)
	if err != nil {
		return nil, err
	}
	return c.Plan(l, files), nil
}

// maxCard bounds a dataset's card.
const maxCard = 16 << 20

// Card downloads and returns a dataset's card, README.md. It returns nil if there is
// none of usual size.
func (c *Client) Card(ctx context.Context, l *Listing) ([]byte, error) {
	f, ok := l.Find("README.md")
	if !ok || f.Size > maxCard {
		return nil, nil
	}
	p := c.Plan(l, []File{f})
	for _, path := range []string{p.pointer(f), p.blob(f)} {
		if data, err := badinput.ReadFile(path, maxCard); err == nil && int64(len(data)) == f.Size {
			return data, nil
		}
	}
	quiet := *c
	quiet.progress = progress.Silent
	if err := quiet.fetchBlob(ctx, p, f); err != nil {
		return nil, err
	}
	return badinput.ReadFile(p.blob(f), maxCard)
}

// CardOf reads the card in a dataset's directory. It returns nil if there is none of
// usual size.
func CardOf(dir string) ([]byte, error) {
	path := filepath.Join(dir, "README.md")
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case info.Size() > maxCard || info.Mode()&fs.ModeType != 0:
		return nil, nil
	}
	return badinput.ReadFile(path, maxCard)
}
