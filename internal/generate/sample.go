package generate

import (
	"cmp"
	"math"
	"slices"

	"barka/internal/badinput"
)

// Sampling controls how the next token is chosen. The filters are those of
// transformers, applied in its order: repetition penalty, temperature, top-k,
// top-p, min-p. The zero value is greedy search.
type Sampling struct {
	Temperature float64 // 0: greedy search, which ignores TopK, TopP and MinP
	TopK        int     // keep the K most likely tokens, and ties with the last of them; 0: off
	TopP        float64 // keep the most likely tokens that together reach this probability; 0 or 1: off
	MinP        float64 // keep tokens of at least this fraction of the largest probability; 0: off
	// RepetitionPenalty divides the positive logits of tokens in the prompt and
	// the answer, and multiplies the negative ones (Keskar et al., 2019). 0 or 1:
	// off.
	RepetitionPenalty float64
	Seed              int64 // of the random numbers; each token takes one
}

func (o *Sampling) penalised() bool { return o.RepetitionPenalty > 0 && o.RepetitionPenalty != 1 }

// greedy reports whether the token with the largest unmodified logit is chosen.
func (o *Sampling) greedy() bool { return o.Temperature <= 0 && !o.penalised() }

// temperature returns the divisor of the logits, at least a millionth. Smaller
// divisors could overflow a float32, and the best token is certain long before.
func (o *Sampling) temperature() float32 { return float32(max(o.Temperature, 1e-6)) }

// Validate reports the first setting that makes no sense.
func (o Sampling) Validate() error {
	switch {
	case o.Temperature < 0 || math.IsNaN(o.Temperature) || math.IsInf(o.Temperature, 0):
		return badinput.Errorf("temperature is %g, expected 0 (greedy) or a positive number", o.Temperature)
	case o.TopK < 0:
		return badinput.Errorf("top-k is %d, expected 0 (off) or a positive number", o.TopK)
	case !(o.TopP >= 0 && o.TopP <= 1):
		return badinput.Errorf("top-p is %g, expected a number from 0 to 1 (off)", o.TopP)
	case !(o.MinP >= 0 && o.MinP <= 1):
		return badinput.Errorf("min-p is %g, expected a number from 0 (off) to 1", o.MinP)
	case o.RepetitionPenalty < 0 || math.IsNaN(o.RepetitionPenalty) || math.IsInf(o.RepetitionPenalty, 0):
		return badinput.Errorf("repetition penalty is %g, expected a positive number (1 is off)", o.RepetitionPenalty)
	}
	return nil
}

// Scores are sorted into bins by their distance below the best one: far bins of
// 1/perNat nats each. A token beyond the last bin is less than 1.3e-14 times as
// likely as the best one and is never drawn.
const (
	perNat = 32
	far    = 32 * perNat
)

// middle[i] is e^(-(i+½)/perNat), the mass in the middle of a bin.
var middle = func() (t [far]float64) {
	for i := range t {
		t[i] = math.Exp(-(float64(i) + 0.5) / perNat)
	}
	return t
}()

// sampler chooses tokens from logits. It walks over the vocabulary twice and
// does not sort it. The count and mass of each bin show in which bin the kept
// tokens end and in which one a draw falls; only the tokens of those two bins
// are sorted. The memory is reused. A sampler belongs to one goroutine.
type sampler struct {
	best  float32 // largest score
	mass  [far]float64
	count [far]int32
	bin   []uint16 // [V] bin of each token; far beyond the last bin
	// content holds the tokens of bin number opened, best first.
	content []scored
	opened  int
	raw     []float32 // logits of the seen tokens before the penalty
	allowed []float32 // logits of the banned tokens
}

// scored is a token, its score, and its mass e^(score-best).
type scored struct {
	token int32
	score float32
	mass  float64
}

// cut is where the kept tokens end: all tokens of the bins before bin, and the
// first n of bin, are kept. kept is their mass.
type cut struct {
	bin, n int
	kept   float64
}

// choice is the token chosen and its log-probability under the model.
type choice struct {
	token int32
	logp  float32
}

// choose chooses a token from a row of logits [V] with a random number u in
// [0,1). seen holds the distinct tokens that are penalised, and banned those that are not
// chosen; neither changes the log-probability of the choice.
func (s *sampler) choose(logits []float32, o *Sampling, seen, banned []int32, u float64) choice {
	best := logits[argMax(logits)]
	plain := o.Temperature == 1 && len(seen) == 0 && len(banned) == 0
	lse := 0.0
	if !plain {
		lse = s.logSumExp(logits, best)
	}
	s.penalise(logits, o, seen)
	s.ban(logits, banned)
	token := argMax(logits)
	if o.Temperature > 0 {
		total := s.fill(logits, logits[token], o.temperature())
		if plain {
			lse = float64(best) + math.Log(total)
		}
		token = s.draw(logits, o.temperature(), s.filter(logits, o, total), u)
	}
	restore(logits, banned, s.allowed)
	restore(logits, seen, s.raw)
	return choice{token, float32(float64(logits[token]) - lse)}
}

// penalise applies the repetition penalty and remembers the logits that it
// changes.
func (s *sampler) penalise(logits []float32, o *Sampling, seen []int32) {
	penalty := float32(o.RepetitionPenalty)
	s.raw = s.raw[:0]
	for _, t := range seen {
		x := logits[t]
		s.raw = append(s.raw, x)
		if x < 0 {
			logits[t] = x * penalty
		} else {
			logits[t] = x / penalty
		}
	}
}

// ban makes the logits of tokens -Inf and remembers what they were.
func (s *sampler) ban(logits []float32, banned []int32) {
	s.allowed = s.allowed[:0]
	for _, t := range banned {
		s.allowed = append(s.allowed, logits[t])
	}
	for _, t := range banned {
		logits[t] = float32(math.Inf(-1))
	}
}

// restore sets the logits of tokens to what they were before penalise or ban.
func restore(logits []float32, tokens []int32, were []float32) {
	for i, t := range tokens {
		logits[t] = were[i]
	}
}

// fill sorts the scores, which are logits divided by temperature, into bins and
// returns their total mass. best is the largest logit.
func (s *sampler) fill(logits []float32, best, temperature float32) float64 {
	if len(s.bin) < len(logits) {
		s.bin = make([]uint16, len(logits))
	}
	clear(s.mass[:])
	clear(s.count[:])
	s.opened = -1
	s.best = best / temperature
	best, bins := s.best, s.bin[:len(logits)]
	for i, x := range logits {
		below := (best - x/temperature) * perNat
		if !(below < far) {
			bins[i] = far
			continue
		}
		b := int32(below) & (far - 1)
		s.mass[b] += float64(relative(below - float32(b)))
		s.count[b]++
		bins[i] = uint16(b)
	}
	return s.total()
}

// relative returns the mass at a position in a bin, from 0 (top) to 1, relative
// to the mass in the middle of the bin. It is e^r with an error of 3e-9, below
// float32's precision.
func relative(place float32) float32 {
	r := (0.5 - place) / perNat
	return 1 + r*(1+r*(0.5+r*(1.0/6)))
}

// total turns the relative masses of bins into masses and returns their sum.
func (s *sampler) total() float64 {
	sum := 0.0
	for b := range s.mass {
		s.mass[b] *= middle[b]
		sum += s.mass[b]
	}
	return sum
}

// logSumExp returns the log of the sum of exponentials of logits, whose largest
// is best.
func (s *sampler) logSumExp(logits []float32, best float32) float64 {
	clear(s.mass[:])
	for _, x := range logits {
		if below := (best - x) * perNat; below < far {
			b := int32(below) & (far - 1)
			s.mass[b] += float64(relative(below - float32(b)))
		}
	}
	return float64(best) + math.Log(s.total())
}

// open returns the tokens of a bin, best first and among equals lower ids first.
func (s *sampler) open(logits []float32, temperature float32, bin int) []scored {
	if s.opened == bin {
		return s.content
	}
	s.opened, s.content = bin, s.content[:0]
	for i, b := range s.bin[:len(logits)] {
		if int(b) == bin {
			x := logits[i] / temperature
			s.content = append(s.content, scored{int32(i), x, math.Exp(float64(x - s.best))})
		}
	}
	slices.SortFunc(s.content, func(a, b scored) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.token, b.token))
	})
	return s.content
}

// filter returns where the tokens that all filters keep end. Each filter keeps a
// prefix of the same order, best first, so the shortest prefix wins. Only top-p
// depends on the filter before it, because its probability is a fraction of
// that filter's mass.
func (s *sampler) filter(logits []float32, o *Sampling, total float64) cut {
	t := o.temperature()
	end := cut{bin: far, kept: total}
	if o.TopK > 0 && o.TopK < len(logits) {
		end = s.topK(logits, t, o.TopK)
	}
	if o.TopP > 0 && o.TopP < 1 {
		end = s.topP(logits, t, end, o.TopP)
	}
	if o.MinP > 0 {
		end = s.minP(logits, t, end, o.MinP)
	}
	return end
}

func (s *sampler) topK(logits []float32, temperature float32, k int) cut {
	c := cut{}
	for before := 0; c.bin < far; c.bin++ {
		if n := int(s.count[c.bin]); before+n < k {
			before, c.kept = before+n, c.kept+s.mass[c.bin]
			continue
		}
		content := s.open(logits, temperature, c.bin)
		last := content[k-before-1].score
		for _, x := range content {
			if x.score < last {
				break
			}
			c.n, c.kept = c.n+1, c.kept+x.mass
		}
		return c
	}
	return c
}

func (s *sampler) topP(logits []float32, temperature float32, end cut, p float64) cut {
	c, enough := cut{}, p*end.kept
	for ; c.bin < end.bin; c.bin++ {
		if c.kept+s.mass[c.bin] >= enough {
			break
		}
		c.kept += s.mass[c.bin]
	}
	limit := len(logits)
	if c.bin == end.bin {
		if limit = end.n; limit == 0 {
			return end
		}
	}
	for _, x := range s.open(logits, temperature, c.bin) {
		if c.n == limit || c.n > 0 && c.kept >= enough {
			break
		}
		c.n, c.kept = c.n+1, c.kept+x.mass
	}
	return c
}

func (s *sampler) minP(logits []float32, temperature float32, end cut, p float64) cut {
	c := cut{bin: int(min(-math.Log(p)*perNat, far))}
	if c.bin > end.bin || c.bin == far {
		return end
	}
	for b := range c.bin {
		c.kept += s.mass[b]
	}
	for _, x := range s.open(logits, temperature, c.bin) {
		if c.bin == end.bin && c.n == end.n || float32(x.mass) < float32(p) {
			break
		}
		c.n, c.kept = c.n+1, c.kept+x.mass
	}
	return c
}

// draw returns the token at which the cumulative mass of the kept tokens, best
// first, passes the fraction u of their mass.
func (s *sampler) draw(logits []float32, temperature float32, end cut, u float64) int32 {
	sum, aim := 0.0, u*end.kept
	bin := 0
	for ; bin < end.bin && sum+s.mass[bin] <= aim; bin++ {
		sum += s.mass[bin]
	}
	content := []scored(nil)
	if bin < end.bin {
		content = s.open(logits, temperature, bin)
	} else if end.n > 0 {
		content = s.open(logits, temperature, bin)[:end.n]
	}
	for _, x := range content {
		if sum += x.mass; sum > aim {
			return x.token
		}
	}
	// Rounding may leave the sum just below aim.
	if len(content) > 0 {
		return content[len(content)-1].token
	}
	return argMax(logits)
}

// argMax returns the index of the largest value, the first among equals.
func argMax(x []float32) int32 {
	best := x[0]
	for _, v := range x {
		if v > best {
			best = v
		}
	}
	return int32(max(slices.Index(x, best), 0))
}
