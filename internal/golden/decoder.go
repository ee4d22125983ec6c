package golden

// Decoders names the checkpoints of causal language models.
var Decoders = []string{"gemma2", "gemma2-bf16", "gptneox", "gptneox-sequential", "llama", "llama-tied", "mistral", "qwen2", "qwen2-window",
	"gemma3", "gemma3-images", "qwen3", "qwen3-window", "hunyuan", "smollm3"}

// Trained names the checkpoints in Decoders that have an adapter and recorded training.
var Trained = []string{"gemma2", "gptneox", "gptneox-sequential", "llama", "qwen2", "gemma3", "qwen3", "hunyuan", "smollm3"}

// Variants names the adapters of reference/lora_variants.py, in Dir("lora-variants"), by the
// checkpoint that they adapt.
var Variants = map[string][]string{
	"gemma2":  {"dora", "rslora", "full", "full-embeddings"},
	"gptneox": {"dora", "rslora", "layers", "full"},
	"qwen2":   {"dora-rslora", "full-head"},
	"llama":   {"pattern"},
}

// Decoder is golden.json of a causal language model.
type Decoder struct {
	Sequences [][]int32 `json:"sequences"`
	Masks     [][]int   `json:"masks"` // 1 where a token is trained
	Losses    []float64 `json:"losses"`
	Greedy    []struct {
		Prompt   []int32   `json:"prompt"`
		Tokens   []int32   `json:"tokens"`
		LogProbs []float64 `json:"logprobs"`
	} `json:"greedy"`
	LogLikelihoods []struct {
		Context      []int32   `json:"context"`
		Continuation []int32   `json:"continuation"`
		LogProbs     []float64 `json:"logprobs"`
		Greedy       bool      `json:"greedy"`
	} `json:"loglikelihoods"`
	LoRALoss      float64 `json:"lora_loss"`
	TrainedTokens int     `json:"trained_tokens"`
	Steps         []Step  `json:"steps"`
}

// Step is one optimiser step: the loss before it, the gradients' norm before clipping, and the rate.
type Step struct {
	Batches  [][]int `json:"batches"` // micro-batches of sequence numbers
	Loss     float64 `json:"loss"`
	GradNorm float64 `json:"grad_norm"`
	LR       float64 `json:"lr"`
}

// Beams is golden.json of beam search.
type Beams struct {
	Sources [][]int32 `json:"sources"`
	Targets [][]int32 `json:"targets"`
	Code    int32     `json:"code"`
	// Attention is that of a pair's source tokens, as generate.Hypothesis has it.
	Attention [][]float64 `json:"attention"`
	Cases     []struct {
		Beams         int            `json:"beams"`
		MaxLength     int            `json:"max_length"`
		LengthPenalty float64        `json:"length_penalty"`
		EarlyStopping any            `json:"early_stopping"` // false, true or "never"
		NoRepeatNGram int            `json:"no_repeat_ngram"`
		Outputs       [][]Hypothesis `json:"outputs"` // of each source, best first
	} `json:"beams"`
	Ends struct { // several end tokens
		EOS     []int32        `json:"eos"`
		Outputs [][]Hypothesis `json:"outputs"`
	} `json:"ends"`
	Unforced struct {
		Tokens []int32 `json:"tokens"`
		Score  float64 `json:"score"`
	} `json:"unforced"`
}

// Hypothesis is an output of beam search. The reference gives greedy outputs no score.
type Hypothesis struct {
	Tokens []int32  `json:"tokens"`
	Score  *float64 `json:"score"`
}
