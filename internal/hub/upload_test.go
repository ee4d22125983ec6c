package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"barka/internal/badinput"
	"barka/internal/hub/hubtest"
)

// outgoingFiles are what the tests publish: two files of the store, one of them in three
// parts of 1 MiB.
func outgoingFiles() map[string][]byte {
	return map[string][]byte{"adapter_model.safetensors": random(7, 5<<19), "adapter_config.json": []byte(`{"r": 8}`),
		"README.md": []byte("# an adapter\n"), "empty.bin": {}, "data/part-00000-of-00001.parquet": random(8, 100_000)}
}

// publisher starts a server that takes parts of 1 MiB, with a token that may write.
func publisher(t *testing.T) *hubtest.Server {
	t.Helper()
	s := serve(t)
	s.Token, s.ChunkSize = secret, 1<<20
	t.Setenv("HF_TOKEN", secret)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	return s
}

// sources writes files below a directory and names them.
func sources(t *testing.T, dir string, files map[string][]byte) []Source {
	t.Helper()
	var all []Source
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, files[name], 0o644); err != nil {
			t.Fatal(err)
		}
		all = append(all, Source{Path: name, File: path})
	}
	return all
}

// send plans and publishes.
func send(t *testing.T, c *Client, r Repo, all []Source, o UploadOptions) (*Published, error) {
	t.Helper()
	u, err := c.PlanUpload(t.Context(), r, all)
	if err != nil {
		return nil, err
	}
	return c.Publish(t.Context(), u, o)
}

// holds fails the test if a revision does not have exactly the files and the hub's own.
func holds(t *testing.T, s *hubtest.Server, r Repo, want map[string][]byte) {
	t.Helper()
	got := s.Content(string(r.Kind), r.ID, r.Revision)
	delete(got, ".gitattributes")
	if !maps.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("%s has %v, expected %v", r, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
}

var target = Repo{Dataset, "org/published", "main"}

// TestPublish makes a private repository, sends nothing twice, sends what changed, removes
// shards of an earlier version and leaves other files.
func TestPublish(t *testing.T) {
	s := publisher(t)
	c, m := client(t, Options{})
	dir, files := t.TempDir(), outgoingFiles()
	all := sources(t, dir, files)
	u, err := c.PlanUpload(t.Context(), target, all)
	if err != nil || u.Exists || u.Unknown == nil || !u.Changes() || u.ToSend != 5<<19+100_000+8+13 {
		t.Fatalf("plan %+v, %v", u, err)
	}
	if len(s.Commits()) != 0 || s.Content("datasets", target.ID, "main") != nil {
		t.Fatal("a plan wrote")
	}
	p, err := c.Publish(t.Context(), u, UploadOptions{Private: true, Message: "First"})
	if err != nil || p.Files != 5 || !commit.MatchString(p.Commit) || p.Address != s.URL()+"/datasets/org/published" {
		t.Fatalf("%+v, %v", p, err)
	}
	holds(t, s, target, files)
	if m.done != m.total || !s.Private("datasets", target.ID) || s.Commits()[0].Summary != "First" {
		t.Errorf("progress %d of %d; %+v", m.done, m.total, s.Commits())
	}
	received := s.Received
	p, err = send(t, c, target, all, UploadOptions{})
	if err != nil || p.Files != 0 || len(s.Commits()) != 1 || s.Received != received || p.Commit != s.Commits()[0].ID {
		t.Errorf("again: %+v, %v, %d bytes", p, err, s.Received-received)
	}
	// Another version: fewer rows in two shards, and a card; a file of somebody else stays.
	files["README.md"] = []byte("# another\n")
	delete(files, "data/part-00000-of-00001.parquet")
	files["data/part-00000-of-00002.parquet"], files["data/part-00001-of-00002.parquet"] = random(9, 1000), random(10, 1000)
	if err := os.RemoveAll(filepath.Join(dir, "data")); err != nil {
		t.Fatal(err)
	}
	u, err = c.PlanUpload(t.Context(), target, sources(t, dir, files)[1:]) // without README.md
	if err != nil || fmt.Sprint(u.Stale, u.Kept) != "[data/part-00000-of-00001.parquet] [README.md]" || u.Unknown != nil {
		t.Errorf("plan %+v, %v", u, err)
	}
	if p, err = send(t, c, target, sources(t, dir, files), UploadOptions{Private: true}); err != nil || p.Files != 3 || p.Deleted != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	holds(t, s, target, files)
	if s.Received != received+2000 {
		t.Errorf("%d bytes sent, expected 2000", s.Received-received)
	}
	// A branch is made from main; main stays as it is.
	branch := target
	branch.Revision = "v2"
	u, err = c.PlanUpload(t.Context(), branch, sources(t, t.TempDir(), map[string][]byte{"README.md": []byte("# third\n")}))
	if err != nil || u.Head != "" || u.There == nil || u.Unknown != nil {
		t.Fatalf("%+v, %v", u, err)
	}
	if card, err := c.Card(t.Context(), u.There); err != nil || string(card) != "# another\n" {
		t.Errorf("the card from which the branch starts is %q, %v", card, err)
	}
	if p, err = send(t, c, branch, sources(t, t.TempDir(), map[string][]byte{"LICENSE": []byte("x")}), UploadOptions{}); err != nil {
		t.Fatal(err)
	}
	holds(t, s, target, files)
	files["LICENSE"] = []byte("x")
	holds(t, s, branch, files)
	for _, note := range m.notes {
		t.Errorf("note %q", note)
	}
}

// TestPublishIgnores: a published .gitignore counts, and what it excludes is named.
func TestPublishIgnores(t *testing.T) {
	s := publisher(t)
	c, _ := client(t, Options{})
	files := map[string][]byte{".gitignore": []byte("*.log\n"), "run.log": []byte("x"), "a.txt": []byte("a")}
	p, err := send(t, c, target, sources(t, t.TempDir(), files), UploadOptions{})
	if err != nil || p.Files != 2 || fmt.Sprint(p.Ignored) != "[run.log]" {
		t.Errorf("%+v, %v", p, err)
	}
	delete(files, "run.log")
	holds(t, s, target, files)
}

// TestPublishContinues: an upload that ends between two parts goes on from the parts that
// the store has, and one that the store has forgotten begins again.
func TestPublishContinues(t *testing.T) {
	for _, forgets := range []bool{false, true} {
		s := publisher(t)
		c, _ := client(t, Options{Parallel: 1})
		all := sources(t, t.TempDir(), outgoingFiles())
		ctx, stop := context.WithCancel(t.Context())
		s.SetFault(func(w http.ResponseWriter, r *http.Request, store bool) bool {
			if strings.HasSuffix(r.URL.Path, "/2") {
				stop()
				panic(http.ErrAbortHandler)
			}
			return false
		})
		u, err := c.PlanUpload(ctx, target, all)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = c.Publish(ctx, u, UploadOptions{}); ctx.Err() == nil || len(s.Commits()) > 0 {
			t.Fatalf("not interrupted: %v", err)
		}
		dir := filepath.Join(os.Getenv("XDG_CACHE_HOME"), "barka", "uploads")
		records, _ := filepath.Glob(filepath.Join(dir, "*"))
		if len(records) != 1 {
			t.Fatalf("records %v", records)
		}
		if info, err := os.Stat(filepath.Dir(records[0])); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		old, foreign := filepath.Join(dir, strings.Repeat("0", 32)+".json"), filepath.Join(dir, "foreign.json")
		for _, name := range []string{old, foreign} {
			if err := os.WriteFile(name, []byte("{}"), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(name, time.Time{}, time.Now().Add(-48*time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		expire(records[0])
		if there, _ := badinput.Exists(old); there {
			t.Error("an old record is kept")
		}
		if there, _ := badinput.Exists(foreign); !there {
			t.Error("a file that is no record was removed")
		}
		if there, _ := badinput.Exists(records[0]); !there {
			t.Error("a new record was removed")
		}
		if err := os.Remove(foreign); err != nil {
			t.Fatal(err)
		}
		before := s.Received
		s.SetFault(nil)
		if forgets {
			s.SetFault(func(w http.ResponseWriter, r *http.Request, store bool) bool {
				if strings.HasPrefix(r.URL.Path, "/parts/upload1-") {
					http.Error(w, "NoSuchUpload", http.StatusNotFound)
					return true
				}
				return false
			})
		}
		if _, err := send(t, c, target, all, UploadOptions{}); err != nil {
			t.Fatal(err)
		}
		holds(t, s, target, outgoingFiles())
		want := int64(5<<19 + 100_000)
		if !forgets {
			want -= before
		}
		if got := s.Received - before; before < 1<<20 || got > want {
			t.Errorf("forgets %t: %d bytes before, %d after, expected at most %d", forgets, before, got, want)
		}
		if left, _ := filepath.Glob(filepath.Join(os.Getenv("XDG_CACHE_HOME"), "barka", "uploads", "*")); len(left) != 0 {
			t.Errorf("records are left: %v", left)
		}
	}
}

// once returns a fault that answers the first n requests whose path has a part.
func once(n int64, part string, handler http.HandlerFunc) hubtest.Fault {
	var seen atomic.Int64
	return func(w http.ResponseWriter, r *http.Request, _ bool) bool {
		if !strings.Contains(r.URL.Path, part) || r.Method == http.MethodGet || seen.Add(1) > n {
			return false
		}
		handler(w, r)
		return true
	}
}

// cut ends the connection in the middle of a request.
func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// TestPublishSurvives: errors that pass are waited for, and the result is the same.
func TestPublishSurvives(t *testing.T) {
	for name, fault := range map[string]struct {
		part    string
		handler http.HandlerFunc
		note    string
	}{
		"5xx of a part":       {"/parts/", status(503, "slow down"), "503"},
		"5xx of an object":    {"/" + digestOf(random(8, 100_000)), status(500, ""), "500"},
		"cut part":            {"/parts/", cut, ""},
		"cut batch":           {"/objects/batch", cut, ""},
		"cut completion":      {"/complete/", cut, ""},
		"cut verification":    {"/objects/verify", cut, ""},
		"cut commit":          {"/commit/", cut, ""},
		"rate limit":          {"/preupload/", status(429, "", "Retry-After", "2"), "retrying in 2s"},
		"5xx of the commit":   {"/commit/", status(502, ""), "502"},
		"5xx of creation":     {"/repos/create", status(500, ""), "500"},
		"creations at a time": {"/repos/create", status(409, "Cannot create repo: another conflicting operation is in progress"), ""},
		"expired address":     {"/parts/", status(403, "Request has expired"), "403"},
	} {
		t.Run(name, func(t *testing.T) {
			s := publisher(t)
			c, m := client(t, Options{})
			s.SetFault(once(1, fault.part, fault.handler))
			if _, err := send(t, c, target, sources(t, t.TempDir(), outgoingFiles()), UploadOptions{}); err != nil {
				t.Fatal(err)
			}
			holds(t, s, target, outgoingFiles())
			if notes := strings.Join(m.notes, "\n"); !strings.Contains(notes, "retrying in") || !strings.Contains(notes, fault.note) {
				t.Errorf("notes %q", notes)
			}
			if m.done != m.total || len(s.Commits()) != 1 {
				t.Errorf("progress %d of %d, %d commits", m.done, m.total, len(s.Commits()))
			}
		})
	}
}

func digestOf(data []byte) string {
	f := &Outgoing{source: Source{Data: data}, Size: int64(len(data))}
	values, err := f.hash(context.Background())
	if err != nil {
		panic(err)
	}
	return values[0]
}

// TestPublishRefused: what cannot succeed ends with a reason and advice, leaves nothing
// visible, and shows no token.
func TestPublishRefused(t *testing.T) {
	for name, c := range map[string]struct {
		part    string
		handler http.HandlerFunc
		want    string
	}{
		"401":              {"/repos/create", status(401, "Invalid token "+secret), "does not accept the token"},
		"403":              {"/repos/create", status(403, "Forbidden"), "no write permission"},
		"404":              {"/preupload/", status(404, ""), "there is no dataset"},
		"413":              {"/commit/", status(413, ""), "refuses the size"},
		"413 of an object": {"/objects/batch", status(413, ""), "refuses the size"},
		"400":              {"/commit/", status(400, `{"error": "the metadata of README.md"}`), "the metadata of README.md"},
		"409 for ever":     {"/commit/", status(409, ""), "409"},
		"412 for ever":     {"/commit/", status(412, ""), "412"},
		"429 for long":     {"/commit/", status(429, "", "Retry-After", "7200"), "run the same command again after that"},
		"5xx for ever":     {"/parts/", status(500, ""), "resumes from here"},
		"no JSON":          {"/preupload/", status(200, "<html>"), "check HF_ENDPOINT"},
		"another mode":     {"/preupload/", status(200, `{"files":[{"path":"README.md","uploadMode":"xet"}]}`), "expected regular or lfs"},
		"another transfer": {"/objects/batch", status(200, `{"transfer":"xet","objects":[]}`), "expected basic or multipart"},
		"no answer":        {"/objects/batch", status(200, `{"objects":[]}`), "does not answer about"},
		"no commit":        {"/commit/", status(200, `{"commitOid":"`+secret+`"}`), "expected 40 hexadecimal digits"},
	} {
		t.Run(name, func(t *testing.T) {
			s := publisher(t)
			client, m := client(t, Options{Parallel: 1})
			s.SetFault(once(1<<40, c.part, c.handler))
			_, err := send(t, client, target, sources(t, t.TempDir(), outgoingFiles()), UploadOptions{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, expected %q", err, c.want)
			}
			if text := err.Error() + strings.Join(m.notes, "\n"); strings.Contains(text, secret) || strings.Contains(text, "Signature") {
				t.Errorf("a secret is shown: %s", text)
			}
			if len(s.Commits()) > 0 {
				t.Error("something is visible")
			}
		})
	}
}

// TestPublishLies: a store that states other sizes, other objects, wrong parts or addresses
// is not believed.
func TestPublishLies(t *testing.T) {
	for name, c := range map[string]struct {
		change func(o map[string]any)
		want   string
	}{
		"size":    {func(o map[string]any) { o["size"] = 5 }, "states 5 bytes"},
		"oid":     {func(o map[string]any) { o["oid"] = strings.Repeat("0", 64) }, "does not answer about"},
		"error":   {func(o map[string]any) { o["error"] = map[string]any{"code": 422, "message": "too\x1b[2J odd"} }, "422 too odd"},
		"scheme":  {func(o map[string]any) { upload(o)["href"] = "file:///etc/passwd" }, `scheme "file"`},
		"chunk":   {func(o map[string]any) { upload(o)["header"] = map[string]any{"chunk_size": "0"} }, "parts of"},
		"minus":   {func(o map[string]any) { upload(o)["header"] = map[string]any{"chunk_size": "-9"} }, "parts of"},
		"no part": {func(o map[string]any) { upload(o)["header"] = map[string]any{"chunk_size": "10000000"} }, "the store names 0 parts"},
		"part 0": {func(o map[string]any) {
			upload(o)["header"] = map[string]any{"chunk_size": "10000000", "00000": "http://x.test"}
		}, "the store names 1 parts"},
	} {
		t.Run(name, func(t *testing.T) {
			s := publisher(t)
			cl, _ := client(t, Options{})
			s.SetFault(func(w http.ResponseWriter, r *http.Request, store bool) bool {
				if !strings.HasSuffix(r.URL.Path, "/objects/batch") {
					return false
				}
				var a map[string]any
				rec := httptest.NewRecorder()
				s.Serve(rec, r)
				if err := json.Unmarshal(rec.Body.Bytes(), &a); err != nil {
					t.Error(err)
				}
				for _, o := range a["objects"].([]any) {
					c.change(o.(map[string]any))
				}
				_ = json.NewEncoder(w).Encode(a)
				return true
			})
			_, err := send(t, cl, target, sources(t, t.TempDir(), outgoingFiles()), UploadOptions{})
			if err == nil || !strings.Contains(err.Error(), c.want) || !badinput.Is(err) || len(s.Commits()) > 0 {
				t.Errorf("error %v, expected %q", err, c.want)
			}
		})
	}
}

func upload(o map[string]any) map[string]any {
	return o["actions"].(map[string]any)["upload"].(map[string]any)
}

// TestPublishCard: metadata that the hub does not accept are noticed before a file is sent. A
// hub without that check is no obstacle.
func TestPublishCard(t *testing.T) {
	s := publisher(t)
	c, _ := client(t, Options{})
	files := outgoingFiles()
	files["README.md"] = []byte("---\nlicense: unheard-of\n---\n")
	_, err := send(t, c, target, sources(t, t.TempDir(), files), UploadOptions{})
	if err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), "must be one of") || s.Received > 0 {
		t.Errorf("%v; %d bytes sent", err, s.Received)
	}
	s.SetFault(once(1<<40, "/validate-yaml", status(404, "")))
	if _, err := send(t, c, target, sources(t, t.TempDir(), outgoingFiles()), UploadOptions{}); err != nil {
		t.Error(err)
	}
}

// TestPublishCorrupted: a store that keeps other bytes than were sent gets them a second
// time, and if it spoils them again nothing is committed.
func TestPublishCorrupted(t *testing.T) {
	for _, n := range []int64{1, 1 << 40} {
		s := publisher(t)
		s.ChunkSize = 0
		c, _ := client(t, Options{Parallel: 1})
		var did atomic.Int64
		s.SetFault(func(_ http.ResponseWriter, r *http.Request, store bool) bool {
			if store && r.Method == http.MethodPut && did.Add(1) <= n {
				_, _ = io.Copy(io.Discard, r.Body)
				r.Body = io.NopCloser(bytes.NewReader(make([]byte, r.ContentLength)))
			}
			return false
		})
		_, err := send(t, c, target, sources(t, t.TempDir(), outgoingFiles()), UploadOptions{})
		if n == 1 && err != nil || n > 1 && (err == nil || !strings.Contains(err.Error(), "other bytes") || len(s.Commits()) > 0) {
			t.Errorf("spoilt %d times: %v", n, err)
		}
	}
}

// TestPublishNoToken: without a token nothing is sent; one that may only read is named.
func TestPublishNoToken(t *testing.T) {
	s := publisher(t)
	s.ReadToken = "hf_readreadreadreadread"
	for token, want := range map[string]string{"": "needs a token", "hf_readreadreadreadread": "no write permission"} {
		t.Setenv("HF_TOKEN", token)
		c, _ := client(t, Options{})
		_, err := send(t, c, Repo{Model, "org/m", "main"}, sources(t, t.TempDir(), outgoingFiles()), UploadOptions{})
		if err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("token %q: %v", token, err)
		}
	}
	// --private of a public repository is no promise that can be kept.
	t.Setenv("HF_TOKEN", secret)
	c, _ := client(t, Options{})
	_, err := send(t, c, Repo{Model, "org/m", "main"}, sources(t, t.TempDir(), outgoingFiles()), UploadOptions{Private: true})
	if err == nil || !strings.Contains(err.Error(), "is public") || len(s.Commits()) > 0 {
		t.Errorf("%v", err)
	}
}

// TestPublishChangingFile: a file that changes after its digest was taken stops the
// publication before the commit, whenever it happens.
func TestPublishChangingFile(t *testing.T) {
	for _, name := range []string{"adapter_model.safetensors", "data/part-00000-of-00001.parquet", "README.md"} {
		for _, at := range []string{"/preupload/", "/objects/batch", "/parts/", "/objects/verify"} {
			s := publisher(t)
			c, _ := client(t, Options{})
			dir := t.TempDir()
			all := sources(t, dir, outgoingFiles())
			path := filepath.Join(dir, filepath.FromSlash(name))
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			s.SetFault(func(_ http.ResponseWriter, r *http.Request, _ bool) bool {
				if strings.Contains(r.URL.Path, at) { // as long as before, with the old time
					_ = os.WriteFile(path, make([]byte, info.Size()), 0o644)
					_ = os.Chtimes(path, time.Now(), info.ModTime())
				}
				return false
			})
			_, err = send(t, c, target, all, UploadOptions{})
			if err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), "changed while it was being published") {
				t.Errorf("%s at %s: %v", name, at, err)
			}
			if len(s.Commits()) > 0 {
				t.Errorf("%s at %s: something is visible", name, at)
			}
		}
	}
}

// TestPublishBesideOthers: a commit of somebody else between the comparison and ours.
func TestPublishBesideOthers(t *testing.T) {
	for name, want := range map[string]string{"other.txt": "", "README.md": "somebody else committed README.md"} {
		s := publisher(t)
		c, _ := client(t, Options{})
		s.Add("datasets", target.ID, "main", map[string][]byte{"old.txt": []byte("old")})
		var did atomic.Bool
		s.SetFault(func(w http.ResponseWriter, r *http.Request, _ bool) bool {
			if strings.Contains(r.URL.Path, "/commit/") && did.CompareAndSwap(false, true) {
				s.Add("datasets", target.ID, "main", map[string][]byte{"old.txt": []byte("old"), name: []byte("theirs")})
			}
			return false
		})
		_, err := send(t, c, target, sources(t, t.TempDir(), outgoingFiles()), UploadOptions{})
		if want == "" {
			files := outgoingFiles()
			files["old.txt"], files[name] = []byte("old"), []byte("theirs")
			holds(t, s, target, files)
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPublishLostAnswer: a commit whose answer is lost is not made twice.
func TestPublishLostAnswer(t *testing.T) {
	s := publisher(t)
	c, _ := client(t, Options{})
	var did atomic.Bool
	s.SetFault(func(w http.ResponseWriter, r *http.Request, _ bool) bool {
		if strings.Contains(r.URL.Path, "/commit/") && did.CompareAndSwap(false, true) {
			s.Serve(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		return false
	})
	p, err := send(t, c, target, sources(t, t.TempDir(), outgoingFiles()), UploadOptions{})
	if err != nil || len(s.Commits()) != 1 || p.Commit != s.Commits()[0].ID || p.Files != 5 {
		t.Errorf("%+v, %v, %d commits", p, err, len(s.Commits()))
	}
}

// TestPlanOffline: a plan without a network guesses the modes and says so.
func TestPlanOffline(t *testing.T) {
	s := publisher(t)
	c, _ := client(t, Options{Offline: true})
	u, err := c.PlanUpload(t.Context(), target, sources(t, t.TempDir(), outgoingFiles()))
	if err != nil || u.Unknown == nil || len(s.Requests()) > 0 {
		t.Fatalf("%+v, %v", u, err)
	}
	for _, f := range u.Files {
		want := Regular
		if strings.HasSuffix(f.Path, ".safetensors") || strings.HasSuffix(f.Path, ".parquet") {
			want = Large
		}
		if f.Mode != want || f.State != Added {
			t.Errorf("%+v", f)
		}
	}
	if _, err := c.Publish(t.Context(), u, UploadOptions{}); !IsOffline(err) {
		t.Errorf("%v", err)
	}
	for path, want := range map[string]string{"../x": "cannot be the path", ".git/config": "cannot be the path"} {
		_, err := c.PlanUpload(t.Context(), target, []Source{{Path: path, Data: []byte("x")}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
