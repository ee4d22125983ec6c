package translate

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"barka/internal/durable"
	"barka/internal/translationmemory"
)

// TestMemoryOfOtherRuns: a second run, into another directory or of other data with the
// same sentences, asks the model for nothing that the first one asked for, and its output is
// that of a run without a memory. Other options and other weights find nothing.
func TestMemoryOfOtherRuns(t *testing.T) {
	in, path := input(t), filepath.Join(t.TempDir(), "memory.db")
	run := func(o Options, tools Tools) (rows string) {
		t.Helper()
		f, err := translationmemory.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		tools.Memory = f
		out := filepath.Join(t.TempDir(), "out")
		_, err = Run(t.Context(), o, tools, durable.Env{Out: out, In: map[string]string{"instructions": in}})
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		manifest, err := os.ReadFile(filepath.Join(out, "manifest.json"))
		if err != nil {
			t.Fatal(err)
		}
		return text(t, out) + string(manifest)
	}
	o := Defaults()
	o.ModelDigest = "weights"
	first, second := &fakeTranslator{}, &fakeTranslator{}
	want, got := run(o, Tools{Translator: first}), run(o, Tools{Translator: second})
	if len(first.asked) == 0 || len(second.asked) > 0 || got != want {
		t.Errorf("asked %q, then %q; the output is the same: %v", first.asked, second.asked, got == want)
	}
	changed := map[string]func(*Options){
		"beam": func(o *Options) { o.Beam = 4 }, "target": func(o *Options) { o.To = "arz_Arab" },
		"weights": func(o *Options) { o.ModelDigest = "others" }, "unknown weights": func(o *Options) { o.ModelDigest = "" },
	}
	for name, change := range changed {
		o, f := o, &fakeTranslator{}
		change(&o)
		run(o, with(f))
		if len(f.asked) != len(first.asked) {
			t.Errorf("%s: asked %q", name, f.asked)
		}
	}
	// What the two languages' codes are called does not matter.
	o.From, o.To = "en", "ar"
	f := &fakeTranslator{}
	if run(o, with(f)); len(f.asked) > 0 {
		t.Errorf("with M2M-100's codes: asked %q", f.asked)
	}
}

// TestMemoryIsBounded puts more sentences into the memory of a run than it keeps, and finds
// all of them.
func TestMemoryIsBounded(t *testing.T) {
	run, err := durable.Begin(filepath.Join(t.TempDir(), "out"), durable.Identity{Stage: "translate"}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	m := newMemory(run.Journal(), sharedMemory{})
	const sentences = 3 * memoryTexts
	for i := range sentences {
		if err := m.put(request{text: fmt.Sprint(i)}, Translation{Cut: i}); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < sentences; i += 7 {
		if tr, ok, err := m.get(request{text: fmt.Sprint(i)}); err != nil || !ok || tr.Cut != i {
			t.Fatalf("sentence %d: %+v, %v, %v", i, tr, ok, err)
		}
	}
	if n := len(m.known) + len(m.before); n > 2*memoryTexts {
		t.Errorf("%d sentences in memory", n)
	}
}
