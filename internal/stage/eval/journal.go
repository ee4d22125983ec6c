package eval

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"barka/internal/badinput"
)

// requestKey identifies a request under one model: half a SHA-256 of both
// token lists.
type requestKey [16]byte

func (r Request) key() requestKey {
	h := sha256.New()
	for _, ids := range [][]int32{r.Context, r.Continuation} {
		b := binary.LittleEndian.AppendUint64(nil, uint64(len(ids)))
		for _, id := range ids {
			b = binary.LittleEndian.AppendUint32(b, uint32(id))
		}
		h.Write(b)
	}
	return requestKey(h.Sum(nil)[:16])
}

// journal keeps the scores of one model across runs: a text file of a line a
// request, appended to and synced at least every second, so that a killed
// run loses no more than a second of finished work. Each line carries a
// checksum; a torn last line is cut off and others that do not check are
// ignored.
type journal struct {
	file   *os.File
	scores map[requestKey]Score
	synced time.Time
}

// journalName is the file of a model's scores: a digest of everything a
// score depends on besides the request.
func journalName(info ModelInfo, maxLength int) string {
	identity := fmt.Sprintf("%q %q %q %d", info.Digest, info.AdapterDigest, info.DType, maxLength)
	sum := sha256.Sum256([]byte(identity))
	return "scores-" + hex.EncodeToString(sum[:8]) + ".log"
}

// openJournal opens a model's journal in dir and reads what it holds. Each
// shard writes a file of its own, since they may run at the same time, and
// every run reads those of all.
func openJournal(dir, name string, shard Shard) (*journal, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, badinput.Errorf("score journal: %w", err)
	}
	j := &journal{scores: map[requestKey]Score{}, synced: time.Now()}
	stem := strings.TrimSuffix(name, ".log")
	if shard.Count > 0 {
		name = stem + "." + shard.String() + ".log"
	}
	path := filepath.Join(dir, name)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("score journal: %w", err)
	}
	for _, entry := range entries {
		if other := entry.Name(); other != name && strings.HasPrefix(other, stem+".") && strings.HasSuffix(other, ".log") {
			if _, err := j.read(filepath.Join(dir, other)); err != nil {
				return nil, err
			}
		}
	}
	data, err := j.read(path)
	if err != nil {
		return nil, err
	}
	whole := data[:bytes.LastIndexByte(data, '\n')+1]
	j.file, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err == nil && len(whole) < len(data) {
		err = j.file.Truncate(int64(len(whole)))
	}
	if err != nil {
		return nil, fmt.Errorf("score journal: %w", err)
	}
	return j, nil
}

// read takes the scores of a file, which need not be there, and returns its
// content.
func (j *journal) read(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("score journal: %w", err)
	}
	whole := data[:bytes.LastIndexByte(data, '\n')+1]
	for line := range strings.Lines(string(whole)) {
		if key, s, ok := parseScore(strings.TrimSuffix(line, "\n")); ok {
			j.scores[key] = s
		}
	}
	return data, nil
}

// formatScore writes a line: key, bits of the log-probability, greedy flag,
// checksum of these. The terms of the sum are not kept.
func formatScore(key requestKey, s Score) string {
	greedy := 0
	if s.Greedy {
		greedy = 1
	}
	line := fmt.Sprintf("%x %016x %d", key[:], math.Float64bits(s.LogProb), greedy)
	return fmt.Sprintf("%s %08x", line, crc32.ChecksumIEEE([]byte(line)))
}

func parseScore(line string) (key requestKey, s Score, ok bool) {
	text, sum, found := cutLast(line, " ")
	if !found || sum != fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(text))) {
		return key, s, false
	}
	f := strings.Fields(text)
	if len(f) != 3 || len(f[0]) != 2*len(key) {
		return key, s, false
	}
	if _, err := hex.Decode(key[:], []byte(f[0])); err != nil {
		return key, s, false
	}
	bits, err := strconv.ParseUint(f[1], 16, 64)
	if err != nil {
		return key, s, false
	}
	return key, Score{LogProb: math.Float64frombits(bits), Greedy: f[2] == "1"}, true
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// put stores the scores of some requests.
func (j *journal) put(keys []requestKey, scores []Score) error {
	var b strings.Builder
	for i, key := range keys {
		j.scores[key] = scores[i]
		b.WriteString(formatScore(key, scores[i]) + "\n")
	}
	_, err := j.file.WriteString(b.String())
	if err == nil && time.Since(j.synced) > time.Second {
		err = j.file.Sync()
		j.synced = time.Now()
	}
	if err != nil {
		return fmt.Errorf("score journal: %w", err)
	}
	return nil
}

func (j *journal) close() error {
	err := j.file.Sync()
	if closeErr := j.file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("score journal: %w", err)
	}
	return nil
}
