package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf8"

	"barka/internal/badinput"
	"barka/internal/pause"
)

// File is a file of a repository.
type File struct {
	Path string // with slashes
	Size int64  // in bytes
	// Digest names the content, and its blob in the cache: SHA-256 of a file in
	// the large-file store (64 digits), else SHA-1 of git's object (40).
	Digest string
}

// Listing holds the files of a repository at a commit.
type Listing struct {
	Repo   Repo
	Commit string
	Files  []File

	private bool
}

// Find returns the file at a path.
func (l *Listing) Find(path string) (File, bool) {
	for _, f := range l.Files {
		if f.Path == path {
			return f, true
		}
	}
	return File{}, false
}

// Bounds of the lists and files of a server.
const (
	maxFiles = 200_000
	maxPages = 2_000
	maxPage  = 32 << 20
	maxSize  = 1 << 46
)

// List asks the hub for the files of a repository.
func (c *Client) List(ctx context.Context, r Repo) (*Listing, error) {
	var head struct {
		SHA     string `json:"sha"`
		Private bool   `json:"private"`
	}
	parts := append([]string{"api", string(r.Kind)}, strings.Split(r.ID, "/")...)
	if _, err := c.ask(ctx, r, c.url(append(parts, "revision", r.Revision)...), &head); err != nil {
		return nil, err
	}
	if !commit.MatchString(head.SHA) {
		return nil, badinput.Errorf("%s: the server names %q as the commit of %s, expected 40 hexadecimal digits",
			what(r), c.clean(head.SHA), r.Revision)
	}
	l := &Listing{Repo: r, Commit: head.SHA, private: head.Private}
	tree := c.url(append([]string{"api", string(r.Kind)}, append(strings.Split(r.ID, "/"), "tree", head.SHA)...)...)
	query := "recursive=true"
	for page := 0; query != ""; page++ {
		if page == maxPages {
			return nil, badinput.Errorf("%s: the list of files has more than %d pages", what(r), maxPages)
		}
		var entries []entry
		next, err := c.ask(ctx, r, tree+"?"+query, &entries)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if err := l.add(e); err != nil {
				return nil, err
			}
		}
		query = next
	}
	return l, l.check()
}

// entry is a line of the hub's answer.
type entry struct {
	Type string `json:"type"`
	Path string `json:"path"`
	Size int64  `json:"size"`
	OID  string `json:"oid"`
	LFS  *struct {
		OID  string `json:"oid"`
		Size int64  `json:"size"`
	} `json:"lfs"`
}

var (
	sha1Digits   = regexp.MustCompile(`^[0-9a-f]{40}$`)
	sha256Digits = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func (l *Listing) add(e entry) error {
	if e.Type != "file" {
		return nil
	}
	f, digits := File{e.Path, e.Size, e.OID}, sha1Digits
	if e.LFS != nil {
		f, digits = File{e.Path, e.LFS.Size, e.LFS.OID}, sha256Digits
	}
	switch {
	case !plainPath(f.Path):
		return badinput.Errorf("%s: the server lists a file named %q, which is not a path below a directory; nothing is downloaded",
			what(l.Repo), shorten(f.Path))
	case !digits.MatchString(f.Digest):
		return badinput.Errorf("%s: the server states %q as the digest of %s, expected hexadecimal digits of SHA-1 or SHA-256",
			what(l.Repo), shorten(f.Digest), f.Path)
	case f.Size < 0 || f.Size > maxSize:
		return badinput.Errorf("%s: the server states a size of %d bytes for %s, which is out of range", what(l.Repo), f.Size, f.Path)
	case len(l.Files) == maxFiles:
		return badinput.Errorf("%s: the server lists more than %d files", what(l.Repo), maxFiles)
	}
	l.Files = append(l.Files, f)
	return nil
}

func shorten(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

// check returns an error if a file is listed twice or is also a directory.
func (l *Listing) check() error {
	files := map[string]bool{}
	for _, f := range l.Files {
		if files[f.Path] {
			return badinput.Errorf("%s: the server lists %s twice", what(l.Repo), f.Path)
		}
		files[f.Path] = true
	}
	for _, f := range l.Files {
		for i, c := range f.Path {
			if c == '/' && files[f.Path[:i]] {
				return badinput.Errorf("%s: the server lists %s as a file and as a directory", what(l.Repo), f.Path[:i])
			}
		}
	}
	return nil
}

// plainPath reports whether a path stays below the directory that it is joined to, on
// every system, and can be shown on a terminal.
func plainPath(p string) bool {
	bad := func(r rune) bool { return r == '\\' || !unicode.IsPrint(r) }
	if p == "" || len(p) > 1024 || !utf8.ValidString(p) || strings.ContainsFunc(p, bad) {
		return false
	}
	for part := range strings.SplitSeq(p, "/") {
		if part == "" || part == "." || part == ".." || len(part) > 255 {
			return false
		}
	}
	if runtime.GOOS == "windows" && strings.Contains(p, ":") {
		return false
	}
	return filepath.IsLocal(filepath.FromSlash(p))
}

// ask decodes an answer of the hub's API and returns the query of the next
// page, "" for the last page.
func (c *Client) ask(ctx context.Context, r Repo, address string, into any) (next string, err error) {
	err = c.attempts(ctx, what(r), func() error {
		late := &tooSlow{fmt.Errorf("no complete answer within %s", c.deadline)}
		timed, cancel := context.WithTimeoutCause(ctx, c.deadline, late)
		defer cancel()
		a, err := c.get(timed, r, address, 0)
		if err != nil {
			return err
		}
		defer a.Close()
		data, err := io.ReadAll(io.LimitReader(a, maxPage+1))
		switch {
		case err != nil:
			return &pause.Passing{Err: fmt.Errorf("the answer ended early: %s", c.clean(err.Error()))}
		case len(data) > maxPage:
			return badinput.Errorf("%s: the server sends an answer of more than %d MiB; it is not read", what(r), maxPage>>20)
		}
		if c.token != "" && bytes.Contains(data, []byte(c.token)) {
			return badinput.Errorf("%s: the answer contains your token; it is not used, because its names become files and messages", what(r))
		}
		if err := json.Unmarshal(data, into); err != nil {
			return badinput.Errorf("%s: the answer of %s is not the hub's: %s; check HF_ENDPOINT", what(r), c.endpoint.Host, c.clean(err.Error()))
		}
		next = nextQuery(a.Header.Get("Link"))
		return nil
	})
	return next, err
}

// nextQuery returns the query of the link to the next page. The rest of the address
// is known, and mirrors of the hub may name another host there.
func nextQuery(link string) string {
	for part := range strings.SplitSeq(link, ",") {
		address, attributes, _ := strings.Cut(strings.TrimSpace(part), ">")
		if !strings.Contains(strings.ReplaceAll(attributes, "'", `"`), `rel="next"`) {
			continue
		}
		if u, err := url.Parse(strings.TrimPrefix(address, "<")); err == nil {
			return u.Query().Encode()
		}
	}
	return ""
}
