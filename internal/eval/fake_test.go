package eval

import (
	"context"
	"hash/fnv"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"barka/internal/chat"
	"barka/internal/eval/evaltest"
	"barka/internal/eval/record"
)

// hashModel is a fake model whose log-probabilities are hashes of the tokens.
type hashModel struct {
	tokenizer Tokenizer
	maxLength int
	info      ModelInfo
	// asked counts the requests. After fail requests the model returns an error.
	asked atomic.Int64
	fail  int64
	err   error
	// Requests for which broken is true have the score NaN.
	broken func(Request) bool
}

func newHashModel() *hashModel {
	return &hashModel{tokenizer: evaltest.Characters{BOS: true}, maxLength: 8192, info: ModelInfo{Digest: "d",
		DType: "torch.float32", Size: "1.0 KB"}}
}

func (m *hashModel) Name() string { return "test/hash-model" }

func (m *hashModel) Info() ModelInfo { return m.info }

func (m *hashModel) MaxLength() int { return m.maxLength }

func (m *hashModel) Tokenizer() Tokenizer { return m.tokenizer }

func (m *hashModel) Score(ctx context.Context, reqs []Request, done func(int, Score) error) error {
	for i, r := range reqs {
		if m.asked.Add(1); m.fail > 0 && m.asked.Load() > m.fail {
			return m.err
		}
		key := record.KeyOf(r)
		h := fnv.New64a()
		h.Write(key[:])
		s := Score{LogProb: -float64(h.Sum64()%100000) / 1000, Greedy: h.Sum64()%3 == 0}
		if m.broken != nil && m.broken(r) {
			s.LogProb = math.NaN()
		}
		if err := done(i, s); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (m *hashModel) ApplyChatTemplate(messages []chat.Message) (string, error) {
	var b strings.Builder
	for _, msg := range messages {
		b.WriteString("<" + msg.Role + ">" + msg.Content + "</" + msg.Role + ">")
	}
	return b.String() + "<assistant>", nil
}

// characters is the inverse of characterTokenizer.
func characters(ids []int32) string { return string(ids) }

// slowModel is a slow hashModel, so that a test can kill the process.
type slowModel struct{ *hashModel }

func (m slowModel) Score(ctx context.Context, reqs []Request, done func(int, Score) error) error {
	return m.hashModel.Score(ctx, reqs, func(i int, s Score) error {
		time.Sleep(2 * time.Millisecond)
		return done(i, s)
	})
}
