package eval

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// textKey identifies what a text answers.
type textKey [16]byte

// texts keeps generated texts across runs as the journal keeps scores: a line
// each, of key, text as JSON and checksum, on the disk before it is used. It
// is safe for concurrent use.
type texts struct {
	mu   sync.Mutex
	file *os.File
	all  map[textKey]string
}

// openTexts opens the file and reads what it holds. A torn last line is cut
// off, others that do not check are ignored.
func openTexts(path string) (*texts, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("kept answers: %w", err)
	}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("kept answers: %w", err)
	}
	t := &texts{all: map[textKey]string{}}
	whole := data[:bytes.LastIndexByte(data, '\n')+1]
	for line := range strings.Lines(string(whole)) {
		if key, text, ok := parseText(strings.TrimSuffix(line, "\n")); ok {
			t.all[key] = text
		}
	}
	t.file, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err == nil && len(whole) < len(data) {
		err = t.file.Truncate(int64(len(whole)))
	}
	if err != nil {
		return nil, fmt.Errorf("kept answers: %w", err)
	}
	return t, nil
}

func parseText(line string) (key textKey, text string, ok bool) {
	entry, sum, found := cutLast(line, " ")
	if !found || sum != fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(entry))) {
		return key, "", false
	}
	id, quoted, _ := strings.Cut(entry, " ")
	if len(id) != 2*len(key) {
		return key, "", false
	}
	if _, err := hex.Decode(key[:], []byte(id)); err != nil {
		return key, "", false
	}
	err := json.Unmarshal([]byte(quoted), &text)
	return key, text, err == nil
}

func (t *texts) get(key textKey) (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	text, ok := t.all[key]
	return text, ok
}

// put keeps a text.
func (t *texts) put(key textKey, text string) error {
	quoted, err := json.Marshal(text)
	if err != nil {
		return err
	}
	entry := fmt.Sprintf("%x %s", key[:], quoted)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all[key] = text
	_, err = fmt.Fprintf(t.file, "%s %08x\n", entry, crc32.ChecksumIEEE([]byte(entry)))
	if err == nil {
		err = t.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("kept answers: %w", err)
	}
	return nil
}

// close may be called again.
func (t *texts) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file == nil {
		return nil
	}
	err := t.file.Close()
	t.file = nil
	if err != nil {
		return fmt.Errorf("kept answers: %w", err)
	}
	return nil
}
