package synth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/llm"
)

// writer turns passages into instructions.
type writer struct {
	o       Options
	client  llm.Client
	judge   llm.Client // nil: there is none
	prompts *Prompts
	seed    int64
	long    int
	calls   *durable.Journal // the model's answers, by passage and call
}

// record gathers one instruction's texts and its provenance.
type record struct {
	w       *writer
	passage dataset.Passage
	source  source // of the passage
	drawn   drawn  // of the turn
	row     dataset.Instruction

	failed  []candidate // answers of the turn that failed a check
	verdict verdict     // the last one
	chosen  candidate   // the turn's best answer and a worse one, for a pair
	worse   *candidate
	pairs   []Pair
}

func (w *writer) write(ctx context.Context, p dataset.Passage) ([]dataset.Instruction, error) {
	if strings.TrimSpace(p.Text) == "" || p.ID == "" {
		return nil, &dataset.Reject{Reason: "empty_passage", Row: newRejected(p)}
	}
	r := &record{w: w, passage: p, source: newSource(p.Title, p.Section, p.Text)}
	kind, form, turns := "single", dataset.FormQuestion, 1
	if chars(p) >= w.long {
		kind, form, turns = "multi", dataset.FormConversation, w.o.Turns
	}
	r.row = dataset.Instruction{
		ID: dataset.ContentID("synth", kind, p.ID), Dataset: w.o.Dataset + "-" +
			kind, Form: form, PassageID: p.ID, Title: p.Title, URL: p.URL, Revision: p.Revision,
		Licence: p.Licence, TargetTitle: p.TargetTitle, TargetLanguage: p.TargetLanguage,
		Language: w.prompts.Language, Generator: w.client.Name(), PromptDigest: w.promptDigest(kind),
		Seed: dataset.RecordSeed(w.seed, p.ID, "synth"),
	}
	var err error
	if kind == "multi" && w.o.Independent {
		err = r.independent(ctx, turns)
	} else {
		err = r.conversation(ctx, turns)
	}
	var why *dataset.Reject
	if err != nil && !errors.As(err, &why) {
		return nil, err
	}
	if err := r.count(); err != nil {
		return nil, err
	}
	if why != nil {
		if why.Row, err = r.rejected(); err != nil {
			return nil, err
		}
		kept := len(r.row.Messages) / 2
		if kept < min(w.o.MinTurns, turns) {
			return nil, why
		}
		r.row.Shortened = shortened(kept, turns, why)
		if !why.Failed {
			why = nil
		}
	}
	if len(r.pairs) > 0 {
		if err := w.calls.Put(pairsKey(p.ID), r.pairs); err != nil {
			return nil, err
		}
	}
	return []dataset.Instruction{r.row}, rejectOrNil(why)
}

// count sets the tokens of the row: those of all answers about the passage.
func (r *record) count() error {
	answers, err := r.w.answers(r.passage.ID)
	if err != nil {
		return err
	}
	spent := total(answers)
	r.row.PromptTokens, r.row.CompletionTokens = spent.PromptTokens, spent.CompletionTokens
	return nil
}

// rejectOrNil is why as an error, without an interface around nil.
func rejectOrNil(why *dataset.Reject) error {
	if why == nil {
		return nil
	}
	return why
}

// conversation asks and answers turn by turn, each knowing those before.
func (r *record) conversation(ctx context.Context, turns int) error {
	for turn := range turns {
		question, answer := questionPrompt, answerPrompt
		if turn > 0 {
			question, answer = followupPrompt, followupAnswerPrompt
		}
		r.drawn = r.w.prompts.draw(drawSeed(r.w.seed, r.passage.ID, turn), turns > 1)
		d := r.data()
		if !r.drawn.writesMessage() {
			q, err := r.ask(ctx, fmt.Sprintf("question/%d", turn), question, d, 1, r.checkQuestion)
			if err != nil {
				return err
			}
			d.Question = q[0]
		}
		message, err := r.drawn.render(d)
		if err != nil {
			return err
		}
		if r.drawn.kind.Shape == shapeTask { // the prompt has the passage already
			shown := d
			shown.Passage = ""
			if d.Question, err = r.drawn.render(shown); err != nil {
				return err
			}
		} else {
			d.Question = message
		}
		a, err := r.answer(ctx, turn, answer, d)
		if err != nil {
			return err
		}
		r.add(message, a)
	}
	return nil
}

// drawSeed seeds what is drawn for a turn.
func drawSeed(seed int64, passage string, turn int) int64 {
	return dataset.RecordSeed(seed, passage, fmt.Sprintf("synth/draw/%d", turn))
}

// writesMessage reports whether the user's message needs no model.
func (d drawn) writesMessage() bool { return d.kind.Ask == "" && d.message != nil }

// render returns the user's message.
func (d drawn) render(values data) (string, error) {
	if d.message == nil {
		return values.Question, nil
	}
	var b strings.Builder
	err := d.message.Execute(&b, values)
	return strings.TrimSpace(b.String()), err
}

// independent asks for all questions in one call and answers each alone. A
// question without a good answer is left out.
func (r *record) independent(ctx context.Context, turns int) error {
	r.drawn = drawn{kind: &Kind{Shape: shapeQuestion}}
	var questions []string
	_, err := r.ask(ctx, "questions", r.w.o.questionsPrompt(), r.data(), 1, func(text string) (string, string) {
		questions = parseQuestions(text)
		if len(questions) != turns {
			return "", "parse_questions"
		}
		seen := map[string]bool{}
		for i, q := range questions {
			var reason string
			if questions[i], reason = r.checkQuestion(q); reason != "" {
				return "", reason
			}
			if key := strings.ToLower(questions[i]); seen[key] {
				return "", "repeated_question"
			} else {
				seen[key] = true
			}
		}
		return text, ""
	})
	if err != nil {
		return err
	}
	var first error
	for i, q := range questions {
		d := r.data()
		d.Question = q
		a, err := r.answer(ctx, i, answerPrompt, d)
		var why *dataset.Reject
		switch {
		case err == nil:
			r.add(q, a)
		case !errors.As(err, &why):
			return err
		case first == nil:
			first = err
		}
	}
	return first
}

// add adds a turn. The kinds of all turns are a list of words.
func (r *record) add(question, answer string) {
	if name := r.drawn.kind.Name; name != "" {
		r.row.Kind = strings.TrimSpace(r.row.Kind + " " + name)
	}
	if r.drawn.kind.Shape == shapeTask {
		r.row.Form = dataset.FormInstruction // the message shows the text, and may name it
	}
	if r.w.judge != nil && (len(r.row.Messages) == 0 || float32(r.verdict.score) < r.row.JudgeScore) {
		r.row.Judge, r.row.JudgeScore, r.row.JudgeReason = r.w.judge.Name(), float32(r.verdict.score), r.verdict.reason
	}
	r.pair(question)
	r.row.Messages = append(r.row.Messages, chat.Message{Role: "user", Content: question}, chat.Message{Role: "assistant", Content: answer})
}

// data is what the prompts may use.
type data struct {
	Title, Passage, Question, Conversation string // Title is "Page: Section > Subsection"
	Subject                                string // "Subsection (Page)", or the page alone
	Turns                                  int
	Kind, Form, Answer, Length             string // what was drawn, as sentences
	Complaint                              string // about a text that is asked for again
	Response                               string // the answer that is judged
}

func (r *record) data() data {
	d := data{Title: r.passage.Title, Passage: r.passage.Text, Turns: r.w.o.Turns,
		Kind: r.drawn.kind.Ask, Form: r.drawn.form, Answer: r.drawn.kind.Answer, Length: r.drawn.length}
	d.Subject = r.passage.Title
	if headings := strings.Split(r.passage.Section, " > "); r.passage.Section != "" {
		d.Title += ": " + r.passage.Section
		d.Subject = fmt.Sprintf("%s (%s)", headings[len(headings)-1], r.passage.Title)
	}
	var b strings.Builder
	for _, m := range r.row.Messages {
		role := "User"
		if m.Role == "assistant" {
			role = "Assistant"
		}
		fmt.Fprintf(&b, "%s: %s\n", role, m.Content)
	}
	d.Conversation = strings.TrimSpace(b.String())
	return d
}

// ask gets texts that pass check, which returns the cleaned text or a reason against it: of
// n samples all that pass, or else one. A text that fails is then asked for again with the
// complaint, and after that afresh with another seed.
func (r *record) ask(ctx context.Context, step, prompt string, d data, n int, check checker) ([]string, error) {
	var b strings.Builder
	if err := r.w.prompts.templates.ExecuteTemplate(&b, prompt, d); err != nil {
		return nil, err
	}
	q := asking{r: r, step: step, prompt: strings.TrimSpace(b.String()), d: d, check: check}
	if prompt == questionsJSON {
		q.schema = questionsSchema(r.w.o.Turns)
	}
	r.failed = nil
	if n > 1 {
		if passed, err := q.samples(ctx, n); err != nil || len(passed) > 0 {
			return passed, err
		}
	}
	text, err := q.text(ctx)
	return []string{text}, err
}

// checker returns a text as it is kept, or the reason against it.
type checker func(raw string) (text, reason string)

// asking is a text that is asked for.
type asking struct {
	r            *record
	step, prompt string
	d            data
	schema       map[string]any
	check        checker
}

func (q *asking) request(step string, call int, messages []chat.Message) llm.Request {
	o := q.r.w.o
	return llm.Request{
		Messages: messages, Temperature: o.Temperature, TopP: o.TopP, MaxTokens: o.MaxTokens, JSONSchema: q.schema,
		Seed: dataset.RecordSeed(q.r.w.seed, q.r.passage.ID, fmt.Sprintf("synth/%s/%d", step, call)),
	}
}

func (q *asking) conversation() []chat.Message {
	return []chat.Message{{Role: "user", Content: q.prompt}}
}

// examine checks an answer, and remembers one that fails.
func (q *asking) examine(a Answer) (text, reason string) {
	if a.FinishReason != llm.FinishStop {
		return "", "finish_" + llm.Code(a.FinishReason)
	}
	if text, reason = q.check(a.Text); reason != "" {
		q.r.failed = append(q.r.failed, candidate{text: clean(a.Text), failed: reason})
	}
	return text, reason
}

// samples returns those of n answers to the same prompt that pass the checks, without
// repetitions.
func (q *asking) samples(ctx context.Context, n int) (passed []string, err error) {
	step := func(i int) string {
		if i == 0 {
			return q.step
		}
		return fmt.Sprintf("%s/%d", q.step, i)
	}
	if err := q.r.sample(ctx, step, n, q.request(q.step, 0, q.conversation())); err != nil {
		return nil, refused(q.step, err)
	}
	for i := range n {
		a, err := q.r.call(ctx, q.r.w.client, step(i), 0, q.request(step(i), 0, q.conversation()))
		if err != nil {
			return nil, refused(q.step, err)
		}
		if text, reason := q.examine(a); reason == "" && !slices.Contains(passed, text) {
			passed = append(passed, text)
			q.r.row.FinishReason = a.FinishReason
		}
	}
	return passed, nil
}

// text returns the first text that passes the checks.
func (q *asking) text(ctx context.Context) (string, error) {
	o, r := q.r.w.o, q.r
	reason, calls := "", 0
	for range o.Attempts {
		messages := q.conversation()
		for repair := 0; ; repair++ {
			a, err := r.call(ctx, r.w.client, q.step, calls, q.request(q.step, calls, messages))
			if err != nil {
				return "", refused(q.step, err)
			}
			calls++
			text, why := q.examine(a)
			if why == "" {
				r.row.FinishReason = a.FinishReason
				if repair > 0 {
					r.row.Repaired++
				}
				return text, nil
			}
			reason = why
			complaint, err := r.w.prompts.complaint(why, q.d)
			if err != nil {
				return "", err
			}
			if repair == o.Repair || complaint == "" || a.FinishReason != llm.FinishStop || strings.TrimSpace(a.Text) == "" {
				break
			}
			messages = append(messages[:1:1], chat.Message{Role: "assistant", Content: a.Text},
				chat.Message{Role: "user", Content: complaint})
		}
	}
	return "", &dataset.Reject{Reason: reason, Detail: fmt.Sprintf("%s, after %d calls", q.step, calls)}
}

// refused turns the error of a request that concerns this record alone into its rejection.
func refused(step string, err error) error {
	var tooLong *llm.TooLong
	var failed *llm.RequestError
	switch {
	case errors.As(err, &tooLong):
		return &dataset.Reject{Reason: "passage_too_long", Detail: step + ": " + tooLong.Error()}
	case errors.As(err, &failed):
		return &dataset.Reject{Reason: failedPrefix + failed.Kind, Detail: step + ": " + failed.Error(), Failed: true}
	}
	return err
}

// promptDigest identifies the prompts that a kind of record uses.
func (w *writer) promptDigest(kind string) string {
	names := []string{questionPrompt, answerPrompt}
	if kind == "multi" {
		names = append(names, followupPrompt, followupAnswerPrompt)
		if w.o.Independent {
			names = []string{w.o.questionsPrompt(), answerPrompt}
		}
	}
	return w.prompts.digest(append(names, kindsFile)...)
}
