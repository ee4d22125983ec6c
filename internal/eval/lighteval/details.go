package lighteval

import (
	"barka/internal/eval/record"
	"barka/internal/eval/tasks"
	"barka/internal/parquet"
)

// detailRow is a row of the reference's details file.
//
// P is the type of a prediction. For a scored choice it is the log-probability and
// whether the choice is the greedy answer, both as numbers, which is how Arrow stores
// the pair. For a judged question it is the answer's text. M holds the metric under
// its name, and S the judgement. Columns that the reference leaves empty have Arrow's
// null type there and a text type here.
type detailRow[P, M, S any] struct {
	Choices              []string  `parquet:"choices,list"`
	ContTokens           [][]int64 `parquet:"cont_tokens,list"`
	Example              string    `parquet:"example"`
	FullPrompt           string    `parquet:"full_prompt"`
	Gold                 []string  `parquet:"gold,list"`
	GoldIndex            []int64   `parquet:"gold_index,list"`
	InputTokens          [][]int64 `parquet:"input_tokens,list"`
	Instruction          string    `parquet:"instruction"`
	Metrics              M         `parquet:"metrics"`
	NumAskedFewShots     int64     `parquet:"num_asked_few_shots"`
	NumEffectiveFewShots int64     `parquet:"num_effective_few_shots"`
	Padded               []int64   `parquet:"padded,list"`
	PredLogits           []string  `parquet:"pred_logits,list"`
	Predictions          []P       `parquet:"predictions,list"`
	Specifics            *S        `parquet:"specifics,optional"`
	Truncated            []int64   `parquet:"truncated,list"`
}

type (
	accMetric struct {
		Acc int64 `parquet:"acc"`
	}
	accNormMetric struct {
		AccNorm int64 `parquet:"acc_norm"`
	}
	judgeMetric struct {
		Judge float64 `parquet:"llm_as_judge"`
	}
	judgeSpecifics struct {
		Judgement string `parquet:"judgement"`
	}
)

// The names of the details' schemas. They are the names of Go types in Barka's first
// version. They must not change: equal runs of all versions write equal files.
const (
	accSchema     = "detailRow[[]float64,barka/internal/stage/eval.accMetric,string]"
	accNormSchema = "detailRow[[]float64,barka/internal/stage/eval.accNormMetric,string]"
	judgeSchema   = "detailRow[string,barka/internal/stage/eval.judgeMetric,barka/internal/stage/eval.judgeSpecifics]"
)

// writeDetails writes the details of one task. rows is the padding of its requests.
func writeDetails(path string, t *record.Task, rows []paddedRow, pad int32) error {
	switch t.Task.Metric {
	case tasks.Judged:
		return writeRows(path, judgeSchema, t, rows, pad, judged)
	case tasks.Acc:
		return writeRows(path, accSchema, t, rows, pad, func(a *record.Answer) ([][]float64, accMetric, *string) {
			return predictions(a), accMetric{int64(a.Value)}, nil
		})
	}
	return writeRows(path, accNormSchema, t, rows, pad, func(a *record.Answer) ([][]float64, accNormMetric, *string) {
		return predictions(a), accNormMetric{int64(a.Value)}, nil
	})
}

func predictions(a *record.Answer) [][]float64 {
	out := make([][]float64, len(a.Scores))
	for i, score := range a.Scores {
		greedy := 0.0
		if score.Greedy {
			greedy = 1
		}
		out[i] = []float64{score.LogProb, greedy}
	}
	return out
}

func judged(a *record.Answer) ([]string, judgeMetric, *judgeSpecifics) {
	return []string{a.Text}, judgeMetric{a.Value}, &judgeSpecifics{a.Judgement}
}

func writeRows[P, M, S any](path, schema string, t *record.Task, padded []paddedRow, pad int32,
	outcome func(*record.Answer) ([]P, M, *S)) error {
	return parquet.WriteAtomic(path, schema, func(yield func(detailRow[P, M, S]) bool) {
		for i := range t.Questions {
			q := &t.Questions[i]
			row := detailRow[P, M, S]{
				Choices: q.Doc.Choices, Example: q.Doc.Query, FullPrompt: q.Context,
				GoldIndex: []int64{int64(q.Doc.Gold)}, Instruction: q.Doc.Instruction,
				NumAskedFewShots: int64(t.Shots.K), NumEffectiveFewShots: int64(q.EffectiveShots),
			}
			row.Predictions, row.Metrics, row.Specifics = outcome(q.Answer)
			for c, req := range q.Requests {
				p := padded[c]
				row.InputTokens = append(row.InputTokens, padTokens(req.Input()[p.inputCut:], p.inputPad, pad))
				row.ContTokens = append(row.ContTokens, padTokens(req.Continuation[:p.continuation], p.continuationPad, pad))
				row.Truncated = append(row.Truncated, int64(p.inputCut))
				row.Padded = append(row.Padded, int64(p.inputPad))
			}
			padded = padded[len(q.Requests):]
			if !yield(row) {
				return
			}
		}
	})
}

// padTokens returns tokens followed by pad, n times.
func padTokens(tokens []int32, n int, pad int32) []int64 {
	out := make([]int64, 0, len(tokens)+n)
	for _, t := range tokens {
		out = append(out, int64(t))
	}
	for range n {
		out = append(out, int64(pad))
	}
	return out
}
