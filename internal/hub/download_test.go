package hub

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"barka/internal/badinput"
	"barka/internal/hub/hubtest"
	"barka/internal/pause"
)

const secret = "hf_secretsecretsecret"

// random returns content that does not compress or repeat.
func random(seed uint64, n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	b := make([]byte, n)
	r.Read(b)
	return b
}

func modelFiles() map[string][]byte {
	return map[string][]byte{
		".gitattributes": []byte("*.safetensors filter=lfs\n"), "README.md": []byte("# model\n"),
		"config.json":            []byte(`{"model_type": "x"}`),
		"generation_config.json": []byte("{}"), "tokenizer.json": random(1,
			5000), "tokenizer_config.json": []byte(`{"a": 1}`), "empty.model": {},
		"model.safetensors.index.json": []byte(`{"weight_map": {"a": "model-00001-of-00002.safetensors",
			"b": "model-00002-of-00002.safetensors"}}`),
		"model-00001-of-00002.safetensors": random(2, 3<<20), "model-00002-of-00002.safetensors": random(3, 1<<20),
		"pytorch_model.bin": []byte("pickle"), "consolidated.safetensors": []byte("other"),
		"modeling_x.py": []byte("import os"), "onnx/model.onnx": []byte("x"),
		"additional_chat_templates/tool use+ü.jinja": []byte("{{ x }}"),
	}
}

// serve starts a server with a model, and points the environment to it.
func serve(t *testing.T) *hubtest.Server {
	t.Helper()
	s := hubtest.New()
	t.Cleanup(s.Close)
	for _, name := range []string{"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"} {
		t.Setenv(name, "")
	}
	home := t.TempDir()
	t.Setenv("HF_HOME", home)
	t.Setenv("HF_HUB_CACHE", filepath.Join(home, "cache"))
	t.Setenv("HF_ENDPOINT", s.URL())
	s.Add("models", "org/m", "main", modelFiles())
	return s
}

// meter is a Progress that counts.
type meter struct {
	mu             sync.Mutex
	total, done    int64
	skipped, added int64
	notes          []string
}

func (m *meter) Start(_ string, total int64, _ string) { m.total, m.done = total, 0 }
func (m *meter) Add(n int64)                           { m.mu.Lock(); m.done += n; m.added += n; m.mu.Unlock() }
func (m *meter) Skip(n int64)                          { m.mu.Lock(); m.done += n; m.skipped += n; m.mu.Unlock() }
func (m *meter) Note(s string)                         { m.mu.Lock(); m.notes = append(m.notes, s); m.mu.Unlock() }
func (m *meter) Done()                                 {}

func client(t *testing.T, o Options) (*Client, *meter) {
	t.Helper()
	m := &meter{}
	o.Progress = m
	if o.Sleep == nil {
		o.Sleep = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c, m
}

// fetch downloads a model and returns its directory in the cache.
func fetch(t *testing.T, c *Client, name string) (string, error) {
	t.Helper()
	p, err := c.Missing(t.Context(), name, Weights)
	if err != nil {
		return "", err
	}
	if p == nil {
		return Resolve(name)
	}
	return c.Fetch(t.Context(), p)
}

// compare fails the test if the snapshot does not hold exactly the wanted files.
func compare(t *testing.T, dir string, names ...string) {
	t.Helper()
	files := modelFiles()
	got, err := hubtest.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(names) {
		t.Errorf("%d files in the snapshot, want %d", len(got), len(names))
	}
	for _, name := range names {
		if !bytes.Equal(got[name], files[name]) {
			t.Errorf("%s differs", name)
		}
	}
}

var wanted = []string{"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "empty.model",
	"model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}

func TestDownload(t *testing.T) {
	s := serve(t)
	s.PageSize = 3
	c, m := client(t, Options{})
	dir, err := fetch(t, c, "org/m")
	if err != nil {
		t.Fatal(err)
	}
	compare(t, dir, wanted...)
	if m.done != m.total || m.total < 4<<20 {
		t.Errorf("progress shows %d of %d bytes", m.done, m.total)
	}
	root := filepath.Join(CacheDir(), "models--org--m")
	target, err := os.Readlink(filepath.Join(dir, "config.json"))
	if err != nil || !strings.HasPrefix(filepath.ToSlash(target), "../../blobs/") {
		t.Errorf("config.json links to %q, %v", target, err)
	}
	if ref, err := os.ReadFile(filepath.Join(root, "refs", "main")); err != nil || string(ref) != filepath.Base(dir) {
		t.Errorf("refs/main is %q, %v", ref, err)
	}
	if left, _ := filepath.Glob(filepath.Join(root, "blobs", "*.incomplete")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if locks, _ := filepath.Glob(filepath.Join(CacheDir(), ".locks", "models--org--m", "*.lock")); len(locks) != len(wanted)+1 {
		t.Errorf("%d locks for %d files and their snapshot", len(locks), len(wanted))
	}
	if got, err := Resolve("org/m"); got != dir || err != nil {
		t.Errorf("Resolve: %s, %v", got, err)
	}
	s.Requests()
	if _, err := fetch(t, c, "org/m"); err != nil || len(s.Requests()) != 0 {
		t.Errorf("what is in the cache is asked for again (%v)", err)
	}
	// Of a new commit with one changed file, only that file is downloaded.
	files := modelFiles()
	files["config.json"] = []byte(`{"model_type": "y"}`)
	s.Add("models", "org/m", "main", files)
	l, err := c.List(t.Context(), Repo{Model, "org/m", "main"})
	if err != nil {
		t.Fatal(err)
	}
	chosen, _ := l.Choose(Weights)
	p := c.Plan(l, chosen)
	if p.Missing != 1 || p.ToFetch != int64(len(files["config.json"])) {
		t.Errorf("%d files, %d bytes to fetch; want the changed one", p.Missing, p.ToFetch)
	}
	if dir2, err := c.Fetch(t.Context(), p); err != nil || dir2 == dir || !isComplete(dir2, Weights) {
		t.Errorf("%s, %v", dir2, err)
	}
}

func TestOfflineAsksNothing(t *testing.T) {
	s := serve(t)
	for _, offline := range []bool{true, false} {
		t.Setenv("HF_HUB_OFFLINE", map[bool]string{true: "", false: "1"}[offline])
		c, _ := client(t, Options{Offline: offline})
		_, err := fetch(t, c, "org/m")
		if !badinput.Is(err) || !IsOffline(err) || !strings.Contains(err.Error(), "barka download org/m") {
			t.Errorf("error %v", err)
		}
		if _, err := c.List(t.Context(), Repo{Model, "org/m", "main"}); !IsOffline(err) {
			t.Errorf("List: %v", err)
		}
	}
	if n := len(s.Requests()); n != 0 {
		t.Errorf("%d requests left", n)
	}
}

// TestPart: if the hub cannot be reached and part of a model is in the cache, the code that
// opens the model reports what is missing.
func TestPart(t *testing.T) {
	s := serve(t)
	c, _ := client(t, Options{})
	l, err := c.List(t.Context(), Repo{Model, "org/m", "main"})
	if err != nil {
		t.Fatal(err)
	}
	f, _ := l.Find("config.json")
	if _, err := c.Fetch(t.Context(), c.Plan(l, []File{f})); err != nil {
		t.Fatal(err)
	}
	if p, err := c.Missing(t.Context(), "org/m", Weights); err != nil || p.Missing != len(wanted)-1 {
		t.Errorf("%+v, %v", p, err)
	}
	s.Close()
	for _, offline := range []bool{true, false} {
		c, _ := client(t, Options{Offline: offline})
		if p, err := c.Missing(t.Context(), "org/m", Weights); p != nil || err != nil {
			t.Errorf("%+v, %v", p, err)
		}
	}
}

func TestCacheWithAnyName(t *testing.T) {
	serve(t)
	t.Setenv("HF_HUB_CACHE", filepath.Join(t.TempDir(), "my [cache] *"))
	c, _ := client(t, Options{})
	if _, err := fetch(t, c, "org/m"); err != nil {
		t.Fatal(err)
	}
	if p, err := c.Missing(t.Context(), "org/m", Weights); p != nil || err != nil {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestFaults: the first answers for each file have one kind of fault; the download succeeds
// nevertheless.
func TestFaults(t *testing.T) {
	for name, fault := range map[string]func(w http.ResponseWriter, r *http.Request, s *hubtest.Server){
		"429": func(w http.ResponseWriter, r *http.Request, _ *hubtest.Server) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(429)
		},
		"500": func(w http.ResponseWriter, r *http.Request, _ *hubtest.Server) { w.WriteHeader(500) },
		"503 and date": func(w http.ResponseWriter, r *http.Request, _ *hubtest.Server) {
			w.Header().Set("Retry-After", time.Now().Add(time.Minute).UTC().Format(http.TimeFormat))
			w.WriteHeader(503)
		},
		"cut": func(w http.ResponseWriter, r *http.Request, _ *hubtest.Server) {
			w.Header().Set("Content-Length", "100000")
			w.Write([]byte("x"))
			panic(http.ErrAbortHandler)
		},
		"reset": func(w http.ResponseWriter, r *http.Request, _ *hubtest.Server) { panic(http.ErrAbortHandler) },
		"silent": func(w http.ResponseWriter, r *http.Request, _ *hubtest.Server) {
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			var mu sync.Mutex
			seen := map[string]int{}
			s.SetFault(func(w http.ResponseWriter, r *http.Request, store bool) bool {
				mu.Lock()
				seen[r.URL.Path]++
				n := seen[r.URL.Path]
				mu.Unlock()
				if n > 2 {
					return false
				}
				fault(w, r, s)
				return true
			})
			var slept []time.Duration
			c, m := client(t, Options{Window: 300 * time.Millisecond, Sleep: func(ctx context.Context, d time.Duration) error {
				mu.Lock()
				defer mu.Unlock()
				slept = append(slept, d)
				return ctx.Err()
			}})
			dir, err := fetch(t, c, "org/m")
			if err != nil {
				t.Fatal(err)
			}
			compare(t, dir, wanted...)
			if m.done != m.total {
				t.Errorf("progress shows %d of %d bytes", m.done, m.total)
			}
			if name == "429" && (len(slept) == 0 || slept[0] != 7*time.Second) {
				t.Errorf("Retry-After: 7 led to pauses of %v", slept)
			}
			if len(slept) == 0 || len(m.notes) != len(slept) {
				t.Errorf("%d pauses, %d notes", len(slept), len(m.notes))
			}
		})
	}
}

// TestResume: an interrupted body is resumed from where it ended, also by a new run.
func TestResume(t *testing.T) {
	s := serve(t)
	const shard = "model-00001-of-00002.safetensors"
	whole := modelFiles()[shard]
	sum := sha256.Sum256(whole)
	digest := hex.EncodeToString(sum[:])
	broken := 0
	s.SetFault(func(w http.ResponseWriter, r *http.Request, store bool) bool {
		if !store || r.URL.Path != "/"+digest || broken == 3 {
			return false
		}
		broken++
		from := 0
		fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
		w.Header().Set("Content-Length", fmt.Sprint(len(whole)-from))
		if from > 0 {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(whole)-1, len(whole)))
			w.WriteHeader(206)
		}
		w.Write(whole[from : from+600_000])
		panic(http.ErrAbortHandler)
	})
	c, _ := client(t, Options{})
	dir, err := fetch(t, c, "org/m")
	if err != nil {
		t.Fatal(err)
	}
	compare(t, dir, wanted...)
	var ranges []string
	for _, r := range s.Requests() {
		if r.Path == "/"+digest {
			ranges = append(ranges, r.Range)
		}
	}
	if want := "[ bytes=600000- bytes=1200000- bytes=1800000-]"; fmt.Sprint(ranges) != want {
		t.Errorf("ranges %q, want %q", ranges, want)
	}

	// Partial files of an earlier run: a good one, a damaged one, and one that is too long.
	for name, left := range map[string][]byte{"part": whole[:1<<20], "all": whole, "spoilt": make([]byte, 1<<20),
		"too long": make([]byte, len(whole)+1)} {
		t.Setenv("HF_HUB_CACHE", t.TempDir())
		blob := filepath.Join(CacheDir(), "models--org--m", "blobs", digest)
		if err := os.MkdirAll(filepath.Dir(blob), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(blob+".incomplete", left, 0o644); err != nil {
			t.Fatal(err)
		}
		c, m := client(t, Options{})
		dir, err := fetch(t, c, "org/m")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		compare(t, dir, wanted...)
		if m.done != m.total {
			t.Errorf("%s: progress shows %d of %d bytes", name, m.done, m.total)
		}
		fresh := 0
		for _, r := range s.Requests() {
			if r.Path == "/"+digest && r.Range == "" {
				fresh++
			}
		}
		if again := name == "spoilt" || name == "too long"; (fresh > 0) != again {
			t.Errorf("%s: %d requests for the whole file", name, fresh)
		}
	}
}

// TestInterrupted: a cancelled download ends with context.Canceled, keeps the bytes
// received, and leaves no incomplete snapshot.
func TestInterrupted(t *testing.T) {
	s := serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.SetFault(func(w http.ResponseWriter, r *http.Request, store bool) bool {
		if !store || r.Header.Get("Range") != "" {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(3<<20))
		w.Write(modelFiles()["model-00001-of-00002.safetensors"][:2<<20])
		w.(http.Flusher).Flush()
		time.Sleep(100 * time.Millisecond)
		cancel()
		<-r.Context().Done()
		return true
	})
	c, _ := client(t, Options{Parallel: 1})
	l, err := c.List(ctx, Repo{Model, "org/m", "main"})
	if err != nil {
		t.Fatal(err)
	}
	f, _ := l.Find("model-00001-of-00002.safetensors")
	if _, err := c.Fetch(ctx, c.Plan(l, []File{f})); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want context.Canceled", err)
	}
	if _, err := os.Stat(c.Plan(l, nil).Dir()); err == nil {
		t.Error("a snapshot is there")
	}
	if p := c.Plan(l, []File{f}); p.ToFetch > 2<<20 {
		t.Errorf("%d bytes are still to be fetched, want about 1 MiB", p.ToFetch)
	}
	s.SetFault(nil)
	dir, err := fetch(t, c, "org/m")
	if err != nil {
		t.Fatal(err)
	}
	compare(t, dir, wanted...)
}

// TestTwoAtOnce: two processes (here two clients) that need the same files download them
// once.
func TestTwoAtOnce(t *testing.T) {
	s := serve(t)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			c, m := client(t, Options{Sleep: pause.Sleep})
			p, err := c.Missing(t.Context(), "org/m", Weights)
			if err == nil && p != nil {
				_, err = c.Fetch(t.Context(), p)
			}
			if err != nil || m.done != m.total {
				t.Errorf("%v; progress shows %d of %d", err, m.done, m.total)
			}
		})
	}
	wg.Wait()
	atStore := map[string]int{}
	for _, r := range s.Requests() {
		if r.Store {
			if atStore[r.Path]++; atStore[r.Path] > 1 {
				t.Errorf("%s came twice", r.Path)
			}
		}
	}
	dir, err := Resolve("org/m")
	if err != nil {
		t.Fatal(err)
	}
	compare(t, dir, wanted...)
}

func TestPlaceWithoutLinks(t *testing.T) {
	dir := t.TempDir()
	blob, pointer := filepath.Join(dir, "blobs", "b"), filepath.Join(dir, "snapshots", "c", "sub", "f")
	if err := os.MkdirAll(filepath.Dir(blob), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(blob, []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := place(blob, pointer, func(string, string) error { return errors.New("no links here") }); err != nil {
			t.Fatal(err)
		}
		if data, err := os.ReadFile(pointer); err != nil || string(data) != "content" {
			t.Errorf("%q, %v", data, err)
		}
		if _, err := os.Readlink(pointer); err == nil {
			t.Error("there is a link")
		}
	}
}

func TestNoRoom(t *testing.T) {
	serve(t)
	c, _ := client(t, Options{})
	p := c.Plan(&Listing{Repo: Repo{Model, "org/m", "main"}, Commit: strings.Repeat("a", 40)},
		[]File{{"model.safetensors", 1 << 45, strings.Repeat("a", 64)}})
	if _, err := c.Fetch(t.Context(), p); err == nil || !strings.Contains(err.Error(), "HF_HUB_CACHE") {
		t.Errorf("error %v", err)
	}
}
