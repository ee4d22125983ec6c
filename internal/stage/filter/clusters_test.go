package filter

import (
	"math/rand/v2"
	"path/filepath"
	"testing"

	"barka/internal/minhash"
)

// TestClustersOnDisk compares clusters and flags with those in memory, for pairs that are found
// several times.
func TestClustersOnDisk(t *testing.T) {
	const n = 3000
	dir := t.TempDir()
	p, err := newLikePairs(filepath.Join(dir, "pairs"), n)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(2, 3))
	want := [2]minhash.Clusters{minhash.NewClusters(n), minhash.NewClusters(n)}
	isEqual, grouped := map[int]bool{}, map[int]bool{}
	distinct := map[[3]int]bool{}
	for range 1500 {
		i, j, how := rng.IntN(n), rng.IntN(n), likeness(rng.IntN(3))
		if rng.IntN(2) == 0 {
			j = i + 1 + rng.IntN(3) // long chains
		}
		if i, j = min(i, j), min(max(i, j), n-1); i == j {
			continue
		}
		for range 1 + rng.IntN(3) {
			if err := p.add(i, j, how); err != nil {
				t.Fatal(err)
			}
		}
		distinct[[3]int{i, j, int(how)}] = true
		grouped[i], grouped[j] = true, true
		isEqual[j] = isEqual[j] || how == equal
		want[related].Join(i, j)
		if how >= near {
			want[near].Join(i, j)
		}
	}
	c, err := newClusters(filepath.Join(dir, "clusters"))
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	if err := p.each(func(i, j int, how likeness) error { calls++; return c.join(i, j, how) }); err != nil {
		t.Fatal(err)
	}
	if calls != len(distinct) {
		t.Errorf("%d pairs, expected %d", calls, len(distinct))
	}
	for i := range n {
		m, err := c.at(i)
		if err != nil || m.equal != isEqual[i] || m.grouped != grouped[i] {
			t.Fatalf("row %d: %+v (%v), want equal %v, grouped %v", i, m, err, isEqual[i], grouped[i])
		}
		for _, kind := range []likeness{related, near} {
			if root, err := c.root(i, kind); err != nil || root != want[kind].Find(i) {
				t.Fatalf("row %d, likeness %d: cluster of %d (%v), want %d", i, kind, root, err, want[kind].Find(i))
			}
		}
	}
	if err := p.remove(); err != nil || c.remove() != nil {
		t.Error(err)
	}
}
