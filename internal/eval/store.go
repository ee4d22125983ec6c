package eval

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"barka/internal/badinput"
)

// lines is a file of the store: an entry a line, each with a checksum.
// Nothing is ever taken out of it and a line is written at once, so that
// several processes may append to it. Lines that do not check, as a process
// that is stopped may leave one, are counted and ignored.
type lines struct {
	file   *os.File
	broken int
	synced time.Time
}

// openLines opens the file stem.log in dir and hands over the entries that it
// holds; an entry that take refuses is broken. Each shard writes a file of its
// own, since shards may run on several machines, whose appending need not be
// safe, and every run reads those of all.
func openLines(dir, stem string, shard Shard, take func(entry string) bool) (*lines, error) {
	l := &lines{synced: time.Now()}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, badinput.Errorf("store of scores: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, badinput.Errorf("store of scores: %w", err)
	}
	name := stem + ".log"
	if shard.Count > 0 {
		name = stem + "." + shard.String() + ".log"
	}
	for _, e := range entries {
		if other := e.Name(); other != name && strings.HasPrefix(other, stem+".") && strings.HasSuffix(other, ".log") {
			if _, err := l.read(filepath.Join(dir, other), take); err != nil {
				return nil, err
			}
		}
	}
	path := filepath.Join(dir, name)
	torn, err := l.read(path, take)
	if err != nil {
		return nil, err
	}
	if l.file, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644); err != nil {
		return nil, badinput.Errorf("store of scores: %w", err)
	}
	if torn {
		return l, l.write("\n")
	}
	return l, nil
}

// read takes the entries of a file, which need not be there. torn says that
// its last line has no end.
func (l *lines) read(path string, take func(entry string) bool) (torn bool, err error) {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, badinput.Errorf("store of scores: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		text, whole := strings.CutSuffix(line, "\n")
		torn = !whole
		if text == "" {
			continue
		}
		entry, sum, _ := cutLast(text, " ")
		if sum != checksum(entry) || !take(entry) {
			l.broken++
		}
	}
	return torn, nil
}

func checksum(entry string) string { return fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(entry))) }

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// add appends an entry, which is on the disk within a second of work.
func (l *lines) add(entry string) error {
	if err := l.write(entry + " " + checksum(entry) + "\n"); err != nil {
		return err
	}
	if time.Since(l.synced) < time.Second {
		return nil
	}
	l.synced = time.Now()
	return l.sync()
}

func (l *lines) write(text string) error {
	if _, err := l.file.WriteString(text); err != nil {
		return fmt.Errorf("store of scores: %w; what was scored before is kept", err)
	}
	return nil
}

func (l *lines) sync() error {
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("store of scores: %w", err)
	}
	return nil
}

// close may be called again.
func (l *lines) close() error {
	if l.file == nil {
		return nil
	}
	err := l.sync()
	if closeErr := l.file.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("store of scores: %w", closeErr)
	}
	l.file = nil
	return err
}
