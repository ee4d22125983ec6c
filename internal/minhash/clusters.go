package minhash

import "slices"

// Clusters are disjoint sets of the numbers from 0, joined by pairs. A cluster is named by
// its smallest member. It takes four bytes per number.
type Clusters []int32

// NewClusters returns n clusters of one number each.
func NewClusters(n int) Clusters {
	c := make(Clusters, n)
	for i := range c {
		c[i] = int32(i)
	}
	return c
}

// Find returns the smallest member of the cluster of i.
func (c Clusters) Find(i int) int {
	for int(c[i]) != i {
		c[i] = c[c[i]]
		i = int(c[i])
	}
	return i
}

// Join joins the clusters of two numbers.
func (c Clusters) Join(i, j int) {
	i, j = c.Find(i), c.Find(j)
	c[max(i, j)] = int32(min(i, j))
}

// Set sorts hashes of elements and removes repetitions, for Common. The slice is changed.
func Set(elements []uint32) []uint32 {
	slices.Sort(elements)
	return slices.Compact(elements)
}

// Common returns the number of elements that two results of Set share.
func Common(a, b []uint32) (n int) {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			a = a[1:]
		case a[0] > b[0]:
			b = b[1:]
		default:
			n, a, b = n+1, a[1:], b[1:]
		}
	}
	return n
}

// Jaccard returns the similarity of two sets from their sizes and the number of shared
// elements. Empty sets are equal.
func Jaccard(a, b, common int) float64 {
	if a+b == 0 {
		return 1
	}
	return float64(common) / float64(a+b-common)
}
