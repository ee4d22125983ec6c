package lighteval

import (
	"maps"
	"slices"
	"strings"

	"barka/internal/eval/record"
	"barka/internal/pytext"
)

// summary is an entry of summary_tasks. The counters count requests, except
// nonTruncated, which the reference computes from questions.
type summary struct {
	task                                              string
	hashes                                            [4]string // in the order of hashNames
	truncated, nonTruncated, padded, nonPadded, fewer int
	effective                                         float64
}

var hashNames = [4]string{"hash_examples", "hash_full_prompts", "hash_input_tokens", "hash_cont_tokens"}

func hashObject(hashes [4]string) pytext.Object {
	var o pytext.Object
	for i, name := range hashNames {
		o.Set(name, hashes[i])
	}
	return o
}

func (s summary) object() pytext.Object {
	return pytext.Object{
		{Key: "hashes", Value: hashObject(s.hashes)}, {Key: "truncated", Value: s.truncated}, {Key: "non_truncated", Value: s.nonTruncated},
		{Key: "padded", Value: s.padded}, {Key: "non_padded", Value: s.nonPadded},
		{Key: "effective_few_shots", Value: s.effective}, {Key: "num_truncated_few_shots", Value: s.fewer},
	}
}

// overall returns summary_general: sums, and digests of the tasks' digests in the order
// of their names.
func overall(summaries []summary) pytext.Object {
	var sum summary
	for _, s := range summaries {
		sum.truncated += s.truncated
		sum.nonTruncated += s.nonTruncated
		sum.padded += s.padded
		sum.nonPadded += s.nonPadded
		sum.fewer += s.fewer
	}
	for i := range hashNames {
		byName := map[string]string{}
		for _, s := range summaries {
			byName[s.task] = s.hashes[i]
		}
		var joined strings.Builder
		for _, name := range slices.Sorted(maps.Keys(byName)) {
			joined.WriteString(byName[name])
		}
		sum.hashes[i] = DigestText(joined.String())
	}
	return pytext.Object{
		{Key: "hashes", Value: hashObject(sum.hashes)},
		{Key: "truncated", Value: sum.truncated}, {Key: "non_truncated", Value: sum.nonTruncated},
		{Key: "padded", Value: sum.padded}, {Key: "non_padded", Value: sum.nonPadded}, {Key: "num_truncated_few_shots", Value: sum.fewer},
	}
}

// summarise returns a task's entry of summary_tasks. padded is the padding of its
// requests with the token pad.
func summarise(t *record.Task, padded []paddedRow, pad int32) summary {
	s := summary{task: t.Name()}
	digests := [4][]string{}
	effective := 0
	for i := range t.Questions {
		q := &t.Questions[i]
		var inputs, continuations listDigest
		for c, req := range q.Requests {
			p := padded[c]
			inputs.add(req.Input()[p.inputCut:], p.inputPad, pad)
			continuations.add(req.Continuation[:p.continuation], p.continuationPad, pad)
			if p.inputCut > 0 {
				s.truncated++
			}
			if p.inputPad > 0 {
				s.padded++
			} else {
				s.nonPadded++
			}
		}
		padded = padded[len(q.Requests):]
		for h, d := range []string{DigestText(q.Doc.Query), DigestText(q.Context), inputs.sum(), continuations.sum()} {
			digests[h] = append(digests[h], d)
		}
		effective += q.EffectiveShots
		if q.EffectiveShots != t.Shots.K {
			s.fewer++
		}
	}
	for h := range hashNames {
		s.hashes[h] = DigestSorted(digests[h])
	}
	s.nonTruncated = len(t.Questions) - s.truncated
	s.effective = float64(effective) / float64(len(t.Questions))
	return s
}
