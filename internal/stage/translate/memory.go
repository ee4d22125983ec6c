package translate

import (
	"cmp"
	"context"
	"fmt"
	"sync"

	"barka/internal/cpu"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/progress"
	"barka/internal/tokenizer"
	"barka/internal/translationmemory"
)

// route is the way to a translation of a text.
type route int8

const (
	usual      route = iota // by the translator with the run's settings
	every                   // the same, with all hypotheses
	unrepeated              // the same, without repeated sequences of tokens
	second                  // by the second translator
	routes
)

// request is a text to be translated by a route.
type request struct {
	via  route
	text string
	to   string // target language, "" for Options.To
	term Term   // of the text, if the model takes one
}

// shared is the request's text in a shared memory.
func (r request) shared() string {
	if r.term.Source == "" {
		return r.text
	}
	return r.text + "\x00" + r.term.Source + "\x00" + r.term.Target
}

// Request returns what the translator gets.
func (r request) Request() Request {
	if r.via == unrepeated {
		return Request{r.text, noRepeatNGram, r.to, r.term}
	}
	return Request{Text: r.text, To: r.to, Term: r.term}
}

// key is the request's key in the journal.
func (r request) key() string {
	key := [routes]string{"segment ", "every ", "unrepeated ", "second "}[r.via] + dataset.ContentID(r.shared())
	if r.to != "" {
		key = "into " + r.to + " " + key
	}
	return key
}

// memory knows the translations of a run: a text is translated once, however often it
// occurs. The latest ones are in memory, all of them in the run's journal, and those of
// other runs in a file that runs share. It is safe for concurrent use.
type memory struct {
	journal *durable.Journal // nil keeps all texts in memory
	shared  sharedMemory

	mu            sync.Mutex
	known, before map[request]Translation
	counts        MemoryCounts
	pace          pace

	share func(to string) (sharedMemory, error) // for other target languages
	into  map[string]sharedMemory
}

// sharedOf returns the part of the shared memory for a request, nil if there is none. The
// caller holds m.mu.
func (m *memory) sharedOf(r request) (*translationmemory.Memory[Translation], error) {
	if r.to == "" || m.shared[usual] == nil {
		return m.shared[r.via], nil
	}
	shared, open := m.into[r.to]
	if !open {
		var err error
		if shared, err = m.share(r.to); err != nil {
			return nil, err
		}
		m.into[r.to] = shared
	}
	return shared[r.via], nil
}

// sharedMemory has the translations of other runs by route; nil is none.
type sharedMemory [routes]*translationmemory.Memory[Translation]

// MemoryCounts are the texts that a run asked for, each once.
type MemoryCounts struct {
	Translated int64 `json:"translated"` // by the model
	Remembered int64 `json:"remembered"` // by earlier runs, in the shared memory
}

// memoryTexts is how many texts known holds before it takes the place of before.
const memoryTexts = 16 << 10

func newMemory(j *durable.Journal, shared sharedMemory) *memory {
	return &memory{journal: j, shared: shared, known: map[request]Translation{}, into: map[string]sharedMemory{}}
}

// memoryVersion changes when the same model and settings give other translations.
const memoryVersion = 2

// settings are everything that a translation depends on. They are the key of the
// translations in a shared memory.
type settings struct {
	Version  int    `json:"version"`
	Model    string `json:"model"` // digest of the weights, with their type
	Kernels  string `json:"kernels"`
	From     string `json:"from"`
	To       string `json:"to"`
	Decoding `json:"decoding"`
	// Attention: it is known which source tokens the outputs ignore.
	Attention bool  `json:"attention,omitempty"`
	Every     bool  `json:"every,omitempty"` // with all hypotheses
	Drawn     int   `json:"drawn,omitempty"` // outputs, if there are several and they are drawn
	Seed      int64 `json:"seed,omitempty"`  // if outputs are drawn
}

// share returns the parts of a shared memory that hold translations by these options. They
// are nil for a translator whose weights are unknown.
func (o Options) share(ctx context.Context, t Tools, seed int64) (shared sharedMemory, err error) {
	if t.Memory == nil {
		return shared, nil
	}
	first := settings{Version: memoryVersion, Model: o.ModelDigest, Kernels: cpu.Current().String(), From: tokenizer.NLLBCode(o.From),
		To: tokenizer.NLLBCode(o.To), Decoding: o.Decoding, Attention: o.Attends(), Every: o.NumReturn > 1}
	if o.Temperature > 0 {
		first.Seed = seed
		if o.NumReturn > 1 {
			first.Drawn = o.NumReturn
		}
	}
	var by [routes]settings
	for via := range by {
		by[via] = first
	}
	by[every].Every = true
	by[unrepeated].NoRepeatNGram = noRepeatNGram
	by[second] = settings{Version: memoryVersion, Model: o.SecondDigest, Kernels: first.Kernels, From: first.From, To: first.To}
	for via, s := range by {
		if s.Model == "" || route(via) == second && t.ForgetSecond {
			continue
		}
		if shared[via], err = translationmemory.For[Translation](ctx, t.Memory, s); err != nil {
			return shared, err
		}
	}
	return shared, nil
}

func (m *memory) get(r request) (tr Translation, ok bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if tr, ok := m.known[r]; ok || m.journal == nil {
		return tr, ok, nil
	}
	tr, ok = m.before[r]
	if !ok {
		ok, err = m.journal.Get(r.key(), &tr)
	}
	if ok && err == nil {
		m.keep(r, tr)
	}
	if ok || err != nil {
		return tr, err == nil, err
	}
	shared, err := m.sharedOf(r)
	if err == nil && shared != nil {
		if tr, ok, err = shared.Get(r.shared()); ok && err == nil {
			m.counts.Remembered++
			err = cmp.Or(m.pace.known(r), m.journal.Put(r.key(), tr))
		}
	}
	if ok && err == nil {
		m.keep(r, tr)
	}
	return tr, ok && err == nil, err
}

func (m *memory) put(r request, tr Translation) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Translated++
	m.keep(r, tr)
	if m.journal == nil {
		return nil
	}
	if err := m.pace.translated(r, tr); err != nil {
		return err
	}
	shared, err := m.sharedOf(r)
	if err == nil && shared != nil {
		err = shared.Put(r.shared(), tr)
	}
	if err != nil {
		return err
	}
	return m.journal.Put(r.key(), tr)
}

func (m *memory) keep(r request, tr Translation) {
	if len(m.known) >= memoryTexts && m.journal != nil {
		m.known, m.before = map[request]Translation{}, m.known
	}
	m.known[r] = tr
}

// report reports where the texts of this process came from. It is no part of the dataset,
// which does not depend on what a shared memory knows.
func (m *memory) report(p progress.Reporter) {
	if m.shared[usual] != nil {
		text := fmt.Sprintf("translate: %d sentences by the model, %d from the memory of earlier runs", m.counts.Translated,
			m.counts.Remembered)
		progress.Event(progress.OrSilent(p), "translations", text, m.counts)
	}
}
