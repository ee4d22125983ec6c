package translate

import (
	"fmt"
	"path/filepath"
	"testing"

	"barka/internal/durable"
)

// TestMemoryIsBounded puts more sentences into the memory of a run than it keeps, and finds
// all of them.
func TestMemoryIsBounded(t *testing.T) {
	run, err := durable.Begin(filepath.Join(t.TempDir(), "out"), durable.Identity{Stage: "translate"}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	m := newMemory(run.Journal())
	const sentences = 3 * memorySentences
	for i := range sentences {
		if err := m.put(fmt.Sprint(i), Translation{Cut: i}); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < sentences; i += 7 {
		if tr, ok, err := m.get(fmt.Sprint(i)); err != nil || !ok || tr.Cut != i {
			t.Fatalf("sentence %d: %+v, %v, %v", i, tr, ok, err)
		}
	}
	if n := len(m.known) + len(m.before); n > 2*memorySentences {
		t.Errorf("%d sentences in memory", n)
	}
}
