package bench

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"

	"barka/internal/atomicfile"
)

// Inputs are the token ids that the works on a shape run on. They depend on
// the shape alone, so another program that reads them does the same work.
type Inputs struct {
	Prefill   *Prefill   `json:"prefill,omitempty"`
	Decode    *Decode    `json:"decode,omitempty"`
	LoRA      *LoRA      `json:"lora,omitempty"`
	Choice    []Choice   `json:"choice,omitempty"`
	Translate *Translate `json:"translate,omitempty"`
}

// Prefill is one prompt, run up to its first new token.
type Prefill struct {
	Prompt []int32 `json:"prompt"`
}

// Decode continues the first Batches[i] prompts together, each by Tokens
// tokens after the one that ends its prefill, which is not counted.
type Decode struct {
	Batches []int     `json:"batches"`
	Prompts [][]int32 `json:"prompts"`
	Tokens  int       `json:"tokens"`
}

// LoRA is a batch of an optimiser step; the tokens from TrainFrom on are
// predicted.
type LoRA struct {
	Rank      int       `json:"rank"`
	Sequences [][]int32 `json:"sequences"`
	TrainFrom int       `json:"train_from"`
}

// Choice is a set of questions whose choices are scored.
type Choice struct {
	Name      string     `json:"name"`
	Questions []Question `json:"questions"`
}

// Question is a context and the continuations to score after it.
type Question struct {
	Context       []int32   `json:"context"`
	Continuations [][]int32 `json:"continuations"`
}

// Translate searches Tokens tokens after Start and Forced for the first
// Batches[i] sources together; no sentence ends earlier.
type Translate struct {
	Batches []int     `json:"batches"`
	Sources [][]int32 `json:"sources"`
	Start   int32     `json:"start"`
	Forced  int32     `json:"forced"`
	Beams   int       `json:"beams"`
	Tokens  int       `json:"tokens"`
}

// Inputs returns what the works on s run on.
func (s *Shape) Inputs() Inputs {
	if s.Seq2Seq() {
		t := &Translate{Batches: []int{1, 16}, Start: 2, Forced: 5, Beams: 5, Tokens: 38}
		for i := range 16 {
			t.Sources = append(t.Sources, append(s.tokens(uint64(i), 31), 2))
		}
		return Inputs{Translate: t}
	}
	in := Inputs{
		Prefill: &Prefill{s.tokens(1, 1024)},
		Decode:  &Decode{Batches: []int{1, 8}, Tokens: 48},
		LoRA:    &LoRA{Rank: 128, TrainFrom: 256},
		Choice:  []Choice{s.choice("mmlu-like", 200, 4, 1), s.choice("hellaswag-like", 80, 4, 30)},
	}
	for i := range 8 {
		in.Decode.Prompts = append(in.Decode.Prompts, s.tokens(uint64(i), 16))
	}
	for i := range 4 {
		in.LoRA.Sequences = append(in.LoRA.Sequences, s.tokens(uint64(i), 512))
	}
	return in
}

// choice makes eight questions: prompt tokens that the choices share, and
// length tokens of each.
func (s *Shape) choice(name string, prompt, choices, length int) Choice {
	c := Choice{Name: name}
	for i := range 8 {
		q := Question{Context: s.tokens(uint64(i), prompt)}
		for j := range choices {
			q.Continuations = append(q.Continuations, s.tokens(uint64(100+i*choices+j), length))
		}
		c.Questions = append(c.Questions, q)
	}
	return c
}

// tokens are n random ids that are no special ones.
func (s *Shape) tokens(seed uint64, n int) []int32 {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(10 + r.IntN(s.dim("vocab_size")-10))
	}
	return out
}

// WriteInputs writes inputs.json into a checkpoint's directory.
func (s *Shape) WriteInputs(dir string) error {
	data, err := json.Marshal(s.Inputs())
	if err != nil {
		return fmt.Errorf("inputs of %s: %w", s, err)
	}
	return atomicfile.WriteFile(filepath.Join(dir, "inputs.json"), append(data, '\n'))
}
