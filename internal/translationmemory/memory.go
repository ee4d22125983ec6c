// Package translationmemory keeps translations of sentences in one file on disk, for all
// stages, datasets and runs that name it, also at the same time. A translation is found
// again only under the settings that made it: the model, the languages and the options of
// decoding.
//
// The file is an SQLite database with a write-ahead log. It is safe when processes are
// killed or share it, and its pages are cached in bounded memory, however many sentences
// it has. Several machines must not share a file over a network file system.
package translationmemory

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"barka/internal/badinput"
)

const (
	// application identifies the file, in SQLite's application_id: "BkTm".
	application = 0x426b546d
	// layout is the version of the tables, in SQLite's user_version.
	layout = 1
	// commitEvery bounds what a kill can lose.
	commitEvery = time.Second
	// commitAfter bounds the translations of a transaction.
	commitAfter = 4096
	// cached bounds, in KiB, the pages that are kept in memory.
	cached = 16 << 10
)

// File is an open memory. Its methods may be called from several goroutines.
type File struct {
	path string
	db   *sql.DB

	mu      sync.Mutex
	pending map[key]entry // put, and not yet in the file
	timer   *time.Timer   // of the next commit; nil if nothing is pending
	err     error         // of a commit by the timer
	find    *sql.Stmt
}

// key identifies a sentence under its settings.
type key struct {
	settings int64
	source   [16]byte // of SHA-256
}

// entry is a translation with its source, which guards against equal digests.
type entry struct {
	source string
	value  []byte // JSON
}

// sum is a checksum of an entry, which SQLite has none of.
func (e entry) sum() int64 {
	h := xxhash.New()
	h.WriteString(e.source)
	h.Write([]byte{0})
	h.Write(e.value)
	return int64(h.Sum64())
}

// patience is how long a process waits for the others that have a memory open.
const patience = time.Minute

// Open opens a memory, or makes an empty one. A file that is not one, or of a later
// version, is an error.
func Open(path string) (*File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, err
	}
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		f, err := openOnce(path)
		// SQLite does not wait for others that turn the same new file's write-ahead log on.
		if err == nil || !is(err, sqlite3.SQLITE_BUSY) || time.Since(start) > patience {
			return f, err
		}
	}
}

// is reports whether an error is one of SQLite's with one of the codes.
func is(err error, codes ...int) bool {
	var from *sqlite.Error
	return errors.As(err, &from) && slices.Contains(codes, from.Code()&0xff)
}

func openOnce(path string) (*File, error) {
	// A writer waits for another one. With a write-ahead log readers never wait, and
	// a killed process loses at most its last transactions.
	options := url.Values{"_pragma": {fmt.Sprintf("busy_timeout(%d)", patience.Milliseconds()), "journal_mode(wal)", "synchronous(normal)",
		fmt.Sprintf("cache_size(-%d)", cached)},
		"_txlock": {"immediate"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+options.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	f := &File{path: path, db: db, pending: map[key]entry{}}
	if err := f.prepare(); err != nil {
		db.Close()
		return nil, f.broken(err)
	}
	return f, nil
}

// prepare checks the file's kind and version, and makes the tables of an empty file.
func (f *File) prepare() error {
	tx, err := f.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var id, version, tables int
	if err := errors.Join(tx.QueryRow("PRAGMA application_id").Scan(&id), tx.QueryRow("PRAGMA user_version").Scan(&version),
		tx.QueryRow("SELECT count(*) FROM sqlite_schema").Scan(&tables)); err != nil {
		return err
	}
	switch {
	case id == 0 && tables == 0:
		for _, q := range []string{
			fmt.Sprintf("PRAGMA application_id = %d", application), fmt.Sprintf("PRAGMA user_version = %d", layout),
			"CREATE TABLE settings (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)",
			`CREATE TABLE translation (settings INTEGER NOT NULL, digest BLOB NOT NULL, source TEXT NOT NULL, value BLOB NOT NULL,
				sum INTEGER NOT NULL, PRIMARY KEY (settings, digest)) WITHOUT ROWID`,
		} {
			if _, err := tx.Exec(q); err != nil {
				return err
			}
		}
	case id != application:
		return badinput.Errorf("%s: an SQLite database of another program, expected a translation memory", f.path)
	case version != layout:
		return badinput.Errorf("%s: a translation memory of version %d, expected %d; name another file", f.path, version, layout)
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	f.find, err = f.db.Prepare("SELECT source, value, sum FROM translation WHERE settings = ? AND digest = ?")
	return err
}

// broken explains errors of SQLite. A damaged file is bad input.
func (f *File) broken(err error) error {
	switch {
	case err == nil || badinput.Is(err):
		return err
	case is(err, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
		return f.damaged(err)
	}
	return fmt.Errorf("%s: the translation memory cannot be used: %w; --memory %s does without one", f.path, err, Off)
}

func (f *File) damaged(err error) error {
	return badinput.Errorf("%s: the file is damaged or no translation memory (%w); remove it, and its sentences are translated again, "+
		"or name another file", f.path, err)
}

// Memory is the part of a file that holds the translations of one group of settings. V
// is the type of a translation, which is stored as JSON.
type Memory[V any] struct {
	f  *File
	id int64
}

// For returns the part of a file for settings, which are compared as JSON.
func For[V any](ctx context.Context, f *File, settings any) (*Memory[V], error) {
	text, err := json.Marshal(settings)
	if err != nil {
		return nil, err
	}
	m := &Memory[V]{f: f}
	_, err = f.db.ExecContext(ctx, "INSERT OR IGNORE INTO settings (text) VALUES (?)", string(text))
	if err == nil {
		err = f.db.QueryRowContext(ctx, "SELECT id FROM settings WHERE text = ?", string(text)).Scan(&m.id)
	}
	return m, f.broken(err)
}

func (m *Memory[V]) key(source string) key {
	sum := sha256.Sum256([]byte(source))
	return key{m.id, [16]byte(sum[:16])}
}

// Get returns the translation of a source, if there is one.
func (m *Memory[V]) Get(source string) (v V, ok bool, err error) {
	e, ok, err := m.f.get(m.key(source))
	if err != nil || !ok || e.source != source {
		return v, false, err
	}
	if err := json.Unmarshal(e.value, &v); err != nil {
		return v, false, m.f.damaged(fmt.Errorf("the translation of %.40q: %w", source, err))
	}
	return v, true, nil
}

func (f *File) get(k key) (e entry, ok bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e, ok := f.pending[k]; ok {
		return e, true, nil
	}
	var sum int64
	err = f.find.QueryRow(k.settings, k.source[:]).Scan(&e.source, &e.value, &sum)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return e, false, nil
	case err != nil:
		return e, false, f.broken(err)
	case sum != e.sum():
		return e, false, f.damaged(fmt.Errorf("the translation of %.40q has another checksum", e.source))
	}
	return e, true, nil
}

// Put remembers a translation. It is on disk about a second later, or after Flush.
func (m *Memory[V]) Put(source string, v V) error {
	value, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f := m.f
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pending[m.key(source)] = entry{source, value}
	if len(f.pending) >= commitAfter {
		return f.commit()
	}
	if f.timer == nil {
		f.timer = time.AfterFunc(commitEvery, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.err = errors.Join(f.err, f.commit())
		})
	}
	return f.err
}

// Flush writes everything that was put.
func (f *File) Flush() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return errors.Join(f.commit(), f.err)
}

// commit writes what is pending in one transaction. If it fails, nothing of it is
// written and all of it stays pending.
func (f *File) commit() error {
	if f.timer != nil {
		f.timer.Stop()
		f.timer = nil
	}
	if len(f.pending) == 0 {
		return nil
	}
	err := func() error {
		tx, err := f.db.Begin()
		if err != nil {
			return err
		}
		defer tx.Rollback()
		put, err := tx.Prepare("INSERT OR REPLACE INTO translation (settings, digest, source, value, sum) VALUES (?, ?, ?, ?, ?)")
		if err != nil {
			return err
		}
		defer put.Close()
		for k, e := range f.pending {
			if _, err := put.Exec(k.settings, k.source[:], e.source, e.value, e.sum()); err != nil {
				return err
			}
		}
		return tx.Commit()
	}()
	if err == nil {
		clear(f.pending)
	}
	return f.broken(err)
}

// Len returns the number of translations in the file under all settings.
func (f *File) Len() (n int64, err error) {
	if err := f.Flush(); err != nil {
		return 0, err
	}
	err = f.db.QueryRow("SELECT count(*) FROM translation").Scan(&n)
	return n, f.broken(err)
}

// Close writes what is pending and closes the file.
func (f *File) Close() error {
	err := f.Flush()
	f.find.Close()
	return errors.Join(err, f.db.Close())
}
