// Package train fine-tunes a model with LoRA: on the answers of conversations, on plain text,
// or on preferences between answers. It has AdamW; a warmed-up schedule; clipping; checkpoints from which a run
// continues to the same bytes. The result is an adapter in PEFT's format.
package train

import (
	"encoding/json"
	"fmt"
	"math"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/lora"
	"barka/internal/optim"
)

// Options are everything that changes what train writes.
type Options struct {
	Rank    int     `json:"rank"`    // of the adapters
	Alpha   float64 `json:"alpha"`   // an adapter is scaled by alpha / rank
	Dropout float64 `json:"dropout"` // share of an adapter's inputs that is dropped
	// Targets are suffixes of module paths, or "all-linear", or one regular expression for
	// whole paths.
	Targets []string `json:"targets"`
	// Exclude are suffixes of module paths that are not adapted, and Layers the numbers of
	// the layers that are; none means all.
	Exclude []string `json:"exclude,omitempty"`
	Layers  []int    `json:"layers,omitempty"`
	RSLoRA  bool     `json:"rslora,omitempty"` // scale by alpha / √rank
	DoRA    bool     `json:"dora,omitempty"`   // train the lengths of the weights' rows too (weight-decomposed LoRA)
	// ModulesToSave are the modules that are trained themselves, without a pair: the
	// embeddings, the output projection, or both.
	ModulesToSave []string `json:"modules_to_save,omitempty"`
	// RankPattern and AlphaPattern have other ranks and alphas for the modules whose paths
	// end with a match of a regular expression.
	RankPattern  map[string]int     `json:"rank_pattern,omitempty"`
	AlphaPattern map[string]float64 `json:"alpha_pattern,omitempty"`
	// Init initialises the pairs: "" as PEFT does by default, gaussian, pissa, pissa_niter_N or
	// olora. See package lora.
	Init string `json:"init,omitempty"`
	// Adapter is the directory of an adapter that training continues. Its configuration takes
	// the place of the fields above.
	Adapter string `json:"adapter,omitempty"`

	LR          float64 `json:"lr"`           // largest learning rate
	Schedule    string  `json:"schedule"`     // cosine, linear, constant
	WarmupRatio float64 `json:"warmup_ratio"` // share of the steps in which the learning rate rises
	WeightDecay float64 `json:"weight_decay"` // of AdamW
	Beta1       float64 `json:"beta1"`        // of AdamW
	Beta2       float64 `json:"beta2"`        // of AdamW
	Eps         float64 `json:"eps"`          // of AdamW
	Clip        float64 `json:"clip"`         // largest gradient norm; 0: none

	// Objective is what is trained: ObjectiveSFT, ObjectiveText or ObjectiveDPO.
	Objective string `json:"objective"`
	// LossNorm is NormTokens or NormLegacy. With NormLegacy, MicroBatch is the number of
	// conversations whose mean loss is one term of the mean.
	LossNorm   string `json:"loss_norm"`
	MicroBatch int    `json:"micro_batch"`
	// Beta is DPO's: how strongly the model is held to the one that it was at the start.
	Beta float64 `json:"beta"`
	// NEFTune is the size of the noise on the embeddings, NEFTune's alpha; 0 is none.
	NEFTune float64 `json:"neftune"`

	Epochs int `json:"epochs"` // passes over the data
	// MaxSteps, if not 0, is the number of optimiser steps, whatever Epochs says.
	MaxSteps int `json:"max_steps,omitempty"`
	// Batch is the number of conversations of an optimiser step. No padding
	// exists, so packing them changes nothing.
	Batch int `json:"batch"`
	// MicroTokens bounds the tokens of one forward and backward pass; 0: 2,048 on the CPU, and on a GPU
	// up to 32,768, as its memory allows.
	MicroTokens int `json:"micro_tokens"`
	// MaxLength bounds a conversation's tokens. A longer one loses its last turns: an answer
	// is trained with its end, or not at all.
	MaxLength int `json:"max_length"`
	// LastTurn trains the last answer of each conversation alone.
	LastTurn bool `json:"last_turn"`
	// ReplayShare is the share of an epoch's conversations that are drawn from the replayed
	// dataset, so that the model does not forget what it could.
	ReplayShare float64 `json:"replay_share"`
	// GroupByLength makes optimiser steps of conversations of similar length.
	GroupByLength bool `json:"group_by_length"`
	// DropDuplicates drops rows whose tokens an earlier row of their set has.
	DropDuplicates bool `json:"drop_duplicates"`
	// ChatFormat names a format for a model without a chat template; ChatDate
	// is today for templates that ask; Thinking is given to those of reasoning
	// models, which otherwise get enable_thinking false. See chat.Options.
	ChatFormat string `json:"chat_format,omitempty"`
	ChatDate   string `json:"chat_date,omitempty"`
	Thinking   bool   `json:"thinking,omitempty"`

	// DType of the base weights as they are packed: f32, bf16 or int8. Whoever
	// opens the model states it; in a recipe "" is the recipe's own dtype.
	DType     string `json:"dtype"`
	EvalSteps int    `json:"eval_steps"` // 0: at the end of each epoch
	// Divergence is how far above its running mean, in nats, the loss may be for several steps
	// before the run is set back to a step before and leaves their batches out; 0 is any.
	Divergence float64 `json:"divergence"`
	// Patience ends the run after so many validations without a smaller loss; 0 is never.
	Patience int `json:"patience"`

	// What follows changes nothing that is trained. Another value continues a run; see
	// running.

	// SaveSteps and SaveMinutes are the steps and the time between checkpoints; 0: never.
	// Keep is the number of checkpoints that are kept.
	SaveSteps   int     `json:"save_steps"`
	SaveMinutes float64 `json:"save_minutes"`
	Keep        int     `json:"keep"`
	// Checkpointing is CheckpointingOn, to keep of each block only its input and to compute
	// the rest again in the backward pass, CheckpointingOff, or CheckpointingAuto, to do so
	// for as many blocks as is needed to fit into the memory.
	Checkpointing string `json:"checkpointing"`
	// MaxDropped is the largest share of a dataset's rows that may be dropped because nothing
	// in them can be trained on.
	MaxDropped float64 `json:"max_dropped"`

	// SamplePrompts is a file of prompts that the model answers while it is trained, each with
	// at most SampleTokens tokens.
	SamplePrompts string `json:"sample_prompts,omitempty"`
	SampleTokens  int    `json:"sample_tokens"`
	// Eval names benchmark tasks on which the model is evaluated while it is trained:
	// EvalMaxSamples questions of each (0: all) from the directory EvalData.
	Eval           string `json:"eval,omitempty"`
	EvalData       string `json:"eval_data,omitempty"`
	EvalMaxSamples int    `json:"eval_max_samples"`
	// Every is the number of steps between samples and evaluations; 0: at each validation, or
	// where one would be.
	Every int `json:"every"`
}

// Values of Objective.
const (
	// ObjectiveSFT is the likelihood of the assistant's answers in conversations.
	ObjectiveSFT = "sft"
	// ObjectiveText is the likelihood of texts: continued pretraining.
	ObjectiveText = "text"
	// ObjectiveDPO prefers the better answer of a pair (Rafailov et al., "Direct Preference
	// Optimization", 2023; the sigmoid loss).
	ObjectiveDPO = "dpo"
)

// Values of LossNorm.
const (
	// NormTokens divides the loss of an optimiser step by its trained tokens.
	NormTokens = "tokens"
	// NormLegacy is the mean of the micro-batches' means, as in transformers before 4.46: a
	// token of a micro-batch with few tokens counts for more.
	NormLegacy = "hf-legacy"
)

// Values of Checkpointing.
const (
	CheckpointingAuto = "auto"
	CheckpointingOn   = "on"
	CheckpointingOff  = "off"
)

// running lists the options that do not belong to a run's identity.
// The identity has the digest of the adapter, not its path.
var running = []string{"save_steps", "save_minutes", "keep", "checkpointing", "max_dropped", "adapter",
	"sample_prompts", "sample_tokens", "eval", "eval_data", "eval_max_samples", "every"}

// Defaults are the published settings of the BARKA models; alpha, epochs and
// batch were not published and are ours.
func Defaults() Options {
	return Options{
		Rank: 128, Alpha: 128, Targets: []string{lora.AllLinear}, LR: 1e-4, Schedule: "cosine", WarmupRatio: 0.03,
		Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Clip: 1, Epochs: 1, Batch: 16, MaxLength: 2048,
		SaveSteps: 50, SaveMinutes: 30, Keep: 2, Checkpointing: CheckpointingAuto, MaxDropped: 0.01,
		Objective: ObjectiveSFT, LossNorm: NormTokens, MicroBatch: 4, Beta: 0.1, Divergence: 4,
		SampleTokens: 128,
	}
}

// Units names what Batch and an epoch count.
func (o Options) Units() string {
	switch o.Objective {
	case ObjectiveDPO:
		return "pairs"
	case ObjectiveText:
		return "packs of texts"
	}
	return "conversations"
}

// steps returns the optimiser steps of a run that takes n conversations per epoch.
func (o Options) steps(n int) int {
	if o.MaxSteps > 0 {
		return o.MaxSteps
	}
	return o.Epochs * stepsPerEpoch(n, o.Batch)
}

// identity returns the options that belong to a run's identity, as JSON.
func (o Options) identity() (json.RawMessage, error) {
	data, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, err
	}
	for _, name := range running {
		delete(all, name)
	}
	return json.Marshal(all)
}

// Validate reports the first setting that makes no sense.
func (o Options) Validate() error {
	switch {
	case o.Rank < 1:
		return badinput.Errorf("train: rank is %d, expected a positive number", o.Rank)
	case o.Alpha <= 0:
		return badinput.Errorf("train: alpha is %g, expected a positive number", o.Alpha)
	case o.Dropout < 0 || o.Dropout >= 1:
		return badinput.Errorf("train: dropout is %g, expected at least 0 and less than 1", o.Dropout)
	case len(o.Targets) == 0:
		return badinput.Errorf("train: targets names no layers; all-linear means every linear layer but the head")
	case o.LR <= 0:
		return badinput.Errorf("train: lr is %g, expected a positive number", o.LR)
	case o.WarmupRatio < 0 || o.WarmupRatio > 1:
		return badinput.Errorf("train: warmup_ratio is %g, expected a number from 0 to 1", o.WarmupRatio)
	case o.Epochs < 1 || o.Batch < 1:
		return badinput.Errorf("train: epochs %d and batch %d must be positive", o.Epochs, o.Batch)
	case o.MicroTokens < 0:
		return badinput.Errorf("train: micro_tokens is %d, expected a positive number, or 0 for that of the device", o.MicroTokens)
	case o.MaxLength < 2:
		return badinput.Errorf("train: max_length is %d, expected at least 2", o.MaxLength)
	case o.Clip < 0 || o.WeightDecay < 0 || o.SaveSteps < 0 || !(o.SaveMinutes >= 0) || o.EvalSteps < 0 || o.MaxSteps < 0 || o.Patience < 0:
		return badinput.Errorf("train: clip, weight_decay, save_steps, save_minutes, eval_steps, max_steps and patience must not be negative")
	case o.Objective != ObjectiveSFT && o.Objective != ObjectiveText && o.Objective != ObjectiveDPO:
		return badinput.Errorf("train: objective is %q, expected sft, text or dpo", o.Objective)
	case o.LossNorm != NormTokens && o.LossNorm != NormLegacy:
		return badinput.Errorf("train: loss_norm is %q, expected tokens or hf-legacy", o.LossNorm)
	case o.LossNorm == NormLegacy && o.Objective == ObjectiveDPO:
		return badinput.Errorf("train: loss_norm hf-legacy is of no effect with objective dpo, whose loss is a mean over pairs")
	case o.LastTurn && o.Objective != ObjectiveSFT:
		return badinput.Errorf("train: last_turn is of no effect with objective %s", o.Objective)
	case !(o.Divergence >= 0):
		return badinput.Errorf("train: divergence is %g, expected at least 0", o.Divergence)
	case o.MicroBatch < 1 || !(o.Beta > 0) || !(o.NEFTune >= 0) || math.IsInf(o.Beta+o.NEFTune, 0):
		return badinput.Errorf("train: micro_batch %d, beta %g, neftune %g: expected a positive micro_batch and beta, and a neftune of "+
			"at least 0", o.MicroBatch, o.Beta, o.NEFTune)
	case !(o.ReplayShare >= 0 && o.ReplayShare < 1):
		return badinput.Errorf("train: replay_share is %g, expected at least 0 and less than 1", o.ReplayShare)
	case !(o.MaxDropped >= 0 && o.MaxDropped <= 1):
		return badinput.Errorf("train: max_dropped is %g, expected a share from 0 to 1", o.MaxDropped)
	case o.SampleTokens < 1 || o.Every < 0 || o.EvalMaxSamples < 0:
		return badinput.Errorf("train: sample_tokens %d, every %d, eval_max_samples %d: expected at least 1 token, and no negative number",
			o.SampleTokens, o.Every, o.EvalMaxSamples)
	case o.Every > 0 && !o.observed():
		return badinput.Errorf("train: every is %d, but nothing is done every %d steps; give sample_prompts or eval", o.Every, o.Every)
	case o.Eval == "" && (o.EvalData != "" || o.EvalMaxSamples > 0):
		return badinput.Errorf("train: eval_data and eval_max_samples are of no effect without eval, the tasks")
	case o.Keep < 1:
		return badinput.Errorf("train: keep is %d, expected at least 1 checkpoint", o.Keep)
	case o.Checkpointing != CheckpointingAuto && o.Checkpointing != CheckpointingOn && o.Checkpointing != CheckpointingOff:
		return badinput.Errorf("train: checkpointing is %q, expected auto, on or off", o.Checkpointing)
	case o.Beta1 < 0 || o.Beta1 >= 1 || o.Beta2 < 0 || o.Beta2 >= 1 || o.Eps <= 0:
		return badinput.Errorf("train: beta1 %g, beta2 %g, eps %g: expected betas from 0 to below 1 and a positive eps", o.Beta1, o.Beta2,
			o.Eps)
	}
	if err := o.chat().Validate(); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	if err := o.checkAdapter(); err != nil {
		return err
	}
	_, err := optim.NewSchedule(o.Schedule, 0, 1)
	return badinput.Wrap(err)
}

// chat returns how conversations are rendered.
func (o Options) chat() chat.Options {
	c := chat.Options{Format: o.ChatFormat, Date: o.ChatDate, Thinking: "off"}
	if o.Thinking {
		c.Thinking = "on"
	}
	return c
}
