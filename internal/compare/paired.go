package compare

import (
	"cmp"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
)

// Resamples is the default number of bootstrap resamples.
const Resamples = 10000

// mcNemar is McNemar's exact test. It returns the two-sided probability of a split of a+b
// discordant questions at least as uneven as a against b, if both runs are equally good.
func mcNemar(a, b int) float64 {
	n, k := a+b, min(a, b)
	logN, _ := math.Lgamma(float64(n + 1))
	p := 0.0
	for i := 0; i <= k; i++ {
		x, _ := math.Lgamma(float64(i + 1))
		y, _ := math.Lgamma(float64(n - i + 1))
		p += math.Exp(logN - x - y - float64(n)*math.Ln2)
	}
	return min(1, 2*p)
}

// differences counts the differences B-A of a task's questions. values holds the distinct
// values and counts the number of questions with each. For right and wrong answers the
// values are -1, 0 and 1.
type differences struct {
	values []float64
	counts []int
}

func newDifferences(ds []float64) differences {
	sorted := slices.Sorted(slices.Values(ds))
	var out differences
	for i, d := range sorted {
		if i == 0 || d != sorted[i-1] {
			out.values, out.counts = append(out.values, d), append(out.counts, 0)
		}
		out.counts[len(out.counts)-1]++
	}
	return out
}

// resample draws n bootstrap means of the differences. To draw questions with replacement
// is to draw a multinomial count of each value, which needs one binomial per value for any
// number of questions. The draws depend only on the seed and the name, so that a task's
// interval does not depend on the other tasks.
func (d differences) resample(n int, seed int64, name string) []float64 {
	questions := 0
	for _, c := range d.counts {
		questions += c
	}
	h := fnv.New64a()
	h.Write([]byte(name))
	rnd := rand.New(rand.NewPCG(uint64(seed), h.Sum64()))
	logs := logFactorials(questions)
	out := make([]float64, n)
	for i := range out {
		drawn, of, sum := questions, questions, 0.0
		for j, c := range d.counts {
			k := drawn
			if j < len(d.counts)-1 {
				k = binomial(rnd, logs, drawn, float64(c)/float64(of))
			}
			sum += float64(float64(k) * d.values[j])
			drawn, of = drawn-k, of-c
		}
		out[i] = sum / float64(questions)
	}
	return out
}

// logFactorials returns log k! for k from 0 to n.
func logFactorials(n int) []float64 {
	out := make([]float64, n+1)
	for k := 2; k <= n; k++ {
		out[k] = out[k-1] + math.Log(float64(k))
	}
	return out
}

// binomial draws the number of successes in n trials by inversion, from the mode
// outwards. The number of steps is about the standard deviation.
func binomial(rnd *rand.Rand, logs []float64, n int, p float64) int {
	switch {
	case n == 0 || p <= 0:
		return 0
	case p >= 1:
		return n
	}
	mode := min(n, int(float64(n+1)*p))
	at := math.Exp(logs[n] - logs[mode] - logs[n-mode] + float64(float64(mode)*math.Log(p)) + float64(float64(n-mode)*math.Log1p(-p)))
	u := rnd.Float64() - at
	odds := p / (1 - p)
	for low, high, below, above := mode, mode, at, at; u >= 0; {
		if low == 0 && high == n {
			return mode // rounding left a remainder
		}
		if high < n {
			above *= float64(n-high) / float64(high+1) * odds
			high++
			if u -= above; u < 0 {
				return high
			}
		}
		if low > 0 {
			below *= float64(low) / float64(n-low+1) / odds
			low--
			if u -= below; u < 0 {
				return low
			}
		}
	}
	return mode
}

// interval returns the 95 % percentile interval of resampled means and their p-value:
// twice the share of resamples on the other side of zero, at most 1. One is added to both
// counts, so that p is never zero. p is below 0.05 approximately if the interval excludes
// zero.
func interval(means []float64) (low, high, p float64) {
	sorted := slices.Clone(means)
	slices.Sort(sorted)
	notAbove, _ := slices.BinarySearchFunc(sorted, 0, func(x, zero float64) int {
		if x <= zero {
			return -1
		}
		return 1
	})
	below, _ := slices.BinarySearch(sorted, 0)
	n := len(sorted)
	p = min(1, 2*float64(min(notAbove, n-below)+1)/float64(n+1))
	return quantile(sorted, 0.025), quantile(sorted, 0.975), p
}

// quantile interpolates between sorted values as numpy's default does.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + float64((at-float64(i))*(sorted[i+1]-sorted[i]))
}

// meanOf averages resampled means with equal weights.
func meanOf(members [][]float64) []float64 {
	out := make([]float64, len(members[0]))
	for _, m := range members {
		for i, x := range m {
			out[i] += x
		}
	}
	for i := range out {
		out[i] /= float64(len(members))
	}
	return out
}

// holm adjusts p-values by Holm's method, which limits the probability of any false
// positive at 0.05 to 5 %.
func holm(ps []float64) []float64 {
	order := make([]int, len(ps))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(ps[i], ps[j]) })
	out := make([]float64, len(ps))
	highest := 0.0
	for rank, i := range order {
		highest = max(highest, min(1, ps[i]*float64(len(ps)-rank)))
		out[i] = highest
	}
	return out
}
