package convert

import (
	"math/rand/v2"
	"strings"

	"barka/internal/chat"
	"barka/internal/dataset"
)

// shots are the numbers of examples of which a few-shot row gets one.
var shots = []int{1, 3, 5}

// addExamples puts other rows of the block, with their answers, before the question of a share
// of the rows. They have the row's own template. A block is of one split, so no example is of
// another.
func (c *converter) addExamples() error {
	var good []*entry
	for _, e := range c.pending {
		if e.reject == nil {
			good = append(good, e)
		}
	}
	before := make([]string, len(good)) // of the rows' messages
	for i, e := range good {
		rng := rand.New(rand.NewPCG(uint64(dataset.RecordSeed(c.seed, e.id, "convert/shots")), 0))
		if rng.Float64() >= c.o.FewShot {
			continue
		}
		text, ids, err := c.examples(rng, e, good, shots[rng.IntN(len(shots))])
		if err != nil {
			return err
		}
		before[i], e.out.Examples = text, ids
	}
	for i, e := range good {
		if before[i] != "" {
			e.out.Messages[0].Content = before[i] + e.out.Messages[0].Content
			e.counts = append(e.counts, "few_shot")
		}
	}
	return nil
}

// examples draws n rows, or the next smaller number of shots if there are too few: not the row
// itself, and none with the same passage or the same question.
func (c *converter) examples(rng *rand.Rand, e *entry, good []*entry, n int) (text string, ids []string, err error) {
	contexts, questions := map[string]bool{e.item.context: true}, map[string]bool{e.item.question: true}
	var texts []string
	for _, i := range rng.Perm(len(good)) {
		if len(texts) == n {
			break
		}
		other := good[i]
		if other == e || questions[other.item.question] || other.item.context != "" && contexts[other.item.context] {
			continue
		}
		messages, err := c.example(e, other)
		if err != nil {
			return "", nil, err
		}
		contexts[other.item.context], questions[other.item.question] = true, true
		texts = append(texts, messages[0].Content+"\n"+messages[1].Content+"\n\n")
		ids = append(ids, other.id)
	}
	for len(texts) > 0 && !isShots(len(texts)) {
		texts, ids = texts[1:], ids[1:]
	}
	return strings.Join(texts, ""), ids, nil
}

func isShots(n int) bool { return n == shots[0] || n == shots[1] || n == shots[2] }

// example lays a row out as e is.
func (c *converter) example(e, other *entry) ([]chat.Message, error) {
	l := c.templates.named(e.out.Template)
	_, wording := c.templates.draw(dataset.RecordSeed(c.seed, e.id, "convert/example"), other.item.ask, c.o.FirstTemplate)
	shown := &entry{item: other.item}
	err := c.templates.lay(shown, l, wording, c.o.Answer, "")
	return shown.out.Messages, err
}

// named returns the template of a name.
func (t *Templates) named(name string) *layout {
	for _, l := range t.list {
		if l.Name == name {
			return l
		}
	}
	return t.list[0]
}
