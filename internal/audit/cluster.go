package audit

import (
	"slices"
	"strings"

	"barka/internal/minhash"
	"barka/internal/overlap"
	"barka/internal/wordhash"
)

// Cluster is a question that occurs in more wordings than chance explains, such as an
// example of a translation prompt that replaced other questions. Tasks whose options are
// the same for all rows are not searched.
type Cluster struct {
	Family string `json:"family"`
	Rows   int    `json:"rows"`
	// Tasks counts its rows in the evaluated splits, by task.
	Tasks   map[string]int `json:"tasks"`
	Example string         `json:"example"`
}

// A cluster has at least clusterRows rows. Rows are nearly equal if their words have an
// estimated Jaccard similarity of at least similar.
const (
	clusterRows = 20
	similar     = 0.5
	// typical is the share of usual words from which rows are one question. In Arabic
	// MMLU it is 0.94 for the leaked example, and 0.68 for the most common template,
	// which has a different scenario in every row.
	typical = 0.85
	// straggler is the share of a cluster's common words from which another row
	// belongs to it.
	straggler = 0.6
)

// wordings is the scheme by which rows are compared: it finds a pair of similarity 0.5 with
// probability 0.64. Missed pairs are joined through other members.
var wordings = minhash.Scheme{Bands: 16, Rows: 4}

// clusters finds Clusters and marks their rows.
func (r *Report) clusters(items []item) {
	sets := minhash.NewClusters(len(items))
	type family struct {
		index *minhash.Index
		items []int // of its signatures
	}
	families := map[string]*family{}
	signature := make([]uint32, wordings.Hashes())
	for i := range items {
		it := &items[i]
		w := wordhash.Words(nil, it.compared())
		if it.fixed || len(w) < overlap.Shortest {
			continue // true-or-false statements resemble each other by design
		}
		f := families[it.task.family]
		if f == nil {
			f = &family{index: minhash.NewIndex(wordings)}
			families[it.task.family] = f
		}
		wordings.Sign(signature, w)
		f.index.Near(signature, similar, func(j int, _ float64) bool {
			sets.Join(i, f.items[j])
			return true
		})
		f.index.Add(signature)
		f.items = append(f.items, i)
	}
	members := map[int][]*item{}
	var roots []int
	for i := range items {
		root := sets.Find(i)
		if members[root] == nil {
			roots = append(roots, root)
		}
		members[root] = append(members[root], &items[i])
	}
	roots = slices.DeleteFunc(roots, func(root int) bool { return !isCluster(members[root]) })
	core := map[*item]bool{}
	for _, root := range roots {
		for _, it := range members[root] {
			core[it] = true
		}
	}
	for _, root := range roots {
		r.cluster(withStragglers(members[root], items, core))
	}
	slices.SortStableFunc(r.Clusters, func(a, b Cluster) int { return b.Rows - a.Rows })
}

// withStragglers adds to a cluster the rows of its family that hold most of its
// common words. Signatures miss such rows where the words have another order, or
// are part of a longer text.
func withStragglers(rows []*item, items []item, core map[*item]bool) []*item {
	shared := map[uint64]bool{}
	for w, n := range wordCounts(rows) {
		if 2*n >= len(rows) {
			shared[w] = true
		}
	}
	if len(shared) < 2*overlap.Shortest {
		return rows // too few common words to recognise other rows
	}
	family := rows[0].task.family
	for i := range items {
		it := &items[i]
		if it.task.family != family || it.fixed || core[it] {
			continue
		}
		held := 0
		for w := range distinct(wordhash.Words(nil, it.compared())) {
			if shared[w] {
				held++
			}
		}
		if float64(held) >= straggler*float64(len(shared)) {
			core[it] = true
			rows = append(rows, it)
		}
	}
	return rows
}

func distinct(words []uint64) map[uint64]bool {
	s := make(map[uint64]bool, len(words))
	for _, w := range words {
		s[w] = true
	}
	return s
}

// compared returns the text whose words are compared.
func (it *item) compared() string { return it.question + "\n" + strings.Join(it.options, "\n") }

// perTask counts the rows in the evaluated splits, by task.
func perTask(rows []*item) map[string]int {
	counts := map[string]int{}
	for _, it := range rows {
		if it.test {
			counts[it.task.Task]++
		}
	}
	return counts
}

// isCluster reports whether rows are one question in many wordings. In contrast, many
// questions from one template each have words of their own.
func isCluster(rows []*item) bool { return len(rows) >= clusterRows && typicality(rows) >= typical }

// typicality returns the mean share of a row's words that at least a tenth of the rows
// have.
func typicality(rows []*item) float64 {
	counts := wordCounts(rows)
	sum := 0.0
	for _, it := range rows {
		w := distinct(wordhash.Words(nil, it.compared()))
		usual := 0
		for w := range w {
			if 10*counts[w] >= len(rows) {
				usual++
			}
		}
		sum += float64(usual) / float64(len(w))
	}
	return sum / float64(len(rows))
}

// wordCounts returns the number of rows that hold each word.
func wordCounts(rows []*item) map[uint64]int {
	counts := map[uint64]int{}
	for _, it := range rows {
		for w := range distinct(wordhash.Words(nil, it.compared())) {
			counts[w]++
		}
	}
	return counts
}

func (r *Report) cluster(rows []*item) {
	for _, it := range rows {
		if it.test {
			it.task.Leaked++
		}
		r.find(it, Leaked, rows[0], "")
	}
	r.Clusters = append(r.Clusters, Cluster{rows[0].task.family, len(rows), perTask(rows), rows[0].compared()})
}
