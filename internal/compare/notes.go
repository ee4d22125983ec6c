package compare

import (
	"encoding/json"
	"fmt"
	"strings"

	"barka/internal/eval/leaderboard"
)

// significant is the p-value below which a difference is significant.
const significant = 0.05

// notes adds remarks for the reader of the tables.
func (c *Comparison) notes(seen tally) {
	note := func(format string, args ...any) { c.Notes = append(c.Notes, fmt.Sprintf(format, args...)) }
	for _, r := range []struct {
		name string
		run  *Run
	}{{"A", c.A}, {"B", c.B}} {
		if r.run.Runs > 1 {
			note("%s: of %d evaluations this is the newest, %s of %s.", r.name, r.run.Runs, r.run.Time, r.run.Model)
		}
	}
	if c.A.Dir == c.B.Dir {
		note("A and B are the same evaluation.")
	}
	for _, d := range optionDifferences(c.A.general, c.B.general) {
		note("%s", d)
	}
	if len(seen.otherShots) > 0 {
		note("The runs have different numbers of examples in: %s.", few(seen.otherShots))
	}
	if seen.otherPrompts > 0 {
		note("The prompts of %d of %d questions differ: chat template, system prompt or examples are not the same.",
			seen.otherPrompts, seen.questions)
	}
	if seen.otherChoices > 0 {
		note("The scored choices of %d of %d questions differ.", seen.otherChoices, seen.questions)
	}
	if seen.droppedA+seen.droppedB > 0 {
		note("Left out, because the other run does not have them: %d questions of A, %d of B.", seen.droppedA, seen.droppedB)
	}
	if n := len(c.OnlyA); n > 0 {
		note("Tasks in A alone (%d): %s.", n, few(c.OnlyA))
	}
	if n := len(c.OnlyB); n > 0 {
		note("Tasks in B alone (%d): %s.", n, few(c.OnlyB))
	}
	for _, n := range leaderboard.SameAnswers(seen.habitsA) {
		note("A, %s", n)
	}
	for _, n := range leaderboard.SameAnswers(seen.habitsB) {
		note("B, %s", n)
	}
	c.Notes = append(c.Notes, c.manyTests()...)
}

// manyTests compares the number of significant differences with the number expected by
// chance.
func (c *Comparison) manyTests() []string {
	if len(c.Tasks) < 2 {
		return nil
	}
	plain, adjusted := 0, 0
	for _, d := range c.Tasks {
		if d.McNemar < significant {
			plain++
		}
		if d.Holm < significant {
			adjusted++
		}
	}
	return []string{fmt.Sprintf("%d of %d tasks have p (McNemar) below %.2f; of equally good models one would expect up "+
		"to %.1f by chance. After Holm's correction %d remain.",
		plain, len(c.Tasks), significant, significant*float64(len(c.Tasks)), adjusted)}
}

// recorded lists the options in a result file on which scores can depend.
var recorded = []struct{ key, name string }{
	{"model_dtype", "type of the weights"}, {"max_samples", "--max-samples"},
	{"token_border", "--token-boundary"}, {"alghafa_choices", "--alghafa"}, {"judge", "judge"}, {"leaderboard", "leaderboard"},
}

func optionDifferences(a, b map[string]any) []string {
	if a == nil || b == nil {
		return nil
	}
	var out []string
	for _, o := range recorded {
		if va, vb := recordedValue(a, o.key), recordedValue(b, o.key); va != vb {
			out = append(out, fmt.Sprintf("The runs differ in more than the model: %s is %s in A, %s in B.", o.name, va, vb))
		}
	}
	return out
}

// recordedValue finds an option among the general ones or the modes. A mode with the
// reference's value is not recorded.
func recordedValue(general map[string]any, key string) string {
	value, ok := general[key]
	if modes, isMap := general["config"].(map[string]any); isMap && !ok {
		value, ok = modes[key]
	}
	switch {
	case !ok:
		return "as usual"
	case value == nil:
		return "not set"
	}
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return strings.Trim(string(text), `"`)
}

func few(names []string) string {
	if len(names) > 4 {
		return strings.Join(names[:4], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
