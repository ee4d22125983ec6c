package backend

import (
	"barka/internal/hub"
	"barka/internal/lora"
	"barka/internal/model"
	"barka/internal/tokenizer"
)

// Outline describes a model by its small files: configuration, tokenizer, and the names
// and shapes of its tensors.
type Outline struct {
	Dir       string
	Tokenizer *tokenizer.Tokenizer
	// Shape is nil for encoder-decoder models.
	Shape *model.Shape
	// Parameters counts the values of the tensors, tied ones once.
	Parameters int64
}

// Outline reads a model's Outline. It returns an error for everything that would keep
// the model from being opened later, except damaged weights.
func (e *Engine) Outline(name string, encoderDecoder bool) (*Outline, error) {
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
	l := &Outline{Dir: dir}
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
	return l, checkVocabulary(name, l.Tokenizer, l.Shape.Vocab)
}

// CheckChat returns the error that Decoder.Chat would return.
func (l *Outline) CheckChat() error {
	_, _, err := answering(l.Tokenizer)
	return err
}

// CheckEval returns an error if evaluation cannot pad the model's inputs.
func (l *Outline) CheckEval() error {
	_, err := newEvalTokenizer("model "+l.Dir, l.Tokenizer)
	return err
}

// CheckTargets returns an error if the model lacks a target of an adapter.
func (l *Outline) CheckTargets(targets []string) error {
	var names []string
	for _, linear := range l.Shape.Linears {
		names = append(names, linear.Name)
	}
	if len(targets) == 1 && targets[0] == lora.AllLinear {
		return nil
	}
	return lora.NewTargets(targets).Check(names)
}

// CheckAdapter returns an error if the adapter belongs to another model. It reads no
// values.
func (l *Outline) CheckAdapter(adapter string) error {
	cfg, err := lora.ReadConfig(adapter)
	if err != nil {
		return err
	}
	return model.CheckAdapter(adapter, cfg, l.Shape.Linears, l.Shape.Info)
}
