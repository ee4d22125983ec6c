package hub

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/pause"
)

// UploadOptions are the choices of a publication.
type UploadOptions struct {
	Private bool   // of a repository that is made
	Message string // of the commit; "" is one that names barka
}

// Published is the result of Publish.
type Published struct {
	Commit, Address string
	// Files counts the files of the commit. It is 0 if the repository has them all.
	Files   int
	Deleted int
	Ignored []string // files that the published .gitignore excludes
}

// MayWrite returns an error if nothing can be published: the client is offline, or has no
// token.
func (c *Client) MayWrite() error {
	switch {
	case c.offline:
		return badinput.Errorf("nothing can be published: barka is %w (--offline, or HF_HUB_OFFLINE)", errOffline)
	case c.token == "":
		return badinput.Errorf("publishing needs a token; make one with write permission at %s and set HF_TOKEN", c.url("settings", "tokens"))
	}
	return nil
}

// Publish makes the repository and the branch if they are missing, sends what the store
// lacks, and commits. Nothing is visible before the commit, which has everything. A
// publication that ended early goes on from what the store has.
func (c *Client) Publish(ctx context.Context, u *Upload, o UploadOptions) (*Published, error) {
	if err := c.MayWrite(); err != nil {
		return nil, err
	}
	if err := c.ready(ctx, u, o.Private); err != nil {
		return nil, err
	}
	// A commit of somebody else moves the revision. If it leaves our files alone, ours
	// follows it.
	for n := 0; ; n++ {
		err := c.preupload(ctx, u)
		if err != nil {
			return nil, err
		}
		p := u.published(c)
		if !u.Changes() {
			return p, nil
		}
		if err := c.checkCard(ctx, u); err != nil {
			return nil, err
		}
		if err := c.sendAll(ctx, u); err != nil {
			return nil, err
		}
		p.Commit, err = c.commit(ctx, u, cmp.Or(o.Message, "Publish with Barka"))
		if err == nil {
			return p, nil
		}
		var moved *moved
		if !errors.As(err, &moved) || n == maxMoves {
			return nil, err
		}
		c.progress.Note(fmt.Sprintf("%s: somebody else committed meanwhile, other files than these; trying again", what(u.Repo)))
	}
}

// maxMoves bounds the commits of others that a publication follows.
const maxMoves = 5

func (u *Upload) published(c *Client) *Published {
	p := &Published{Commit: u.Head, Address: c.page(u.Repo), Deleted: len(u.Stale)}
	for _, f := range u.Files {
		if f.sends() {
			p.Files++
		}
		if f.State == Ignored {
			p.Ignored = append(p.Ignored, f.Path)
		}
	}
	return p
}

// ready makes the repository and the branch, and compares the files with it.
func (c *Client) ready(ctx context.Context, u *Upload, private bool) error {
	if err := c.create(ctx, u.Repo, private); err != nil {
		return err
	}
	if err := c.look(ctx, u); err != nil {
		return err
	}
	if private && !u.Private {
		return badinput.Errorf("%s exists and is public; --private does not change that: choose another name, or make it private at %s",
			what(u.Repo), c.page(u.Repo, "settings"))
	}
	if u.Head != "" {
		return nil
	}
	branch := append([]string{"api", string(u.Repo.Kind)}, strings.Split(u.Repo.ID, "/")...)
	err := c.post(ctx, u.Repo, c.url(append(branch, "branch", u.Repo.Revision)...), jsonType, struct{}{}, nil)
	if err != nil && !refusedAs(err, http.StatusConflict) { // else it exists by now
		return err
	}
	return c.look(ctx, u)
}

// create makes the repository unless it exists.
func (c *Client) create(ctx context.Context, r Repo, private bool) error {
	organization, name, _ := strings.Cut(r.ID, "/")
	visibility := "public"
	if private {
		visibility = "private"
	}
	q := map[string]string{"name": name, "organization": organization, "type": r.Kind.word(), "visibility": visibility}
	err := c.attempts(ctx, what(r), func() error {
		data, err := json.Marshal(q)
		if err != nil {
			return err
		}
		err = c.postOnce(ctx, r, c.url("api", "repos", "create"), jsonType, data, nil)
		if refusedAs(err, http.StatusConflict) && strings.Contains(err.Error(), "another conflicting operation") {
			return &pause.Passing{Err: err}
		}
		return err
	})
	switch {
	case err == nil, refusedAs(err, http.StatusConflict):
		return nil
	case refusedAs(err, http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden):
		// A token that may not make repositories may still write to an existing one.
		probe := r
		probe.Revision = mainRevision
		if _, listed := c.List(ctx, probe); listed == nil || IsNoRevision(listed) {
			return nil
		}
	}
	return err
}

// preupload asks the hub how each file is sent, and which ones are ignored.
func (c *Client) preupload(ctx context.Context, u *Upload) error {
	type file struct {
		Path   string `json:"path"`
		Sample string `json:"sample"`
		Size   int64  `json:"size"`
	}
	type question struct {
		Files     []file `json:"files"`
		GitIgnore string `json:"gitIgnore,omitempty"`
	}
	address := append([]string{"api", string(u.Repo.Kind)}, strings.Split(u.Repo.ID, "/")...)
	ignore, err := u.gitIgnore()
	if err != nil {
		return err
	}
	for files := range slices.Chunk(u.Files, 256) {
		q := question{GitIgnore: ignore}
		for _, f := range files {
			q.Files = append(q.Files, file{f.Path, base64.StdEncoding.EncodeToString(f.sample), f.Size})
		}
		var a struct {
			Files []struct {
				Path         string `json:"path"`
				UploadMode   Mode   `json:"uploadMode"`
				ShouldIgnore bool   `json:"shouldIgnore"`
			} `json:"files"`
		}
		revision := u.Repo.Revision
		if u.Head == "" {
			revision = mainRevision // a plan, and the branch will be made from main
		}
		if err := c.post(ctx, u.Repo, c.url(append(address, "preupload", revision)...), jsonType, q, &a); err != nil {
			return err
		}
		modes := map[string]Mode{}
		ignored := map[string]bool{}
		for _, f := range a.Files {
			modes[f.Path], ignored[f.Path] = f.UploadMode, f.ShouldIgnore
		}
		for _, f := range files {
			if err := u.take(f, modes[f.Path], ignored[f.Path], c); err != nil {
				return err
			}
		}
	}
	u.sum()
	return nil
}

// checkCard lets the hub check the card's metadata before large files are sent. A hub that
// does not answer such questions checks it at the commit.
func (c *Client) checkCard(ctx context.Context, u *Upload) error {
	for _, f := range u.Files {
		if f.Path != "README.md" || !f.sends() || f.Mode != Regular {
			continue
		}
		text, err := f.content()
		if err != nil {
			return err
		}
		q, err := json.Marshal(map[string]string{"content": string(text), "repoType": u.Repo.Kind.word()})
		if err != nil {
			return err
		}
		err = c.postOnce(ctx, u.Repo, c.url("api", "validate-yaml"), jsonType, q, nil)
		if refusedAs(err, http.StatusBadRequest) {
			return badinput.Errorf("README.md: the hub does not accept its metadata: %w", err)
		}
	}
	return ctx.Err()
}

// take sets what the hub says about a file. Stores have no empty objects.
func (u *Upload) take(f *Outgoing, mode Mode, ignored bool, c *Client) error {
	if f.Size == 0 {
		mode = Regular
	}
	switch {
	case mode != Regular && mode != Large:
		return badinput.Errorf("%s: the hub states %q as the mode of %s; expected regular or lfs", what(u.Repo), c.clean(string(mode)), f.Path)
	case mode == Regular && f.Size > maxRegular:
		return badinput.Errorf("%s: the hub wants %s, of %d bytes, in the commit itself, which takes at most %d; add a line for it to "+
			".gitattributes, with filter=lfs", what(u.Repo), f.Path, f.Size, maxRegular)
	}
	f.Mode = mode
	if ignored {
		f.State = Ignored
	}
	return nil
}

// gitIgnore returns the content of the .gitignore among the files.
func (u *Upload) gitIgnore() (string, error) {
	for _, f := range u.Files {
		if f.Path == ".gitignore" {
			data, err := f.content()
			return string(data), err
		}
	}
	return "", nil
}

// content reads a file that is part of a commit, and compares it with its digest.
func (f *Outgoing) content() ([]byte, error) {
	in, err := f.open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, maxRegular+1))
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	git := sha1.New()
	fmt.Fprintf(git, "blob %d\x00", len(data))
	git.Write(data)
	if hex.EncodeToString(git.Sum(nil)) != f.git {
		return nil, f.changed()
	}
	return data, nil
}

// line is an operation of a commit.
type line struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

// body writes the commit's operations, one per line.
func (u *Upload) body(message string) ([]byte, error) {
	var b bytes.Buffer
	to := json.NewEncoder(&b)
	err := to.Encode(line{"header", map[string]string{"summary": message, "description": "", "parentCommit": u.Head}})
	for _, f := range u.Files {
		if err != nil {
			return nil, err
		}
		if err := f.same(); err != nil {
			return nil, err
		}
		switch {
		case !f.sends():
		case f.Mode == Large:
			err = to.Encode(line{"lfsFile", map[string]any{"path": f.Path, "algo": "sha256", "oid": f.sha256, "size": f.Size}})
		case int64(b.Len())+f.Size > maxCommit:
			return nil, badinput.Errorf("%s: the files that belong in the commit itself have more than %d MiB; publish fewer at once",
				what(u.Repo), maxCommit>>20)
		default:
			var data []byte
			if data, err = f.content(); err == nil {
				err = to.Encode(line{"file", map[string]string{"path": f.Path, "encoding": "base64",
					"content": base64.StdEncoding.EncodeToString(data)}})
			}
		}
	}
	for _, name := range u.Stale {
		err = errors.Join(err, to.Encode(line{"deletedFile", map[string]string{"path": name}}))
	}
	return b.Bytes(), err
}

// moved is the error of a revision that somebody else moved without touching our files.
type moved struct{ error }

// commit makes the files visible, all at once, and returns the commit's hash. After an
// answer that was lost, it asks whether the commit was made.
func (c *Client) commit(ctx context.Context, u *Upload, message string) (string, error) {
	data, err := u.body(message)
	if err != nil {
		return "", err
	}
	var a struct {
		ID string `json:"commitOid"`
	}
	parts := append([]string{"api", string(u.Repo.Kind)}, strings.Split(u.Repo.ID, "/")...)
	address := c.url(append(parts, "commit", u.Repo.Revision)...)
	sent := false
	err = c.attempts(ctx, what(u.Repo), func() error {
		if sent {
			if err := c.standing(ctx, u); err != nil || !u.Changes() {
				return err
			}
		}
		sent = true
		err := c.postOnce(ctx, u.Repo, address, commitType, data, &a)
		if refusedAs(err, http.StatusConflict, http.StatusPreconditionFailed) {
			if stood := c.standing(ctx, u); stood != nil || !u.Changes() {
				return stood
			}
			return &pause.Passing{Err: err} // nothing has moved
		}
		return err
	})
	switch {
	case err != nil:
		return "", err
	case a.ID == "": // an earlier attempt made it, and its answer was lost
		return u.Head, nil
	case !commit.MatchString(a.ID):
		return "", badinput.Errorf("%s: the server names %q as the new commit, expected 40 hexadecimal digits", what(u.Repo), c.clean(a.ID))
	}
	return a.ID, nil
}

// standing compares the files with the revision as it is now. If it has not moved, nothing
// changes. If it has all files, u has no changes left. If somebody else moved it, the error
// is moved if our files are as they were, and otherwise names those that are not.
func (c *Client) standing(ctx context.Context, u *Upload) error {
	before := map[string]string{}
	old := u.Head
	now := &Upload{Repo: u.Repo}
	l, err := c.List(ctx, u.Repo)
	if err != nil {
		return err
	}
	if l.Commit == old {
		return nil
	}
	was, err := c.List(ctx, Repo{u.Repo.Kind, u.Repo.ID, old})
	if err != nil {
		return err
	}
	for _, f := range was.Files {
		before[f.Path] = f.Digest
	}
	for _, f := range u.Files {
		if f.State != Ignored {
			one := *f
			now.Files = append(now.Files, &one)
		}
	}
	now.compare(l)
	if !now.Changes() {
		u.Head = l.Commit
		for _, f := range u.Files {
			if f.State != Ignored {
				f.State = Unchanged
			}
		}
		u.Stale = nil
		return nil
	}
	var others []string
	for _, f := range now.Files {
		has, there := l.Find(f.Path)
		if digest, was := before[f.Path]; was != there || digest != has.Digest {
			others = append(others, f.Path)
		}
	}
	if len(others) > 0 {
		return badinput.Errorf("%s: somebody else committed %s meanwhile, at commit %.12s; nothing is published: look at that commit, "+
			"then run the same command again to replace it", what(u.Repo), few(others), l.Commit)
	}
	u.Head = l.Commit
	u.compare(l)
	return &moved{fmt.Errorf("%s: somebody else keeps committing; run the same command again", what(u.Repo))}
}

// few lists the first of some names.
func few(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
