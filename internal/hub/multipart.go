package hub

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/pause"
)

// begun is an upload in parts that is not complete. It is kept in the user's cache
// directory, so that a later process sends only the missing parts. Its addresses are
// signed for this one object and expire; the directory is readable by the user alone.
type begun struct {
	At       int64    `json:"at"` // Unix seconds of its beginning
	OID      string   `json:"oid"`
	Size     int64    `json:"size"`
	Chunk    int64    `json:"chunk_size"`
	Complete string   `json:"complete"`
	Parts    []string `json:"parts"` // addresses
	Tags     []string `json:"tags"`  // of the parts that the store has; "" for others
}

// keptFor is how long an unfinished upload is taken up again. The hub's addresses last for a
// day; a store that has forgotten them says so, and the upload begins again.
const keptFor = 12 * time.Hour

// begunFile returns the file that keeps the unfinished upload of a content, or "".
func begunFile(c *Client, r Repo, f *Outgoing) string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	name := sha256.Sum256([]byte(c.endpoint.String() + "\n" + string(r.Kind) + "/" + r.ID + "\n" + f.sha256))
	return filepath.Join(dir, "barka", "uploads", hex.EncodeToString(name[:16])+".json")
}

// forget removes the record of an unfinished upload.
func forget(c *Client, r Repo, f *Outgoing) {
	if path := begunFile(c, r, f); path != "" {
		_ = os.Remove(path) // it expires otherwise
	}
}

// keep records an unfinished upload. A cache that cannot be written means that an
// interrupted upload begins again.
func keep(path string, b *begun) {
	if path != "" && os.MkdirAll(filepath.Dir(path), 0o700) == nil {
		_ = atomicfile.WriteJSON(path, b)
	}
}

// expire removes the records beside path that will not be taken up again.
func expire(path string) {
	if path == "" { // there is no cache directory
		return
	}
	records, err := filepath.Glob(filepath.Join(filepath.Dir(path), strings.Repeat("[0-9a-f]", 32)+".json"))
	if err != nil {
		return // a directory with the characters of a pattern keeps them
	}
	for _, name := range records {
		if info, err := os.Stat(name); err == nil && time.Since(info.ModTime()) > 2*keptFor {
			_ = os.Remove(name)
		}
	}
}

// parts sends the file in parts, several at once. It takes up what an earlier run began.
func (t *transfer) parts(ctx context.Context, a *action, chunk string) error {
	b, err := t.asked(a, chunk)
	if err != nil {
		return err
	}
	path := begunFile(t.c, t.u.Repo, t.f)
	var old begun
	if path != "" && badinput.ReadJSON(path, &old) == nil && t.continues(&old) {
		b = &old
	} else {
		expire(path)
		keep(path, b)
	}
	var mu sync.Mutex
	err = t.c.each(ctx, len(b.Parts), func(ctx context.Context, i int) error {
		from := int64(i) * b.Chunk
		size := min(b.Chunk, b.Size-from)
		if b.Tags[i] != "" {
			t.counted.Add(size)
			t.c.progress.Skip(size)
			return nil
		}
		tag, err := t.part(ctx, b.Parts[i], from, size)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		b.Tags[i] = tag
		keep(path, b)
		return nil
	})
	if err != nil {
		return err
	}
	return t.complete(ctx, b)
}

// asked reads the parts that the store asks for: their addresses are headers whose names
// are numbers from 1.
func (t *transfer) asked(a *action, chunk string) (*begun, error) {
	n, err := t.chunkSize(chunk)
	if err != nil {
		return nil, err
	}
	b := &begun{At: time.Now().Unix(), OID: t.f.sha256, Size: t.f.Size, Chunk: n}
	if b.Complete, err = t.c.store(t.u.Repo, a.Href); err != nil {
		return nil, err
	}
	count := int((t.f.Size + n - 1) / n)
	b.Parts, b.Tags = make([]string, count), make([]string, count)
	given := 0
	for name, href := range a.Header {
		i, err := strconv.Atoi(name)
		if err != nil {
			continue // another header
		}
		if given++; i < 1 || i > count {
			break
		}
		if b.Parts[i-1], err = t.c.store(t.u.Repo, href); err != nil {
			return nil, err
		}
	}
	for i, p := range b.Parts {
		if p == "" || given != count {
			return nil, badinput.Errorf("%s: the store names %d parts of %d bytes for %d bytes, part %d of %d among the wrong ones",
				t.f.Path, given, n, t.f.Size, i+1, count)
		}
	}
	return b, nil
}

// continues reports whether an unfinished upload is of this content and may be known still.
func (t *transfer) continues(b *begun) bool {
	count := int64(len(b.Parts))
	age := time.Since(time.Unix(b.At, 0))
	return b.OID == t.f.sha256 && b.Size == t.f.Size && b.Chunk > 0 && count == (b.Size+b.Chunk-1)/b.Chunk &&
		len(b.Tags) == len(b.Parts) && age >= 0 && age < keptFor
}

// part sends one part. What the store has forgotten is sent from the beginning.
func (t *transfer) part(ctx context.Context, address string, from, size int64) (tag string, err error) {
	err = t.c.attempts(ctx, t.f.Path, func() error {
		tag, err = t.put(ctx, address, nil, from, size, nil)
		if refusedAs(err, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone) {
			return &forgotten{err.Error()}
		}
		return err
	})
	var f *forgotten
	switch {
	case errors.As(err, &f):
		forget(t.c, t.u.Repo, t.f)
		return "", &pause.Passing{Err: f}
	case err == nil && tag == "":
		return "", badinput.Errorf("%s: the store does not tag a part that it received", t.f.Path)
	}
	return tag, err
}

// forgotten is the error of an upload that the store no longer knows.
type forgotten struct{ text string }

func (f *forgotten) Error() string { return f.text }

// complete asks the hub to join the parts.
func (t *transfer) complete(ctx context.Context, b *begun) error {
	type part struct {
		Number int    `json:"partNumber"`
		Tag    string `json:"etag"`
	}
	q := struct {
		OID   string `json:"oid"`
		Parts []part `json:"parts"`
	}{OID: b.OID}
	for i, tag := range b.Tags {
		q.Parts = append(q.Parts, part{i + 1, tag})
	}
	err := t.c.post(ctx, t.u.Repo, b.Complete, lfsType, q, nil)
	if refusedAs(err, http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusGone) {
		return t.again(fmt.Errorf("the parts cannot be joined: %w", err))
	}
	if err == nil {
		forget(t.c, t.u.Repo, t.f)
	}
	return err
}
