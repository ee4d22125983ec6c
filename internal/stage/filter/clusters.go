package filter

import (
	"math/bits"

	"barka/internal/diskmap"
)

// likeness is how two rows are alike. An equal pair is near too, and a near one related.
type likeness int

const (
	related likeness = iota
	near
	equal
)

// likePairs are pairs of rows that are alike, in a file. Many are found in several bands.
type likePairs struct {
	sorter *diskmap.Sorter
	shift  int // of the first row in a key
}

// newLikePairs makes the file for rows below n.
func newLikePairs(path string, n int) (*likePairs, error) {
	s, err := diskmap.NewSorter(path)
	return &likePairs{s, 64 - bits.Len(uint(n))}, err
}

// add adds two rows, the earlier one first.
func (p *likePairs) add(i, j int, how likeness) error {
	return p.sorter.Add(uint64(j)<<p.shift|uint64(how), i)
}

// each calls use for all pairs, in the order of their later rows. Pairs that were added
// several times follow each other and are passed on once.
func (p *likePairs) each(use func(i, j int, how likeness) error) error {
	last, begun := diskmap.Entry{}, false
	for e, err := range p.sorter.All() {
		if err != nil {
			return err
		}
		if begun && e == last {
			continue
		}
		last, begun = e, true
		if err := use(int(e.Number), int(e.Key>>p.shift), likeness(e.Key&3)); err != nil {
			return err
		}
	}
	return nil
}

func (p *likePairs) remove() error { return p.sorter.Remove() }

// clusters are two partitions of the rows, by pairs that are near and by pairs that are
// related, in a file. A cluster is named by its first row, its root.
type clusters struct{ numbers *diskmap.Array }

// member is what clusters hold of a row: an earlier row of each of its clusters, or itself.
type member struct {
	parents [2]int // by likeness: related, near
	grouped bool   // related to another row
	equal   bool   // an earlier row has its text
}

func newClusters(path string) (*clusters, error) {
	a, err := diskmap.NewArray(path)
	return &clusters{a}, err
}

const (
	parentBits  = 31
	parentMask  = 1<<parentBits - 1
	groupedFlag = 1 << 62
	equalFlag   = 1 << 63
)

// at reads a row. Its number has both parents, as how far they are before it, and flags.
func (c *clusters) at(i int) (m member, err error) {
	n, err := c.numbers.Get(i)
	m.parents = [2]int{i - int(n&parentMask), i - int(n>>parentBits&parentMask)}
	m.grouped, m.equal = n&groupedFlag != 0, n&equalFlag != 0
	return m, err
}

func (c *clusters) set(i int, m member) error {
	n := uint64(i-m.parents[related]) | uint64(i-m.parents[near])<<parentBits
	if m.grouped {
		n |= groupedFlag
	}
	if m.equal {
		n |= equalFlag
	}
	return c.numbers.Set(i, n)
}

// root returns the first row of the cluster of i. It halves the way there.
func (c *clusters) root(i int, how likeness) (int, error) {
	for {
		m, err := c.at(i)
		if err != nil || m.parents[how] == i {
			return i, err
		}
		parent, err := c.at(m.parents[how])
		if err != nil {
			return i, err
		}
		if m.parents[how] != parent.parents[how] {
			m.parents[how] = parent.parents[how]
			if err := c.set(i, m); err != nil {
				return i, err
			}
		}
		i = m.parents[how]
	}
}

// join joins the clusters of two rows. j is the later one.
func (c *clusters) join(i, j int, how likeness) error {
	for _, row := range [2]int{i, j} {
		m, err := c.at(row)
		if err != nil {
			return err
		}
		if m.grouped && (how < equal || row == i) {
			continue
		}
		m.grouped, m.equal = true, m.equal || how == equal && row == j
		if err := c.set(row, m); err != nil {
			return err
		}
	}
	for kind := related; kind <= min(how, near); kind++ {
		if err := c.union(i, j, kind); err != nil {
			return err
		}
	}
	return nil
}

func (c *clusters) union(i, j int, kind likeness) error {
	a, err := c.root(i, kind)
	if err != nil {
		return err
	}
	b, err := c.root(j, kind)
	if err != nil || a == b {
		return err
	}
	m, err := c.at(max(a, b))
	if err != nil {
		return err
	}
	m.parents[kind] = min(a, b)
	return c.set(max(a, b), m)
}

func (c *clusters) remove() error { return c.numbers.Remove() }
