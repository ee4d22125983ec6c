package literals

import "slices"

// node is a beginning of strings.
type node struct {
	next   map[byte]int
	fall   int     // the longest beginning that ends this one and is shorter
	accept []uint8 // expressions of the strings that end here
}

// trie has the beginning "" as its first node.
type trie []*node

func (t *trie) add(s string, expression uint8) {
	at := 0
	for i := range len(s) {
		n := (*t)[at]
		if n.next == nil {
			n.next = map[byte]int{}
		}
		to, ok := n.next[s[i]]
		if !ok {
			to = len(*t)
			n.next[s[i]] = to
			*t = append(*t, &node{})
		}
		at = to
	}
	if n := (*t)[at]; !slices.Contains(n.accept, expression) {
		n.accept = append(n.accept, expression)
	}
}

// set returns the automaton.
func (t trie) set() *Set {
	s := &Set{}
	classes := s.classes(t)
	s.width = len(classes)
	// next[n][c] is the state behind node n and class c. Nodes are visited by length, so that
	// the node to which one falls back is complete.
	next := make([]int, len(t)*s.width)
	order := make([]int, 0, len(t))
	for queue := []int{0}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		n := t[at]
		order = append(order, at)
		for class, c := range classes {
			to, ok := n.next[c]
			if class == 0 || !ok {
				if at != 0 {
					next[at*s.width+class] = next[n.fall*s.width+class]
				}
				continue
			}
			next[at*s.width+class] = to
			if at != 0 {
				t[to].fall = next[n.fall*s.width+class]
			}
			queue = append(queue, to)
		}
		for _, e := range t[n.fall].accept {
			if !slices.Contains(n.accept, e) {
				n.accept = append(n.accept, e)
			}
		}
	}
	s.number(t, order, next)
	return s
}

// classes gives each byte of the strings a class and returns a byte of each class; class 0 has
// none.
func (s *Set) classes(t trie) []byte {
	bytes := []byte{0}
	for _, n := range t {
		for c := range n.next {
			if s.class[c] == 0 {
				s.class[c] = uint8(len(bytes))
				bytes = append(bytes, c)
			}
		}
	}
	for c := 'A'; c <= 'Z'; c++ {
		s.class[c] = s.class[c|0x20]
	}
	return bytes
}

// number makes states of the nodes, in their order, those with ends of strings last.
func (s *Set) number(t trie, order, next []int) {
	state := make([]uint32, len(t))
	n := uint32(0)
	for _, ends := range []bool{false, true} {
		s.first = n
		for _, at := range order {
			if (len(t[at].accept) > 0) == ends {
				state[at] = n
				n += uint32(s.width)
			}
		}
	}
	s.next = make([]uint32, len(next))
	s.accept = make([][]uint8, int(n-s.first)/s.width)
	for at := range t {
		for class := range s.width {
			s.next[int(state[at])+class] = state[next[at*s.width+class]]
		}
		if state[at] >= s.first {
			s.accept[int(state[at]-s.first)/s.width] = t[at].accept
		}
	}
}
