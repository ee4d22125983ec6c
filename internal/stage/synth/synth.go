// Package synth writes instructions from passages with a language model: one
// question and answer for an ordinary passage, a conversation of three turns
// for the longest ones. The settings are those of the BARKA models. The prompts
// are files: those in prompts/, or the user's own.
package synth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/llm"
)

// version changes when the same options would give another output.
const (
	version = 5
	changed = "questions must be of the kind that was drawn; answers that repeat themselves or the prompt are rejected"
)

// Options are everything that changes what synth writes.
type Options struct {
	// Dataset names the rows; "-single" and "-multi" are added.
	Dataset string `json:"dataset"`
	// Model is the generator's name, for provenance.
	Model string `json:"model"`
	// ModelDigest identifies its weights, if they are available.
	ModelDigest string `json:"model_digest,omitempty"`
	// Prompts is a directory with a set of prompts; "" is the shipped set. The
	// dataset's identity has PromptsDigest, which identifies the set's content.
	Prompts       string `json:"prompts,omitempty"`
	PromptsDigest string `json:"prompts_digest,omitempty"`
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
	Temperature float64 `json:"temperature"` // 0 takes the likeliest token
	TopP        float64 `json:"top_p"`       // draws among the likeliest tokens with this sum of probabilities
	MaxTokens   int     `json:"max_tokens"`  // of one answer of the model
	// Attempts is how often a text that fails a check is asked for.
	Attempts int `json:"attempts"`
	// Repair is how often a text that fails a check is first asked for with the
	// complaint, after each attempt.
	Repair int `json:"repair"`
	// SkipChecks names checks of the texts that are left out.
	SkipChecks []string `json:"skip_checks,omitempty"`
	// MinAnswerWords is the shortest answer kept.
	MinAnswerWords int `json:"min_answer_words"`
	// Judge is the name of the model that scores answers, and JudgeDigest identifies its
	// weights, if they are available; "" is no judge.
	Judge       string `json:"judge,omitempty"`
	JudgeDigest string `json:"judge_digest,omitempty"`
	// JudgeThreshold is the least score that is kept, from 1 to 5.
	JudgeThreshold float64 `json:"judge_threshold,omitempty"`
	// BestOf is how many answers are asked for at first, of which the best is kept.
	BestOf int `json:"best_of,omitempty"`
	// Pairs writes pairs/: kept answers beside worse ones, for DPO. PairMargin is the least
	// difference of their scores if neither failed a check.
	Pairs      bool    `json:"pairs,omitempty"`
	PairMargin float64 `json:"pair_margin,omitempty"`
	// MinTurns is how many turns a conversation must have to be kept when the
	// next turn fails.
	MinTurns int `json:"min_turns"`

	// MaxFailuresInARow and MaxFailureShare say when so many requests fail that
	// the run stops; 0 is never. They change no row and are not part of the
	// dataset's identity.
	MaxFailuresInARow int     `json:"max_failures_in_a_row,omitempty"`
	MaxFailureShare   float64 `json:"max_failure_share,omitempty"`

	// Concurrency is the number of passages that are worked on at once; at least
	// 1 is used. It changes no row.
	Concurrency int `json:"-"`
}

// Defaults are the settings of the BARKA models, but for the temperature: theirs was 0.8, at
// which a small model loses a third of the rows to the checks (docs/data.md).
func Defaults() Options {
	return Options{Dataset: "wiki", LongQuantile: 0.75, Turns: 3, Temperature: 0.5, TopP: 0.95, MaxTokens: 512,
		Attempts: 3, Repair: 1, MinAnswerWords: 10,
		JudgeThreshold: 4, BestOf: 1, PairMargin: 2, MinTurns: 2, MaxFailuresInARow: 20, MaxFailureShare: 0.2, Concurrency: 8}
}

// maxBestOf is the largest n that endpoints accept.
const maxBestOf = 128

// Models are what a run asks. Judge may be nil.
type Models struct{ Generator, Judge llm.Client }

// recorded returns the options that belong to the dataset's identity.
func (o Options) recorded(models Models, prompts *Prompts) Options {
	o.Model, o.PromptsDigest, o.Prompts = models.Generator.Name(), prompts.Digest(), ""
	o.MaxFailuresInARow, o.MaxFailureShare = 0, 0
	if o.BestOf == 1 {
		o.BestOf = 0
	}
	o.Judge = ""
	if models.Judge != nil {
		o.Judge = models.Judge.Name()
	} else {
		o.JudgeThreshold, o.JudgeDigest = 0, ""
	}
	if !o.Pairs || models.Judge == nil {
		o.PairMargin = 0
	}
	return o
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
	case o.Temperature < 0 || !(o.TopP > 0 && o.TopP <= 1):
		return badinput.Errorf("synth: temperature %g and top_p %g: expected a temperature of at least 0 and top_p "+
			"above 0, up to 1 (off)", o.Temperature, o.TopP)
	case o.LongChars < 0:
		return badinput.Errorf("synth: long_chars is %d, expected 0 (use long_quantile) or a length", o.LongChars)
	case o.MaxTokens < 1 || o.Attempts < 1:
		return badinput.Errorf("synth: max_tokens %d and attempts %d must be positive", o.MaxTokens, o.Attempts)
	case o.Repair < 0 || o.Repair > 10:
		return badinput.Errorf("synth: repair is %d, expected 0 to 10", o.Repair)
	case !(o.JudgeThreshold >= minScore && o.JudgeThreshold <= maxScore):
		return badinput.Errorf("synth: judge_threshold is %g, expected a score from %d to %d", o.JudgeThreshold, minScore, maxScore)
	case o.BestOf < 1 || o.BestOf > maxBestOf:
		return badinput.Errorf("synth: best_of is %d, expected 1 to %d", o.BestOf, maxBestOf)
	case !(o.PairMargin > 0 && o.PairMargin <= maxScore-minScore):
		return badinput.Errorf("synth: pair_margin is %g, expected a difference of scores, above 0 and up to %d",
			o.PairMargin, maxScore-minScore)
	case o.MinTurns < 1:
		return badinput.Errorf("synth: min_turns is %d, expected 1 or more", o.MinTurns)
	case o.MaxFailuresInARow < 0:
		return badinput.Errorf("synth: max_failures_in_a_row is %d, expected 0 (never stop) or more", o.MaxFailuresInARow)
	case o.MaxFailureShare < 0 || o.MaxFailureShare > 1:
		return badinput.Errorf("synth: max_failure_share is %g, expected a number from 0 (never stop) to 1", o.MaxFailureShare)
	case o.JSON && !o.Independent:
		return badinput.Errorf("synth: json is for independent conversations; set independent too")
	}
	for _, name := range o.SkipChecks {
		if !slices.Contains(Checks(), name) {
			return badinput.Errorf("synth: skip_checks: there is no check %s%s; the checks are %s", name,
				suggestion(name, Checks()), strings.Join(Checks(), ", "))
		}
	}
	return nil
}

// lengths counts passages by their length in characters, of which there are some thousand
// different ones.
type lengths map[int]int

// of counts the passages at path, and returns their number.
func (l lengths) of(ctx context.Context, path string) (total int, err error) {
	for p, err := range dataset.Rows[dataset.Passage](ctx, path) {
		if err != nil {
			return 0, err
		}
		l[chars(p)]++
		total++
	}
	return total, nil
}

func chars(p dataset.Passage) int { return len([]rune(p.Text)) }

// threshold is the length from which one of total passages is long: the quantile, the
// lower of two neighbours.
func (l lengths) threshold(o Options, total int) int {
	if o.LongChars > 0 {
		return o.LongChars
	}
	rest := int(o.LongQuantile * float64(total)) // shorter ones
	for _, n := range slices.Sorted(maps.Keys(l)) {
		if rest -= l[n]; rest < 0 {
			return n
		}
	}
	return math.MaxInt
}

// Run writes the instructions of the passages in env.In["passages"]. A passage
// whose request fails is rejected, with what the endpoint said; env.Retry asks
// again about such passages, also of a finished directory.
func Run(ctx context.Context, o Options, models Models, env durable.Env) (*dataset.Manifest, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	prompts, err := LoadPrompts(o.Prompts)
	if err != nil {
		return nil, err
	}
	if err := checkJudge(models, prompts); err != nil {
		return nil, err
	}
	if err := checkPassages(env.In["passages"]); err != nil {
		return nil, err
	}
	id := durable.Identity{Stage: "synth", Version: version, Changed: changed, Options: o.recorded(models, prompts)}
	ran := false
	m, err := durable.ExecuteAgain(ctx, env, id, func(m *dataset.Manifest) bool { return Failed(m) > 0 },
		func(run *durable.Run) (durable.Final, error) {
			ran = true
			return o.write(ctx, models, prompts, run, env)
		})
	if err != nil {
		return nil, err
	}
	if n := Failed(m); n > 0 && ran {
		env.Progress.Note(fmt.Sprintf("the requests of %d passages failed; the same command with --retry-rejected asks again", n))
	}
	return m, nil
}

// write writes the instructions of a run.
func (o Options) write(ctx context.Context, models Models, prompts *Prompts, run *durable.Run, env durable.Env) (
	final durable.Final, err error) {
	path := env.In["passages"]
	all := lengths{}
	total, err := all.of(ctx, path)
	if err != nil {
		return final, err
	}
	w := &writer{o: o, client: models.Generator, judge: models.Judge, prompts: prompts, seed: env.Seed,
		long: all.threshold(o, total), calls: run.Journal()}
	if run.Reopened() {
		if err := w.restore(ctx, run, env); err != nil {
			return final, err
		}
	}
	mo := durable.MapOptions[dataset.Passage]{
		Key: passageID, Workers: o.Concurrency, Progress: env.Progress, Total: total, Rejected: reflect.TypeFor[Rejected](),
		Failures: durable.Failures{InARow: o.MaxFailuresInARow, Share: o.MaxFailureShare}, Retry: env.Retry,
	}
	if err := durable.Map(ctx, run, dataset.Rows[dataset.Passage](ctx, path), mo, w.write); err != nil {
		return final, advice(err)
	}
	return w.totals(run)
}

// Failed is the number of records of a finished directory that env.Retry takes
// up again.
func Failed(m *dataset.Manifest) (n int64) {
	for name, count := range m.Counts {
		reason, ok := strings.CutPrefix(name, "rejected_")
		if !ok {
			reason, ok = strings.CutPrefix(name, "shortened_")
		}
		if ok && strings.HasPrefix(reason, failedPrefix) {
			n += count
		}
	}
	return n
}

// advice adds what to do when too many requests failed.
func advice(err error) error {
	var many *durable.TooManyFailures
	if !errors.As(err, &many) {
		return err
	}
	if many.InARow > 0 {
		return fmt.Errorf("%w (--max-failures-in-a-row sets how many are too many)", err)
	}
	return fmt.Errorf("%w; the same command goes on with the others, with --retry-rejected also with these "+
		"(--max-failure-share sets what share is too many)", err)
}

func passageID(p dataset.Passage) string { return p.ID }

// checkPassages refuses rows of another kind, and an input without rows.
func checkPassages(path string) error {
	if err := dataset.Require(path, dataset.Passages); err != nil {
		return err
	}
	n, err := dataset.Count(path)
	if err == nil && n == 0 {
		err = badinput.Errorf("%s holds no passages, so there is nothing to ask about", path)
	}
	return err
}

// totals counts the rows for the manifest, and writes down pairs, what was spent, and the
// answers that shortened conversations leave out.
func (w *writer) totals(run *durable.Run) (durable.Final, error) {
	f := durable.Final{Counts: map[string]int64{"single": 0, "multi": 0}, Tokens: map[string]int64{"prompt": 0, "completion": 0}}
	l := &ledger{run: run, final: &f, judged: w.judge != nil}
	var notes *durable.Writer[Shortened]
	var pairs *durable.Writer[Pair]
	for r, err := range durable.Outputs[dataset.Instruction](run) {
		if err != nil {
			return f, err
		}
		countRow(f.Counts, r)
		spent, err := w.spent(r.PassageID)
		if err != nil {
			return f, err
		}
		if err := l.add(spent.of(r), true); err != nil {
			return f, err
		}
		n, err := w.writePairs(run, &pairs, r.PassageID)
		if err != nil {
			return f, err
		}
		if w.o.Pairs {
			f.Counts["pairs"] += n
		}
		if r.Shortened == "" {
			continue
		}
		if notes == nil {
			if notes, err = durable.NewNotes[Shortened](run, shortenedDir); err != nil {
				return f, err
			}
		}
		answers, err := w.answers(r.PassageID)
		if err != nil {
			return f, err
		}
		reason := shortenedBy(r.Shortened)
		f.Counts["shortened"]++
		f.Counts["shortened_"+reason]++
		if err := notes.Write(Shortened{PassageID: r.PassageID, Reason: reason, Answers: answers}); err != nil {
			return f, err
		}
	}
	for r, err := range durable.Rejects[Rejected](run) {
		if err != nil {
			return f, err
		}
		spent := total(r.Answers)
		spent.PassageID = r.ID
		if err := l.add(spent, false); err != nil {
			return f, err
		}
	}
	return f, nil
}

// countRow counts a row.
func countRow(counts map[string]int64, r dataset.Instruction) {
	kind := "single"
	if strings.HasSuffix(r.Dataset, "-multi") {
		kind = "multi"
	}
	counts[kind]++
	if r.Repaired > 0 {
		counts["repaired"]++
		counts["repaired_texts"] += int64(r.Repaired)
	}
	for _, k := range strings.Fields(r.Kind) {
		counts["kind_"+k]++
	}
}
