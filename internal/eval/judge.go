package eval

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"barka/internal/chat"
	"barka/internal/llm"
	"barka/internal/panics"
	"barka/internal/pytext"
)

// A judged task has the model write an answer, which a second model, the
// judge, marks from 0 to 10 beside the model answer. Both are kept as they
// come, so that neither is paid for twice.

// Generator is a Model that continues text, which judged tasks need.
type Generator interface {
	// Generate continues each prompt greedily by at most n tokens and returns
	// the texts, without special tokens. Prompts are encoded with the special
	// tokens around a text; the left end of one that leaves no room is cut.
	// conversation says that they are rendered by the chat template, whose
	// end of a turn ends an answer too. done is told of every answer.
	Generate(ctx context.Context, prompts []string, n int, conversation bool, done func(prompt int, text string) error) error
}

// The judge's settings. The reference samples at temperature 0.8 without a
// seed, so that its marks differ from run to run; here the likeliest is taken.
const (
	judgeTokens      = 512
	judgesAtOnce     = 8
	judgeFailures    = 20 // in a row, after which the judge is not asked on
	generateTogether = 64
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

// judgeMessages is the conversation that asks for a mark.
func judgeMessages(question, answer, gold string) []chat.Message {
	return []chat.Message{
		{Role: "system", Content: judgeSystem},
		{Role: "user", Content: "السؤال: " + question + "\n\nالإجابة المقدمة: " + answer + "\n\nالإجابة الصحيحة: " + gold + "\n\n" + judgeScale},
	}
}

// mark reads the first word of a judgement that is a number, as the reference
// does, and returns it as a share of 10. Without one the mark is 0, and ok
// false.
func mark(judgement string) (share float64, ok bool) {
	for _, word := range strings.FieldsFunc(judgement, pytext.IsSpace) {
		number := strings.Map(digit, word)
		if strings.Trim(strings.Replace(number, ".", "", 1), "0123456789") != "" || number == "." {
			continue
		}
		f, err := strconv.ParseFloat(number, 64)
		if err == nil || errors.Is(err, strconv.ErrRange) {
			return min(f/10, 1), true
		}
	}
	return 0, false
}

// digit makes Arabic and Persian digits ASCII ones.
func digit(r rune) rune {
	switch {
	case r >= '٠' && r <= '٩':
		return r - '٠' + '0'
	case r >= '۰' && r <= '۹':
		return r - '۰' + '0'
	}
	return r
}

// judgeError is trouble with the judge, which leaves out its tasks alone.
type judgeError struct{ err error }

func (j *judgeError) Error() string { return "judge: " + j.err.Error() }
func (j *judgeError) Unwrap() error { return j.err }

// judgeTask fills in the samples of a judged task.
func (e *evaluation) judgeTask(ctx context.Context, r *taskRun, label string) error {
	answers, err := openTexts(e.o.store(), "answers-"+identity(e.m.Info(), e.m.MaxLength()), e.o.Shard)
	if err != nil {
		return err
	}
	e.tellBroken(answers.lines)
	defer answers.close()
	if err := e.answer(ctx, r, answers, label); err != nil {
		return err
	}
	judgements, err := openTexts(e.o.store(), "judgements", e.o.Shard)
	if err != nil {
		return err
	}
	e.tellBroken(judgements.lines)
	defer judgements.close()
	if err := e.judge(ctx, r, judgements, label); err != nil {
		return err
	}
	return errors.Join(answers.close(), judgements.close())
}

// answer generates the answers that are not kept.
func (e *evaluation) answer(ctx context.Context, r *taskRun, kept *texts, label string) error {
	n := *r.task.GenerationSize
	key := func(i int) textKey { return keyOf(fmt.Sprint(n, e.o.UseChatTemplate), r.samples[i].context) }
	var todo []int
	all := 0
	for i := range r.samples {
		if r.samples[i].elsewhere {
			continue
		}
		all++
		var ok bool
		if r.samples[i].answer, ok = kept.get(key(i)); !ok {
			todo = append(todo, i)
		}
	}
	e.scored += len(todo)
	e.reused += all - len(todo)
	e.progress.Start(label, int64(len(todo)), "answers")
	defer e.progress.Done()
	for len(todo) > 0 {
		part := todo[:min(generateTogether, len(todo))]
		todo = todo[len(part):]
		prompts := make([]string, len(part))
		for i, s := range part {
			prompts[i] = r.samples[s].context
		}
		err := e.m.(Generator).Generate(ctx, prompts, n, e.o.UseChatTemplate, func(i int, text string) error {
			text = strings.ToValidUTF8(text, "\ufffd") // as it is kept
			r.samples[part[i]].answer = text
			e.progress.Add(1)
			return kept.put(key(part[i]), text)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// judge asks for the marks that are not kept, several at once. A question whose
// request fails leaves out the task; the others are asked all the same, so that
// the next run has to ask for the failed ones alone.
func (e *evaluation) judge(ctx context.Context, r *taskRun, kept *texts, label string) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var todo []int
	for i := range r.samples {
		if !r.samples[i].elsewhere {
			todo = append(todo, i)
		}
	}
	e.progress.Start(label+", judge", int64(len(todo)), "answers")
	defer e.progress.Done()
	wg := panics.Group{Stop: func() { stop(nil) }}
	var unmarked unmarked
	for w := range judgesAtOnce {
		wg.Go(func() {
			for i := w; i < len(todo) && ctx.Err() == nil; i += judgesAtOnce {
				reused, err := e.judgeOne(ctx, &r.samples[todo[i]], kept)
				switch {
				case unmarked.has(todo[i], err):
				case err != nil:
					stop(fmt.Errorf("question %d in evaluation order: %w", todo[i]+1, err))
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
		return &judgeError{fmt.Errorf("%d of %d answers have no mark, the first that of question %d in evaluation order: %w; the same command asks for these again",
			unmarked.n, len(todo), unmarked.first+1, unmarked.err)}
	}
	unread := 0
	for _, i := range todo {
		s := &r.samples[i]
		var ok bool
		if s.value, ok = mark(s.judgement); !ok {
			unread++
		}
	}
	if unread > 0 {
		e.log.Warn("judgements without a number count as 0", "task", r.task.Key(), "judgements", unread, "of", len(todo))
	}
	return nil
}

// unmarked counts the questions whose requests to the judge fail.
type unmarked struct {
	mu        sync.Mutex
	n, inARow int
	first     int // in evaluation order
	err       error
}

// has notes the outcome of a question's request, and reports whether it failed
// in a way that leaves the others to be asked.
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

// judgeOne fills in a sample's judgement and reports whether it was kept before.
func (e *evaluation) judgeOne(ctx context.Context, s *sample, kept *texts) (reused bool, err error) {
	req := llm.Request{Messages: judgeMessages(s.doc.Query, s.answer, s.doc.Choices[s.doc.Gold]), MaxTokens: judgeTokens}
	text, err := json.Marshal(req.Messages)
	if err != nil {
		return false, err
	}
	key := keyOf(e.o.Judge.Name(), string(text))
	if s.judgement, reused = kept.get(key); reused {
		return true, nil
	}
	answer, err := e.o.Judge.Complete(ctx, req)
	if err != nil {
		return false, &judgeError{err}
	}
	s.judgement = strings.ToValidUTF8(answer.Text, "\ufffd")
	return false, kept.put(key, s.judgement)
}

// keyOf identifies a text that was asked for.
func keyOf(parts ...string) textKey {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return textKey(h.Sum(nil)[:16])
}
