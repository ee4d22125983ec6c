package model

import (
	"barka/internal/nn"
	"barka/internal/tensor"
)

// EmbedAndHead loads the token embeddings [v,d] and the output projection [v,d] of a model
// from two modules. They are the same matrix if tied.
func (w *Weights) EmbedAndHead(m *Transformer, embed, head string, v, d int, tied bool) {
	m.EmbedModule, m.HeadModule, m.Tied = Module(embed), head, tied
	if tied {
		w.Ignore(head + ".weight")
		m.Embed, m.Output = w.Tied(embed+".weight", v, d)
		return
	}
	m.Embed, m.Output = w.Embedding(embed+".weight", v, d), w.Pack(head+".weight", v, d)
}

// RMSNorm loads the weight [d] of a norm.
func (w *Weights) RMSNorm(module string, d int, eps float64) nn.RMSNorm {
	return nn.RMSNorm{W: w.Vector(module+".weight", d), Eps: float32(eps)}
}

// LayerNorm loads weight and bias [d] of a norm.
func (w *Weights) LayerNorm(module string, d int, eps float64) nn.LayerNorm {
	return nn.LayerNorm{W: w.Vector(module+".weight", d), B: w.Vector(module+".bias", d), Eps: float32(eps)}
}

// Attention loads q_proj, k_proj, v_proj and o_proj of a module, for a residual stream
// of width d. bias selects the projections that have a bias.
func (w *Weights) Attention(module string, d int, spec tensor.Attention, freqs []float32, bias Biases) nn.Attention {
	q, kv := spec.Heads*spec.HeadDim, spec.KVHeads*spec.HeadDim
	return nn.Attention{
		Q:    w.Linear(module+".q_proj", q, d, bias.QKV),
		K:    w.Linear(module+".k_proj", kv, d, bias.QKV),
		V:    w.Linear(module+".v_proj", kv, d, bias.QKV),
		O:    w.Linear(module+".o_proj", d, q, bias.O),
		Spec: spec, Freqs: freqs,
	}
}

// Biases selects the projections of an attention that have a bias.
type Biases struct{ QKV, O bool }

// GatedMLP loads gate_proj, up_proj and down_proj of a module, between widths d and ffn.
func (w *Weights) GatedMLP(module string, d, ffn int, act tensor.Activation, bias bool) nn.GatedMLP {
	return nn.GatedMLP{
		Gate: w.Linear(module+".gate_proj", ffn, d, bias),
		Up:   w.Linear(module+".up_proj", ffn, d, bias),
		Down: w.Linear(module+".down_proj", d, ffn, bias),
		Act:  act,
	}
}
