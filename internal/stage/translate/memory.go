package translate

import (
	"barka/internal/dataset"
	"barka/internal/durable"
)

// memory is the translation memory of a run: a sentence is translated once, however often
// it occurs, also across interruptions. The journal has all sentences; the latest ones
// are kept in memory too.
type memory struct {
	journal       *durable.Journal // nil keeps all sentences in memory
	known, before map[string]Translation
}

// memorySentences is how many sentences known holds before it takes the place of before.
const memorySentences = 16 << 10

func newMemory(j *durable.Journal) memory { return memory{journal: j, known: map[string]Translation{}} }

func (m *memory) get(text string) (Translation, bool, error) {
	if tr, ok := m.known[text]; ok || m.journal == nil {
		return tr, ok, nil
	}
	tr, ok := m.before[text]
	if !ok {
		var err error
		if ok, err = m.journal.Get(memoryKey(text), &tr); !ok || err != nil {
			return tr, false, err
		}
	}
	m.keep(text, tr)
	return tr, true, nil
}

func (m *memory) put(text string, tr Translation) error {
	m.keep(text, tr)
	if m.journal == nil {
		return nil
	}
	return m.journal.Put(memoryKey(text), tr)
}

func (m *memory) keep(text string, tr Translation) {
	if len(m.known) >= memorySentences && m.journal != nil {
		m.known, m.before = map[string]Translation{}, m.known
	}
	m.known[text] = tr
}

func memoryKey(text string) string { return "segment " + dataset.ContentID(text) }
