package hub

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"barka/internal/pause"
)

// Large files are downloaded in pieces, several at once. A piece ahead of what is complete
// has a file of its own, DIGEST.N.piece: other programs take the length of
// DIGEST.incomplete for the number of bytes that are there. Finished pieces are appended to
// it in order, so that the digest of the whole is computed on the way.

// pieceSize is the size of a piece. A file of less than two is downloaded in one request.
const pieceSize = 64 << 20

// piecesAhead bounds the pieces per connection that wait for an earlier one.
const piecesAhead = 2

// errWhole is the error of a server that sends the whole file instead of a piece.
var errWhole = errors.New("the server does not send pieces")

// pieces is a download in pieces.
type pieces struct {
	c    *Client
	p    *Plan
	f    File
	to   *os.File // gets the pieces in order
	hash hash.Hash

	start   int64        // bytes of to at the beginning
	counted atomic.Int64 // bytes that the progress shows
	mu      sync.Mutex
	next    int64 // the piece to be appended
	had     int64 // bytes of to
	ready   map[int64]bool
	slots   chan struct{}
}

// pieceFile returns the file of a piece.
func (p *Plan) pieceFile(f File, n int64) string { return fmt.Sprintf("%s.%d.piece", p.blob(f), n) }

// pieceFiles lists the files of pieces.
func (p *Plan) pieceFiles(f File) []string {
	all, err := os.ReadDir(filepath.Dir(p.blob(f)))
	if err != nil {
		return nil // there are none
	}
	var names []string
	for _, e := range all {
		if strings.HasPrefix(e.Name(), f.Digest+".") && strings.HasSuffix(e.Name(), ".piece") {
			names = append(names, filepath.Join(filepath.Dir(p.blob(f)), e.Name()))
		}
	}
	return names
}

// removePieces removes the files of pieces. One that stays does no harm: the digest of the
// whole is verified.
func (p *Plan) removePieces(f File) {
	for _, name := range p.pieceFiles(f) {
		_ = os.Remove(name)
	}
}

// receivePieces appends the missing rest to a partial file with had bytes, and returns how
// many it has then. The error is errWhole if the rest has to be requested as a whole.
func (c *Client) receivePieces(ctx context.Context, p *Plan, f File, file *os.File, h hash.Hash, had int64, counted *int64) (int64, error) {
	s := &pieces{c: c, p: p, f: f, to: file, hash: h, start: had, next: had / c.piece, had: had, ready: map[int64]bool{},
		slots: make(chan struct{}, piecesAhead*c.parallel)}
	first := s.next
	n := (f.Size+c.piece-1)/c.piece - first
	err := c.eachIn(ctx, int(n), s.slots, func(ctx context.Context, i int) error { return s.fetch(ctx, first+int64(i)) })
	*counted += s.counted.Load()
	if errors.Is(err, errWhole) {
		p.removePieces(f)
		back := *counted - s.had // what is not appended comes again
		c.progress.Add(-back)
		*counted = s.had
	}
	return s.had, err
}

// fetch downloads a piece and appends all that are ready.
func (s *pieces) fetch(ctx context.Context, n int64) error {
	select {
	case s.c.streams <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	err := s.c.attempts(ctx, s.f.Path, func() error { return s.download(ctx, n) })
	<-s.c.streams
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready[n] = true
	for s.ready[s.next] {
		if err := s.append(s.next); err != nil {
			return err
		}
		delete(s.ready, s.next)
		s.next++
		<-s.slots
	}
	return nil
}

// bounds returns the first byte of a piece and the one after its last.
func (s *pieces) bounds(n int64) (from, to int64) {
	return n * s.c.piece, min((n+1)*s.c.piece, s.f.Size)
}

// download fetches what is missing of a piece.
func (s *pieces) download(ctx context.Context, n int64) (err error) {
	from, to := s.bounds(n)
	path := s.p.pieceFile(s.f, n)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return diskError(path, err)
	}
	counted := int64(0)
	defer func() {
		if closed := file.Close(); err == nil && closed != nil {
			err = diskError(path, closed)
		}
		if err != nil {
			s.count(-counted)
		}
	}()
	has, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return diskError(path, err)
	}
	// Of the first piece, the partial file may have the beginning. Its own file then begins
	// with a hole of that size.
	begin := max(0, s.start-from)
	if has < begin || has > to-from {
		if err := file.Truncate(begin); err != nil {
			return diskError(path, err)
		}
		if has, err = file.Seek(begin, io.SeekStart); err != nil {
			return diskError(path, err)
		}
	}
	counted = has - begin
	s.counted.Add(counted)
	s.c.progress.Skip(counted)
	if from+has == to {
		return nil
	}
	return s.receive(ctx, file, from+has, to, &counted)
}

func (s *pieces) count(n int64) {
	s.counted.Add(n)
	s.c.progress.Add(n)
}

// receive appends the bytes from at to end to the file of a piece.
func (s *pieces) receive(ctx context.Context, file *os.File, at, end int64, counted *int64) error {
	page := s.c.page(s.p.Repo, append([]string{"resolve", s.p.Commit}, strings.Split(s.f.Path, "/")...)...)
	a, err := s.c.do(ctx, s.p.Repo, page, request{from: at, most: end - at})
	if errors.Is(err, errRange) {
		return errWhole
	}
	if err != nil {
		return err
	}
	defer a.Close()
	if a.StatusCode == http.StatusOK {
		return errWhole
	}
	if r := a.Header.Get("Content-Range"); !strings.HasPrefix(r, fmt.Sprintf("bytes %d-%d/", at, end-1)) {
		return &pause.Passing{Err: fmt.Errorf("the server sends the range %q, expected bytes %d to %d", s.c.clean(r), at, end-1)}
	}
	disk := &diskWriter{file: file}
	buffer := make([]byte, 256<<10)
	got := int64(0)
	for got < end-at {
		n, err := a.Read(buffer[:min(int64(len(buffer)), end-at-got)])
		if n > 0 {
			if _, err := disk.Write(buffer[:n]); err != nil {
				return diskError(file.Name(), err)
			}
			got += int64(n)
			*counted += int64(n)
			s.count(int64(n))
		}
		if err != nil && got < end-at {
			if err == io.EOF || errors.Is(err, context.Canceled) {
				err = io.ErrUnexpectedEOF
			}
			return &pause.Passing{Err: fmt.Errorf("the connection broke after %d of %d bytes: %s", at+got, s.f.Size, s.c.clean(err.Error())),
				Progressed: got >= headway}
		}
	}
	return nil
}

// append moves a whole piece to the end of the partial file.
func (s *pieces) append(n int64) error {
	from, to := s.bounds(n)
	path := s.p.pieceFile(s.f, n)
	in, err := os.Open(path)
	if err != nil {
		return diskError(path, err)
	}
	if _, err := in.Seek(s.had-from, io.SeekStart); err != nil {
		return diskError(path, errors.Join(err, in.Close()))
	}
	disk := &diskWriter{file: s.to}
	moved, err := io.Copy(io.MultiWriter(disk, s.hash), io.LimitReader(in, to-s.had))
	if err == nil && moved != to-s.had {
		err = io.ErrUnexpectedEOF
	}
	if err := errors.Join(err, in.Close()); err != nil {
		return diskError(path, err)
	}
	s.had = to
	return diskError(path, os.Remove(path))
}
