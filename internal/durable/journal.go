package durable

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
)

// syncEvery bounds the work that a power cut can lose. A killed process loses nothing:
// when Put returns, the system has its line.
const syncEvery = time.Second

// Journal is an append-only file of finished work by key. It is safe for concurrent
// use. Memory holds only keys and positions.
//
// A line is the hexadecimal XXH64 of the JSON that follows, a space, the JSON
// {"k": key, "h": stamp, "v": value}, and a line feed. Bad lines at the end, such as a
// torn last line, come from an interruption and are cut off when the journal is
// opened. A bad line before a good one is damage, which is an error.
type Journal struct {
	path string

	mu      sync.Mutex
	f       *os.File
	end     int64
	index   map[string]position
	pending bool // written since the last fsync
	timer   *time.Timer
	err     error // the error after which nothing can be written
}

type position struct {
	offset int64
	length int32
	stamp  uint64 // of the input that the value was made from
}

type journalLine struct {
	Key   string          `json:"k"`
	Stamp uint64          `json:"h,omitempty"`
	Value json.RawMessage `json:"v"`
}

var errJournalClosed = errors.New("durable: journal is closed")

const checksumSize = 16 + 1

func openJournal(path string) (*Journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	j := &Journal{path: path, f: f, index: map[string]position{}}
	if err := j.load(); err != nil {
		f.Close()
		return nil, err
	}
	return j, nil
}

// load indexes the lines and cuts off a torn end.
func (j *Journal) load() error {
	r := bufio.NewReaderSize(j.f, 1<<20)
	var offset int64
	var torn error
	for number := 1; ; number++ {
		line, err := r.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return err
		}
		if len(line) > 0 {
			entry, lerr := parseJournalLine(line)
			switch {
			case lerr == nil && torn != nil:
				return badinput.Errorf("%w, and good lines follow, so that it was not an interruption; restore the file, "+
					"or begin again with --restart", torn)
			case lerr == nil:
				j.index[entry.Key] = position{offset, int32(len(line)), entry.Stamp}
				j.end = offset + int64(len(line))
			case torn == nil:
				torn = fmt.Errorf("%s: line %d is damaged (%w)", j.path, number, lerr)
			}
			offset += int64(len(line))
		}
		if err == io.EOF {
			break
		}
	}
	if j.end < offset {
		return j.f.Truncate(j.end)
	}
	return nil
}

func parseJournalLine(line []byte) (entry journalLine, err error) {
	if line[len(line)-1] != '\n' {
		return entry, errors.New("the line feed is missing")
	}
	var sum [8]byte
	if len(line) <= checksumSize || line[checksumSize-1] != ' ' {
		return entry, errors.New("the checksum is missing")
	}
	if _, err := hex.Decode(sum[:], line[:checksumSize-1]); err != nil {
		return entry, errors.New("the checksum is missing")
	}
	data := line[checksumSize : len(line)-1]
	if got := checksum(data); !bytes.Equal(got, line[:checksumSize-1]) {
		return entry, fmt.Errorf("its checksum is %s, expected %s", line[:checksumSize-1], got)
	}
	return entry, json.Unmarshal(data, &entry)
}

func checksum(data []byte) []byte {
	return fmt.Appendf(nil, "%016x", xxhash.Sum64(data))
}

// Put stores value under key. A later Put of the key replaces it.
func (j *Journal) Put(key string, value any) error { return j.put(key, 0, value) }

func (j *Journal) put(key string, stamp uint64, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("%s: value of %q: %w", j.path, key, err)
	}
	data, err := json.Marshal(journalLine{key, stamp, raw})
	if err != nil {
		return fmt.Errorf("%s: key %q: %w", j.path, key, err)
	}
	line := make([]byte, 0, checksumSize+len(data)+1)
	line = append(append(line, checksum(data)...), ' ')
	line = append(append(line, data...), '\n')
	if int(int32(len(line))) != len(line) {
		return fmt.Errorf("%s: value of %q has %d bytes, which is more than a line can have", j.path, key, len(line))
	}

	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return j.err
	}
	if _, err := j.f.WriteAt(line, j.end); err != nil {
		// No part of the line may remain before later lines.
		if terr := j.f.Truncate(j.end); terr != nil {
			j.err = atomicfile.Explain(j.path, terr)
		}
		return atomicfile.Explain(j.path, err)
	}
	j.index[key] = position{j.end, int32(len(line)), stamp}
	j.end += int64(len(line))
	if !j.pending {
		j.pending = true
		j.timer = time.AfterFunc(syncEvery, j.sync)
	}
	return nil
}

// sync makes the lines durable that were written since the last sync.
func (j *Journal) sync() {
	j.mu.Lock()
	f := j.f
	if f == nil || !j.pending {
		j.mu.Unlock()
		return
	}
	j.pending = false
	j.mu.Unlock()
	if err := f.Sync(); err != nil && !errors.Is(err, os.ErrClosed) {
		j.mu.Lock()
		j.err = atomicfile.Explain(j.path, err)
		j.mu.Unlock()
	}
}

// Get decodes the value of key into into. It returns false if there is none.
func (j *Journal) Get(key string, into any) (bool, error) {
	raw, ok, err := j.raw(key)
	if !ok || err != nil {
		return false, err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return false, fmt.Errorf("%s: value of %q: %w", j.path, key, err)
	}
	return true, nil
}

func (j *Journal) raw(key string) (json.RawMessage, bool, error) {
	j.mu.Lock()
	p, ok := j.index[key]
	f := j.f
	j.mu.Unlock()
	if f == nil {
		return nil, false, errJournalClosed
	}
	if !ok {
		return nil, false, nil
	}
	line := make([]byte, p.length)
	if _, err := f.ReadAt(line, p.offset); err != nil {
		return nil, false, fmt.Errorf("%s: %w", j.path, err)
	}
	entry, err := parseJournalLine(line)
	if err != nil {
		return nil, false, badinput.Errorf("%s: the line at offset %d changed while it was in use: %w", j.path, p.offset, err)
	}
	return entry.Value, true, nil
}

// stamp returns the stamp of the input from which the value of key was made, and
// reports whether there is a value.
func (j *Journal) stamp(key string) (uint64, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	p, ok := j.index[key]
	return p.stamp, ok
}

// Len returns the number of keys.
func (j *Journal) Len() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.index)
}

// Each calls f for all keys in the order of their last Put, and stops at the first
// error. The order depends on the workers, so the output must not depend on it.
func (j *Journal) Each(f func(key string, raw json.RawMessage) error) error {
	j.mu.Lock()
	keys := make([]string, 0, len(j.index))
	for key := range j.index {
		keys = append(keys, key)
	}
	sort.Slice(keys, func(a, b int) bool { return j.index[keys[a]].offset < j.index[keys[b]].offset })
	j.mu.Unlock()
	for _, key := range keys {
		raw, ok, err := j.raw(key)
		if err != nil {
			return err
		}
		if ok {
			if err := f(key, raw); err != nil {
				return err
			}
		}
	}
	return nil
}

func (j *Journal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.f == nil {
		return nil
	}
	if j.timer != nil {
		j.timer.Stop()
	}
	var err error
	if j.pending {
		err = j.f.Sync()
	}
	err = atomicfile.Explain(j.path, errors.Join(err, j.f.Close()))
	j.f, j.pending = nil, false
	if j.err != nil { // an error of an earlier sync may not have been returned yet
		return errors.Join(j.err, err)
	}
	j.err = errJournalClosed
	return err
}

// failure returns the error after which nothing can be written. A sync in the
// background may fail after Put has returned.
func (j *Journal) failure() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}
