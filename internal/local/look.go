package local

import (
	"barka/internal/badinput"
	"barka/internal/hub"
	"barka/internal/lora"
	"barka/internal/model"
	"barka/internal/tokenizer"
)

// Looked is what can be seen of a model without reading its weights.
type Looked struct {
	Dir       string
	Tokenizer *tokenizer.Tokenizer
	// Shape is nil for encoder-decoder models.
	Shape *model.Shape
	// Parameters counts the values of the tensors, tied ones once.
	Parameters int64
}

// Look opens what is small of a model: its configuration, its tokenizer and
// the shapes of its tensors. It finds what would keep the model from being
// opened later, but for damaged weights.
func (e *Engine) Look(name string, encoderDecoder bool) (*Looked, error) {
	dir, err := hub.Resolve(name)
	if err != nil {
		return nil, err
	}
	if err := model.CheckKind(dir, encoderDecoder); err != nil {
		return nil, err
	}
	o, err := e.options(dir)
	if err != nil {
		return nil, err
	}
	l := &Looked{Dir: dir}
	if l.Parameters, err = countValues(dir); err != nil {
		return nil, err
	}
	if l.Tokenizer, err = tokenizer.Load(dir); err != nil {
		return nil, err
	}
	if encoderDecoder {
		_, err := generation(dir)
		return l, err
	}
	if l.Shape, err = model.MeasureDecoder(dir, o.DType); err != nil {
		return nil, err
	}
	if v := l.Shape.Vocab; l.Tokenizer.VocabSize() > v {
		return nil, badinput.Errorf("model %s: the tokenizer has %d tokens, the model's vocabulary %d; they do not belong together", name, l.Tokenizer.VocabSize(), v)
	}
	return l, nil
}

// Chats refuses a model that Decoder.Chat would refuse.
func (l *Looked) Chats() error {
	_, _, err := answering(l.Tokenizer)
	return err
}

// Evaluates refuses a model that evaluation cannot pad.
func (l *Looked) Evaluates() error {
	if l.Tokenizer.Special().EOS < 0 {
		return badinput.Errorf("model %s: tokenizer_config.json names no eos_token, which evaluation pads with", l.Dir)
	}
	return nil
}

// Adapts refuses targets of an adapter that the model does not have.
func (l *Looked) Adapts(targets []string) error {
	var names []string
	for _, linear := range l.Shape.Linears {
		names = append(names, linear.Name)
	}
	if len(targets) == 1 && targets[0] == lora.AllLinear {
		return nil
	}
	return lora.Targets{List: targets}.Check(names)
}

// Wears refuses an adapter of another model; it reads no values.
func (l *Looked) Wears(adapter string) error {
	cfg, err := lora.ReadConfig(adapter)
	if err != nil {
		return err
	}
	return model.CheckAdapter(adapter, cfg, l.Shape.Linears)
}
