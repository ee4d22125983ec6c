package eval

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"barka/internal/chat"
	"barka/internal/eval/lighteval"
	"barka/internal/eval/record"
	"barka/internal/eval/store"
	"barka/internal/llm"
	"barka/internal/panics"
)

// In a judged task the model writes an answer, and a second model, the judge, marks it
// from 0 to 10 against the right answer. Answers and marks are stored as they arrive,
// so that none costs money twice.

// Generator is a Model that continues text, which judged tasks need.
type Generator interface {
	// Generate continues each prompt greedily by at most n tokens and passes each
	// text, without special tokens, to done. Prompts are encoded with the special
	// tokens around a text; a prompt that leaves no room is cut on the left.
	// conversation is set if prompts are rendered by the chat template; its end of
	// turn then ends an answer too.
	Generate(ctx context.Context, prompts []string, n int, conversation bool, done func(prompt int, text string) error) error
}

// The judge's settings. The reference samples at temperature 0.8 without a seed, so its
// marks differ from run to run. Barka takes the most likely tokens.
const (
	judgeTokens       = 512
	judgeConcurrency  = 8
	judgeFailures     = 20 // failures in a row after which no more questions are sent
	generateBatchSize = 64
)

const judgeSystem = `أنت مقيّم محايد خبير باللغة العربية. يجب عليك:
1. تقييم دقة الإجابة مقارنة بالإجابة الصحيحة
2. التحقق من أن الإجابة مدعومة بالسياق المقدم
3. تقييم جودة وشمولية الإجابة

مهم جداً: يجب أن يكون ردك رقماً فقط من 0 إلى 10. لا تضف أي نص أو تفسير.`

const judgeScale = `أعط تقييماً من 0 إلى 10:
0-2: إجابة خاطئة تماماً
3-4: إجابة جزئية مع أخطاء
5-6: إجابة متوسطة
7-8: إجابة جيدة
9-10: إجابة ممتازة

اكتب رقماً فقط من 0 إلى 10 بدون أي نص إضافي:`

// judgeMessages returns the conversation that asks for a mark.
func judgeMessages(question, answer, gold string) []chat.Message {
	return []chat.Message{
		{Role: "system", Content: judgeSystem},
		{Role: "user", Content: "السؤال: " + question + "\n\nالإجابة المقدمة: " + answer + "\n\nالإجابة الصحيحة: " +
			gold + "\n\n" + judgeScale},
	}
}

// judgeError is an error of the judge, which leaves out only judged tasks.
type judgeError struct{ err error }

func (j *judgeError) Error() string { return "judge: " + j.err.Error() }
func (j *judgeError) Unwrap() error { return j.err }

// judgeTask sets the answers of a judged task and their marks.
func (e *evaluation) judgeTask(ctx context.Context, t *record.Task, own []int, label string) error {
	answers, err := store.OpenTexts(e.o.store(), "answers-"+e.modelIdentity(), e.o.Shard.Name())
	if err != nil {
		return err
	}
	e.warnBroken(answers)
	defer answers.Close()
	if err := e.answer(ctx, t, own, answers, label); err != nil {
		return err
	}
	judgements, err := store.OpenTexts(e.o.store(), "judgements", e.o.Shard.Name())
	if err != nil {
		return err
	}
	e.warnBroken(judgements)
	defer judgements.Close()
	if err := e.judge(ctx, t, own, judgements, label); err != nil {
		return err
	}
	return errors.Join(answers.Close(), judgements.Close())
}

// answer generates the answers that are not in the store.
func (e *evaluation) answer(ctx context.Context, t *record.Task, own []int, kept *store.Texts, label string) error {
	n := *t.Task.GenerationSize
	key := func(i int) store.TextKey {
		return store.TextKeyOf(fmt.Sprint(n, e.o.UseChatTemplate), t.Questions[i].Context)
	}
	var todo []int
	for _, i := range own {
		text, ok := kept.Get(key(i))
		t.Questions[i].Answer = &record.Answer{Text: text}
		if !ok {
			todo = append(todo, i)
		}
	}
	e.run.Scored += len(todo)
	e.run.Reused += len(own) - len(todo)
	e.progress.Start(label, int64(len(todo)), "answers")
	defer e.progress.Done()
	for batch := range slices.Chunk(todo, generateBatchSize) {
		prompts := make([]string, len(batch))
		for i, q := range batch {
			prompts[i] = t.Questions[q].Context
		}
		err := e.m.(Generator).Generate(ctx, prompts, n, e.o.UseChatTemplate, func(i int, text string) error {
			text = strings.ToValidUTF8(text, "\ufffd") // as the store writes it
			t.Questions[batch[i]].Answer.Text = text
			e.progress.Add(1)
			return kept.Put(key(batch[i]), text)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// judge asks for the marks that are not in the store, several at a time. If a request
// fails, the task is left out. The other questions are still sent, so that the next run
// sends only those that failed.
func (e *evaluation) judge(ctx context.Context, t *record.Task, own []int, kept *store.Texts, label string) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	e.progress.Start(label+", judge", int64(len(own)), "answers")
	defer e.progress.Done()
	wg := panics.Group{Stop: func() { stop(nil) }}
	var unmarked unmarked
	for w := range judgeConcurrency {
		wg.Go(func() {
			for i := w; i < len(own) && ctx.Err() == nil; i += judgeConcurrency {
				reused, err := e.judgeOne(ctx, &t.Questions[own[i]], kept)
				switch {
				case unmarked.has(own[i], err):
				case err != nil:
					stop(fmt.Errorf("question %d in evaluation order: %w", own[i]+1, err))
				case reused:
					e.progress.Skip(1)
				default:
					e.progress.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if unmarked.n > 0 {
		return &judgeError{fmt.Errorf("%d of %d answers have no mark, the first is that of question %d in evaluation order: %w; "+
			"the same command asks for these again",
			unmarked.n, len(own), unmarked.first+1, unmarked.err)}
	}
	unread := 0
	for _, i := range own {
		if _, ok := lighteval.Mark(t.Questions[i].Answer.Judgement); !ok {
			unread++
		}
	}
	if unread > 0 {
		e.log.Warn("judgements without a number count as 0", "task", t.Task.Key(), "judgements", unread, "of", len(own))
	}
	return nil
}

// unmarked counts the questions whose requests to the judge failed.
type unmarked struct {
	mu        sync.Mutex
	n, inARow int
	first     int // in evaluation order
	err       error
}

// has counts the outcome of a question's request. It reports whether the request failed
// in a way after which other questions can still be sent.
func (u *unmarked) has(question int, err error) bool {
	var failed *llm.RequestError
	u.mu.Lock()
	defer u.mu.Unlock()
	if err == nil {
		u.inARow = 0
	}
	if !errors.As(err, &failed) {
		return false
	}
	if u.n == 0 || question < u.first {
		u.first, u.err = question, failed
	}
	u.n++
	u.inARow++
	return u.inARow < judgeFailures
}

// judgeOne sets the judgement of an answer, and reports whether it was in the store.
func (e *evaluation) judgeOne(ctx context.Context, q *record.Question, kept *store.Texts) (reused bool, err error) {
	req := llm.Request{Messages: judgeMessages(q.Doc.Query, q.Answer.Text, q.Doc.Choices[q.Doc.Gold]), MaxTokens: judgeTokens}
	text, err := json.Marshal(req.Messages)
	if err != nil {
		return false, err
	}
	key := store.TextKeyOf(e.o.Judge.Name(), string(text))
	if q.Answer.Judgement, reused = kept.Get(key); reused {
		return true, nil
	}
	reply, err := e.o.Judge.Complete(ctx, req)
	if err != nil {
		return false, &judgeError{err}
	}
	q.Answer.Judgement = strings.ToValidUTF8(reply.Text, "\ufffd")
	return false, kept.Put(key, q.Answer.Judgement)
}
