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
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/diskmap"
)

// syncEvery bounds the work that a power cut can lose. A killed process loses nothing:
// when Put returns, the system has its line.
const syncEvery = time.Second

// Journal is an append-only file of finished work by key. It is safe for concurrent
// use. The positions of the keys are on disk too (package diskmap), so that memory does
// not grow with the work.
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
	index   *diskmap.Map // from key to position
	keys    int
	pending bool // written since the last fsync
	timer   *time.Timer
	err     error // the error after which nothing can be written
}

// indexOptions are those of the journals' indexes. Tests make them small.
var indexOptions diskmap.Options

// position is where a value is, and the stamp of the input that it was made from.
type position struct {
	offset int64
	stamp  uint64
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
	j := &Journal{path: path, f: f}
	if j.index, err = diskmap.Open(indexPrefix(path), indexOptions); err == nil {
		err = j.load()
	}
	if err != nil {
		if j.index != nil {
			j.index.Close()
		}
		f.Close()
		return nil, err
	}
	return j, nil
}

// indexPrefix begins the names of the files of a journal's index. It is one that Run.Dir
// reserves.
func indexPrefix(path string) string {
	return filepath.Join(filepath.Dir(path), "rows-index-"+strings.TrimSuffix(filepath.Base(path), ".jsonl")+"-")
}

// set records the position of a key's value. The caller holds j.mu.
func (j *Journal) set(key string, p position) error {
	_, known, err := j.find(key)
	if err != nil {
		return err
	}
	if !known {
		j.keys++
	}
	return j.index.Put(dataset.KeyOf(key), diskmap.Value{uint64(p.offset), p.stamp})
}

// find returns the position of a key's value. The caller holds j.mu.
func (j *Journal) find(key string) (position, bool, error) {
	v, ok, err := j.index.Get(dataset.KeyOf(key))
	return position{int64(v[0]), v[1]}, ok, err
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
				if err := j.set(entry.Key, position{offset, entry.Stamp}); err != nil {
					return err
				}
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

// newJournalLine returns the line of a value. Values have megabytes, so the JSON is put
// together around them, with the bytes that json.Marshal makes of a journalLine.
func newJournalLine(key string, stamp uint64, value any) ([]byte, error) {
	var line bytes.Buffer
	encode := func(v any) error {
		err := json.NewEncoder(&line).Encode(v)
		line.Truncate(max(0, line.Len()-1)) // the line feed behind it
		return err
	}
	line.WriteString(strings.Repeat(" ", checksumSize) + `{"k":`)
	if err := encode(key); err != nil {
		return nil, err
	}
	if stamp != 0 {
		line.WriteString(`,"h":` + strconv.FormatUint(stamp, 10))
	}
	line.WriteString(`,"v":`)
	if err := encode(value); err != nil {
		return nil, err
	}
	line.WriteByte('}')
	copy(line.Bytes(), checksum(line.Bytes()[checksumSize:]))
	line.WriteByte('\n')
	return line.Bytes(), nil
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
func (j *Journal) Put(key string, value any) error {
	_, err := j.put(key, 0, value)
	return err
}

// put returns the offset of the line.
func (j *Journal) put(key string, stamp uint64, value any) (offset int64, err error) {
	line, err := newJournalLine(key, stamp, value)
	if err != nil {
		return 0, fmt.Errorf("%s: value of %q: %w", j.path, key, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return 0, j.err
	}
	if _, err := j.f.WriteAt(line, j.end); err != nil {
		// No part of the line may remain before later lines.
		if terr := j.f.Truncate(j.end); terr != nil {
			j.err = atomicfile.Explain(j.path, terr)
		}
		return 0, atomicfile.Explain(j.path, err)
	}
	at := j.end
	j.end += int64(len(line))
	if !j.pending {
		j.pending = true
		j.timer = time.AfterFunc(syncEvery, j.sync)
	}
	if err := j.set(key, position{at, stamp}); err != nil {
		// The line is safe, but this process could not find it again.
		j.err = err
	}
	return at, j.err
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
	if j.f == nil {
		j.mu.Unlock()
		return nil, false, errJournalClosed
	}
	f := j.f
	p, ok, err := j.find(key)
	j.mu.Unlock()
	if !ok || err != nil {
		return nil, false, err
	}
	entry, err := j.line(f, p.offset)
	return entry.Value, err == nil, err
}

// usualLine is how much of a line is read at first.
const usualLine = 4 << 10

// at reads the line at an offset.
func (j *Journal) at(offset int64) (journalLine, error) {
	j.mu.Lock()
	f := j.f
	j.mu.Unlock()
	if f == nil {
		return journalLine{}, errJournalClosed
	}
	return j.line(f, offset)
}

func (j *Journal) line(f *os.File, offset int64) (entry journalLine, err error) {
	var line []byte
	for size := usualLine; ; size *= 4 {
		line = make([]byte, size)
		n, err := f.ReadAt(line, offset)
		if err != nil && err != io.EOF {
			return entry, fmt.Errorf("%s: %w", j.path, err)
		}
		if end := bytes.IndexByte(line[:n], '\n'); end >= 0 {
			line = line[:end+1]
			break
		}
		if err == io.EOF {
			line = line[:n]
			break
		}
	}
	if len(line) == 0 {
		err = errors.New("it is missing")
	} else {
		entry, err = parseJournalLine(line)
	}
	if err != nil {
		return entry, badinput.Errorf("%s: the line at offset %d changed while it was in use: %w", j.path, offset, err)
	}
	return entry, nil
}

// position returns where the value of key is, and reports whether there is one.
func (j *Journal) position(key string) (position, bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.f == nil {
		return position{}, false, errJournalClosed
	}
	return j.find(key)
}

// Len returns the number of keys.
func (j *Journal) Len() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.keys
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
	err = atomicfile.Explain(j.path, errors.Join(err, j.f.Close(), j.index.Close()))
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
