package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"

	"barka/internal/eval/record"
)

// ModelIdentity returns a digest of everything, besides the request, on which a model's
// answer depends.
func ModelIdentity(info record.ModelInfo, maxLength int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %d", info.Digest, info.AdapterDigest, info.DType, maxLength))
	return hex.EncodeToString(sum[:8])
}

// Scores keeps the scores of one model. A killed run loses at most the current batch; if
// the machine fails, it loses up to a second more. Scores is not safe for concurrent
// use.
type Scores struct {
	*appendLog
	known map[record.Key]record.Score
}

// OpenScores opens the scores of a model in dir and reads the existing ones. model is the
// model's ModelIdentity, and shard the name of the shard that writes; see openLog.
func OpenScores(dir, model, shard string) (s *Scores, err error) {
	s = &Scores{known: map[record.Key]record.Score{}}
	s.appendLog, err = openLog(dir, "scores-"+model, shard, func(entry string) bool {
		key, score, ok := parseScore(entry)
		if ok {
			s.known[key] = score
		}
		return ok
	})
	return s, err
}

// Get returns the score of a request.
func (s *Scores) Get(key record.Key) (record.Score, bool) {
	score, ok := s.known[key]
	return score, ok
}

// Put stores a score.
func (s *Scores) Put(key record.Key, score record.Score) error {
	s.known[key] = score
	return s.add(formatScore(key, score))
}

// formatScore returns an entry: key, bits of the log-probability and greedy flag. The
// terms of the sum are not stored.
func formatScore(key record.Key, s record.Score) string {
	greedy := 0
	if s.Greedy {
		greedy = 1
	}
	return fmt.Sprintf("%x %016x %d", key[:], math.Float64bits(s.LogProb), greedy)
}

func parseScore(entry string) (key record.Key, s record.Score, ok bool) {
	f := strings.Split(entry, " ")
	// Each field has a fixed length, so that a damaged line cannot pass for another
	// entry.
	if len(f) != 3 || len(f[0]) != 2*len(key) || len(f[1]) != 16 || f[2] != "0" && f[2] != "1" ||
		len(entry) != len(f[0])+len(f[1])+len(f[2])+2 {
		return key, s, false
	}
	if _, err := hex.Decode(key[:], []byte(f[0])); err != nil {
		return key, s, false
	}
	bits, err := strconv.ParseUint(f[1], 16, 64)
	return key, record.Score{LogProb: math.Float64frombits(bits), Greedy: f[2] == "1"}, err == nil
}
