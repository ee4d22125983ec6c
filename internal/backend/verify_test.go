package backend

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/lora"
	"barka/internal/model"
	"barka/internal/progress"
	"barka/internal/stage/merge"
)

// someAdapter writes an adapter of testdata/chain's model with nonzero matrices.
func someAdapter(t *testing.T, e *Engine, alpha float64) string {
	t.Helper()
	d, err := e.OpenDecoder(gemma, "")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	a, err := model.NewAdapter(d.Model, lora.Config{Rank: 4, Alpha: alpha, Targets: lora.Targets{Pattern: lora.AllLinear}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range a.Pairs {
		values := make([]float32, p.B.Len())
		for i := range values {
			values[i] = float32(math.Sin(float64(i))) / 8
		}
		e.Device.Upload(p.B, values)
	}
	dir := t.TempDir()
	if err := a.Save(e.Device, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestVerifyMerge: a correct merge passes, with differences far below the changes by the
// adapter.
func TestVerifyMerge(t *testing.T) {
	e := engine(t, 2)
	adapter, out := someAdapter(t, e, 4), filepath.Join(t.TempDir(), "merged")
	v, err := e.Merge(t.Context(), gemma, adapter, out, &Verification{}, progress.Silent)
	if err != nil {
		t.Fatal(err)
	}
	if v.Texts != 16 || v.Tokens < 200 || v.Largest > v.Bound || v.Bound != VerifyBounds[v.Stored] || v.Mean > v.Largest || v.Mean <= 0 ||
		v.AdapterMean < 5*v.Mean || v.Blind() {
		t.Errorf("%+v", v)
	}
	t.Log(v)
	// An existing merged model is compared too.
	again, err := e.Merge(t.Context(), gemma, adapter, out, &Verification{Texts: []string{"Dates are sweet."}, Bound: 50}, progress.Silent)
	if err != nil || again.Texts != 1 || !again.Blind() {
		t.Errorf("%+v, %v", again, err)
	}
}

// TestVerifyRefusesWrongMerges: a model merged with twice the alpha is refused. A new one
// is not written, and an existing one stays.
func TestVerifyRefusesWrongMerges(t *testing.T) {
	e := engine(t, 2)
	right, wrong, out := someAdapter(t, e, 4), someAdapter(t, e, 8), filepath.Join(t.TempDir(), "merged")
	check, err := e.verifier(gemma, right, &Verification{})
	if err != nil {
		t.Fatal(err)
	}
	origin := merge.Origin{Base: "b", Adapter: "a", Verify: func(dir string) error {
		_, err := check.run(t.Context(), dir, progress.Silent)
		return err
	}}
	err = merge.Run(t.Context(), e.Device, gemma, wrong, out, origin, progress.Silent)
	if err == nil || badinput.Is(err) || !strings.Contains(err.Error(), "is not base and adapter: in text") {
		t.Fatalf("a wrong merge: %v", err)
	}
	if left, _ := filepath.Glob(out + "*"); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	origin.Verify = nil
	if origin.Base, err = Digest(gemma); err == nil {
		origin.Adapter, err = Digest(right)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := merge.Run(t.Context(), e.Device, gemma, wrong, out, origin, progress.Silent); err != nil {
		t.Fatal(err)
	}
	v, err := e.Merge(t.Context(), gemma, right, out, &Verification{}, progress.Silent)
	if err == nil || !strings.Contains(err.Error(), "was merged before and is left as it is") || v.Largest <= v.Bound {
		t.Errorf("a wrong model that was there: %+v, %v", v, err)
	}
	if _, err := os.Stat(filepath.Join(out, "model.safetensors")); err != nil {
		t.Error(err)
	}
}

// TestVerifyRefusesBadInput: input that cannot be compared is refused before anything is
// merged.
func TestVerifyRefusesBadInput(t *testing.T) {
	e := engine(t, 1)
	adapter, out := someAdapter(t, e, 4), filepath.Join(t.TempDir(), "merged")
	for _, c := range []struct {
		base string
		v    Verification
		want string
	}{
		{gemma, Verification{Texts: []string{}}, "expected a text"},
		{gemma, Verification{Texts: []string{"a b", ""}}, "text 2"},
		{gemma, Verification{Bound: -1}, "verify-bound is -1"},
		{gemma, Verification{Bound: math.NaN()}, "verify-bound is NaN"},
		{nllb, Verification{}, "encoder-decoder"},
		{gemma, Verification{Texts: []string{strings.Repeat("a long story ", 5000)}}, "the longest input of the model"},
	} {
		_, err := e.Merge(t.Context(), c.base, adapter, out, &c.v, progress.Silent)
		if !badinput.Is(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, expected %q", err, c.want)
		}
		if left, _ := filepath.Glob(out + "*"); len(left) > 0 {
			t.Errorf("%s: left %v", c.want, left)
		}
	}
}

// TestMergeNamesAnotherBase: an adapter that was trained on another base model is merged with a
// note that names both digests.
func TestMergeNamesAnotherBase(t *testing.T) {
	e := engine(t, 2)
	var notes []string
	e.Log = func(note string) { notes = append(notes, note) }
	adapter := someAdapter(t, e, 4)
	state := filepath.Join(adapter, "trainer_state.json")
	base, err := Digest(gemma)
	if err != nil {
		t.Fatal(err)
	}
	for digest, want := range map[string]int{base + "-f32": 0, "another-f32": 1} {
		notes = nil
		if err := os.WriteFile(state, []byte(`{"model_digest": "`+digest+`"}`), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Merge(t.Context(), gemma, adapter, filepath.Join(t.TempDir(), "out"), nil, progress.Silent); err != nil {
			t.Fatal(err)
		}
		if len(notes) != want || want == 1 && (!strings.Contains(notes[0], "digest another,") || !strings.Contains(notes[0], base)) {
			t.Errorf("trained on %s: notes %q", digest, notes)
		}
	}
}

// TestVerifyCountsWeightsOfItsOwn: what an adapter changes includes a head of its own.
func TestVerifyCountsWeightsOfItsOwn(t *testing.T) {
	e := engine(t, 2)
	d, err := e.OpenDecoder(gemma, "")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	cfg := lora.Config{Rank: 2, Alpha: 2, ModulesToSave: lora.Strings{"lm_head"}, Targets: lora.Targets{List: []string{"q_proj"}}}
	a, err := model.NewAdapter(d.Model, cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	e.Device.Scale(a.Full[0].Value, 1.5)
	dir := t.TempDir()
	if err := a.Save(e.Device, dir); err != nil {
		t.Fatal(err)
	}
	v, err := e.Merge(t.Context(), gemma, dir, filepath.Join(t.TempDir(), "out"), &Verification{}, progress.Silent)
	if err != nil {
		t.Fatal(err)
	}
	if v.Blind() || v.Largest > v.Bound || v.AdapterLargest < 0.1 {
		t.Errorf("%+v", v)
	}
}
