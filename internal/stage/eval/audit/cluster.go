package audit

import (
	"math"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// Cluster is one question in many wordings, in several tasks of a family and
// too often for chance: an example out of a translation prompt, say, that
// stands where other questions should be. Tasks whose options are the same for
// all rows are not looked at.
type Cluster struct {
	Family string `json:"family"`
	Rows   int    `json:"rows"`
	// Tasks counts its rows in the evaluated splits, by task.
	Tasks   map[string]int `json:"tasks"`
	Example string         `json:"example"`
}

// A cluster is reported from these sizes on. Rows are nearly equal when an
// estimated half of their words are shared (Jaccard similarity).
const (
	clusterRows  = 20
	clusterTasks = 3
	similar      = 0.5
)

// Signatures are the smallest hashes of a row's words under many hash
// functions (MinHash, Broder 1997); rows that agree in all hashes of a band
// are compared. 64 hashes in bands of 4 find pairs at similarity one half
// with probability 0.64, and a cluster's other members close the gaps.
const (
	hashes = 64
	band   = 4
)

type signature [hashes]uint32

func sign(words []string) (s signature) {
	for i := range s {
		s[i] = math.MaxUint32
	}
	for _, w := range words {
		h := xxhash.Sum64String(w)
		a, b := uint32(h), uint32(h>>32)|1
		for i := range s {
			s[i] = min(s[i], mix(a+uint32(i)*b))
		}
	}
	return s
}

// mix spreads the bits of a hash (the finalizer of MurmurHash3).
func mix(h uint32) uint32 {
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	return h ^ h>>16
}

func (s *signature) similarity(t *signature) float64 {
	n := 0
	for i := range s {
		if s[i] == t[i] {
			n++
		}
	}
	return float64(n) / hashes
}

// clusters finds Clusters and marks their rows.
func (r *Report) clusters(items []item) {
	signatures := make([]signature, len(items))
	sets := newSets(len(items))
	type bucket struct {
		family string
		band   int
		key    [band]uint32
	}
	first := map[bucket]int{}
	for i := range items {
		it := &items[i]
		w := words(it.compared())
		if it.fixed || len(w) < shortest {
			continue // statements to judge resemble each other by design
		}
		signatures[i] = sign(w)
		for b := range hashes / band {
			key := bucket{it.task.family, b, [band]uint32(signatures[i][b*band:])}
			j, ok := first[key]
			if !ok {
				first[key] = i
			} else if signatures[i].similarity(&signatures[j]) >= similar {
				sets.join(i, j)
			}
		}
	}
	members := map[int][]*item{}
	var roots []int
	for i := range items {
		root := sets.find(i)
		if members[root] == nil {
			roots = append(roots, root)
		}
		members[root] = append(members[root], &items[i])
	}
	for _, root := range roots {
		r.cluster(members[root])
	}
	slices.SortStableFunc(r.Clusters, func(a, b Cluster) int { return b.Rows - a.Rows })
}

// compared is the text by which rows are nearly equal.
func (it *item) compared() string { return it.question + "\n" + strings.Join(it.options, "\n") }

func (r *Report) cluster(rows []*item) {
	perTask := map[string]int{}
	for _, it := range rows {
		if it.test {
			perTask[it.task.Task]++
		}
	}
	if len(rows) < clusterRows || len(perTask) < clusterTasks {
		return
	}
	for _, it := range rows {
		if it.test {
			it.task.Leaked++
		}
		r.find(it, Leaked, rows[0], "")
	}
	r.Clusters = append(r.Clusters, Cluster{rows[0].task.family, len(rows), perTask, rows[0].compared()})
}

// sets joins numbers into disjoint sets, named by their smallest member.
type sets []int

func newSets(n int) sets {
	s := make(sets, n)
	for i := range s {
		s[i] = i
	}
	return s
}

func (s sets) find(i int) int {
	for s[i] != i {
		s[i] = s[s[i]]
		i = s[i]
	}
	return i
}

func (s sets) join(i, j int) {
	i, j = s.find(i), s.find(j)
	s[max(i, j)] = min(i, j)
}
