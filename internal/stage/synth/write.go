package synth

import (
	"context"
	"errors"
	"fmt"
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
	prompts *Prompts
	seed    int64
	long    int
	calls   *durable.Journal // the model's answers, by passage and call
}

// record gathers one instruction's texts and its provenance.
type record struct {
	w       *writer
	passage dataset.Passage
	drawn   drawn // of the turn
	row     dataset.Instruction
}

func (w *writer) write(ctx context.Context, p dataset.Passage) ([]dataset.Instruction, error) {
	if strings.TrimSpace(p.Text) == "" || p.ID == "" {
		return nil, &dataset.Reject{Reason: "empty_passage", Row: newRejected(p)}
	}
	r := &record{w: w, passage: p}
	kind, form, turns := "single", dataset.FormQuestion, 1
	if chars(p) >= w.long {
		kind, form, turns = "multi", dataset.FormConversation, w.o.Turns
	}
	r.row = dataset.Instruction{
		ID: dataset.ContentID("synth", kind, p.ID), Dataset: w.o.Dataset + "-" +
			kind, Form: form, PassageID: p.ID, Title: p.Title, URL: p.URL,
		Licence: p.Licence, Language: w.prompts.Language, Generator: w.client.Name(), PromptDigest: w.promptDigest(kind),
		Seed: dataset.RecordSeed(w.seed, p.ID, "synth"),
	}
	var err error
	if kind == "multi" && w.o.Independent {
		err = r.independent(ctx, turns)
	} else {
		err = r.conversation(ctx, turns)
	}
	var why *dataset.Reject
	if err == nil || !errors.As(err, &why) {
		return []dataset.Instruction{r.row}, err
	}
	if why.Row, err = r.rejected(); err != nil {
		return nil, err
	}
	if kept := len(r.row.Messages) / 2; kept >= min(w.o.MinTurns, turns) {
		r.row.Shortened = shortened(kept, turns, why)
		if !why.Failed {
			why = nil
		}
		return []dataset.Instruction{r.row}, rejectOrNil(why)
	}
	return nil, why
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
			q, err := r.ask(ctx, fmt.Sprintf("question/%d", turn), question, d, r.checkQuestion)
			if err != nil {
				return err
			}
			d.Question = q
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
		a, err := r.ask(ctx, fmt.Sprintf("answer/%d", turn), answer, d, r.checkAnswer(d.Question))
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
	_, err := r.ask(ctx, "questions", r.w.o.questionsPrompt(), r.data(), func(text string) (string, string) {
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
		a, err := r.ask(ctx, fmt.Sprintf("answer/%d", i), answerPrompt, d, r.checkAnswer(q))
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
	r.row.Messages = append(r.row.Messages, chat.Message{Role: "user", Content: question}, chat.Message{Role: "assistant", Content: answer})
}

// data is what the prompts may use.
type data struct {
	Title, Passage, Question, Conversation string // Title is "Page: Section > Subsection"
	Subject                                string // "Subsection (Page)", or the page alone
	Turns                                  int
	Kind, Form, Answer, Length             string // what was drawn, as sentences
	Complaint                              string // about a text that is asked for again
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

// ask gets a text that passes check; check returns the cleaned text or a reason against it.
// A text that fails is asked for again with the complaint, and after that afresh with another
// seed.
func (r *record) ask(ctx context.Context, step, prompt string, d data, check func(string) (text, reason string)) (string, error) {
	var b strings.Builder
	if err := r.w.prompts.templates.ExecuteTemplate(&b, prompt, d); err != nil {
		return "", err
	}
	var schema map[string]any
	if prompt == questionsJSON {
		schema = questionsSchema(r.w.o.Turns)
	}
	reason, calls := "", 0
	for range r.w.o.Attempts {
		messages := []chat.Message{{Role: "user", Content: strings.TrimSpace(b.String())}}
		for repair := 0; ; repair++ {
			answer, err := r.call(ctx, step, calls, llm.Request{
				Messages: messages, Temperature: r.w.o.Temperature, TopP: r.w.o.TopP, MaxTokens: r.w.o.MaxTokens,
				Seed:       dataset.RecordSeed(r.w.seed, r.passage.ID, fmt.Sprintf("synth/%s/%d", step, calls)),
				JSONSchema: schema,
			})
			if err != nil {
				return "", refused(step, err)
			}
			calls++
			r.row.PromptTokens += answer.PromptTokens
			r.row.CompletionTokens += answer.CompletionTokens
			if answer.FinishReason != llm.FinishStop {
				reason = "finish_" + code(answer.FinishReason)
				break
			}
			text, why := check(answer.Text)
			if why == "" {
				r.row.FinishReason = answer.FinishReason
				if repair > 0 {
					r.row.Repaired++
				}
				return text, nil
			}
			reason = why
			complaint, err := r.w.prompts.complaint(why, d)
			if err != nil {
				return "", err
			}
			if repair == r.w.o.Repair || complaint == "" || strings.TrimSpace(answer.Text) == "" {
				break
			}
			messages = append(messages[:1:1], chat.Message{Role: "assistant", Content: answer.Text},
				chat.Message{Role: "user", Content: complaint})
		}
	}
	return "", &dataset.Reject{Reason: reason, Detail: fmt.Sprintf("%s, after %d calls", step, calls)}
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

// code makes a server's word fit for a reason code.
func code(s string) string {
	if s == "" {
		return "unknown"
	}
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(s[:min(len(s), 20)]))
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
