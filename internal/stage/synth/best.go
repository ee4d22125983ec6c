package synth

import (
	"context"
	"fmt"
	"slices"

	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/llm"
)

// candidate is an answer to a question.
type candidate struct {
	text   string
	failed string // the check that it failed, or ""
	verdict
}

// answer returns the best answer to a question: the one with the highest score, or without
// a judge the one of whose words the passage has the largest share. An answer with a score
// below the threshold is rejected.
func (r *record) answer(ctx context.Context, turn int, prompt string, d data) (string, error) {
	passed, err := r.ask(ctx, answerStep(turn, 0), prompt, d, max(r.w.o.BestOf, 1), r.checkAnswer(d))
	if err != nil {
		return "", err
	}
	var candidates []candidate
	var unreadable error
	for i, text := range passed {
		c := candidate{text: text}
		if r.w.judge == nil {
			c.score = r.source.with(d.Question).share(text)
		} else {
			d.Response = text
			c.verdict, err = r.judge(ctx, turn, i, d)
			if why := unread(err); why != nil {
				unreadable = why
				continue
			}
			if err != nil {
				return "", err
			}
		}
		candidates = append(candidates, c)
	}
	if len(candidates) == 0 {
		return "", unreadable
	}
	best := candidates[0]
	for _, c := range candidates[1:] {
		if c.score > best.score {
			best = c
		}
	}
	if r.w.judge != nil {
		r.verdict = best.verdict
		if best.score < r.w.o.JudgeThreshold {
			return "", &dataset.Reject{Reason: judgeReason,
				Detail: fmt.Sprintf("%s: score %g of %d: %s", answerStep(turn, 0), best.score, maxScore, best.reason)}
		}
	}
	if r.w.o.Pairs {
		r.chosen, r.worse = best, r.worseThan(best, candidates)
	}
	return best.text, nil
}

func answerStep(turn, sample int) string {
	if sample == 0 {
		return fmt.Sprintf("answer/%d", turn)
	}
	return fmt.Sprintf("answer/%d/%d", turn, sample)
}

// Pair is a row of pairs/: two answers to the last message of Prompt, in the format that
// TRL's DPOTrainer reads. Scores are those of the judge; RejectedReason is the check that
// the rejected answer failed, or judge.
type Pair struct {
	ID             string         `json:"id" parquet:"id"`
	PassageID      string         `json:"passage_id" parquet:"passage_id"`
	Title          string         `json:"title" parquet:"title"`
	URL            string         `json:"url" parquet:"url"`
	Licence        string         `json:"licence" parquet:"licence"`
	Language       string         `json:"language" parquet:"language"`
	Generator      string         `json:"generator" parquet:"generator"`
	Prompt         []chat.Message `json:"prompt" parquet:"prompt,list"`
	Chosen         []chat.Message `json:"chosen" parquet:"chosen,list"`
	Rejected       []chat.Message `json:"rejected" parquet:"rejected,list"`
	ChosenScore    float32        `json:"chosen_score" parquet:"chosen_score"`
	RejectedScore  float32        `json:"rejected_score" parquet:"rejected_score"`
	RejectedReason string         `json:"rejected_reason" parquet:"rejected_reason"`
}

const pairsDir = "pairs"

// notWorse are checks whose failure does not show that an answer is worse to read than
// another one: it may be too short for this set, or not be text at all.
var notWorse = []string{"empty_answer", "encoding_answer", "short_answer"}

// worseThan returns an answer that is really worse than the best one: its score is lower by
// the margin, or it failed a check. It returns nil if there is none.
func (r *record) worseThan(best candidate, candidates []candidate) *candidate {
	var worst *candidate
	if r.w.judge != nil {
		for i, c := range candidates {
			if c.score <= best.score-r.w.o.PairMargin && (worst == nil || c.score < worst.score) {
				worst = &candidates[i]
			}
		}
	}
	for i := range r.failed {
		if c := &r.failed[i]; worst == nil && c.text != "" && same(c.text) != same(best.text) && !slices.Contains(notWorse, c.failed) {
			worst = c
		}
	}
	return worst
}

// pair adds the turn's pair, if there is a worse answer. It is called before the turn is
// added to the row.
func (r *record) pair(question string) {
	if r.worse == nil {
		return
	}
	p := Pair{ID: dataset.ContentID("pair", r.row.ID, fmt.Sprint(len(r.row.Messages))), PassageID: r.passage.ID,
		Title: r.row.Title, URL: r.row.URL, Licence: r.row.Licence, Language: r.row.Language, Generator: r.row.Generator,
		Prompt:   append(slices.Clone(r.row.Messages), chat.Message{Role: "user", Content: question}),
		Chosen:   []chat.Message{{Role: "assistant", Content: r.chosen.text}},
		Rejected: []chat.Message{{Role: "assistant", Content: r.worse.text}}, RejectedReason: r.worse.failed}
	if r.w.judge != nil {
		p.ChosenScore, p.RejectedScore = float32(r.chosen.score), float32(r.worse.score)
	}
	if p.RejectedReason == "" {
		p.RejectedReason = judgeReason
	}
	r.pairs, r.worse = append(r.pairs, p), nil
}

func pairsKey(passage string) string { return passage + "/pairs" }

// writePairs writes the pairs of a kept row and returns their number.
func (w *writer) writePairs(run *durable.Run, notes **durable.Writer[Pair], passage string) (int64, error) {
	var pairs []Pair
	if ok, err := w.calls.Get(pairsKey(passage), &pairs); !ok || err != nil {
		return 0, err
	}
	if *notes == nil {
		var err error
		if *notes, err = durable.NewNotes[Pair](run, pairsDir); err != nil {
			return 0, err
		}
	}
	for _, p := range pairs {
		if err := (*notes).Write(p); err != nil {
			return 0, err
		}
	}
	return int64(len(pairs)), nil
}

// sample gets the first answers to a request for several, as one request if the client can
// do that. Answers that are missing then are asked for one by one.
func (r *record) sample(ctx context.Context, step func(sample int) string, n int, req llm.Request) error {
	client, ok := r.w.client.(llm.Sampler)
	if !ok {
		return nil
	}
	for i := range n {
		if ok, err := r.w.calls.Get(callKey(r.passage.ID, step(i), 0), &Answer{}); ok || err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	all, err := client.Samples(ctx, req, n)
	if err != nil {
		return err
	}
	for i, resp := range all {
		if err := r.w.calls.Put(callKey(r.passage.ID, step(i), 0), newAnswer(step(i), 0, resp)); err != nil {
			return err
		}
	}
	return nil
}
