package translate

import (
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

// memory knows the translations of a run: a text is translated once, however often it
// occurs. The latest ones are in memory, all of them in the run's journal, and those of
// other runs in a file that runs share. It is safe for concurrent use.
type memory struct {
	journal *durable.Journal                       // nil keeps all texts in memory
	shared  *translationmemory.Memory[Translation] // nil: none

	mu            sync.Mutex
	known, before map[string]Translation
	counts        MemoryCounts
}

// MemoryCounts are the texts that a run asked for, each once.
type MemoryCounts struct {
	Translated int64 `json:"translated"` // by the model
	Remembered int64 `json:"remembered"` // by earlier runs, in the shared memory
}

// memoryTexts is how many texts known holds before it takes the place of before.
const memoryTexts = 16 << 10

func newMemory(j *durable.Journal, shared *translationmemory.Memory[Translation]) *memory {
	return &memory{journal: j, shared: shared, known: map[string]Translation{}}
}

// memoryVersion changes when the same model and settings give other translations.
const memoryVersion = 1

// settings are everything that a translation depends on. They are the key of the
// translations in a shared memory.
type settings struct {
	Version  int    `json:"version"`
	Model    string `json:"model"` // digest of the weights, with their type
	Kernels  string `json:"kernels"`
	From     string `json:"from"`
	To       string `json:"to"`
	Decoding `json:"decoding"`
}

// share returns the part of a shared memory that holds translations by these options,
// nil if the translator's weights are unknown.
func (o Options) share(ctx context.Context, f *translationmemory.File) (*translationmemory.Memory[Translation], error) {
	if f == nil || o.ModelDigest == "" {
		return nil, nil
	}
	return translationmemory.For[Translation](ctx, f, settings{memoryVersion, o.ModelDigest, cpu.Current().String(),
		tokenizer.NLLBCode(o.From), tokenizer.NLLBCode(o.To), o.Decoding})
}

func (m *memory) get(text string) (tr Translation, ok bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if tr, ok := m.known[text]; ok || m.journal == nil {
		return tr, ok, nil
	}
	tr, ok = m.before[text]
	if !ok {
		ok, err = m.journal.Get(memoryKey(text), &tr)
	}
	if !ok && err == nil && m.shared != nil {
		if tr, ok, err = m.shared.Get(text); ok && err == nil {
			m.counts.Remembered++
			err = m.journal.Put(memoryKey(text), tr)
		}
	}
	if ok && err == nil {
		m.keep(text, tr)
	}
	return tr, ok && err == nil, err
}

func (m *memory) put(text string, tr Translation) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Translated++
	m.keep(text, tr)
	if m.journal == nil {
		return nil
	}
	if m.shared != nil {
		if err := m.shared.Put(text, tr); err != nil {
			return err
		}
	}
	return m.journal.Put(memoryKey(text), tr)
}

func (m *memory) keep(text string, tr Translation) {
	if len(m.known) >= memoryTexts && m.journal != nil {
		m.known, m.before = map[string]Translation{}, m.known
	}
	m.known[text] = tr
}

func memoryKey(text string) string { return "segment " + dataset.ContentID(text) }

// report reports where the texts of this process came from. It is no part of the dataset,
// which does not depend on what a shared memory knows.
func (m *memory) report(p progress.Reporter) {
	if m.shared != nil {
		text := fmt.Sprintf("translate: %d sentences by the model, %d from the memory of earlier runs", m.counts.Translated,
			m.counts.Remembered)
		progress.Event(progress.OrSilent(p), "translations", text, m.counts)
	}
}
