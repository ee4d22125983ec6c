package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"barka/internal/badinput"
	"barka/internal/panics"
	"barka/internal/pause"
	"barka/internal/progress"
)

// errRange is the error of a server that does not have the requested bytes.
var errRange = errors.New("the server has no such bytes")

// Fetch downloads the files of a plan that are not in the cache, several at
// once, and returns the directory that holds all of them. It continues the
// downloads of an interrupted run.
func (c *Client) Fetch(ctx context.Context, p *Plan) (dir string, err error) {
	lacking := p.lacking()
	if len(lacking) > 0 {
		if c.offline {
			return "", badinput.Errorf("%s: %d files are not in the cache %s, and barka is %w (--offline, or HF_HUB_OFFLINE)",
				what(p.Repo), len(lacking), c.cache, errOffline)
		}
		if err := c.room(p); err != nil {
			return "", err
		}
		if err := c.fetchAll(ctx, p, lacking); err != nil {
			return "", err
		}
	}
	if p.linked() {
		return p.Dir(), nil // also if the cache is read-only
	}
	release, err := acquire(ctx, p.lockFile(File{Digest: "snapshot"}), func() {})
	if err != nil {
		return "", err
	}
	defer release()
	return p.Dir(), p.link()
}

// room returns an error if the disk has no space for a download.
func (c *Client) room(p *Plan) error {
	free, ok := freeSpace(c.cache)
	if need := c.Plan(p.Listing, p.Files).ToFetch; ok && need > free {
		return fmt.Errorf("%s: the download needs %d MiB, and %s has %d MiB free; free some, or set HF_HUB_CACHE "+
			"to a directory with more", what(p.Repo), need>>20, c.cache, free>>20)
	}
	return nil
}

// fetchAll fetches blobs, several at once. The first error stops all of them.
func (c *Client) fetchAll(ctx context.Context, p *Plan, files []File) error {
	var total int64
	for _, f := range files {
		total += f.Size
	}
	c.progress.Start("download "+p.Repo.String(), total, "bytes")
	defer c.progress.Done()
	return c.each(ctx, len(files), func(ctx context.Context, i int) error { return c.fetchBlob(ctx, p, files[i]) })
}

// each calls do for the numbers below n, several at once. The first error ends all of them.
func (c *Client) each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	return c.eachIn(ctx, n, nil, do)
}

// eachIn is each that sends to slots before each call, in order. do receives from it.
func (c *Client) eachIn(ctx context.Context, n int, slots chan struct{}, do func(ctx context.Context, i int) error) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		wg    = panics.Group{Stop: cancel}
		mu    sync.Mutex
		first error
	)
	queue := make(chan int)
	for range min(c.parallel, n) {
		wg.Go(func() {
			for i := range queue {
				if err := do(inner, i); err != nil {
					mu.Lock()
					if first == nil {
						first = err
					}
					mu.Unlock()
					cancel()
				}
			}
		})
	}
	for i := range n {
		if slots != nil {
			select {
			case slots <- struct{}{}:
			case <-inner.Done():
			}
		}
		select {
		case queue <- i:
		case <-inner.Done():
		}
	}
	close(queue)
	wg.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return first
}

// fetchBlob fetches one blob. If another process is fetching it, fetchBlob waits for
// the result.
func (c *Client) fetchBlob(ctx context.Context, p *Plan, f File) error {
	blob := p.blob(f)
	if err := os.MkdirAll(filepath.Dir(blob), 0o777); err != nil {
		return diskError(blob, err)
	}
	release, err := acquire(ctx, p.lockFile(f), func() { c.progress.Note(f.Path + ": another process is downloading it; waiting") })
	if err != nil {
		return err
	}
	defer release()
	if there(blob, f) {
		c.progress.Skip(f.Size)
		return nil
	}
	spoilt := 0
	return c.attempts(ctx, f.Path, func() error {
		err := c.continueBlob(ctx, p, f)
		var wrong *wrongContent
		if errors.As(err, &wrong) {
			if spoilt++; spoilt == 1 {
				return &pause.Passing{Err: err}
			}
			return badinput.Errorf("%s: %s: %w", what(p.Repo), f.Path, err)
		}
		return err
	})
}

// wrongContent is the error of a file whose digest is not the one that the hub
// states.
type wrongContent struct{ text string }

func (w *wrongContent) Error() string { return w.text }

// continueBlob fetches the missing rest of a blob, verifies all of it and gives it
// its name.
func (c *Client) continueBlob(ctx context.Context, p *Plan, f File) (err error) {
	part := p.blob(f) + ".incomplete"
	file, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return diskError(part, err)
	}
	counted := int64(0) // bytes of this attempt that the progress shows
	defer func() {
		if closed := file.Close(); err == nil && closed != nil {
			err = diskError(part, closed)
		}
		if err != nil {
			c.progress.Add(-counted)
		}
	}()
	h := f.newHash()
	had, err := io.Copy(h, io.LimitReader(file, f.Size+1))
	if err != nil {
		return err
	}
	if had > f.Size { // not a part of this content
		h, had = f.newHash(), 0
		if err := restart(file); err != nil {
			return diskError(part, err)
		}
	}
	c.progress.Skip(had)
	counted = had
	if f.Size-had >= 2*c.piece && c.parallel > 1 {
		had, err = c.receivePieces(ctx, p, f, file, h, had, &counted)
		if err != nil && !errors.Is(err, errWhole) {
			return err
		}
	}
	if had < f.Size {
		if err := c.receive(ctx, p, f, file, &h, had, &counted); err != nil {
			return err
		}
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != f.Digest {
		if err := restart(file); err != nil {
			return diskError(part, err)
		}
		return &wrongContent{fmt.Sprintf("the downloaded bytes have the digest %s, expected %s", got, f.Digest)}
	}
	p.removePieces(f) // of a run that was interrupted
	if err := file.Sync(); err != nil {
		return diskError(part, err)
	}
	return diskError(part, os.Rename(part, p.blob(f)))
}

// receive appends the missing rest to a partial file.
func (c *Client) receive(ctx context.Context, p *Plan, f File, file *os.File, h *hash.Hash, had int64, counted *int64) error {
	a, err := c.get(ctx, p.Repo, c.page(p.Repo, append([]string{"resolve", p.Commit}, strings.Split(f.Path, "/")...)...), had)
	if errors.Is(err, errRange) {
		if err := restart(file); err != nil {
			return diskError(file.Name(), err)
		}
		return &pause.Passing{Err: err}
	}
	if err != nil {
		return err
	}
	defer a.Close()
	if a.StatusCode == http.StatusOK && had > 0 { // the server sends the whole file
		if err := restart(file); err != nil {
			return diskError(file.Name(), err)
		}
		c.progress.Add(-had)
		*h, had, *counted = f.newHash(), 0, 0
	}
	if a.StatusCode == http.StatusPartialContent && !strings.HasPrefix(a.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", had)) {
		return &pause.Passing{Err: fmt.Errorf("the server sends the range %q, expected bytes from %d on",
			c.clean(a.Header.Get("Content-Range")), had)}
	}
	left := f.Size - had
	if n := a.ContentLength; n >= 0 && n != left {
		return &pause.Passing{Err: &wrongContent{fmt.Sprintf("the server sends %d bytes, expected %d", n+had, f.Size)}}
	}
	disk := &diskWriter{file: file}
	got, err := io.Copy(io.MultiWriter(disk, *h, &counter{c.progress, counted}), io.LimitReader(a, left+1))
	switch {
	case disk.err != nil:
		return diskError(file.Name(), disk.err)
	case err != nil || got < left:
		if err == nil || errors.Is(err, context.Canceled) {
			err = io.ErrUnexpectedEOF
		}
		return &pause.Passing{Err: fmt.Errorf("the connection broke after %d of %d bytes: %s", had+got, f.Size,
			c.clean(err.Error())), Progressed: got >= headway}
	case got > left:
		if err := restart(file); err != nil {
			return diskError(file.Name(), err)
		}
		return &wrongContent{fmt.Sprintf("the server sends more than the expected %d bytes", f.Size)}
	}
	return nil
}

// newHash returns the hash of a file's digest: SHA-256 of its bytes, or git's SHA-1
// of an object.
func (f File) newHash() hash.Hash {
	if len(f.Digest) == 2*sha256.Size {
		return sha256.New()
	}
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", f.Size)
	return h
}

// restart empties a file.
func restart(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.Seek(0, io.SeekStart)
	return err
}

// diskWriter keeps the last error of the disk, which io.Copy does not tell from one
// of the network.
type diskWriter struct {
	file *os.File
	err  error
}

func (d *diskWriter) Write(p []byte) (int, error) {
	n, err := d.file.Write(p)
	d.err = err
	return n, err
}

// counter reports received bytes to the progress.
type counter struct {
	progress progress.Reporter
	n        *int64
}

func (c *counter) Write(p []byte) (int, error) {
	*c.n += int64(len(p))
	c.progress.Add(int64(len(p)))
	return len(p), nil
}
