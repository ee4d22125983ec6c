package main

import (
	"fmt"
	"slices"
	"strings"
)

var reasons = strings.NewReplacer("rejected_", "rejected for ", "flagged_", "flagged ")

// countsText lists counts by name, rejections and flags with their reasons.
func countsText(counts map[string]int64) string {
	var names []string
	for n := range counts {
		names = append(names, n)
	}
	slices.Sort(names)
	var parts []string
	for _, n := range names {
		parts = append(parts, fmt.Sprintf("%s %d", reasons.Replace(n), counts[n]))
	}
	return strings.Join(parts, ", ")
}
