// Package hubtest is a server for tests. It speaks the part of the Hugging Face
// hub's protocol that downloads and uploads need: revisions, paged trees, git files
// behind a relative redirect, large files behind a redirect to a store on another host,
// ranges, gated and private repositories; new repositories and branches, uploads to the
// store whole or in parts, and commits. The huggingface_hub library and npm's
// @huggingface/hub can use it. Only tests import it.
package hubtest

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Request describes a request that the server received.
type Request struct {
	Store         bool // at the store, not at the endpoint
	Method, Path  string
	Range         string
	Authorization string
}

// Fault may answer a request instead of the server, at the store or at the endpoint.
type Fault func(w http.ResponseWriter, r *http.Request, store bool) (answered bool)

// Server is the hub's endpoint and its store of large files.
type Server struct {
	Endpoint, Store *httptest.Server
	// Token opens gated and private repositories.
	Token string
	// ReadToken may read what Token may, and write nothing.
	ReadToken string
	// ChunkSize, if not 0, is the size of the parts in which larger objects are uploaded.
	ChunkSize int64
	// Received counts the bytes that the store took.
	Received int64
	// PageSize is the number of entries on a page of a tree.
	PageSize int

	mu       sync.Mutex
	fault    Fault
	repos    map[string]*repo // by kind/org/name
	contents map[string][]byte
	requests []Request
	uploads  int                     // uploads in parts so far
	pieces   map[string]map[int]part // the unfinished ones
	commits  []Commit
}

type repo struct {
	gated, private bool
	refs           map[string]string           // to commits
	commits        map[string]map[string]entry // to files by path
}

// entry is a file as the hub's API describes it.
type entry struct {
	Type string `json:"type"`
	OID  string `json:"oid"`
	Size int64  `json:"size"`
	Path string `json:"path"`
	LFS  *lfs   `json:"lfs,omitempty"`
}

type lfs struct {
	OID         string `json:"oid"`
	Size        int64  `json:"size"`
	PointerSize int    `json:"pointerSize"`
}

// New starts a server. The store has another host name and another port than the
// endpoint.
func New() *Server {
	s := &Server{PageSize: 50, repos: map[string]*repo{}, contents: map[string][]byte{},
		pieces: map[string]map[int]part{}}
	s.Endpoint = httptest.NewServer(s.handler(false, s.serveEndpoint))
	s.Store = httptest.NewServer(s.handler(true, s.serveStore))
	return s
}

// URL returns the endpoint's address, for HF_ENDPOINT.
func (s *Server) URL() string { return s.Endpoint.URL }

// Close stops the server.
func (s *Server) Close() {
	s.Endpoint.CloseClientConnections()
	s.Store.CloseClientConnections()
	s.Endpoint.Close()
	s.Store.Close()
}

// Large reports whether a file is kept in the store.
func Large(name string) bool {
	return slices.Contains([]string{".safetensors", ".parquet", ".bin", ".model", ".gz"}, path.Ext(name)) ||
		path.Base(name) == "tokenizer.json"
}

// Add makes a commit of files and points a revision to it. kind is models or
// datasets.
func (s *Server) Add(kind, id, revision string, files map[string][]byte) (commit string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.add(kind, id, revision, files)
}

func (s *Server) add(kind, id, revision string, files map[string][]byte) (commit string) {
	r := s.repos[kind+"/"+id]
	if r == nil {
		r = &repo{refs: map[string]string{}, commits: map[string]map[string]entry{}}
		s.repos[kind+"/"+id] = r
	}
	entries := map[string]entry{}
	for name, data := range files {
		entries[name] = s.entry(name, data, Large(name))
	}
	return r.point(revision, "", entries)
}

// entry describes a file and keeps its content.
func (s *Server) entry(name string, data []byte, large bool) entry {
	git := sha1.New()
	fmt.Fprintf(git, "blob %d\x00", len(data))
	git.Write(data)
	e := entry{Type: "file", OID: hex.EncodeToString(git.Sum(nil)), Size: int64(len(data)), Path: name}
	if large {
		sum := sha256.Sum256(data)
		e.LFS = &lfs{hex.EncodeToString(sum[:]), e.Size, 134}
	}
	s.contents[e.etag()] = data
	return e
}

// point makes a commit of files and points a revision to it. The commit's name depends on
// the files and the parent, which is "" for the first.
func (r *repo) point(revision, parent string, entries map[string]entry) (commit string) {
	list, _ := json.Marshal(entries) // of strings and numbers
	sum := sha1.Sum(append(list, parent...))
	commit = hex.EncodeToString(sum[:])
	r.refs[revision], r.commits[commit] = commit, entries
	return commit
}

// Gate makes a repository gated: everybody can list it, and only the token opens its
// files.
func (s *Server) Gate(kind, id string) { s.repos[kind+"/"+id].gated = true }

// Hide makes a repository private: without the token it does not exist.
func (s *Server) Hide(kind, id string) { s.repos[kind+"/"+id].private = true }

// SetFault sets the fault that sees every further request; nil removes it.
func (s *Server) SetFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Requests returns the requests that arrived since the last call.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.requests
	s.requests = nil
	return all
}

func (e entry) etag() string {
	if e.LFS != nil {
		return e.LFS.OID
	}
	return e.OID
}

// Serve answers a request to the endpoint without its fault. A fault can change the answer.
func (s *Server) Serve(w http.ResponseWriter, r *http.Request) { s.serveEndpoint(w, r) }

func (s *Server) handler(store bool, serve http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, Request{store, r.Method, r.URL.EscapedPath(), r.Header.Get("Range"), r.Header.Get("Authorization")})
		fault := s.fault
		s.mu.Unlock()
		if fault != nil && fault(w, r, store) {
			return
		}
		serve(w, r)
	})
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("X-Error-Code", code)
	w.Header().Set("X-Error-Message", message)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"error": message})
}

// serveEndpoint answers requests for
//
//	/api/KIND/ORG/NAME/revision/REV
//	/api/KIND/ORG/NAME/tree/COMMIT
//	/[datasets/]ORG/NAME/resolve/REV/PATH
//	/api/resolve-cache/KIND/ORG/NAME/COMMIT/PATH
func (s *Server) serveEndpoint(w http.ResponseWriter, r *http.Request) {
	var parts []string
	for p := range strings.SplitSeq(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/") {
		p, err := url.PathUnescape(p)
		if err != nil {
			refuse(w, http.StatusBadRequest, "", "bad path")
			return
		}
		parts = append(parts, p)
	}
	if s.serveUpload(w, r, parts) {
		return
	}
	act, kind, id, revision, file := "", "models", "", "", ""
	switch {
	case len(parts) > 6 && parts[0] == "api" && parts[1] == "resolve-cache":
		act, kind, id, revision, file = parts[1], parts[2], parts[3]+"/"+parts[4], parts[5], strings.Join(parts[6:], "/")
	case len(parts) >= 6 && parts[0] == "api":
		act, kind, id, revision = parts[4], parts[1], parts[2]+"/"+parts[3], parts[5]
	case len(parts) == 4 && parts[0] == "api":
		act, kind, id, revision = "revision", parts[1], parts[2]+"/"+parts[3], "main"
	case len(parts) > 5 && parts[0] == "datasets" && parts[3] == "resolve":
		act, kind, id, revision, file = parts[3], parts[0], parts[1]+"/"+parts[2], parts[4], strings.Join(parts[5:], "/")
	case len(parts) > 4 && parts[2] == "resolve":
		act, id, revision, file = parts[2], parts[0]+"/"+parts[1], parts[3], strings.Join(parts[4:], "/")
	default:
		refuse(w, http.StatusNotFound, "", "Not Found")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	authorization := r.Header.Get("Authorization")
	known := s.Token != "" && authorization == "Bearer "+s.Token || s.ReadToken != "" && authorization == "Bearer "+s.ReadToken
	rp := s.repos[kind+"/"+id]
	if rp == nil || rp.private && !known {
		if known {
			refuse(w, http.StatusNotFound, "RepoNotFound", "Repository not found")
		} else {
			refuse(w, http.StatusUnauthorized, "RepoNotFound", "Invalid username or password.")
		}
		return
	}
	commit := revision
	if c, ok := rp.refs[revision]; ok {
		commit = c
	}
	files, ok := rp.commits[commit]
	if !ok {
		refuse(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+revision)
		return
	}
	w.Header().Set("X-Repo-Commit", commit)
	switch act {
	case "revision":
		s.revision(w, id, commit, files, rp)
	case "tree":
		s.tree(w, r, files)
	case "resolve", "resolve-cache":
		e, ok := files[file]
		switch {
		case !ok:
			refuse(w, http.StatusNotFound, "EntryNotFound", "Entry not found")
		case rp.gated && !known && r.Header.Get("Authorization") == "":
			refuse(w, http.StatusUnauthorized, "GatedRepo", "Access to this resource is gated. You must be authenticated to access it.")
		case rp.gated && !known:
			refuse(w, http.StatusForbidden, "GatedRepo", "You are not in the authorized list.")
		case act == "resolve":
			s.resolve(w, kind, id, commit, e)
		default:
			serveBytes(w, r, e.etag(), s.contents[e.etag()])
		}
	default:
		refuse(w, http.StatusNotFound, "", "Not Found")
	}
}

func (s *Server) revision(w http.ResponseWriter, id, commit string, files map[string]entry, rp *repo) {
	siblings := []map[string]string{}
	for _, name := range names(files) {
		siblings = append(siblings, map[string]string{"rfilename": name})
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	json.NewEncoder(w).Encode(map[string]any{"_id": "0", "id": id, "modelId": id, "sha": commit, "private": rp.private, "gated": rp.gated,
		"disabled": false, "downloads": 0, "likes": 0, "tags": []string{}, "siblings": siblings})
}

func names(files map[string]entry) []string {
	var out []string
	for name := range files {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// tree writes a page of the list of directories and files.
func (s *Server) tree(w http.ResponseWriter, r *http.Request, files map[string]entry) {
	entries := []entry{}
	seen := map[string]bool{}
	for _, name := range names(files) {
		for i, c := range name {
			if dir := name[:i]; c == '/' && !seen[dir] {
				seen[dir] = true
				entries = append(entries, entry{Type: "directory", OID: strings.Repeat("0", 40), Path: dir})
			}
		}
		entries = append(entries, files[name])
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
	to := min(from+s.PageSize, len(entries))
	if to < len(entries) {
		q := r.URL.Query()
		q.Set("cursor", strconv.Itoa(to))
		w.Header().Set("Link", fmt.Sprintf(`<%s%s?%s>; rel="next"`, s.Endpoint.URL, r.URL.EscapedPath(), q.Encode()))
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	json.NewEncoder(w).Encode(entries[min(from, to):to])
}

// resolve redirects to the content of a file.
func (s *Server) resolve(w http.ResponseWriter, kind, id, commit string, e entry) {
	h := w.Header()
	h.Set("ETag", `"`+e.etag()+`"`)
	h.Set("X-Linked-Etag", `"`+e.etag()+`"`)
	h.Set("X-Linked-Size", strconv.FormatInt(e.Size, 10))
	if e.LFS != nil {
		h.Set("Location", strings.Replace(s.Store.URL, "127.0.0.1", "localhost", 1)+"/"+e.LFS.OID+"?X-Amz-Signature=secret-of-the-address")
		w.WriteHeader(http.StatusFound)
		return
	}
	h.Set("Location", (&url.URL{Path: "/api/resolve-cache/" + kind + "/" + id + "/" + commit + "/" + e.Path}).EscapedPath())
	w.WriteHeader(http.StatusTemporaryRedirect)
}

func (s *Server) serveStore(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		s.serveStoreUpload(w, r)
		return
	}
	digest := strings.TrimPrefix(r.URL.Path, "/")
	s.mu.Lock()
	data, ok := s.contents[digest]
	s.mu.Unlock()
	if !ok || r.URL.Query().Get("X-Amz-Signature") == "" {
		http.Error(w, "<Error><Code>AccessDenied</Code></Error>", http.StatusForbidden)
		return
	}
	serveBytes(w, r, digest, data)
}

func serveBytes(w http.ResponseWriter, r *http.Request, etag string, data []byte) {
	w.Header().Set("ETag", `"`+etag+`"`)
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}
