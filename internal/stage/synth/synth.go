// Package synth writes instructions from passages with a language model: one
// question and answer for an ordinary passage, a conversation of three turns
// for the longest ones. The settings are those of the BARKA models; the
// prompts, in prompts/, have the same intent in other words.
package synth

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"text/template"

	"barka/internal/badinput"
	"barka/internal/llm"
	"barka/internal/pipeline"
)

//go:embed prompts/*.txt
var promptFiles embed.FS

var prompts = template.Must(template.ParseFS(promptFiles, "prompts/*.txt"))

// version changes when the same options would give another output.
const version = 1

// Options are everything that changes what synth writes.
type Options struct {
	// Dataset names the rows; "-single" and "-multi" are added.
	Dataset string `json:"dataset"`
	// Model is the generator's name, for provenance.
	Model string `json:"model"`
	// ModelDigest identifies its weights, where they are at hand.
	ModelDigest string `json:"model_digest,omitempty"`
	// LongQuantile of the passages' lengths divides single questions from
	// conversations: 0.75 in the published description, 0.8 in the code.
	LongQuantile float64 `json:"long_quantile"`
	// LongChars, if positive, is that length itself (2,204 in the original).
	LongChars int `json:"long_chars,omitempty"`
	// Turns of a conversation.
	Turns int `json:"turns"`
	// Independent asks all questions of a conversation at once and answers
	// each without the others, as the original does; otherwise each question
	// follows from the conversation before it.
	Independent bool `json:"independent"`
	// JSON asks for the questions of an independent conversation as JSON, and
	// an endpoint to hold the model to it; otherwise they stand between tags.
	JSON        bool    `json:"json,omitempty"`
	Temperature float64 `json:"temperature"`
	TopP        float64 `json:"top_p"`
	MaxTokens   int     `json:"max_tokens"`
	// Attempts is how often a text that fails a check is asked for.
	Attempts int `json:"attempts"`
	// MinAnswerWords is the shortest answer kept.
	MinAnswerWords int `json:"min_answer_words"`
}

// Defaults are the settings of the BARKA models.
func Defaults() Options {
	return Options{Dataset: "wiki", LongQuantile: 0.75, Turns: 3, Temperature: 0.8, TopP: 0.95, MaxTokens: 512, Attempts: 3, MinAnswerWords: 10}
}

// Validate reports the first setting that makes no sense.
func (o Options) Validate() error {
	switch {
	case o.Dataset == "":
		return badinput.Errorf("synth: dataset has no name")
	case o.LongQuantile < 0 || o.LongQuantile > 1:
		return badinput.Errorf("synth: long_quantile is %g, expected a number from 0 to 1", o.LongQuantile)
	case o.Turns < 1 || o.Turns > 10:
		return badinput.Errorf("synth: turns is %d, expected 1 to 10", o.Turns)
	case o.Temperature < 0 || o.TopP < 0 || o.TopP > 1:
		return badinput.Errorf("synth: temperature %g and top_p %g: expected a temperature of at least 0 and top_p from 0 to 1", o.Temperature, o.TopP)
	case o.LongChars < 0:
		return badinput.Errorf("synth: long_chars is %d, expected 0 (use long_quantile) or a length", o.LongChars)
	case o.MaxTokens < 1 || o.Attempts < 1:
		return badinput.Errorf("synth: max_tokens %d and attempts %d must be positive", o.MaxTokens, o.Attempts)
	case o.JSON && !o.Independent:
		return badinput.Errorf("synth: json is for independent conversations; set independent too")
	}
	return nil
}

// Estimate is what a run will ask of the model.
type Estimate struct {
	Passages     int   `json:"passages"`
	Long         int   `json:"long"`
	Threshold    int   `json:"threshold_chars"`
	Calls        int   `json:"calls"`
	PromptTokens int64 `json:"prompt_tokens"` // at four characters a token
	MaxTokens    int64 `json:"max_completion_tokens"`
}

// Cost is the price of it all, at most, by the prices of a million tokens.
func (e Estimate) Cost(prompt, completion float64) float64 {
	return (float64(e.PromptTokens)*prompt + float64(e.MaxTokens)*completion) / 1e6
}

// Plan reads the passages and says what a run will ask of the model if no
// text has to be asked for twice.
func Plan(ctx context.Context, o Options, passages string) (Estimate, error) {
	if err := o.Validate(); err != nil {
		return Estimate{}, err
	}
	lengths, err := lengths(ctx, passages)
	if err != nil {
		return Estimate{}, err
	}
	e := Estimate{Passages: len(lengths), Threshold: threshold(o, lengths)}
	for _, n := range lengths {
		calls := 2
		if n >= e.Threshold {
			e.Long++
			calls = 2 * o.Turns
			if o.Independent {
				calls = 1 + o.Turns
			}
		}
		e.Calls += calls
		e.PromptTokens += int64(calls * (n + 500) / 4)
		e.MaxTokens += int64(calls * o.MaxTokens)
	}
	return e, nil
}

func lengths(ctx context.Context, path string) ([]int, error) {
	var ns []int
	for p, err := range pipeline.Rows[pipeline.Passage](ctx, path) {
		if err != nil {
			return nil, err
		}
		ns = append(ns, chars(p))
	}
	return ns, nil
}

func chars(p pipeline.Passage) int { return len([]rune(p.Text)) }

// threshold is the length from which a passage is long: the quantile, the
// lower of two neighbours.
func threshold(o Options, lengths []int) int {
	if o.LongChars > 0 {
		return o.LongChars
	}
	if len(lengths) == 0 {
		return math.MaxInt
	}
	sorted := slices.Sorted(slices.Values(lengths))
	i := int(o.LongQuantile * float64(len(sorted)))
	if i >= len(sorted) {
		return math.MaxInt
	}
	return sorted[i]
}

// Run writes the instructions of the passages in io.In["passages"].
func Run(ctx context.Context, o Options, client llm.Client, io pipeline.IO) (*pipeline.Manifest, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.Model = client.Name()
	run, err := pipeline.Begin(io.Out, pipeline.Identity{Stage: "synth", Version: version, Options: o, Inputs: io.In, Seed: io.Seed}, io.Restart)
	if err != nil {
		return nil, err
	}
	defer run.Close()
	if run.Done() {
		return run.Manifest(), nil
	}
	path := io.In["passages"]
	all, err := lengths(ctx, path)
	if err != nil {
		return nil, err
	}
	w := &writer{o: o, client: client, seed: io.Seed, long: threshold(o, all)}
	mo := pipeline.MapOptions[pipeline.Passage]{
		Key: func(p pipeline.Passage) string { return p.ID }, Workers: max(io.Workers, 1), Progress: io.Progress, Total: len(all),
	}
	if err := pipeline.Map(ctx, run, pipeline.Rows[pipeline.Passage](ctx, path), mo, w.write); err != nil {
		return nil, err
	}
	final, err := totals(run)
	if err != nil {
		return nil, err
	}
	if err := run.Finish(final); err != nil {
		return nil, err
	}
	return run.Manifest(), nil
}

// totals counts what the manifest tells of the rows.
func totals(run *pipeline.Run) (pipeline.Final, error) {
	f := pipeline.Final{Counts: map[string]int64{"single": 0, "multi": 0}, Tokens: map[string]int64{"prompt": 0, "completion": 0}}
	for r, err := range pipeline.Outputs[pipeline.Instruction](run) {
		if err != nil {
			return f, err
		}
		kind := "single"
		if len(r.Messages) > 2 {
			kind = "multi"
		}
		f.Counts[kind]++
		f.Tokens["prompt"] += int64(r.PromptTokens)
		f.Tokens["completion"] += int64(r.CompletionTokens)
	}
	return f, nil
}

// writer turns passages into instructions.
type writer struct {
	o      Options
	client llm.Client
	seed   int64
	long   int
}

// record gathers one instruction's texts and its provenance.
type record struct {
	w       *writer
	passage pipeline.Passage
	row     pipeline.Instruction
}

func (w *writer) write(ctx context.Context, p pipeline.Passage) ([]pipeline.Instruction, error) {
	if strings.TrimSpace(p.Text) == "" || p.ID == "" {
		return nil, &pipeline.Reject{Reason: "empty_passage"}
	}
	r := &record{w: w, passage: p}
	kind, form, turns := "single", pipeline.FormQuestion, 1
	if chars(p) >= w.long {
		kind, form, turns = "multi", pipeline.FormConversation, w.o.Turns
	}
	r.row = pipeline.Instruction{
		ID: pipeline.ContentID("synth", kind, p.ID), Dataset: w.o.Dataset + "-" + kind, Form: form, PassageID: p.ID, Title: p.Title, URL: p.URL,
		Licence: p.Licence, Language: "eng_Latn", Generator: w.client.Name(), PromptDigest: w.o.promptDigest(kind),
		Seed: pipeline.RecordSeed(w.seed, p.ID, "synth"),
	}
	var err error
	if kind == "multi" && w.o.Independent {
		err = r.independent(ctx, turns)
	} else {
		err = r.conversation(ctx, turns)
	}
	if err != nil {
		return nil, err
	}
	return []pipeline.Instruction{r.row}, nil
}

// conversation asks and answers turn by turn, each knowing those before.
func (r *record) conversation(ctx context.Context, turns int) error {
	for turn := range turns {
		question, answer := "question.txt", "answer.txt"
		if turn > 0 {
			question, answer = "followup.txt", "followup_answer.txt"
		}
		d := r.data()
		q, err := r.ask(ctx, fmt.Sprintf("question/%d", turn), question, d, r.checkQuestion)
		if err != nil {
			return err
		}
		d.Question = q
		a, err := r.ask(ctx, fmt.Sprintf("answer/%d", turn), answer, d, r.checkAnswer)
		if err != nil {
			return err
		}
		r.add(q, a)
	}
	return nil
}

// independent asks for all questions in one call and answers each alone.
func (r *record) independent(ctx context.Context, turns int) error {
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
	for i, q := range questions {
		d := r.data()
		d.Question = q
		a, err := r.ask(ctx, fmt.Sprintf("answer/%d", i), "answer.txt", d, r.checkAnswer)
		if err != nil {
			return err
		}
		r.add(q, a)
	}
	return nil
}

func (r *record) add(question, answer string) {
	r.row.Messages = append(r.row.Messages, pipeline.Message{Role: "user", Content: question}, pipeline.Message{Role: "assistant", Content: answer})
}

// data is what the prompts may use.
type data struct {
	Title, Passage, Question, Conversation string
	Turns                                  int
}

func (r *record) data() data {
	d := data{Title: r.passage.Title, Passage: r.passage.Text, Turns: r.w.o.Turns}
	if r.passage.Section != "" {
		d.Title += ": " + r.passage.Section
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

// ask gets a text that passes check, trying again with other seeds; check
// returns the cleaned text or a reason against it.
func (r *record) ask(ctx context.Context, step, prompt string, d data, check func(string) (text, reason string)) (string, error) {
	var b strings.Builder
	if err := prompts.ExecuteTemplate(&b, prompt, d); err != nil {
		return "", err
	}
	var schema map[string]any
	if prompt == questionsJSON {
		schema = questionsSchema(r.w.o.Turns)
	}
	reason := ""
	for attempt := range r.w.o.Attempts {
		resp, err := r.w.client.Complete(ctx, llm.Request{
			Messages:    []pipeline.Message{{Role: "user", Content: strings.TrimSpace(b.String())}},
			Temperature: r.w.o.Temperature, TopP: r.w.o.TopP, MaxTokens: r.w.o.MaxTokens,
			Seed:       pipeline.RecordSeed(r.w.seed, r.passage.ID, fmt.Sprintf("synth/%s/%d", step, attempt)),
			JSONSchema: schema,
		})
		var tooLong *llm.TooLong
		if errors.As(err, &tooLong) {
			return "", &pipeline.Reject{Reason: "passage_too_long", Detail: err.Error()}
		}
		if err != nil {
			return "", err
		}
		r.row.PromptTokens += int32(resp.PromptTokens)
		r.row.CompletionTokens += int32(resp.CompletionTokens)
		r.row.FinishReason = resp.FinishReason
		if resp.FinishReason != llm.FinishStop {
			reason = "finish_" + code(resp.FinishReason)
			continue
		}
		text, why := check(resp.Text)
		if why == "" {
			return text, nil
		}
		reason = why
	}
	return "", &pipeline.Reject{Reason: reason, Detail: fmt.Sprintf("%s, after %d attempts", step, r.w.o.Attempts)}
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
func (o Options) promptDigest(kind string) string {
	names := []string{"question.txt", "answer.txt"}
	if kind == "multi" {
		names = append(names, "followup.txt", "followup_answer.txt")
		if o.Independent {
			names = []string{o.questionsPrompt(), "answer.txt"}
		}
	}
	h := sha256.New()
	for _, n := range names {
		data, err := promptFiles.ReadFile("prompts/" + n)
		if err != nil {
			panic(err) // the files are part of the program
		}
		h.Write(data)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
