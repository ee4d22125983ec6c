package overlap

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"

	"barka/internal/benchdata"
	"barka/internal/dataset"
)

// questionColumns lists the columns that can hold the question of an untranslated
// benchmark. Those in passageColumns hold a passage to read, which other questions may
// share.
var (
	questionColumns = []string{"ctx", "premise", "sentence1", "text", "query", "goal", "stem", "question_stem",
		"instruction", "question", "Question"}
	passageColumns = []string{"passage", "context", "support", "article"}
	// optionColumns hold the texts of options or of the right answer.
	optionColumns = []string{"choices", "options", "endings", "choice1", "choice2", "sol1", "sol2", "correct_answer"}
)

// Original returns the parts of a question of a benchmark that is not one of the
// leaderboard's, such as the English original of a translated one: passage and question,
// as Texts does, and the proof. Without known columns every text is of the question, and
// without known options every other text is a proof.
func Original(row map[string]any) (passage, question string, proof []string) {
	take := func(columns []string) (out []string) {
		for _, c := range columns {
			if choices, ok := row[c].(map[string]any); ok && choices["text"] != nil {
				out = Strings(out, choices["text"]) // and not the labels
			} else {
				out = Strings(out, row[c])
			}
			delete(row, c)
		}
		for i := range out {
			out[i] = Squeeze(out[i])
		}
		return out
	}
	row = maps.Clone(row)
	shown, asked, options := take(passageColumns), take(questionColumns), take(optionColumns)
	others := take(slices.Sorted(maps.Keys(row)))
	switch {
	case len(asked) == 0 && len(shown) == 0:
		return "", strings.Join(append(others, options...), "\n"), nil
	case len(options) == 0:
		options = others
	}
	return strings.Join(shown, "\n"), strings.Join(asked, "\n"), options
}

// Rows reads the rows of a file of a benchmark, in any of the formats of package dataset
// or benchdata.
func Rows(ctx context.Context, path string) iter.Seq2[map[string]any, error] {
	if strings.HasSuffix(path, ".parquet") || strings.Contains(path, ".jsonl") || !benchdata.Reads(path) {
		return dataset.Rows[map[string]any](ctx, path)
	}
	return func(yield func(map[string]any, error) bool) {
		table, err := benchdata.Read([]string{path})
		if err != nil {
			yield(nil, err)
			return
		}
		for _, values := range table.Rows {
			row := map[string]any{}
			for i, v := range values {
				row[table.Columns[i]] = v
			}
			if !yield(row, ctx.Err()) || ctx.Err() != nil {
				return
			}
		}
	}
}

// Strings appends every string in a value, in the order of the columns' names.
func Strings(to []string, value any) []string {
	switch v := value.(type) {
	case string:
		to = append(to, v)
	case []any:
		for _, e := range v {
			to = Strings(to, e)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			to = Strings(to, v[key])
		}
	}
	return to
}
