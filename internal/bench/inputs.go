package bench

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"

	"barka/internal/atomicfile"
)

// Inputs are the token ids that the works on a shape run on. They depend on the
// shape alone, so that another program that reads them does the same work.
type Inputs struct {
	Prefill   *Prefill   `json:"prefill,omitempty"`
	Decode    *Decode    `json:"decode,omitempty"`
	LoRA      *LoRA      `json:"lora,omitempty"`
	Choice    []Choice   `json:"choice,omitempty"`
	Translate *Translate `json:"translate,omitempty"`
	// LongDecode and LargeLoRA are larger ones, of a GPU.
	LongDecode *Decode `json:"long_decode,omitempty"`
	LargeLoRA  *LoRA   `json:"large_lora,omitempty"`
}

// Prefill is one prompt, run up to its first new token.
type Prefill struct {
	Prompt []int32 `json:"prompt"`
}

// Decode continues the first Batches[i] prompts together, each by Tokens tokens.
// The token that ends a prefill is not counted.
type Decode struct {
	Batches []int     `json:"batches"`
	Prompts [][]int32 `json:"prompts"`
	Tokens  int       `json:"tokens"`
}

// LoRA is the batch of an optimiser step. The tokens from TrainFrom on are the
// targets.
type LoRA struct {
	Rank      int       `json:"rank"`
	Sequences [][]int32 `json:"sequences"`
	TrainFrom int       `json:"train_from"`
}

// Choice is a set of questions whose choices are scored. Questions is a sample of
// a benchmark. The leaderboard's lighteval sorts all requests of a benchmark by
// length, longest first, cuts them into four parts and pads each part to its
// longest request. Padded holds these four lengths for the whole benchmark.
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

// Translate runs beam search for the first Batches[i] sources together. Every
// output has Tokens tokens after Start and ForcedBOS; none ends earlier.
type Translate struct {
	Batches   []int     `json:"batches"`
	Sources   [][]int32 `json:"sources"`
	Start     int32     `json:"start"`
	ForcedBOS int32     `json:"forced"`
	Beams     int       `json:"beams"`
	Tokens    int       `json:"tokens"`
}

// Inputs returns the inputs of the works on s.
func (s *Shape) Inputs() Inputs {
	if s.Seq2Seq() {
		t := &Translate{Batches: []int{1, 16, 64}, Start: 2, ForcedBOS: 5, Beams: 5, Tokens: 38}
		for i := range 64 {
			t.Sources = append(t.Sources, append(s.tokens(uint64(i), 31), 2))
		}
		return Inputs{Translate: t}
	}
	return Inputs{
		Prefill: &Prefill{s.tokens(1, 1024)},
		Decode:  s.decode([]int{1, 8}, 16, 48),
		LoRA:    s.lora(128, 4, 512),
		Choice:  []Choice{s.choice("mmlu-like", mmlu, mmluPadded), s.choice("hellaswag-like", hellaswag, hellaswagPadded)},
	}
}

// lengths holds the numbers of tokens of a question's prompt and of its choices.
type lengths struct {
	prompt  int
	choices [4]int
}

// mmlu and hellaswag hold the lengths of sixteen questions each, at equally spaced
// quantiles of a benchmark's prompt lengths. They are in Gemma's tokens, with the
// leaderboard's prompts. mmlu comes from every seventh question of Arabic MMLU.
// hellaswag comes from every seventh question of HellaSwag's English validation
// set, times 1.51, the ratio of Arabic to English tokens in NTREX.
// reference/bench/lengths.py computes them.
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

// choice makes a question of each element: one prompt and its choices.
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

// tokens returns n random ids, none of them special.
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
