package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
)

// TextKey identifies the question that a text answers.
type TextKey [16]byte

// TextKeyOf returns the key of a text that answers all parts together.
func TextKeyOf(parts ...string) TextKey {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return TextKey(h.Sum(nil)[:16])
}

// Texts keeps generated texts. A text is on the disk before Put returns, because it may
// have cost money. Texts is safe for concurrent use.
type Texts struct {
	*appendLog
	mu    sync.Mutex
	known map[TextKey]string
}

// OpenTexts opens the texts of one kind in dir and reads the existing ones.
func OpenTexts(dir, kind, shard string) (t *Texts, err error) {
	t = &Texts{known: map[TextKey]string{}}
	t.appendLog, err = openLog(dir, kind, shard, func(entry string) bool {
		key, text, ok := parseText(entry)
		if ok {
			t.known[key] = text
		}
		return ok
	})
	return t, err
}

// parseText reads an entry: key and text as JSON.
func parseText(entry string) (key TextKey, text string, ok bool) {
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

// Get returns a text.
func (t *Texts) Get(key TextKey) (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	text, ok := t.known[key]
	return text, ok
}

// Put stores a text.
func (t *Texts) Put(key TextKey, text string) error {
	quoted, err := json.Marshal(text)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known[key] = text
	if err := t.add(fmt.Sprintf("%x %s", key[:], quoted)); err != nil {
		return err
	}
	return t.sync()
}
