package record

import "barka/internal/eval/tasks"

// Model describes a model in the files of a run.
type Model struct {
	Name      string `json:"name"`
	Info      ModelInfo
	MaxLength int   `json:"max_length"` // of one input, in tokens
	EOS       int32 `json:"eos"`        // the end-of-text token, which also pads
}

// ModelInfo identifies a model's weights. Its JSON is part of the identity of an
// evaluation.
type ModelInfo struct {
	// SHA is the revision on the hub, empty when there is none.
	SHA string
	// DType is the number type of the weights in the reference's spelling,
	// such as torch.bfloat16.
	DType string
	// Size is the memory of the weights, such as "17.21 GB"; see
	// lighteval.FormatBytes.
	Size string
	// Digest identifies the weights and AdapterDigest the adapter on top,
	// empty without one. Scores are reused only under equal digests, DType
	// and maximal length.
	Digest, AdapterDigest string
	// Paid reports that every answer has a price, so that none is asked for
	// without need.
	Paid bool `json:",omitempty"`
}

// Settings are the options that the files of a run depend on. Their JSON is part
// of the identity of an evaluation and of the manifests of shards.
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

// TokenBoundary says how a prompt and a choice become tokens where a token may
// span both.
type TokenBoundary string

const (
	// Joint encodes prompt and choice together and takes what follows the
	// prompt's own number of tokens. Where a token spans both, tokens of the
	// choice are lost. This is the reference of 2024-05.
	Joint TokenBoundary = "joint"
	// Guarded is Joint, but where nothing is left for the choice, it is the last
	// token, which spans both (lighteval from 0.6 on).
	Guarded TokenBoundary = "guarded"
	// Pairwise encodes prompt and choice separately (an option of lighteval from
	// 0.6 on).
	Pairwise TokenBoundary = "pairwise"
)

// TokenBoundaries lists the values of TokenBoundary.
var TokenBoundaries = []TokenBoundary{Joint, Guarded, Pairwise}
