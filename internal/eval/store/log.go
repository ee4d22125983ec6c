// Package store keeps the answers of models across runs: the scores of requests, and the
// texts of answers and judgements. Each kind is an append-only log.
package store

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

// appendLog is an append-only log: one checksummed entry per line, written in
// one call, so that several processes may append. Bad lines, such as the torn
// last line of a killed process, are counted and skipped.
type appendLog struct {
	file   *os.File
	broken int
	synced time.Time
}

// openLog opens the log stem.log in dir and passes its entries to take. An entry for
// which take returns false is a bad line. A shard writes its own log, with the shard's
// name in the file name, because shards may run on several machines whose concurrent
// appends to one file are not safe. Every run reads the logs of all shards.
func openLog(dir, stem, shard string, take func(entry string) bool) (*appendLog, error) {
	l := &appendLog{synced: time.Now()}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, badinput.Errorf("store of scores: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, badinput.Errorf("store of scores: %w", err)
	}
	name := stem + ".log"
	if shard != "" {
		name = stem + "." + shard + ".log"
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

// read passes the entries of a file, which need not exist, to take. torn reports whether
// the last line lacks its line feed.
func (l *appendLog) read(path string, take func(entry string) bool) (torn bool, err error) {
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

// Broken returns the path of the log and the number of bad lines that were
// skipped, in it and in the logs of other shards.
func (l *appendLog) Broken() (path string, lines int) { return l.file.Name(), l.broken }

// add appends an entry. The entry is on the disk after another second of work.
func (l *appendLog) add(entry string) error {
	if err := l.write(entry + " " + checksum(entry) + "\n"); err != nil {
		return err
	}
	if time.Since(l.synced) < time.Second {
		return nil
	}
	l.synced = time.Now()
	return l.sync()
}

func (l *appendLog) write(text string) error {
	if _, err := l.file.WriteString(text); err != nil {
		return fmt.Errorf("store of scores: %w; earlier scores are kept", err)
	}
	return nil
}

func (l *appendLog) sync() error {
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("store of scores: %w", err)
	}
	return nil
}

// Close makes all entries durable. Closing again does nothing.
func (l *appendLog) Close() error {
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
