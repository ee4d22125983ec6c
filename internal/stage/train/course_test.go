package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// sized is data with units of given lengths, and no tokens.
func sized(lengths ...int) *Data {
	d := &Data{tokens: &tokenFile{}, units: len(lengths), sets: []set{{n: len(lengths), take: len(lengths)}}}
	for _, n := range lengths {
		d.tokens.index = append(d.tokens.index, entry{tokens: int32(n)})
	}
	return d
}

// TestBestFit: passes keep the budget, but for units that are longer, and hold every unit
// once.
func TestBestFit(t *testing.T) {
	d := sized(30, 60, 50, 120, 40, 20, 70, 10)
	if got := fmt.Sprint(d.micro([]int{0, 1, 2, 3, 4, 5, 6, 7}, 100)); got != "[[3] [6 0] [1 4] [2 5 7]]" {
		t.Errorf("passes %s", got)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		lengths := make([]int, 1+rng.IntN(40))
		total := 0
		for i := range lengths {
			lengths[i] = 1 + rng.IntN(130)
			total += lengths[i]
		}
		d, batch := sized(lengths...), rng.Perm(len(lengths))
		var all []int
		passes := d.micro(batch, 100)
		for _, p := range passes {
			sum := 0
			for _, u := range p {
				sum += lengths[u]
			}
			if all = append(all, p...); sum > 100 && len(p) > 1 {
				t.Errorf("a pass of %d tokens: %v", sum, p)
			}
		}
		if slices.Sort(all); len(all) != len(lengths) || len(slices.Compact(all)) != len(lengths) {
			t.Errorf("passes %v of %d units", passes, len(lengths))
		}
		if len(passes) > 2*total/100+1 {
			t.Errorf("%d passes for %d tokens", len(passes), total)
		}
	}
}

// TestGrouping: with group_by_length an epoch has the same units, and batches of more
// similar lengths.
func TestGrouping(t *testing.T) {
	lengths := make([]int, 403)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range lengths {
		lengths[i] = 1 + rng.IntN(500)
	}
	d := sized(lengths...)
	spread := map[bool]int{}
	for _, group := range []bool{false, true} {
		c := newCourse(d, Options{Batch: 4, GroupByLength: group}, 7)
		var all []int
		for step := range 101 {
			batch := c.at(step)
			var n []int
			for _, u := range batch {
				n = append(n, lengths[u])
			}
			spread[group] += slices.Max(n) - slices.Min(n)
			all = append(all, batch...)
		}
		if slices.Sort(all); len(slices.Compact(all)) != 403 {
			t.Errorf("group %v: %d units", group, len(all))
		}
		if again := newCourse(d, c.o, 7); !slices.Equal(again.at(150), c.at(150)) {
			t.Errorf("group %v: step 150 depends on the steps before it", group)
		}
	}
	if spread[true]*5 > spread[false] {
		t.Errorf("spread of lengths in batches: %d grouped, %d not", spread[true], spread[false])
	}
}

// TestStepsDoNotWalkTheSet: a step of an epoch whose order is known allocates for its own
// units alone.
func TestStepsDoNotWalkTheSet(t *testing.T) {
	c := newCourse(sized(make([]int, 100_000)...), Options{Batch: 4}, 7)
	c.at(0)
	step := 0
	if n := testing.AllocsPerRun(100, func() { step++; c.at(step) }); n > 3 {
		t.Errorf("%g allocations", n)
	}
	if c.epoch != 0 || len(c.units) != 100_000 {
		t.Errorf("epoch %d of %d units", c.epoch, len(c.units))
	}
}

// TestPacks: packs keep the limit, hold every sample once, and are about as few as possible.
func TestPacks(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		limit := 1 + rng.IntN(200)
		lengths := make([]int, 1+rng.IntN(300))
		total := 0
		for i := range lengths {
			lengths[i] = 1 + rng.IntN(limit)
			total += lengths[i]
		}
		d := sized(lengths...)
		packs := d.pack(0, len(lengths), limit)
		var all []int32
		for _, p := range packs {
			sum := 0
			for _, i := range p {
				sum += lengths[i]
			}
			if all = append(all, p...); sum > limit {
				t.Errorf("a pack of %d tokens, limit %d", sum, limit)
			}
		}
		if slices.Sort(all); len(all) != len(lengths) || len(slices.Compact(all)) != len(lengths) {
			t.Errorf("%d of %d samples", len(all), len(lengths))
		}
		if best := (total + limit - 1) / limit; len(packs) > best*11/9+2 {
			t.Errorf("%d packs, at least %d are needed", len(packs), best)
		}
	}
}

// TestLegacyWeights: with hf-legacy a step's loss is the mean of its groups' means.
func TestLegacyWeights(t *testing.T) {
	d := sized(10, 10, 10, 10, 10)
	for i, n := range []int32{1, 3, 5, 7, 2} {
		d.tokens.index[i].trained = n
	}
	l := likelihood{Options{LossNorm: NormLegacy, MicroBatch: 2, MicroTokens: 10}}
	got := map[int]float64{}
	for _, p := range l.parts(d, []int{4, 0, 1, 2, 3}) {
		for _, u := range p.units {
			got[u] += p.weight * 3 // groups
		}
	}
	for u, n := range map[int]float64{4: 3, 0: 3, 1: 8, 2: 8, 3: 7} {
		if math.Abs(got[u]*n-1) > 1e-12 {
			t.Errorf("unit %d has the weight %g of a group's mean, want 1/%g", u, got[u], n)
		}
	}
}
