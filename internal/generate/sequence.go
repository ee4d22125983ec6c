package generate

import (
	"math/rand/v2"
	"slices"
)

// sequence is a request being answered.
type sequence struct {
	req     Request
	maxRows int     // cache rows that it can need
	tokens  []int32 // prompt and answer
	rows    []int32 // cache rows of the tokens that have been run
	logps   []float32
	rng     *rand.Rand
	drawn   float64 // the number that the next token is chosen by, if isDrawn
	isDrawn bool
	seen    []int32  // distinct tokens, if the sampling penalises repetition
	isSeen  []uint64 // the same set as bits
	answer  *answer
	finish  string
}

func newSequence(r Request) sequence {
	s := sequence{req: r, tokens: slices.Clip(r.Prompt)}
	if !r.Sampling.greedy() {
		s.rng = rand.New(rand.NewPCG(uint64(r.Sampling.Seed), 0x6261726b61))
	}
	if r.Sampling.penalised() {
		for _, t := range r.Prompt {
			s.see(t)
		}
	}
	if r.Tokenizer != nil {
		s.answer = newAnswer(r.Tokenizer, r.StopStrings, r.OnText)
	}
	return s
}

// begin reserves room for the answer, so that its tokens allocate nothing.
func (s *sequence) begin() {
	if s.logps != nil {
		return // it was preempted and runs again
	}
	room := min(s.req.MaxNewTokens, 4096)
	s.tokens = append(make([]int32, 0, len(s.tokens)+room), s.tokens...)
	s.rows = append(make([]int32, 0, len(s.tokens)+room), s.rows...)
	s.logps = make([]float32, 0, room)
}

// pending returns the number of tokens to run before the next one can be chosen.
func (s *sequence) pending() int { return len(s.tokens) - len(s.rows) }

// last returns the row of the last token that has been run.
func (s *sequence) last() int32 {
	if len(s.rows) == 0 {
		return none
	}
	return s.rows[len(s.rows)-1]
}

func (s *sequence) see(token int32) {
	word, bit := int(token)/64, uint64(1)<<(token%64)
	for len(s.isSeen) <= word {
		s.isSeen = append(s.isSeen, 0)
	}
	if s.isSeen[word]&bit == 0 {
		s.isSeen[word] |= bit
		s.seen = append(s.seen, token)
	}
}

// draw returns the random number that the next token is chosen by. It is the same until accept, so that
// a pass that failed can be repeated.
func (s *sequence) draw() float64 {
	if !s.isDrawn {
		s.drawn, s.isDrawn = s.rng.Float64(), true
	}
	return s.drawn
}

// accept adds the chosen token and ends the answer if it is the last one.
func (s *sequence) accept(c choice, positions int) {
	s.isDrawn = false
	if slices.Contains(s.req.Stop, c.token) {
		s.end(FinishStop)
		return
	}
	run := len(s.tokens)
	s.tokens, s.logps = append(s.tokens, c.token), append(s.logps, c.logp)
	if s.req.OnToken != nil {
		s.req.OnToken(c.token)
	}
	if s.answer != nil && s.answer.push(c.token) {
		s.finish = FinishStop
		return
	}
	if s.req.Sampling.penalised() {
		s.see(c.token)
	}
	if len(s.logps) >= s.req.MaxNewTokens || positions > 0 && run+1 >= positions {
		s.end(FinishLength)
	}
}

// end finishes the answer. The text of its last tokens may still contain a stop
// string.
func (s *sequence) end(finish string) {
	if s.answer != nil && s.answer.end() {
		finish = FinishStop
	}
	s.finish = finish
}

func (s *sequence) result() Result {
	r := Result{Tokens: s.tokens[len(s.req.Prompt):], LogProbs: s.logps, Finish: s.finish}
	if s.answer != nil {
		r.Text = string(s.answer.text)
	}
	return r
}
