package train

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
)

// trainedBit marks the tokens that are trained in a file of tokens. The other bits of a word
// are the token's id.
const trainedBit = 1 << 31

// entry is a sample of a file of tokens: a conversation up to the last trained token. In the
// passes it has tokens rows; its words in the file are one more, the last target.
type entry struct {
	start   int64 // in words
	tokens  int32
	trained int32
	row     int32 // of the dataset, from 1
}

// entryBytes is the size of an entry in the file, where the entries follow the words: tokens,
// trained and row.
const entryBytes = 12

// tokenFile holds the samples of a dataset on disk: 4 bytes per token there, 24 per sample in
// memory. Reading is not safe for concurrent use.
type tokenFile struct {
	f         *os.File
	index     []entry
	vocab     int
	temporary string // a directory that Close removes, or ""
	buf       []byte
}

// Close closes the file and removes a temporary one.
func (t *tokenFile) Close() error {
	if t == nil || t.f == nil {
		return nil
	}
	err := t.f.Close()
	t.f = nil
	if t.temporary != "" {
		err = errors.Join(err, os.RemoveAll(t.temporary))
	}
	return err
}

// words reads a sample. The slice is valid until the next call.
func (t *tokenFile) words(i int) ([]byte, error) {
	e := t.index[i]
	n := 4 * (int(e.tokens) + 1)
	if cap(t.buf) < n {
		t.buf = make([]byte, 2*n)
	}
	b := t.buf[:n]
	if _, err := t.f.ReadAt(b, 4*e.start); err != nil {
		return nil, badinput.Errorf("tokens of row %d: %w; the file %s was changed or removed during the run", e.row, err, t.f.Name())
	}
	return b, nil
}

// sample is a sample's tokens. targets[i] is to be predicted at row rows[i].
type sample struct{ tokens, rows, targets []int32 }

// read appends a sample to s, with rows counted from the tokens that s has.
func (t *tokenFile) read(s *sample, i int) error {
	b, err := t.words(i)
	if err != nil {
		return err
	}
	n, first := int(t.index[i].tokens), int32(len(s.tokens))
	for j := range n + 1 {
		w := binary.LittleEndian.Uint32(b[4*j:])
		id := int32(w &^ trainedBit)
		if int(id) >= t.vocab {
			return badinput.Errorf("tokens of row %d: %d is no token; the file %s was changed during the run", t.index[i].row, id, t.f.Name())
		}
		if j < n {
			s.tokens = append(s.tokens, id)
		}
		if j > 0 && w&trainedBit != 0 {
			s.rows = append(s.rows, first+int32(j-1))
			s.targets = append(s.targets, id)
		}
	}
	return nil
}

// tokenWriter writes a file of tokens.
type tokenWriter struct {
	f     *os.File
	w     *bufio.Writer
	sum   hash.Hash
	index []entry
	next  int64 // in words
	buf   []byte
}

// File names of a set's tokens in a directory.
func tokensName(set string) string { return set + ".tokens" }
func recordName(set string) string { return set + "-tokens.json" }

func createTokens(path string) (*tokenWriter, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, atomicfile.Explain(path, err)
	}
	t := &tokenWriter{f: f, sum: sha256.New()}
	t.w = bufio.NewWriterSize(io.MultiWriter(f, t.sum), 1<<20)
	return t, nil
}

// add writes a sample of at least two words, of which the last is trained.
func (t *tokenWriter) add(words []uint32, row int) error {
	trained := 0
	t.buf = t.buf[:0]
	for i, w := range words {
		t.buf = binary.LittleEndian.AppendUint32(t.buf, w)
		if i > 0 && w&trainedBit != 0 {
			trained++
		}
	}
	t.index = append(t.index, entry{t.next, int32(len(words) - 1), int32(trained), int32(row)})
	t.next += int64(len(words))
	_, err := t.w.Write(t.buf)
	return atomicfile.Explain(t.f.Name(), err)
}

// finish writes the index, and returns the file for reading.
func (t *tokenWriter) finish(vocab int) (*tokenFile, error) {
	for _, e := range t.index {
		t.buf = t.buf[:0]
		for _, n := range []int32{e.tokens, e.trained, e.row} {
			t.buf = binary.LittleEndian.AppendUint32(t.buf, uint32(n))
		}
		if _, err := t.w.Write(t.buf); err != nil {
			return nil, atomicfile.Explain(t.f.Name(), err)
		}
	}
	if err := errors.Join(t.w.Flush(), t.f.Sync()); err != nil {
		return nil, atomicfile.Explain(t.f.Name(), err)
	}
	return &tokenFile{f: t.f, index: t.index, vocab: vocab}, nil
}

// tokensRecord is the file beside a file of tokens. It is written last.
type tokensRecord struct {
	Data   *Data  `json:"data"`
	Sets   []set  `json:"sets"`
	Words  int64  `json:"words"`
	SHA256 string `json:"sha256"` // of the file of tokens
}

// writeRecord makes a finished file of tokens usable for the next process.
func (t *tokenWriter) writeRecord(dir, name string, d *Data) error {
	return atomicfile.WriteJSON(filepath.Join(dir, recordName(name)), tokensRecord{d, d.sets, t.next, hex.EncodeToString(t.sum.Sum(nil))})
}

// openTokens opens what an earlier process has written. It returns nil if there is nothing,
// and an error if it is damaged.
func openTokens(dir, name string, vocab int) (*Data, error) {
	var r tokensRecord
	err := badinput.ReadJSON(filepath.Join(dir, recordName(name)), &r)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		return nil, err
	}
	f, err := os.Open(filepath.Join(dir, tokensName(name)))
	if err != nil {
		return nil, err
	}
	t, err := r.open(f, vocab)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	r.Data.tokens, r.Data.sets = t, r.Sets
	return r.Data, nil
}

// open checks a file of tokens and reads its index.
func (r *tokensRecord) open(f *os.File, vocab int) (*tokenFile, error) {
	h := sha256.New()
	size, err := io.Copy(h, f)
	if err != nil {
		return nil, err
	}
	if sum := hex.EncodeToString(h.Sum(nil)); sum != r.SHA256 || r.Data == nil || r.Words < 0 || 4*r.Words > size {
		return nil, fmt.Errorf("%s has SHA-256 %s, recorded is %s", f.Name(), sum, r.SHA256)
	}
	index := make([]byte, size-4*r.Words)
	if _, err := f.ReadAt(index, 4*r.Words); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	t := &tokenFile{f: f, vocab: vocab, index: make([]entry, len(index)/entryBytes)}
	var next int64
	for i := range t.index {
		b := index[entryBytes*i:]
		e := entry{next, int32(binary.LittleEndian.Uint32(b)), int32(binary.LittleEndian.Uint32(b[4:])), int32(binary.LittleEndian.Uint32(b[8:]))}
		t.index[i] = e
		next += int64(e.tokens) + 1
	}
	if next != r.Words {
		return nil, fmt.Errorf("%s has %d words, its index %d", f.Name(), r.Words, next)
	}
	return t, nil
}
