package eval

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
)

// textKey identifies what a text answers.
type textKey [16]byte

// texts keeps generated texts across runs as the journal keeps scores, on the
// disk before they are used. It is safe for concurrent use.
type texts struct {
	*lines
	mu  sync.Mutex
	all map[textKey]string
}

// openTexts opens the texts of one kind in dir and reads what is there.
func openTexts(dir, stem string, shard Shard) (t *texts, err error) {
	t = &texts{all: map[textKey]string{}}
	t.lines, err = openLines(dir, stem, shard, func(entry string) bool {
		key, text, ok := parseText(entry)
		if ok {
			t.all[key] = text
		}
		return ok
	})
	return t, err
}

// parseText reads an entry: key and text as JSON.
func parseText(entry string) (key textKey, text string, ok bool) {
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
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all[key] = text
	if err := t.add(fmt.Sprintf("%x %s", key[:], quoted)); err != nil {
		return err
	}
	return t.sync()
}
