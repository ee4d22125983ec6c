package tokenizer

import (
	"maps"
	"slices"
)

// trie finds the tokens that are prefixes of a text. The children of a node are
// adjacent, in the order of their bytes.
type trie struct {
	nodes  []trieNode
	labels []byte // by node: the byte that leads to it
	root   [256]int32
}

type trieNode struct {
	first int32 // first child
	n     int32 // number of children
	value int32 // id of the token that ends here, or -1
}

// newTrie builds a trie breadth first from the sorted tokens.
func newTrie(vocab map[string]int32) *trie {
	keys := slices.Sorted(maps.Keys(vocab))
	t := &trie{nodes: []trieNode{{value: -1}}, labels: []byte{0}}
	type group struct{ lo, hi, depth int } // keys[lo:hi] share depth bytes
	groups := []group{{0, len(keys), 0}}   // by node
	for k := 0; k < len(groups); k++ {
		g := groups[k]
		if g.lo < g.hi && len(keys[g.lo]) == g.depth {
			t.nodes[k].value = vocab[keys[g.lo]]
			g.lo++
		}
		t.nodes[k].first = int32(len(t.nodes))
		for lo := g.lo; lo < g.hi; {
			c := keys[lo][g.depth]
			hi := lo + 1
			for hi < g.hi && keys[hi][g.depth] == c {
				hi++
			}
			t.nodes = append(t.nodes, trieNode{value: -1})
			t.labels = append(t.labels, c)
			groups = append(groups, group{lo, hi, g.depth + 1})
			lo = hi
		}
		t.nodes[k].n = int32(len(t.nodes)) - t.nodes[k].first
	}
	for i := range t.nodes[0].n {
		k := t.nodes[0].first + i
		t.root[t.labels[k]] = k
	}
	return t
}

// child returns the node that a byte leads to, or 0.
func (t *trie) child(k int32, c byte) int32 {
	if k == 0 {
		return t.root[c]
	}
	n := &t.nodes[k]
	lo, hi := n.first, n.first+n.n
	for hi-lo > 8 {
		if mid := (lo + hi) / 2; t.labels[mid] <= c {
			lo = mid
		} else {
			hi = mid
		}
	}
	for ; lo < hi; lo++ {
		if t.labels[lo] == c {
			return lo
		}
	}
	return 0
}
