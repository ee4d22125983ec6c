package record

import "barka/internal/eval/tasks"

// Model describes a model in the files of a run.
type Model struct {
	Name      string `json:"name"`
	Info      ModelInfo
	MaxLength int   `json:"max_length"` // longest input, in tokens
	EOS       int32 `json:"eos"`        // the end-of-text token, which also pads
}

// ModelInfo identifies a model's weights. Its JSON is part of the identity of an
// evaluation.
type ModelInfo struct {
	// SHA is the revision on the hub, or empty.
	SHA string
	// DType is the number type of the weights in the reference's spelling,
	// such as torch.bfloat16.
	DType string
	// Size is the memory of the weights, such as "17.21 GB"; see
	// lighteval.FormatBytes.
	Size string
	// Digest identifies the weights and AdapterDigest the adapter, if there is one.
	// Scores are reused only under equal digests, DType and maximum length.
	Digest, AdapterDigest string
	// Paid is set if every answer costs money, so that none is requested without
	// need.
	Paid bool `json:",omitempty"`
}

// Settings holds the options on which the files of a run depend. Its JSON is part of the
// identity of an evaluation and of the manifests of shards.
type Settings struct {
	MaxSamples      int                `json:"max_samples"`
	BatchSize       int                `json:"batch_size"`
	Leaderboard     tasks.Leaderboard  `json:"leaderboard"`
	Boundary        TokenBoundary      `json:"border"`
	AlGhafa         tasks.ChoiceFormat `json:"alghafa_choices"`
	UseChatTemplate bool               `json:"use_chat_template"`
	SystemPrompt    string             `json:"system_prompt"`
	NoDetails       bool               `json:"no_details"`
	JobID           string             `json:"job_id"`
	Judge           string             `json:"judge,omitempty"` // name; empty without one
}

// TokenBoundary selects how a prompt and a choice become tokens. A token may span both.
type TokenBoundary string

const (
	// Joint encodes prompt and choice together and takes the tokens after the
	// prompt's own number of tokens. If a token spans both, tokens of the choice are
	// lost. The reference of 2024-05 does this.
	Joint TokenBoundary = "joint"
	// Guarded is Joint, but if no token is left for the choice, the choice is the
	// last token, which spans both (lighteval from 0.6).
	Guarded TokenBoundary = "guarded"
	// Pairwise encodes prompt and choice separately (an option of lighteval from
	// 0.6).
	Pairwise TokenBoundary = "pairwise"
)

// TokenBoundaries lists the values of TokenBoundary.
var TokenBoundaries = []TokenBoundary{Joint, Guarded, Pairwise}
