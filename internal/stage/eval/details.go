package eval

import (
	"fmt"

	"barka/internal/pytext"
	"barka/internal/stage/eval/tasks"
)

// detailRow is a row of the reference's details file. Its columns mix types
// that Arrow refuses, so the reference writes every one as Python's str() of
// the value, sorted by name.
type detailRow struct {
	Choices              string `parquet:"choices"`
	ContTokens           string `parquet:"cont_tokens"`
	Example              string `parquet:"example"`
	FullPrompt           string `parquet:"full_prompt"`
	Gold                 string `parquet:"gold"`
	GoldIndex            string `parquet:"gold_index"`
	InputTokens          string `parquet:"input_tokens"`
	Instruction          string `parquet:"instruction"`
	Metrics              string `parquet:"metrics"`
	NumAskedFewShots     string `parquet:"num_asked_few_shots"`
	NumEffectiveFewShots string `parquet:"num_effective_few_shots"`
	Padded               string `parquet:"padded"`
	PredLogits           string `parquet:"pred_logits"`
	Predictions          string `parquet:"predictions"`
	Specifics            string `parquet:"specifics"`
	Truncated            string `parquet:"truncated"`
}

// writeDetails writes the details of one task.
func writeDetails(path string, r *taskRun, pads []padding, pad int32) error {
	return writeParquet(path, func(yield func(detailRow) bool) {
		for i := range r.samples {
			s := &r.samples[i]
			if !yield(detail(r.task.MetricName(), s, pads[s.first:s.first+len(s.requests)], pad)) {
				return
			}
		}
	})
}

func detail(metric string, s *sample, pads []padding, pad int32) detailRow {
	inputs, continuations := make([]string, len(pads)), make([]string, len(pads))
	predictions, cut, padded := make([]string, len(pads)), make([]int, len(pads)), make([]int, len(pads))
	for i, p := range pads {
		inputs[i] = string(appendPadded(nil, s.requests[i].input(p.inputCut), p.inputPad, pad))
		continuations[i] = string(appendPadded(nil, s.requests[i].Continuation[:p.continuation], p.continuationPad, pad))
		predictions[i] = fmt.Sprintf("(%s, %s)", pytext.Float(s.scores[i].LogProb), pytext.Bool(s.scores[i].Greedy))
		cut[i], padded[i] = p.inputCut, p.inputPad
	}
	plain := func(s string) string { return s }
	value, specifics := fmt.Sprint(s.value), "None"
	if metric == tasks.Judged {
		predictions = []string{pytext.Repr(s.answer)}
		value, specifics = pytext.Float(s.value), "{'judgement': "+pytext.Repr(s.judgement)+"}"
	}
	return detailRow{
		Choices: pytext.Repr(s.doc.Choices), ContTokens: pytext.List(continuations, plain), Example: s.doc.Query,
		FullPrompt: s.context, Gold: "[]", GoldIndex: pytext.Repr([]int{s.doc.Gold}), InputTokens: pytext.List(inputs, plain),
		Instruction: s.doc.Instruction, Metrics: fmt.Sprintf("{'%s': %s}", metric, value),
		NumAskedFewShots: fmt.Sprint(s.asked), NumEffectiveFewShots: fmt.Sprint(s.effective),
		Padded: pytext.Repr(padded), PredLogits: "[]", Predictions: pytext.List(predictions, plain),
		Specifics: specifics, Truncated: pytext.Repr(cut),
	}
}
