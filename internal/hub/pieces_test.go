package hub

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"barka/internal/hub/hubtest"
)

// large is a file of ten pieces and a bit, in pieces of 1 MiB.
func large(t *testing.T, s *hubtest.Server) (Repo, []byte) {
	t.Helper()
	data := random(11, 10<<20+12345)
	s.Add("models", "org/large", "main", map[string][]byte{"config.json": []byte("{}"), "model.safetensors": data})
	return Repo{Model, "org/large", "main"}, data
}

func isLarge(r *http.Request, store bool) bool { return store && r.Method == http.MethodGet }

// complete fetches the file and compares it. No piece is left.
func complete(t *testing.T, c *Client, data []byte) {
	t.Helper()
	dir, err := fetch(t, c, "org/large")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, expected %d; %v", len(got), len(data), err)
	}
	if left, _ := filepath.Glob(filepath.Join(c.cache, "models--org--large", "blobs", "*.*")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// TestPieces: a large file comes in several requests at once, each for its own bytes.
func TestPieces(t *testing.T) {
	s := serve(t)
	_, data := large(t, s)
	c, m := client(t, Options{Piece: 1 << 20})
	var now, most atomic.Int64
	s.SetFault(func(_ http.ResponseWriter, r *http.Request, store bool) bool {
		if isLarge(r, store) {
			now.Add(1)
			time.Sleep(50 * time.Millisecond)
			if n := now.Load(); n > most.Load() {
				most.Store(n)
			}
			now.Add(-1)
		}
		return false
	})
	complete(t, c, data)
	if most.Load() < 2 || most.Load() > 4 {
		t.Errorf("%d requests at once", most.Load())
	}
	requests := 0
	for _, r := range s.Requests() {
		if r.Store {
			requests++
		}
	}
	if requests != 11 || m.done != m.total {
		t.Errorf("%d requests, progress %d of %d", requests, m.done, m.total)
	}
}

// TestPiecesResume: what an interrupted run received is not requested again, wherever it
// ended: in pieces, with a partial file of any length, or both.
func TestPiecesResume(t *testing.T) {
	for _, partial := range []int64{0, 1<<20 - 1, 1 << 20, 5<<20 + 77, 9 << 20} {
		s := serve(t)
		_, data := large(t, s)
		c, _ := client(t, Options{Piece: 1 << 20})
		ctx, stop := context.WithCancel(t.Context())
		p, err := c.Missing(ctx, "org/large", Weights)
		if err != nil {
			t.Fatal(err)
		}
		f, _ := p.Find("model.safetensors")
		if err := os.MkdirAll(filepath.Dir(p.blob(f)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p.blob(f)+".incomplete", data[:partial], 0o644); err != nil {
			t.Fatal(err)
		}
		var n atomic.Int64
		s.SetFault(func(_ http.ResponseWriter, r *http.Request, store bool) bool {
			if isLarge(r, store) && n.Add(1) > 4 {
				stop()
				panic(http.ErrAbortHandler)
			}
			return false
		})
		if _, err := c.Fetch(ctx, p); err == nil && partial < 7<<20 {
			t.Fatal("not interrupted")
		}
		s.SetFault(nil)
		stop()
		before := c.Plan(p.Listing, p.Files).ToFetch
		again, m := client(t, Options{Piece: 1 << 20})
		complete(t, again, data)
		if m.added > before || m.done != m.total || before > int64(len(data))+2-partial {
			t.Errorf("partial %d: %d bytes received, %d were missing; progress %d of %d", partial, m.added, before, m.done, m.total)
		}
	}
}

// TestPiecesFaults: servers that break off, answer with the whole, or send other bytes.
func TestPiecesFaults(t *testing.T) {
	for name, fault := range map[string]func(n int64, w http.ResponseWriter, r *http.Request, data []byte) bool{
		"cut": func(n int64, w http.ResponseWriter, r *http.Request, data []byte) bool {
			if n%3 == 0 {
				panic(http.ErrAbortHandler)
			}
			return false
		},
		"busy": func(n int64, w http.ResponseWriter, r *http.Request, data []byte) bool {
			if n%2 == 0 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return n%2 == 0
		},
		"whole": func(n int64, w http.ResponseWriter, r *http.Request, data []byte) bool {
			r.Header.Del("Range")
			return false
		},
		"whole later": func(n int64, w http.ResponseWriter, r *http.Request, data []byte) bool {
			if n > 5 {
				r.Header.Del("Range")
			}
			return false
		},
		"no such range": func(n int64, w http.ResponseWriter, r *http.Request, data []byte) bool {
			if n == 4 {
				w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			}
			return n == 4
		},
		"another range": func(n int64, w http.ResponseWriter, r *http.Request, data []byte) bool {
			if n == 2 {
				r.Header.Set("Range", "bytes=0-99")
			}
			return false
		},
		"a spoilt piece": func(n int64, w http.ResponseWriter, r *http.Request, data []byte) bool {
			if n != 3 {
				return false
			}
			http.ServeContent(&spoiling{w}, r, "", time.Time{}, bytes.NewReader(data))
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			_, data := large(t, s)
			c, m := client(t, Options{Piece: 1 << 20})
			var n atomic.Int64
			s.SetFault(func(w http.ResponseWriter, r *http.Request, store bool) bool {
				return isLarge(r, store) && fault(n.Add(1), w, r, data)
			})
			complete(t, c, data)
			if m.done != m.total {
				t.Errorf("progress %d of %d: %s", m.done, m.total, strings.Join(m.notes, "; "))
			}
		})
	}
}

// spoiling changes what it writes.
type spoiling struct{ http.ResponseWriter }

func (s *spoiling) Write(p []byte) (int, error) {
	other := bytes.Clone(p)
	other[0]++
	return s.ResponseWriter.Write(other)
}
