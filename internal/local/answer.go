package local

import (
	"context"

	"barka/internal/eval"
	"barka/internal/generate"
)

var _ eval.Generator = (*Evaluated)(nil)

// Generate implements eval.Generator. Answers are of their own prompts alone,
// however many are decoded together.
func (e *Evaluated) Generate(ctx context.Context, prompts []string, n int, conversation bool, done func(prompt int, text string) error) error {
	tok := e.d.Tokenizer
	stop, err := e.d.EndTokens(tok.Special().EOS)
	if err != nil {
		return err
	}
	if conversation {
		format, err := e.format()
		if err != nil {
			return err
		}
		ends, err := format.Stop()
		if err != nil {
			return err
		}
		stop = append(stop, ends...)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // gives up what is under way after an error
	calls := make([]*generate.Call, len(prompts))
	for i, prompt := range prompts {
		ids, limit := tok.Encode(prompt, true), e.MaxLength()
		if cut := len(ids) - (limit - 1); cut > 0 {
			ids = ids[cut:]
		}
		var err error
		calls[i], err = e.d.Generator().Submit(ctx, generate.Request{
			Prompt: ids, MaxNewTokens: min(n, limit-len(ids)), Stop: stop, Tokenizer: tok,
		})
		if err != nil {
			return err
		}
	}
	for i, call := range calls {
		r, err := call.Wait()
		if err != nil {
			return err
		}
		if err := done(i, r.Text); err != nil {
			return err
		}
	}
	return nil
}
