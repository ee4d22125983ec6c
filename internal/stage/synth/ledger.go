package synth

import (
	"fmt"
	"strings"

	"barka/internal/dataset"
	"barka/internal/durable"
)

// Spent is a row of ledger/: what the calls about a passage used. Cost is in the currency
// of the endpoints' prices.
type Spent struct {
	PassageID             string  `json:"passage_id" parquet:"passage_id"`
	Kept                  bool    `json:"kept" parquet:"kept"`
	Calls                 int32   `json:"calls" parquet:"calls"`
	PromptTokens          int32   `json:"prompt_tokens" parquet:"prompt_tokens"`
	CompletionTokens      int32   `json:"completion_tokens" parquet:"completion_tokens"`
	JudgeCalls            int32   `json:"judge_calls" parquet:"judge_calls"`
	JudgePromptTokens     int32   `json:"judge_prompt_tokens" parquet:"judge_prompt_tokens"`
	JudgeCompletionTokens int32   `json:"judge_completion_tokens" parquet:"judge_completion_tokens"`
	Cost                  float64 `json:"cost" parquet:"cost"`
	JudgeCost             float64 `json:"judge_cost" parquet:"judge_cost"`
}

const ledgerDir = "ledger"

func spentKey(passage string) string { return passage + "/spent" }

// total adds the calls about a passage up.
func total(answers []Answer) (s Spent) {
	for _, a := range answers {
		if strings.HasPrefix(a.Step, "judge/") {
			s.JudgeCalls++
			s.JudgePromptTokens += a.PromptTokens
			s.JudgeCompletionTokens += a.CompletionTokens
			s.JudgeCost += a.Cost
			continue
		}
		s.Calls++
		s.PromptTokens += a.PromptTokens
		s.CompletionTokens += a.CompletionTokens
		s.Cost += a.Cost
	}
	return s
}

// spent is what the calls about a passage used. A row that was taken over from a finished
// directory has no calls, but a note.
func (w *writer) spent(passage string) (s Spent, err error) {
	if ok, err := w.calls.Get(spentKey(passage), &s); ok || err != nil {
		return s, err
	}
	answers, err := w.answers(passage)
	if err != nil {
		return s, err
	}
	s = total(answers)
	s.PassageID = passage
	return s, nil
}

// of completes what was spent on a kept row whose calls are not known any more.
func (s Spent) of(r dataset.Instruction) Spent {
	if s.Calls == 0 {
		s.PromptTokens, s.CompletionTokens = r.PromptTokens, r.CompletionTokens
	}
	return s
}

// ledger sums up what was spent. It notes the passages for which something was paid, or
// all of them if there is a judge, whose tokens no row has.
type ledger struct {
	run    *durable.Run
	final  *durable.Final
	judged bool
	notes  *durable.Writer[Spent]
}

func (l *ledger) add(s Spent, kept bool) (err error) {
	s.Kept = kept
	prefix, name := "rejected_", "rejected"
	if kept {
		prefix, name = "", "kept"
	}
	tokens := l.final.Tokens
	tokens[prefix+"prompt"] += int64(s.PromptTokens)
	tokens[prefix+"completion"] += int64(s.CompletionTokens)
	if l.judged {
		tokens[prefix+"judge_prompt"] += int64(s.JudgePromptTokens)
		tokens[prefix+"judge_completion"] += int64(s.JudgeCompletionTokens)
	}
	paid := s.Cost + s.JudgeCost
	if paid > 0 && l.final.Cost == nil {
		l.final.Cost = map[string]float64{"kept": 0, "rejected": 0}
	}
	if paid > 0 {
		l.final.Cost[name] += paid
	}
	if s.JudgeCost > 0 {
		l.final.Cost["judge"] += s.JudgeCost
	}
	if paid == 0 && !l.judged {
		return nil
	}
	if l.notes == nil {
		if l.notes, err = durable.NewNotes[Spent](l.run, ledgerDir); err != nil {
			return err
		}
	}
	return l.notes.Write(s)
}

// Money describes what a finished directory cost, or is "" if no prices were given.
func Money(m *dataset.Manifest) string {
	if len(m.Cost) == 0 {
		return ""
	}
	text := fmt.Sprintf("paid %.4f for kept rows and %.4f for rejected ones", m.Cost["kept"], m.Cost["rejected"])
	if judge, ok := m.Cost["judge"]; ok {
		text += fmt.Sprintf(", of that %.4f to the judge", judge)
	}
	return text
}
