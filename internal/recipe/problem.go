package recipe

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is a mistake in a recipe or in something that it names.
type Problem struct {
	// Line is the line in the recipe's file, or 0.
	Line int `json:"line,omitempty"`
	// Key is the setting, such as train.rank.
	Key string `json:"key,omitempty"`
	// Text states what was found, what was expected, and what to do.
	Text string `json:"text"`
}

func (p Problem) String() string {
	if p.Line == 0 {
		return p.Text
	}
	return fmt.Sprintf("line %d: %s", p.Line, p.Text)
}

// Problems is the error that lists all mistakes of a recipe.
type Problems struct {
	File string    // "" for a recipe that is not in a file
	List []Problem // in the order of their lines
}

func (p *Problems) Error() string {
	file := ""
	if p.File != "" {
		file = p.File + ": "
	}
	if len(p.List) == 1 {
		return file + p.List[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s%d mistakes", file, len(p.List))
	for _, m := range p.List {
		fmt.Fprintf(&b, "\n  %s", strings.ReplaceAll(m.String(), "\n", "\n    "))
	}
	return b.String()
}

// sorted returns problems in the order of their lines, without duplicates. Those
// without a line come last.
func sorted(list []Problem) []Problem {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b Problem) int {
		return cmp.Compare(uint(a.Line)-1, uint(b.Line)-1)
	})
	return slices.Compact(list)
}
