package eval

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
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

// journal keeps the scores of one model across runs. A run that is killed
// loses no more than the batch under way, and one whose machine fails a second
// more.
type journal struct {
	*lines
	scores map[requestKey]Score
}

// identity is a digest of everything that an answer of a model depends on
// besides the request.
func identity(info ModelInfo, maxLength int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %d", info.Digest, info.AdapterDigest, info.DType, maxLength))
	return hex.EncodeToString(sum[:8])
}

// openJournal opens the journal of a model in dir and reads what it holds.
func openJournal(dir, identity string, shard Shard) (j *journal, err error) {
	j = &journal{scores: map[requestKey]Score{}}
	j.lines, err = openLines(dir, "scores-"+identity, shard, func(entry string) bool {
		key, s, ok := parseScore(entry)
		if ok {
			j.scores[key] = s
		}
		return ok
	})
	return j, err
}

// formatScore writes an entry: key, bits of the log-probability, greedy flag.
// The terms of the sum are not kept.
func formatScore(key requestKey, s Score) string {
	return fmt.Sprintf("%x %016x %d", key[:], math.Float64bits(s.LogProb), count(s.Greedy))
}

func parseScore(entry string) (key requestKey, s Score, ok bool) {
	f := strings.Fields(entry)
	// Each field has one length, so that a damaged line is not taken for another.
	if len(f) != 3 || len(f[0]) != 2*len(key) || len(f[1]) != 16 || f[2] != "0" && f[2] != "1" || len(entry) != len(f[0])+len(f[1])+len(f[2])+2 {
		return key, s, false
	}
	if _, err := hex.Decode(key[:], []byte(f[0])); err != nil {
		return key, s, false
	}
	bits, err := strconv.ParseUint(f[1], 16, 64)
	return key, Score{LogProb: math.Float64frombits(bits), Greedy: f[2] == "1"}, err == nil
}

// put stores a score.
func (j *journal) put(key requestKey, s Score) error {
	j.scores[key] = s
	return j.add(formatScore(key, s))
}
