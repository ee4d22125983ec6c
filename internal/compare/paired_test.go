package compare

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"
)

// golden is testdata/paired.json.
type golden struct {
	McNemar []struct {
		OnlyA int `json:"only_a"`
		OnlyB int `json:"only_b"`
		P     float64
	}
	Bootstrap []struct {
		Losses, Ties, Wins int
		Low, High, P       float64
	}
	Stratified []struct {
		Tasks        [][3]int
		Low, High, P float64
	}
	Holm []struct{ P, Adjusted []float64 }
}

func readGolden(t *testing.T) golden {
	t.Helper()
	text, err := os.ReadFile("testdata/paired.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	if len(g.McNemar) == 0 || len(g.Bootstrap) == 0 || len(g.Stratified) == 0 || len(g.Holm) == 0 {
		t.Fatalf("%+v", g)
	}
	return g
}

func near(got, want, tolerance float64) bool { return math.Abs(got-want) <= tolerance }

func TestMcNemar(t *testing.T) {
	for _, c := range readGolden(t).McNemar {
		if got := mcNemar(c.OnlyA, c.OnlyB); !near(got, c.P, 1e-9*c.P) || got != mcNemar(c.OnlyB, c.OnlyA) {
			t.Errorf("%d against %d: %v, statsmodels says %v", c.OnlyA, c.OnlyB, got, c.P)
		}
	}
}

func TestHolm(t *testing.T) {
	for _, c := range readGolden(t).Holm {
		for i, got := range holm(c.P) {
			if !near(got, c.Adjusted[i], 1e-12) {
				t.Errorf("%v: %v for the %dth, statsmodels says %v", c.P, got, i, c.Adjusted[i])
			}
		}
	}
}

// split is a task with the given numbers of losses, ties and wins of B.
func split(losses, ties, wins int) differences {
	return newDifferences(slices.Concat(slices.Repeat([]float64{1}, wins), slices.Repeat([]float64{0}, ties),
		slices.Repeat([]float64{-1}, losses)))
}

// TestBootstrapIsIdeal compares 10,000 resamples with the exact distribution: the
// interval's ends agree within one or two questions, p within the sampling error.
func TestBootstrapIsIdeal(t *testing.T) {
	for _, c := range readGolden(t).Bootstrap {
		n := float64(c.Losses + c.Ties + c.Wins)
		low, high, p := interval(split(c.Losses, c.Ties, c.Wins).resample(Resamples, 42, "x"))
		lattice := max(1.01, 0.01*n) / n
		if !near(low, c.Low, lattice) || !near(high, c.High, lattice) || !near(p, c.P, 4*math.Sqrt(2*c.P/Resamples)+3.0/Resamples) {
			t.Errorf("%d losses, %d ties, %d wins: %v … %v, p %v; exactly %v … %v, p %v", c.Losses, c.Ties, c.Wins,
				low, high, p, c.Low, c.High, c.P)
		}
	}
}

// TestStratified: for the mean over tasks, each task is resampled separately.
func TestStratified(t *testing.T) {
	for _, c := range readGolden(t).Stratified {
		var members []Difference
		for i, n := range c.Tasks {
			d := Difference{Questions: n[0] + n[1] + n[2], OnlyA: n[0], OnlyB: n[2]}
			d.test(split(n[0], n[1], n[2]).resample(Resamples, 42, string(rune('a'+i))))
			members = append(members, d)
		}
		d := combine("mean", members)
		width := c.High - c.Low
		if !near(d.Low, c.Low, 0.03*width) || !near(d.High, c.High, 0.03*width) || !near(d.Bootstrap, c.P, 0.03) {
			t.Errorf("%v: %v … %v, p %v; scipy says %v … %v, p %v", c.Tasks, d.Low, d.High, d.Bootstrap, c.Low, c.High, c.P)
		}
	}
}

// TestMarks: a judge's marks, which have more than two values, are resampled like right and
// wrong answers.
func TestMarks(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	gains := make([]float64, 60)
	for i := range gains {
		gains[i] = float64(rnd.IntN(11)-4) / 10
	}
	fast := newDifferences(gains).resample(Resamples, 42, "x")
	slow := make([]float64, Resamples)
	for i := range slow {
		for range gains {
			slow[i] += gains[rnd.IntN(len(gains))] / float64(len(gains))
		}
	}
	low, high, _ := interval(fast)
	slowLow, slowHigh, _ := interval(slow)
	if !near(low, slowLow, 0.006) || !near(high, slowHigh, 0.006) {
		t.Errorf("%v … %v, question by question %v … %v", low, high, slowLow, slowHigh)
	}
}

// TestBinomial compares the draws with the distribution by a chi-squared test.
func TestBinomial(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, c := range []struct {
		n int
		p float64
	}{{1, 0.3}, {12, 0.5}, {40, 0.02}, {40, 0.98}, {5000, 0.001}} {
		const draws = 50000
		logs, counts := logFactorials(c.n), make([]int, c.n+1)
		for range draws {
			counts[binomial(rnd, logs, c.n, c.p)]++
		}
		chi, cells := 0.0, 0
		for k, got := range counts {
			want := draws * math.Exp(logs[c.n]-logs[k]-logs[c.n-k]+float64(k)*math.Log(c.p)+float64(c.n-k)*math.Log1p(-c.p))
			if want >= 5 {
				chi += (float64(got) - want) * (float64(got) - want) / want
				cells++
			}
		}
		if limit := float64(cells) + 5*math.Sqrt(2*float64(cells)); chi > limit {
			t.Errorf("B(%d, %v): chi-squared %.1f over %d cells", c.n, c.p, chi, cells)
		}
	}
	if binomial(rnd, logFactorials(3), 3, 0) != 0 || binomial(rnd, logFactorials(3), 3, 1) != 3 ||
		binomial(rnd, logFactorials(0), 0, 0.5) != 0 {
		t.Error("certain draws")
	}
}

// TestBootstrapIsFast: the resamples of a whole leaderboard, with all of its questions.
func TestBootstrapIsFast(t *testing.T) {
	start := time.Now()
	for i := range 137 {
		split(40+i, 470, 110).resample(Resamples, int64(i), "x")
	}
	split(1000, 12000, 1042).resample(Resamples, 1, "x")
	took := time.Since(start)
	t.Log(took)
	if took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
}
