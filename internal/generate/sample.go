package generate

import (
	"container/heap"
	"math"

	"barka/internal/tensor"
)

// choice is the token chosen for a row and its log-probability.
type choice struct {
	token int32
	logp  float32
}

// choose picks the next token of each ready sequence from its last hidden
// state [n,D]. Greedy rows never store their logits.
func (g *Generator) choose(ready []*sequence, h tensor.Tensor) []choice {
	dev := g.Model.Device()
	head, softcap := g.Model.Head()
	out := make([]choice, len(ready))
	var greedy []int32
	for i, s := range ready {
		if s.req.Sampling.Temperature <= 0 && s.seen == nil {
			greedy = append(greedy, int32(i))
			continue
		}
		logits := g.logits(h.Slice(i, i+1), head, softcap)
		out[i] = s.sample(logits)
	}
	if len(greedy) > 0 {
		rows := dev.Alloc(len(greedy), h.Cols)
		dev.Gather(rows, h, greedy)
		for j, c := range dev.TopK(rows, head, 1, softcap, nil) {
			out[greedy[j]] = choice{c.Tokens[0], c.LogP[0]}
		}
		dev.Free(rows)
	}
	return out
}

func (g *Generator) logits(h tensor.Tensor, head tensor.Weight, softcap float32) []float32 {
	dev := g.Model.Device()
	v, _ := head.Dims()
	t := dev.Alloc(1, v)
	defer dev.Free(t)
	dev.MatMul(t, h, head, tensor.Tensor{}, false)
	if softcap > 0 {
		dev.Softcap(t, softcap)
	}
	logits := make([]float32, v)
	dev.Download(logits, t)
	return logits
}

// sample applies, in transformers' order, repetition penalty, temperature,
// top-k and top-p, and draws with the request's own generator.
func (s *sequence) sample(logits []float32) choice {
	lse := logSumExp(logits)
	o := s.req.Sampling
	scores := make([]float64, len(logits))
	for t, l := range logits {
		x := float64(l)
		if s.seen != nil && s.seen[int32(t)] {
			if x > 0 {
				x /= o.RepetitionPenalty
			} else {
				x *= o.RepetitionPenalty
			}
		}
		if o.Temperature > 0 {
			x /= o.Temperature
		}
		scores[t] = x
	}
	token := argMax(scores)
	if o.Temperature > 0 {
		token = draw(scores, o.TopK, o.TopP, s.rng.Float64())
	}
	return choice{int32(token), float32(float64(logits[token]) - lse)}
}

// draw picks a token by u in [0,1) from the softmax of scores cut to the
// topK best and then to the smallest set whose probability reaches topP.
func draw(scores []float64, topK int, topP, u float64) int {
	best := scores[argMax(scores)]
	h := &byScore{scores: scores, order: make([]int32, len(scores))}
	var total float64
	for i := range scores {
		h.order[i] = int32(i)
		total += math.Exp(scores[i] - best)
	}
	limit := len(scores)
	if topK > 0 {
		limit = min(limit, topK)
	}
	if topP <= 0 || topP > 1 {
		topP = 1
	}
	heap.Init(h)
	var kept []int32
	var mass []float64
	if limit < len(scores) {
		total = 0
		for len(kept) < limit {
			t := heap.Pop(h).(int32)
			kept = append(kept, t)
			mass = append(mass, math.Exp(scores[t]-best))
			total += mass[len(mass)-1]
		}
		sum := 0.0
		for i := range kept {
			if sum += mass[i]; sum >= topP*total {
				kept, mass = kept[:i+1], mass[:i+1]
				break
			}
		}
		return pick(kept, mass, u)
	}
	sum := 0.0
	for h.Len() > 0 && sum < topP*total {
		t := heap.Pop(h).(int32)
		kept = append(kept, t)
		mass = append(mass, math.Exp(scores[t]-best))
		sum += mass[len(mass)-1]
		// With top-p off the draw itself tells how far to look.
		if topP == 1 && sum >= u*total {
			return int(t)
		}
	}
	return pick(kept, mass, u)
}

func pick(kept []int32, mass []float64, u float64) int {
	var total, sum float64
	for _, m := range mass {
		total += m
	}
	for i, m := range mass {
		if sum += m; sum > u*total {
			return int(kept[i])
		}
	}
	return int(kept[len(kept)-1])
}

// byScore is a heap of tokens, best score first, lower token first among
// equals.
type byScore struct {
	scores []float64
	order  []int32
}

func (h *byScore) Len() int { return len(h.order) }
func (h *byScore) Less(i, j int) bool {
	a, b := h.order[i], h.order[j]
	if h.scores[a] != h.scores[b] {
		return h.scores[a] > h.scores[b]
	}
	return a < b
}
func (h *byScore) Swap(i, j int) { h.order[i], h.order[j] = h.order[j], h.order[i] }
func (h *byScore) Push(x any)    { h.order = append(h.order, x.(int32)) }
func (h *byScore) Pop() any {
	x := h.order[len(h.order)-1]
	h.order = h.order[:len(h.order)-1]
	return x
}

func argMax(x []float64) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}

func logSumExp(x []float32) float64 {
	m := float64(x[0])
	for _, v := range x {
		m = max(m, float64(v))
	}
	var sum float64
	for _, v := range x {
		sum += math.Exp(float64(v) - m)
	}
	return m + math.Log(sum)
}
