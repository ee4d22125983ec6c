package generate

import "barka/internal/model"

// none is the row before the first token.
const none = -1

// pool hands out the rows of a cache as a tree: a row holds one token and
// knows the row of the token before it. A sequence holds its last row, and
// through it all before; sequences that begin alike share rows at no cost,
// since the keys of a token depend on the tokens before it alone.
//
// A row that nobody holds any more is idle. Its keys stay until the row is
// needed again, the longest idle first, so that a later prompt that begins
// like a finished one finds them. A row is always idle before the row before
// it is, and is therefore reused before it.
type pool struct {
	cache *model.Cache
	limit int // rows at most; 0: no bound
	keep  int // idle rows that are kept while others can still be had
	nodes []node
	// index finds the row of a token after a row; nil if rows are shared by
	// their holders alone, as beams do.
	index          map[uint64]int32
	oldest, newest int32 // ends of the list of idle rows
	idle           int
}

// node is a row of the tree.
type node struct {
	parent, token int32
	holders       int32 // sequences that end here, and rows after it that are not idle
	older, newer  int32 // neighbours in the list of idle rows
	indexed       bool
}

func newPool(cache *model.Cache, limit, keep int, index bool) *pool {
	p := &pool{cache: cache, limit: limit, keep: keep, oldest: none, newest: none}
	if index {
		p.index = map[uint64]int32{}
	}
	return p
}

// used is the number of rows that somebody holds.
func (p *pool) used() int { return len(p.nodes) - p.idle }

// available is the number of rows that extend can still return.
func (p *pool) available() int {
	if p.limit == 0 {
		return 1 << 30
	}
	return p.limit - p.used()
}

func edge(parent, token int32) uint64 { return uint64(uint32(parent))<<32 | uint64(uint32(token)) }

// extend returns a fresh row for a token after parent. The caller's hold on
// parent becomes a hold on the row.
func (p *pool) extend(parent, token int32) int32 {
	r := p.row()
	n := &p.nodes[r]
	*n = node{parent: parent, token: token, holders: 1, older: none, newer: none}
	if p.index != nil && (parent == none || p.nodes[parent].indexed) {
		key := edge(parent, token)
		if _, taken := p.index[key]; !taken {
			p.index[key], n.indexed = r, true
		}
	}
	return r
}

// row returns a row that nobody holds.
func (p *pool) row() int32 {
	full := p.limit > 0 && len(p.nodes) == p.limit
	if p.idle > 0 && (full || p.idle > p.keep || p.index == nil) {
		r := p.oldest
		p.unlink(r)
		if n := &p.nodes[r]; n.indexed {
			delete(p.index, edge(n.parent, n.token))
		}
		return r
	}
	if full {
		panic("generate: no cache row is left")
	}
	p.nodes = append(p.nodes, node{})
	return p.cache.Take()
}

// find returns the row of a token after parent.
func (p *pool) find(parent, token int32) (int32, bool) {
	r, ok := p.index[edge(parent, token)]
	return r, ok
}

// follow moves the caller's hold on the row before r to r.
func (p *pool) follow(r int32) {
	n := &p.nodes[r]
	n.holders++
	if n.holders == 1 {
		p.unlink(r) // its hold on the row before it is the caller's
	} else if n.parent != none {
		p.nodes[n.parent].holders-- // r itself holds it already
	}
}

// hold adds a holder of r.
func (p *pool) hold(r int32) {
	if r != none {
		p.nodes[r].holders++
	}
}

// release drops a hold on r; rows without one become idle.
func (p *pool) release(r int32) {
	for r != none {
		n := &p.nodes[r]
		n.holders--
		if n.holders > 0 {
			return
		}
		if n.holders < 0 {
			panic("generate: cache row released twice")
		}
		p.link(r)
		r = n.parent
	}
}

// link makes r idle: last in turn for reuse, or first if nothing finds it.
func (p *pool) link(r int32) {
	n := &p.nodes[r]
	switch {
	case p.idle == 0:
		p.oldest, p.newest = r, r
	case n.indexed:
		n.older, p.nodes[p.newest].newer = p.newest, r
		p.newest = r
	default:
		n.newer, p.nodes[p.oldest].older = p.oldest, r
		p.oldest = r
	}
	p.idle++
}

func (p *pool) unlink(r int32) {
	n := &p.nodes[r]
	if n.older == none {
		p.oldest = n.newer
	} else {
		p.nodes[n.older].newer = n.newer
	}
	if n.newer == none {
		p.newest = n.older
	} else {
		p.nodes[n.newer].older = n.older
	}
	n.older, n.newer = none, none
	p.idle--
}
