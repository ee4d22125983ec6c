package hubtest

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// part is a piece of a multipart upload.
type part struct {
	etag string
	data []byte
}

// Commit describes a commit that a client made.
type Commit struct {
	ID, Parent, Summary string
	Added, Deleted      []string // paths
}

// attributes is the file that the hub puts into a new repository.
const attributes = ".gitattributes"

// serveUpload answers requests that write, and reports whether the request was one.
//
//	POST /api/repos/create
//	POST /api/validate-yaml
//	POST /api/KIND/ORG/NAME/{preupload,branch,commit}/REV
//	POST /[datasets/]ORG/NAME.git/info/lfs/objects/{batch,verify}
//	POST /api/complete/UPLOAD
func (s *Server) serveUpload(w http.ResponseWriter, r *http.Request, parts []string) bool {
	if r.Method != http.MethodPost {
		return false
	}
	whole := strings.Join(parts, "/")
	if s.Token == "" || r.Header.Get("Authorization") != "Bearer "+s.Token {
		switch {
		case parts[0] == "api" && len(parts) == 3 && parts[1] == "complete": // its address is the permission
		case s.ReadToken != "" && r.Header.Get("Authorization") == "Bearer "+s.ReadToken:
			refuse(w, http.StatusForbidden, "", "Forbidden: you need the right write to do this.")
			return true
		default:
			refuse(w, http.StatusUnauthorized, "", "Invalid username or password.")
			return true
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	lfsKind, lfsID, lfsAct := "", "", ""
	if m := lfsPath.FindStringSubmatch(whole); m != nil {
		lfsKind, lfsID, lfsAct = "models", m[2], m[3]
		if m[1] != "" {
			lfsKind = "datasets"
		}
	}
	switch {
	case whole == "api/repos/create":
		s.create(w, r)
	case whole == "api/validate-yaml":
		s.validate(w, r)
	case lfsAct != "" && s.repos[lfsKind+"/"+lfsID] == nil:
		refuse(w, http.StatusNotFound, "RepoNotFound", "Repository not found")
	case lfsAct == "batch":
		s.batch(w, r, lfsKind, lfsID)
	case lfsAct == "verify":
		s.verify(w, r)
	case len(parts) == 3 && parts[1] == "complete":
		s.complete(w, r, parts[2])
	case len(parts) >= 6 && parts[0] == "api" && slices.Contains([]string{"preupload", "branch", "commit"}, parts[4]):
		s.write(w, r, parts[4], parts[1], parts[2]+"/"+parts[3], strings.Join(parts[5:], "/"))
	default:
		return false
	}
	return true
}

// validate refuses a licence that the hub does not know; the tests need no other mistake.
func (s *Server) validate(w http.ResponseWriter, r *http.Request) {
	var q struct{ Content string }
	if !read(w, r, &q) {
		return
	}
	errors := []map[string]string{}
	if strings.Contains(q.Content, "\nlicense: unheard-of\n") {
		w.WriteHeader(http.StatusBadRequest)
		errors = append(errors, map[string]string{"message": `"license" must be one of [apache-2.0, mit, …]`})
	}
	answer(w, map[string]any{"errors": errors, "warnings": []string{}})
}

var lfsPath = regexp.MustCompile(`^(datasets/)?([^/]+/[^/]+)\.git/info/lfs/objects/(batch|verify)$`)

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}

// read decodes a request's body. It answers a body that is not JSON.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		refuse(w, http.StatusBadRequest, "", "the body is not JSON: "+err.Error())
		return false
	}
	return true
}

// create makes a repository with the hub's first commit.
func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Name, Organization, Type, Visibility string
		Private                              bool
	}
	if !read(w, r, &q) {
		return
	}
	kind := "models"
	if q.Type == "dataset" {
		kind = "datasets"
	}
	id := q.Organization + "/" + q.Name
	url := s.Endpoint.URL + "/" + strings.TrimPrefix(kind+"/", "models/") + id
	if s.repos[kind+"/"+id] != nil {
		w.WriteHeader(http.StatusConflict)
		answer(w, map[string]string{"error": "You already created this " + q.Type + " repo", "url": url})
		return
	}
	s.add(kind, id, "main", map[string][]byte{attributes: []byte("*.safetensors filter=lfs diff=lfs merge=lfs -text\n")})
	s.repos[kind+"/"+id].private = q.Private || q.Visibility == "private"
	answer(w, map[string]string{"url": url, "name": id, "id": "0"})
}

// write answers preupload, branch and commit.
func (s *Server) write(w http.ResponseWriter, r *http.Request, act, kind, id, revision string) {
	rp := s.repos[kind+"/"+id]
	if rp == nil {
		refuse(w, http.StatusNotFound, "RepoNotFound", "Repository not found")
		return
	}
	head, ok := rp.refs[revision]
	switch {
	case act == "branch" && ok:
		refuse(w, http.StatusConflict, "", "Reference already exists")
	case act == "branch":
		rp.refs[revision] = rp.refs["main"]
		answer(w, map[string]string{})
	case !ok:
		refuse(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+revision)
	case act == "preupload":
		s.preupload(w, r, rp.commits[head])
	default:
		s.commit(w, r, kind, id, revision, rp)
	}
}

// preupload tells for each file how it is to be sent.
func (s *Server) preupload(w http.ResponseWriter, r *http.Request, files map[string]entry) {
	var q struct {
		GitIgnore string
		Files     []struct {
			Path   string
			Size   int64
			Sample string
		}
	}
	if !read(w, r, &q) {
		return
	}
	var out []map[string]any
	for _, f := range q.Files {
		sample, err := base64.StdEncoding.DecodeString(f.Sample)
		if err != nil || int64(len(sample)) != min(f.Size, 512) {
			refuse(w, http.StatusBadRequest, "", "the sample of "+f.Path+" is not of 512 bytes")
			return
		}
		mode := "regular"
		if Large(f.Path) || f.Size > 10<<20 || bytes.IndexByte(sample, 0) >= 0 {
			mode = "lfs"
		}
		one := map[string]any{"path": f.Path, "uploadMode": mode, "shouldIgnore": ignored(q.GitIgnore, f.Path)}
		if e, ok := files[f.Path]; ok {
			one["oid"] = e.etag()
		}
		out = append(out, one)
	}
	answer(w, map[string]any{"files": out})
}

// ignored knows the lines of a .gitignore that are patterns of names.
func ignored(lines, name string) bool {
	for line := range strings.Lines(lines) {
		if ok, err := path.Match(strings.TrimSpace(line), path.Base(name)); ok && err == nil {
			return true
		}
	}
	return false
}

// batch tells how the objects are sent to the store.
func (s *Server) batch(w http.ResponseWriter, r *http.Request, kind, id string) {
	var q struct {
		Operation string
		Transfers []string
		HashAlgo  string `json:"hash_algo"`
		Objects   []struct {
			OID  string `json:"oid"`
			Size int64  `json:"size"`
		}
	}
	if !read(w, r, &q) {
		return
	}
	if q.Operation != "upload" || !slices.Contains(q.Transfers, "basic") {
		refuse(w, http.StatusBadRequest, "", "only uploads by basic transfer are supported")
		return
	}
	store := strings.Replace(s.Store.URL, "127.0.0.1", "localhost", 1)
	page := s.Endpoint.URL + "/" + strings.TrimPrefix(kind+"/", "models/") + id
	var objects []map[string]any
	for _, o := range q.Objects {
		one := map[string]any{"oid": o.OID, "size": o.Size}
		objects = append(objects, one)
		if data, ok := s.contents[o.OID]; ok && int64(len(data)) == o.Size {
			continue // there already
		}
		upload := map[string]any{"href": store + "/" + o.OID + "?X-Amz-Signature=secret-of-the-address"}
		if s.ChunkSize > 0 && o.Size > s.ChunkSize && slices.Contains(q.Transfers, "multipart") {
			s.uploads++
			name := fmt.Sprintf("upload%d-%s", s.uploads, o.OID)
			s.pieces[name] = map[int]part{}
			header := map[string]string{"chunk_size": strconv.FormatInt(s.ChunkSize, 10)}
			for n := int64(1); (n-1)*s.ChunkSize < o.Size; n++ {
				header[fmt.Sprintf("%05d", n)] = fmt.Sprintf("%s/parts/%s/%d?X-Amz-Signature=secret-of-the-address", store, name, n)
			}
			upload = map[string]any{"href": s.Endpoint.URL + "/api/complete/" + name, "header": header}
		}
		one["authenticated"] = true
		one["actions"] = map[string]any{"upload": upload, "verify": map[string]any{"href": page + ".git/info/lfs/objects/verify"}}
	}
	w.Header().Set("Content-Type", "application/vnd.git-lfs+json")
	_ = json.NewEncoder(w).Encode(map[string]any{"transfer": "basic", "objects": objects})
}

// serveStoreUpload takes an object or a part of one.
func (s *Server) serveStoreUpload(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(r.Body)
	if err != nil || r.ContentLength != int64(len(data)) {
		http.Error(w, "<Error><Code>IncompleteBody</Code></Error>", http.StatusBadRequest)
		return
	}
	if r.URL.Query().Get("X-Amz-Signature") == "" || r.Header.Get("Authorization") != "" {
		http.Error(w, "<Error><Code>AccessDenied</Code></Error>", http.StatusForbidden)
		return
	}
	sum := sha256.Sum256(data)
	etag := `"` + hex.EncodeToString(sum[:8]) + `"`
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Received += int64(len(data))
	if rest, ok := strings.CutPrefix(r.URL.Path, "/parts/"); ok {
		name, n, _ := strings.Cut(rest, "/")
		i, err := strconv.Atoi(n)
		if err != nil || s.pieces[name] == nil {
			http.Error(w, "<Error><Code>NoSuchUpload</Code></Error>", http.StatusNotFound)
			return
		}
		s.pieces[name][i] = part{etag, data}
	} else {
		s.contents[strings.TrimPrefix(r.URL.Path, "/")] = data // not verified, like a store
	}
	w.Header().Set("ETag", etag)
}

// complete joins the parts of an upload.
func (s *Server) complete(w http.ResponseWriter, r *http.Request, name string) {
	var q struct {
		OID   string `json:"oid"`
		Parts []struct {
			PartNumber int
			ETag       string `json:"etag"`
		}
	}
	if !read(w, r, &q) {
		return
	}
	pieces, ok := s.pieces[name]
	if !ok || !strings.HasSuffix(name, q.OID) {
		refuse(w, http.StatusNotFound, "", "no such upload")
		return
	}
	var data []byte
	for i, p := range q.Parts {
		if got, ok := pieces[p.PartNumber]; !ok || p.PartNumber != i+1 || got.etag != p.ETag {
			refuse(w, http.StatusBadRequest, "", fmt.Sprintf("part %d was not received", i+1))
			return
		}
		data = append(data, pieces[p.PartNumber].data...)
	}
	delete(s.pieces, name)
	s.contents[q.OID] = data
	answer(w, map[string]bool{"success": true})
}

// verify compares an object in the store with what the client states.
func (s *Server) verify(w http.ResponseWriter, r *http.Request) {
	var q struct {
		OID  string `json:"oid"`
		Size int64  `json:"size"`
	}
	if !read(w, r, &q) {
		return
	}
	if why := s.whole(q.OID, q.Size); why != "" {
		delete(s.contents, q.OID)
		refuse(w, http.StatusBadRequest, "", why)
		return
	}
	answer(w, map[string]string{"message": "success"})
}

// whole returns what is wrong with an object in the store, or "".
func (s *Server) whole(oid string, size int64) string {
	data, ok := s.contents[oid]
	sum := sha256.Sum256(data)
	switch {
	case !ok:
		return "LFS pointer pointed to a file that does not exist"
	case int64(len(data)) != size:
		return fmt.Sprintf("the object has %d bytes, not %d", len(data), size)
	case hex.EncodeToString(sum[:]) != oid:
		return "the object has another digest"
	}
	return ""
}

// operation is a line of a commit.
type operation struct {
	Key   string
	Value struct {
		Summary, Description, ParentCommit string
		Path, Content, Encoding            string
		Algo, OID                          string
		Size                               int64
	}
}

// commit reads a commit's lines and moves the revision.
func (s *Server) commit(w http.ResponseWriter, r *http.Request, kind, id, revision string, rp *repo) {
	head := rp.refs[revision]
	files := maps.Clone(rp.commits[head])
	c := Commit{Parent: head}
	in := bufio.NewReader(r.Body)
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-ndjson") {
		refuse(w, http.StatusBadRequest, "", "expected application/x-ndjson")
		return
	}
	for d := json.NewDecoder(in); ; {
		var op operation
		err := d.Decode(&op)
		if err == io.EOF {
			break
		}
		v := op.Value
		var why string
		switch {
		case err != nil:
			why = err.Error()
		case op.Key == "header":
			c.Summary = v.Summary
			if v.ParentCommit != "" && v.ParentCommit != head {
				refuse(w, http.StatusPreconditionFailed, "", "A commit has happened since. Please refresh and try again.")
				return
			}
		case op.Key == "file":
			var data []byte
			if data, err = base64.StdEncoding.DecodeString(v.Content); err != nil || v.Encoding != "base64" {
				why = "the content of " + v.Path + " is not base64"
				break
			}
			files[v.Path] = s.entry(v.Path, data, false)
			c.Added = append(c.Added, v.Path)
		case op.Key == "lfsFile":
			if why = s.whole(v.OID, v.Size); why == "" && v.Algo == "sha256" {
				files[v.Path] = s.entry(v.Path, s.contents[v.OID], true)
				c.Added = append(c.Added, v.Path)
			}
		case op.Key == "deletedFile":
			if _, ok := files[v.Path]; !ok {
				why = "A file with this name doesn't exist: " + v.Path
			}
			delete(files, v.Path)
			c.Deleted = append(c.Deleted, v.Path)
		default:
			why = "unknown key " + op.Key
		}
		if why != "" {
			refuse(w, http.StatusBadRequest, "", why)
			return
		}
	}
	if c.Summary == "" {
		refuse(w, http.StatusBadRequest, "", "a commit needs a summary")
		return
	}
	c.ID = rp.point(revision, head, files)
	s.commits = append(s.commits, c)
	page := s.Endpoint.URL + "/" + strings.TrimPrefix(kind+"/", "models/") + id
	answer(w, map[string]any{"success": true, "commitOid": c.ID, "commitUrl": page + "/commit/" + c.ID, "hookOutput": ""})
}

// Commits returns the commits that clients made, in order.
func (s *Server) Commits() []Commit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.commits)
}

// Content returns the files at a revision, and nil if there is none.
func (s *Server) Content(kind, id, revision string) map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	rp := s.repos[kind+"/"+id]
	if rp == nil || rp.refs[revision] == "" {
		return nil
	}
	files := map[string][]byte{}
	for name, e := range rp.commits[rp.refs[revision]] {
		files[name] = s.contents[e.etag()]
	}
	return files
}

// Private reports whether a repository is private.
func (s *Server) Private(kind, id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	rp := s.repos[kind+"/"+id]
	return rp != nil && rp.private
}
