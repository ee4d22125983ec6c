package hub

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"

	"barka/internal/badinput"
	"barka/internal/pause"
)

// The batch request of git-lfs, as the hub answers it.
type (
	batchQuestion struct {
		Operation string            `json:"operation"`
		Transfers []string          `json:"transfers"`
		Algorithm string            `json:"hash_algo"`
		Ref       map[string]string `json:"ref"`
		Objects   []object          `json:"objects"`
	}
	object struct {
		OID  string `json:"oid"`
		Size int64  `json:"size"`
	}
	batchAnswer struct {
		Transfer string        `json:"transfer"`
		Objects  []batchObject `json:"objects"`
	}
	batchObject struct {
		object
		Actions *actions `json:"actions"`
		Error   *struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	// actions are what is asked for an object. Without an upload, the store has it.
	actions struct {
		Upload *action `json:"upload"`
		Verify *action `json:"verify"`
	}
	action struct {
		Href   string            `json:"href"`
		Header map[string]string `json:"header"`
	}
)

// maxBatch is the number of objects of one request.
const maxBatch = 100

// batch asks the store which of the files it lacks, and how they are sent. A file that it
// has gets nil.
func (c *Client) batch(ctx context.Context, r Repo, files []*Outgoing) ([]*actions, error) {
	q := batchQuestion{Operation: "upload", Transfers: []string{"basic", "multipart"}, Algorithm: "sha256",
		Ref: map[string]string{"name": r.Revision}}
	for _, f := range files {
		q.Objects = append(q.Objects, object{f.sha256, f.Size})
	}
	var a batchAnswer
	if err := c.post(ctx, r, c.page(r)+".git/info/lfs/objects/batch", lfsType, q, &a); err != nil {
		return nil, err
	}
	if a.Transfer != "" && a.Transfer != "basic" && a.Transfer != "multipart" {
		return nil, badinput.Errorf("%s: the store asks for the transfer %q; expected basic or multipart", what(r), c.clean(a.Transfer))
	}
	found := map[string]*batchObject{}
	for i := range a.Objects {
		found[a.Objects[i].OID] = &a.Objects[i]
	}
	out := make([]*actions, len(files))
	for i, f := range files {
		o := found[f.sha256]
		switch {
		case o == nil:
			return nil, badinput.Errorf("%s: the store does not answer about %s", what(r), f.Path)
		case o.Error != nil && o.Error.Code == http.StatusRequestEntityTooLarge:
			return nil, badinput.Errorf("%s: the store refuses %s for its size of %d bytes: %s", what(r), f.Path, f.Size, c.clean(o.Error.Message))
		case o.Error != nil:
			return nil, badinput.Errorf("%s: the store refuses %s: %d %s", what(r), f.Path, o.Error.Code, c.clean(o.Error.Message))
		case o.Size != f.Size:
			return nil, badinput.Errorf("%s: the store states %d bytes for %s, which has %d", what(r), o.Size, f.Path, f.Size)
		case o.Actions != nil && o.Actions.Upload != nil:
			out[i] = o.Actions
		}
	}
	return out, nil
}

// store returns the address of an action. It refuses what a redirect must not name either.
func (c *Client) store(r Repo, href string) (string, error) {
	to, err := follow(c.endpoint, href)
	if err != nil {
		return "", badinput.Errorf("%s: the address of an upload: %w", what(r), err)
	}
	return to.String(), nil
}

// transfer sends one file to the store. It counts its bytes for the progress.
type transfer struct {
	c       *Client
	u       *Upload
	f       *Outgoing
	slots   chan struct{} // bounds the requests of all transfers
	counted atomic.Int64
	spoilt  atomic.Int64 // how often the store had other bytes
}

// send sends the file as first says, or asks the store again after a failure.
func (t *transfer) send(ctx context.Context, first *actions) error {
	next := first
	return t.c.attempts(ctx, t.f.Path, func() error {
		a := next
		next = nil
		if a == nil {
			list, err := t.c.batch(ctx, t.u.Repo, []*Outgoing{t.f})
			if err != nil {
				return err
			}
			if a = list[0]; a == nil { // an attempt succeeded, and its answer was lost
				t.count(t.f.Size - t.counted.Load())
				return nil
			}
		}
		err := t.attempt(ctx, a)
		if err != nil {
			t.count(-t.counted.Load())
		}
		return err
	})
}

// count adds to the progress.
func (t *transfer) count(n int64) {
	t.counted.Add(n)
	t.c.progress.Add(n)
}

// attempt sends the file and lets the hub verify it.
func (t *transfer) attempt(ctx context.Context, a *actions) (err error) {
	if err := t.f.same(); err != nil {
		return err
	}
	if text, ok := a.Upload.Header["chunk_size"]; ok {
		err = t.parts(ctx, a.Upload, text)
	} else {
		err = t.whole(ctx, a.Upload)
	}
	if err != nil || a.Verify == nil {
		return err
	}
	address, err := t.c.store(t.u.Repo, a.Verify.Href)
	if err != nil {
		return err
	}
	err = t.c.post(ctx, t.u.Repo, address, jsonType, object{t.f.sha256, t.f.Size}, nil)
	if refusedAs(err, http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity) {
		return t.again(fmt.Errorf("the hub finds other bytes in its store than were sent: %w", err))
	}
	return err
}

// again returns an error after which the file is sent once more from the beginning. The
// second of them is final.
func (t *transfer) again(err error) error {
	forget(t.c, t.u.Repo, t.f)
	if t.spoilt.Add(1) > 1 {
		return badinput.Errorf("%s: %w", t.f.Path, err)
	}
	return &pause.Passing{Err: errors.New(t.c.clean(err.Error()))}
}

// whole sends the file in one request, and compares what was sent with its digest.
func (t *transfer) whole(ctx context.Context, a *action) error {
	address, err := t.c.store(t.u.Repo, a.Href)
	if err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := t.put(ctx, address, a.Header, 0, t.f.Size, sum); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != t.f.sha256 {
		return t.f.changed()
	}
	return nil
}

// put sends size bytes from an offset and returns the store's tag of them. sum, if not nil,
// gets what was sent.
func (t *transfer) put(ctx context.Context, address string, header map[string]string, from, size int64, sum hash.Hash) (string, error) {
	select {
	case t.slots <- struct{}{}:
		defer func() { <-t.slots }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	in, err := t.f.open()
	if err != nil {
		return "", err
	}
	defer in.Close()
	var sent atomic.Int64
	q := request{method: http.MethodPut, header: header, size: size, body: func() io.Reader {
		t.count(-sent.Swap(0))
		if sum != nil {
			sum.Reset()
		}
		if _, err := in.Seek(from, io.SeekStart); err != nil {
			return failing{err}
		}
		return &outgoing{io.LimitReader(in, size), sum, &sent, t}
	}}
	a, err := t.c.do(ctx, t.u.Repo, address, q)
	if err == nil {
		defer a.Close()
		_, _ = io.Copy(io.Discard, io.LimitReader(a, maxHeader)) // the connection serves the next request
		if got := sent.Load(); got != size {
			err = &pause.Passing{Err: fmt.Errorf("the store answered after %d of %d bytes", got, size)}
		}
	}
	if err != nil {
		t.count(-sent.Load())
		if changed := t.f.same(); changed != nil {
			return "", changed
		}
		return "", err
	}
	return a.Header.Get("ETag"), nil
}

type failing struct{ error }

func (f failing) Read([]byte) (int, error) { return 0, f.error }

// outgoing is the body of a transfer's request.
type outgoing struct {
	from io.Reader
	sum  hash.Hash
	sent *atomic.Int64
	t    *transfer
}

func (o *outgoing) Read(p []byte) (int, error) {
	n, err := o.from.Read(p)
	if o.sum != nil {
		o.sum.Write(p[:n])
	}
	o.sent.Add(int64(n))
	o.t.count(int64(n))
	return n, err
}

// sendAll sends the content of large files that the store lacks, several at once.
func (c *Client) sendAll(ctx context.Context, u *Upload) error {
	var files []*Outgoing
	seen := map[string]bool{}
	var total int64
	for _, f := range u.Files {
		if f.sends() && f.Mode == Large && !seen[f.sha256] {
			seen[f.sha256] = true
			files = append(files, f)
			total += f.Size
		}
	}
	if len(files) == 0 {
		return nil
	}
	c.progress.Start("publish "+u.Repo.String(), total, "bytes")
	defer c.progress.Done()
	slots := make(chan struct{}, c.parallel)
	for len(files) > 0 {
		n := min(maxBatch, len(files))
		now := files[:n]
		files = files[n:]
		todo, err := c.batch(ctx, u.Repo, now)
		if err != nil {
			return err
		}
		if err := c.each(ctx, n, func(ctx context.Context, i int) error {
			if todo[i] == nil {
				c.progress.Skip(now[i].Size)
				return nil
			}
			t := &transfer{c: c, u: u, f: now[i], slots: slots}
			return t.send(ctx, todo[i])
		}); err != nil {
			return err
		}
	}
	return nil
}

// chunkSize reads the size of an upload's parts.
func (t *transfer) chunkSize(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || t.f.Size/n >= maxParts {
		return 0, badinput.Errorf("%s: the store asks for parts of %q bytes; expected at most %d parts", t.f.Path, t.c.clean(text), maxParts)
	}
	return n, nil
}

// maxParts bounds the parts of an upload; it is the limit of S3.
const maxParts = 10_000
