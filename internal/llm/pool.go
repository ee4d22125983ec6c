package llm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"barka/internal/badinput"
)

// Pool is a Client of several endpoints. A request goes to the first that has a free place
// within its limits. An endpoint that cannot be used at all is left out from then on, and
// its requests go to the others.
type Pool struct {
	name string
	note func(string)

	mu      sync.Mutex
	members []*member
	changed chan struct{} // closed when a place becomes free or an endpoint is left out
}

type member struct {
	*HTTP
	places int   // free ones
	left   error // why the endpoint is left out
}

// NewPool returns a client of the endpoints, which all serve the model of that name. The
// settings of base apply to all of them; the others are each endpoint's own.
func NewPool(model string, endpoints []Server, base Options) (*Pool, error) {
	p := &Pool{name: model, note: base.Note, changed: make(chan struct{})}
	if p.note == nil {
		p.note = func(string) {}
	}
	if len(endpoints) == 0 {
		return nil, badinput.Errorf("model %s has no endpoint", model)
	}
	seen := map[string]bool{}
	for _, e := range endpoints {
		o := base
		o.BaseURL, o.Model, o.KeyVariable = e.Endpoint, e.Model, e.KeyVariable
		if o.Model == "" {
			o.Model = model
		}
		o.RequestsPerMinute, o.TokensPerMinute, o.PriceIn, o.PriceOut = e.RequestsPerMinute, e.TokensPerMinute, e.PriceIn, e.PriceOut
		c, err := NewHTTP(o)
		if err != nil {
			return nil, err
		}
		if key := o.BaseURL + " " + o.Model + " " + o.KeyVariable; seen[key] {
			return nil, badinput.Errorf("endpoint %s is given twice; give it once, with a larger concurrency", o.BaseURL)
		} else {
			seen[key] = true
		}
		p.members = append(p.members, &member{HTTP: c, places: max(e.Concurrency, 1)})
	}
	return p, nil
}

// Name implements Client.
func (p *Pool) Name() string { return p.name }

// Complete implements Client.
func (p *Pool) Complete(ctx context.Context, r Request) (Response, error) {
	all, err := p.Samples(ctx, r, 1)
	if err != nil {
		return Response{}, err
	}
	return all[0], nil
}

// Samples implements Sampler. A request that one endpoint leaves unanswered is sent to
// each of the others once.
func (p *Pool) Samples(ctx context.Context, r Request, n int) ([]Response, error) {
	var failed error
	tried := map[*member]bool{}
	for {
		m, err := p.acquire(ctx, r.tokens(n), tried)
		if err != nil {
			return nil, err
		}
		if m == nil && failed == nil {
			failed = p.reason()
		}
		if m == nil {
			return nil, failed
		}
		all, err := m.samples(ctx, r, n, true)
		p.release(m)
		var request *RequestError
		var long *TooLong
		switch {
		case err == nil || ctx.Err() != nil || errors.As(err, &long):
			return all, err
		case errors.As(err, &request):
			if request.Kind != Unanswered {
				return nil, err
			}
		default:
			p.leave(m, err)
		}
		tried[m], failed = true, err
	}
}

// acquire takes a place at the first endpoint that is free. It returns nil if all of them
// have been tried or are left out.
func (p *Pool) acquire(ctx context.Context, tokens int, tried map[*member]bool) (*member, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p.mu.Lock()
		m, wait, candidates := p.free(tokens, tried)
		changed := p.changed
		p.mu.Unlock()
		if m != nil || candidates == 0 {
			return m, nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// free takes a place at an endpoint if one is free within its limits; the endpoint with the
// most free places comes first. Otherwise wait is the time after which to look again.
// candidates is the number of endpoints that the request may still be sent to.
func (p *Pool) free(tokens int, tried map[*member]bool) (m *member, wait time.Duration, candidates int) {
	wait = maxPause
	for _, m := range slices.SortedStableFunc(slices.Values(p.members), func(a, b *member) int { return b.places - a.places }) {
		if m.left != nil || tried[m] {
			continue
		}
		candidates++
		if m.places == 0 {
			continue
		}
		until := m.limits.tryReserve(tokens)
		if until <= 0 {
			m.places--
			return m, 0, candidates
		}
		wait = min(wait, until)
	}
	return nil, wait, candidates
}

// reason returns why an endpoint was left out.
func (p *Pool) reason() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.members {
		if m.left != nil {
			return m.left
		}
	}
	return errors.New("no endpoint is left")
}

func (p *Pool) release(m *member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.places++
	p.wake()
}

// leave leaves an endpoint out from now on.
func (p *Pool) leave(m *member, why error) {
	p.mu.Lock()
	first := m.left == nil
	if first {
		m.left = why
		p.wake()
	}
	others := 0
	for _, o := range p.members {
		if o.left == nil {
			others++
		}
	}
	p.mu.Unlock()
	if first && others > 0 {
		p.note(fmt.Sprintf("%v; this endpoint is left out, and %d others go on", why, others))
	}
}

// wake lets waiting requests look again. The caller holds p.mu.
func (p *Pool) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}
