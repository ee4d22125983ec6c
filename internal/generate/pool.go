package generate

import "barka/internal/model"

// none is the row before the first token.
const none = -1

// pool allocates the rows of a cache as a tree: a row holds one token and refers
// to the row of the token before it. A sequence holds its last row and thereby
// all rows before it. Sequences with a common prefix share rows at no cost,
// because the keys of a token depend only on the tokens up to it.
//
// A row that nobody holds is idle. Its keys stay until the row is needed again,
// so that a later prompt can reuse the prefix of a finished one. The row that
// has been idle longest is reused first. A row always becomes idle before its
// parent does, and is therefore reused before it.
type pool struct {
	cache *model.Cache
	limit int // maximum number of rows; 0: no bound
	keep  int // idle rows to keep as long as new rows can be allocated
	nodes []node
	// index maps a parent row and a token to the token's row. It is nil if only
	// holders share rows, as beams do.
	index          map[uint64]int32
	oldest, newest int32 // ends of the list of idle rows
	idle           int   // length of that list
}

// node is a row of the tree.
type node struct {
	parent, token int32
	holders       int32 // sequences that end here, and children that are not idle
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

// used returns the number of rows that are held.
func (p *pool) used() int { return len(p.nodes) - p.idle }

// available returns the number of rows that extend can still return.
func (p *pool) available() int {
	if p.limit == 0 {
		return 1 << 30
	}
	return p.limit - p.used()
}

func edge(parent, token int32) uint64 { return uint64(uint32(parent))<<32 | uint64(uint32(token)) }

// extend returns a new row for a token after parent. The caller's hold on parent
// becomes a hold on the new row.
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

// row returns a row that nobody holds, an idle or a new one.
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

// find returns the row of a token after parent, if there is one.
func (p *pool) find(parent, token int32) (int32, bool) {
	r, ok := p.index[edge(parent, token)]
	return r, ok
}

// follow moves the caller's hold on the parent of r to r.
func (p *pool) follow(r int32) {
	n := &p.nodes[r]
	n.holders++
	if n.holders == 1 {
		p.unlink(r) // the caller's hold on the parent becomes that of r
	} else if n.parent != none {
		p.nodes[n.parent].holders-- // r already holds its parent
	}
}

// hold adds a holder of r.
func (p *pool) hold(r int32) {
	if r != none {
		p.nodes[r].holders++
	}
}

// release drops a hold on r. Rows that are no longer held become idle.
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

// link makes r idle. It is the last to be reused, or the first if find cannot
// return it.
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
