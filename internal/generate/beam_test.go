package generate

import (
	"math/rand/v2"
	"slices"
	"testing"

	"barka/internal/model"
	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
)

// TestBeamsKeepTheirTokens: each beam has its parent's tokens and its own, however beams
// branch and end. Its rows hold them in order, and no other row is held.
func TestBeamsKeepTheirTokens(t *testing.T) {
	dev := cpu.New(1)
	defer dev.Close()
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		beams := 1 + r.IntN(6)
		b := &beamSearch{o: BeamOptions{Beams: beams}, pool: newPool(model.NewCache(dev, 1, 4, tensor.F32), 0, 0, false)}
		sentences := []*sentence{{}, {}, {}}
		want := make([][][]int32, len(sentences))
		for i, s := range sentences {
			s.running = []*beam{{tokens: []int32{2, 7}}}
			want[i] = [][]int32{{2, 7}}
		}
		for range 60 {
			b.reset()
			used := map[int32]bool{}
			for i, s := range sentences {
				for j, run := range s.running {
					b.add(s, run)
					if !slices.Equal(run.tokens, want[i][j]) || len(run.rows) != len(run.tokens) {
						t.Fatalf("beam %d of sentence %d: tokens %v in rows %v, want %v", j, i, run.tokens, run.rows, want[i][j])
					}
					before := int32(none)
					for k, row := range run.rows {
						used[row] = true
						if n := b.pool.nodes[row]; n.token != run.tokens[k] || n.parent != before {
							t.Fatalf("row %d holds token %d after %d, expected %d after %d", row, n.token, n.parent, run.tokens[k], before)
						}
						before = row
					}
				}
			}
			if b.pool.used() != len(used) {
				t.Fatalf("%d rows held, %d in beams", b.pool.used(), len(used))
			}
			for i, s := range sentences {
				var cands []candidate
				var next [][]int32
				for range 2 * beams {
					c := candidate{beam: r.IntN(len(s.running)), token: int32(r.IntN(50)), ends: r.IntN(4) == 0}
					cands = append(cands, c)
					if !c.ends && len(next) < beams {
						next = append(next, append(slices.Clone(want[i][c.beam]), c.token))
					}
				}
				if len(next) == 0 {
					continue // if all end, the sentence is done
				}
				b.prune(s, cands)
				want[i] = next
			}
		}
		for _, s := range sentences {
			for _, run := range s.running {
				b.pool.release(run.last())
			}
		}
		if b.pool.used() != 0 {
			t.Errorf("%d rows are still held", b.pool.used())
		}
	}
}
