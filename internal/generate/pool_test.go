package generate

import (
	"math/rand/v2"
	"slices"
	"testing"

	"barka/internal/model"
	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
)

func testPool(t *testing.T, limit, keep int) *pool {
	dev := cpu.New(1)
	t.Cleanup(dev.Close)
	return newPool(model.NewCache(dev, 1, 4, tensor.F32), limit, keep, true)
}

// insert follows tokens down the tree as a sequence does and returns its rows.
func insert(p *pool, tokens []int32) (rows []int32, found int) {
	last := int32(none)
	for i, tok := range tokens {
		if r, ok := p.find(last, tok); ok && i == found {
			p.follow(r)
			last, found = r, found+1
		} else {
			last = p.extend(last, tok)
		}
		rows = append(rows, last)
	}
	return rows, found
}

// TestPoolShares: a prefix is found while a sequence holds it and while it is idle,
// until its rows are needed. The last rows of a sequence are reused first.
func TestPoolShares(t *testing.T) {
	p := testPool(t, 8, 8)
	a, found := insert(p, []int32{1, 2, 3, 4, 5})
	if found != 0 || p.used() != 5 {
		t.Fatalf("found %d in an empty pool, %d used", found, p.used())
	}
	b, found := insert(p, []int32{1, 2, 3, 9})
	if found != 3 || !slices.Equal(b[:3], a[:3]) || p.used() != 6 {
		t.Fatalf("found %d, rows %v and %v, %d used", found, a, b, p.used())
	}
	p.release(a[4])
	p.release(b[3])
	if p.used() != 0 || p.available() != 8 {
		t.Fatalf("%d used, %d available", p.used(), p.available())
	}
	c, found := insert(p, []int32{1, 2, 3, 4, 5})
	if found != 5 || !slices.Equal(a, c) {
		t.Fatalf("the finished sequence is gone: found %d", found)
	}
	p.release(c[4])
	// Besides these five, three rows are free or idle: 9 is reused first, then 5.
	d, _ := insert(p, []int32{7, 7, 7, 7})
	if _, ok := p.find(b[2], 9); ok {
		t.Error("the longest idle row was kept")
	}
	if r, ok := p.find(c[3], 5); ok {
		t.Errorf("row %d of an end was kept before its beginning", r)
	}
	if r, ok := p.find(c[2], 4); !ok || r != c[3] {
		t.Error("a row was reused that was not needed")
	}
	p.release(d[3])
}

// TestPoolAtRandom: with random sequences, rows in use hold the tokens of their sequences,
// and their count is right.
func TestPoolAtRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	p := testPool(t, 60, 10)
	type held struct{ tokens, rows []int32 }
	var all []held
	for range 20000 {
		if len(all) > 0 && (r.IntN(2) == 0 || p.available() < 12) {
			i := r.IntN(len(all))
			p.release(all[i].rows[len(all[i].rows)-1])
			all = slices.Delete(all, i, i+1)
			continue
		}
		tokens := make([]int32, 1+r.IntN(12))
		for i := range tokens {
			tokens[i] = int32(r.IntN(2))
		}
		rows, _ := insert(p, tokens)
		all = append(all, held{tokens, rows})
		used := map[int32]bool{}
		for _, h := range all {
			before := int32(none)
			for i, row := range h.rows {
				used[row] = true
				if n := p.nodes[row]; n.token != h.tokens[i] || n.parent != before {
					t.Fatalf("row %d is token %d after %d, expected %d after %d", row, n.token, n.parent, h.tokens[i], before)
				}
				before = row
			}
		}
		if p.used() != len(used) {
			t.Fatalf("%d rows in use, %d counted", len(used), p.used())
		}
	}
	for _, h := range all {
		p.release(h.rows[len(h.rows)-1])
	}
	listed := 0
	for row := p.oldest; row != none; row = p.nodes[row].newer {
		listed++
	}
	if p.used() != 0 || listed != p.idle || len(p.index) > p.idle {
		t.Errorf("%d used, %d idle, %d listed, %d indexed", p.used(), p.idle, listed, len(p.index))
	}
}
