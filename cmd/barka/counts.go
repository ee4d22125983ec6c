package main

import (
	"fmt"
	"slices"
	"strings"
)

// countsText lists counts by name, the rejections with their reasons.
func countsText(counts map[string]int64) string {
	var names []string
	for n := range counts {
		names = append(names, n)
	}
	slices.Sort(names)
	var parts []string
	for _, n := range names {
		parts = append(parts, fmt.Sprintf("%s %d", strings.ReplaceAll(n, "rejected_", "rejected for "), counts[n]))
	}
	return strings.Join(parts, ", ")
}
