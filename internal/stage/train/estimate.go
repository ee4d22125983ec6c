package train

import (
	"context"

	"barka/internal/chat"
	"barka/internal/model"
	"barka/internal/tokenizer"
)

// Estimate is what a run will take.
type Estimate struct {
	Data       *Data   `json:"data"`
	Steps      int     `json:"steps"`
	Tokens     int64   `json:"tokens_all_epochs"`
	Parameters int64   `json:"trainable_parameters"`
	FLOP       float64 `json:"flop"` // rough: forward, backward of activations, adapters
	Memory     int64   `json:"memory_bytes"`
}

// Plan tokenizes the data and estimates a run without training.
func Plan(ctx context.Context, o Options, in Input) (*Estimate, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	m, err := in.Open()
	if err != nil {
		return nil, err
	}
	d, err := Read(ctx, o, in.Train, in.Tokenizer, m.Info().MaxPositions)
	if err != nil {
		return nil, err
	}
	var layers []model.Linear
	for _, l := range m.Linears() {
		n, k := l.Dims()
		layers = append(layers, model.Linear{Name: l.Name, N: n, K: k})
	}
	return Forecast(o, layers, m.Info(), d.Samples(), d)
}

// Read tokenizes a dataset as a run with the options would.
func Read(ctx context.Context, o Options, path string, tok *tokenizer.Tokenizer, positions int) (*Data, error) {
	format, err := chat.Open(tok, o.chat())
	if err != nil {
		return nil, err
	}
	return Load(ctx, path, format, o.MaxLength, positions)
}

// CheckChat refuses a model whose chat format cannot be trained.
func (o Options) CheckChat(tok *tokenizer.Tokenizer) error {
	_, err := chat.Open(tok, o.chat())
	return err
}

// Forecast estimates a run on a number of conversations by the shape of the
// model alone. Of the data it uses the sums of tokens and the longest
// conversation, which may be estimates themselves.
func Forecast(o Options, layers []model.Linear, info model.Info, conversations int, d *Data) (*Estimate, error) {
	e := &Estimate{Data: d, Steps: o.Epochs * stepsPerEpoch(conversations, o.Batch), Tokens: int64(o.Epochs) * d.Tokens}
	var linear, activations int64
	cfg := o.lora("")
	for _, l := range layers {
		linear += int64(l.N) * int64(l.K)
		activations += int64(l.N) * 4
		if ok, err := cfg.Targets.Match(l.Name); err == nil && ok {
			_, rank := cfg.Scale(l.Name)
			e.Parameters += int64(rank) * int64(l.N+l.K)
		} else if err != nil {
			return nil, err
		}
	}
	head := int64(info.Vocab) * int64(info.Hidden)
	e.FLOP = float64(e.Tokens)*(4*float64(linear)+6*float64(e.Parameters)) + float64(int64(o.Epochs)*d.Trained)*4*float64(head)
	size := int64(info.DType.Size())
	rows := int64(min(o.MicroTokens, max(d.Longest, 1)*o.Batch))
	e.Memory = size*(linear+head) + 16*e.Parameters + rows*(activations+int64(info.Layers*info.Hidden)*6*4) + 256<<20
	return e, nil
}
