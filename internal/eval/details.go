package eval

import "barka/internal/eval/tasks"

// detailRow is a row of the reference's details file: a question whose choices
// were scored (P is a choice's log-probability and whether it is the greedy
// answer, as numbers, which is what Arrow makes of the pair), or one whose
// answer was judged (P is the answer). M holds the metric under its name, S
// what else is known. Columns that the reference leaves empty have Arrow's
// null type there and that of a text here.
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

// writeDetails writes the details of one task.
func writeDetails(path string, r *taskRun, pads []padding, pad int32) error {
	switch r.task.Metric {
	case tasks.Judged:
		return writeRows(path, r, pads, pad, judged)
	case tasks.Acc:
		return writeRows(path, r, pads, pad, func(s *sample) ([][]float64, accMetric, *string) {
			return predictions(s), accMetric{int64(s.value)}, nil
		})
	}
	return writeRows(path, r, pads, pad, func(s *sample) ([][]float64, accNormMetric, *string) {
		return predictions(s), accNormMetric{int64(s.value)}, nil
	})
}

func predictions(s *sample) [][]float64 {
	out := make([][]float64, len(s.scores))
	for i, score := range s.scores {
		out[i] = []float64{score.LogProb, float64(count(score.Greedy))}
	}
	return out
}

func judged(s *sample) ([]string, judgeMetric, *judgeSpecifics) {
	return []string{s.answer}, judgeMetric{s.value}, &judgeSpecifics{s.judgement}
}

func writeRows[P, M, S any](path string, r *taskRun, pads []padding, pad int32, outcome func(*sample) ([]P, M, *S)) error {
	return writeParquet(path, func(yield func(detailRow[P, M, S]) bool) {
		for i := range r.samples {
			s := &r.samples[i]
			row := detailRow[P, M, S]{
				Choices: s.doc.Choices, Example: s.doc.Query, FullPrompt: s.context,
				GoldIndex: []int64{int64(s.doc.Gold)}, Instruction: s.doc.Instruction,
				NumAskedFewShots: int64(s.asked), NumEffectiveFewShots: int64(s.effective),
			}
			row.Predictions, row.Metrics, row.Specifics = outcome(s)
			for c, p := range pads[s.first : s.first+len(s.requests)] {
				req := s.requests[c]
				row.InputTokens = append(row.InputTokens, padTokens(req.input(p.inputCut), p.inputPad, pad))
				row.ContTokens = append(row.ContTokens, padTokens(req.Continuation[:p.continuation], p.continuationPad, pad))
				row.Truncated = append(row.Truncated, int64(p.inputCut))
				row.Padded = append(row.Padded, int64(p.inputPad))
			}
			if !yield(row) {
				return
			}
		}
	})
}

// padTokens returns tokens followed by n times pad.
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
