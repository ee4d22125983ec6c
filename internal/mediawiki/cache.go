package mediawiki

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/klauspost/compress/zstd"

	"barka/internal/badinput"
)

// Cache keeps pages of wikis between runs: a file per wiki, form and page, with its
// revision. A page is used while its revision is the wiki's latest, which one request tells
// for fifty pages. Several processes may use a directory at once: files are replaced by a
// rename, and one that cannot be read counts as absent.
type Cache struct {
	dir string // of the wiki

	mu     sync.Mutex
	encode *zstd.Encoder
	decode *zstd.Decoder
}

// OpenCache returns the cache of the wiki with the given api.php below a directory.
func OpenCache(dir, api string) (*Cache, error) {
	u, err := url.Parse(api)
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	sum := sha256.Sum256([]byte(u.Host + u.Path)) // http and https are the same wiki
	c := &Cache{dir: filepath.Join(dir, u.Hostname()+"-"+hex.EncodeToString(sum[:4]))}
	if c.encode, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1)); err != nil {
		return nil, err
	}
	c.decode, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(2*maxBody))
	return c, err
}

// Dir returns the directory of the wiki.
func (c *Cache) Dir() string { return c.dir }

func (c *Cache) path(form Form, id int64) string {
	return filepath.Join(c.dir, string(form), fmt.Sprintf("%02x", uint8(id)), strconv.FormatInt(id, 10)+".json.zst")
}

// Get returns a page of the given revision or a later one.
func (c *Cache) Get(form Form, id, revision int64) (f Fetched, ok bool) {
	packed, err := badinput.ReadFile(c.path(form, id), 2*maxBody)
	if err != nil {
		return f, false
	}
	c.mu.Lock()
	data, err := c.decode.DecodeAll(packed, nil)
	c.mu.Unlock()
	if err != nil || json.Unmarshal(data, &f) != nil {
		return Fetched{}, false
	}
	return f, f.ID == id && f.Revision >= revision && f.Revision > 0
}

// Put keeps a page in place of an earlier revision.
func (c *Cache) Put(form Form, f Fetched) error {
	data, err := json.Marshal(f)
	if err != nil {
		return err
	}
	c.mu.Lock()
	packed := c.encode.EncodeAll(data, nil)
	c.mu.Unlock()
	return store(c.path(form, f.ID), packed)
}

// Size counts the pages of the wiki in the cache, and their bytes.
func (c *Cache) Size() (pages int, bytes int64) {
	_ = filepath.WalkDir(c.dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil // it may vanish meanwhile
		}
		if info, err := e.Info(); err == nil {
			pages, bytes = pages+1, bytes+info.Size()
		}
		return nil
	})
	return pages, bytes
}

// DefaultCacheDir returns the directory of the pages of all wikis, which all runs share.
func DefaultCacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "barka", "wiki")
}
