// Package nearest finds the known name that a misspelt one probably means.
package nearest

// Name returns the known name with the smallest edit distance to name, the first
// among equals. It returns "" if the distance of all of them exceeds both two and
// a third of name's length.
func Name(name string, known []string) string {
	best, fewest := "", max(2, len(name)/3)+1
	for _, k := range known {
		if n := edits(name, k); n < fewest {
			best, fewest = k, n
		}
	}
	return best
}

// Within reports whether the edit distance of two words is at most n.
func Within(a, b string, n int) bool {
	return max(len(a), len(b))-min(len(a), len(b)) <= n && edits(a, b) <= n
}

// edits returns the Levenshtein distance in bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
