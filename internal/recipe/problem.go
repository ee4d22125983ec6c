package recipe

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is a mistake in a recipe, or in what it names.
type Problem struct {
	// Line is the line in the recipe's file, 0 if there is none.
	Line int `json:"line,omitempty"`
	// Key is the setting, such as train.rank.
	Key string `json:"key,omitempty"`
	// Text says what was found, what was expected, and what to do.
	Text string `json:"text"`
}

func (p Problem) String() string {
	if p.Line == 0 {
		return p.Text
	}
	return fmt.Sprintf("line %d: %s", p.Line, p.Text)
}

// Problems are all mistakes found in a recipe; as an error they are bad input.
type Problems struct {
	File string    // "" for a recipe that is no file
	List []Problem // in the order of lines
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

// sorted puts problems in the order of their lines, those without one last,
// and drops what was found twice.
func sorted(list []Problem) []Problem {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b Problem) int {
		return cmp.Compare(uint(a.Line)-1, uint(b.Line)-1)
	})
	return slices.Compact(list)
}
