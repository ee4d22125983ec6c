package recipe

import (
	"fmt"

	"barka/internal/stage/eval"
	"barka/internal/stage/train"
)

func trainNote(s *train.State) string {
	note := fmt.Sprintf("%d steps, loss %.3f to %.3f", s.Steps, s.FirstLoss, s.FinalLoss)
	if s.BestVal != nil {
		note += fmt.Sprintf(", best validation loss %.3f", *s.BestVal)
	}
	return note
}

func evalNote(o *eval.Outcome) string {
	return fmt.Sprintf("%d questions, %d requests scored, %d reused", o.Questions, o.Scored, o.Reused)
}
