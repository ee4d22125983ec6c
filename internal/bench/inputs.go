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

// Choice is a set of questions whose choices are scored. The leaderboard's
// lighteval sorts all requests of a benchmark by their length, longest first,
// cuts them into four parts and pads each to its longest; Padded are these
// four lengths, of the whole benchmark that Questions are a sample of.
type Choice struct {
	Name      string     `json:"name"`
	Questions []Question `json:"questions"`
	Padded    [4]int     `json:"padded"`
}

// Question is a context and the continuations to score after it.
type Question struct {
	Context       []int32   `json:"context"`
	Continuations [][]int32 `json:"continuations"`
}

// Translate searches Tokens tokens after Start and ForcedBOS for the first
// Batches[i] sources together; no sentence ends earlier.
type Translate struct {
	Batches   []int     `json:"batches"`
	Sources   [][]int32 `json:"sources"`
	Start     int32     `json:"start"`
	ForcedBOS int32     `json:"forced"`
	Beams     int       `json:"beams"`
	Tokens    int       `json:"tokens"`
}

// Inputs returns what the works on s run on.
func (s *Shape) Inputs() Inputs {
	if s.Seq2Seq() {
		t := &Translate{Batches: []int{1, 16}, Start: 2, ForcedBOS: 5, Beams: 5, Tokens: 38}
		for i := range 16 {
			t.Sources = append(t.Sources, append(s.tokens(uint64(i), 31), 2))
		}
		return Inputs{Translate: t}
	}
	in := Inputs{
		Prefill: &Prefill{s.tokens(1, 1024)},
		Decode:  &Decode{Batches: []int{1, 8}, Tokens: 48},
		LoRA:    &LoRA{Rank: 128, TrainFrom: 256},
		Choice:  []Choice{s.choice("mmlu-like", mmlu, mmluPadded), s.choice("hellaswag-like", hellaswag, hellaswagPadded)},
	}
	for i := range 8 {
		in.Decode.Prompts = append(in.Decode.Prompts, s.tokens(uint64(i), 16))
	}
	for i := range 4 {
		in.LoRA.Sequences = append(in.LoRA.Sequences, s.tokens(uint64(i), 512))
	}
	return in
}

// lengths are the tokens of a question's prompt and of each of its choices.
type lengths struct {
	prompt  int
	choices [4]int
}

// mmlu and hellaswag hold the lengths of sixteen questions each, which divide
// a benchmark into sixteen parts of equal size by the length of the prompt.
// They are in tokens of Gemma, with the leaderboard's prompts: mmlu of every
// seventh question of Arabic MMLU; hellaswag of every seventh of HellaSwag's
// English validation set, times 1.51, which is what NTREX's Arabic has of its
// English's tokens. reference/bench/lengths.py makes them.
var (
	mmlu = []lengths{
		{72, ones}, {80, ones}, {86, ones}, {92, ones}, {97, ones}, {103, ones}, {109, ones}, {114, ones},
		{119, ones}, {123, ones}, {135, ones}, {148, ones}, {166, ones}, {180, ones}, {202, ones}, {340, ones},
	}
	ones       = [4]int{1, 1, 1, 1}
	mmluPadded = [4]int{1027, 158, 117, 95}
	hellaswag  = []lengths{
		{150, [4]int{11, 18, 14, 17}}, {167, [4]int{29, 17, 18, 18}}, {184, [4]int{17, 12, 23, 21}}, {201, [4]int{27, 18, 24, 35}},
		{231, [4]int{35, 26, 30, 20}}, {307, [4]int{33, 35, 47, 64}}, {331, [4]int{47, 39, 53, 61}}, {345, [4]int{61, 41, 54, 51}},
		{354, [4]int{51, 48, 44, 70}}, {365, [4]int{56, 50, 61, 36}}, {374, [4]int{62, 79, 41, 48}}, {382, [4]int{67, 53, 71, 48}},
		{391, [4]int{70, 61, 53, 58}}, {401, [4]int{39, 80, 73, 59}}, {414, [4]int{77, 71, 68, 33}}, {436, [4]int{70, 64, 61, 76}},
	}
	hellaswagPadded = [4]int{690, 445, 398, 239}
)

// choice makes a question of each element: a prompt that its choices share.
func (s *Shape) choice(name string, questions []lengths, padded [4]int) Choice {
	c := Choice{Name: name, Padded: padded}
	for i, n := range questions {
		q := Question{Context: s.tokens(uint64(i), n.prompt)}
		for j, length := range n.choices {
			q.Continuations = append(q.Continuations, s.tokens(uint64(100+4*i+j), length))
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
