package train_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/durable"
	"barka/internal/golden"
	"barka/internal/lora"
	"barka/internal/model"
	"barka/internal/progress"
	"barka/internal/stage/train"
	"barka/internal/testfiles"
)

// trained trains and returns the adapter's directory.
func trained(t *testing.T, o train.Options, in train.Input) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "adapter")
	if _, err := train.Run(t.Context(), o, in, durable.Env{Out: out, Seed: 3, Progress: progress.Silent}); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestContinuesAnAdapter: training goes on from the values of an adapter, with its rank,
// targets, magnitudes and scale, and writes an adapter of the same form. A learning rate of
// nearly nothing shows where it starts.
func TestContinuesAnAdapter(t *testing.T) {
	data := coffee(t)
	first := options()
	first.Rank, first.Alpha, first.DoRA, first.RSLoRA, first.Targets = 3, 5, true, true, []string{"q_proj", "up_proj"}
	first.RankPattern = map[string]int{`layers\.1\..*`: 2}
	from := trained(t, first, input(t, data, ""))

	still := train.Defaults()
	still.Epochs, still.Batch, still.LR, still.DType, still.Adapter = 1, 2, 1e-30, "f32", from
	again := trained(t, still, input(t, data, ""))
	want, got := testfiles.Tree(t, from), testfiles.Tree(t, again)
	if got[lora.WeightsFile] != want[lora.WeightsFile] {
		t.Error("after steps that change nothing, the weights are not those of the continued adapter")
	}
	if got[lora.ConfigFile] != want[lora.ConfigFile] {
		t.Errorf("configuration %s, want %s", got[lora.ConfigFile], want[lora.ConfigFile])
	}

	more := still
	more.LR, more.Epochs = 2e-3, 3
	state := func(dir string) (s train.State) {
		if err := badinput.ReadJSON(filepath.Join(dir, train.StateFile), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	if a, b := state(trained(t, more, input(t, data, ""))), state(from); a.FirstLoss >= b.FirstLoss || a.FinalLoss >= b.FinalLoss {
		t.Errorf("continued: loss %g to %g; before: %g to %g", a.FirstLoss, a.FinalLoss, b.FirstLoss, b.FinalLoss)
	}
}

// TestContinuesPeft: an adapter of peft, with another spelling of everything that does not
// matter, is continued.
func TestContinuesPeft(t *testing.T) {
	o := train.Defaults()
	o.Epochs, o.Batch, o.LR, o.DType = 1, 2, 1e-30, "f32"
	o.Adapter = peftAdapter(t, nil)
	out := trained(t, o, input(t, coffee(t), ""))
	want := golden.Tensors(t, filepath.Join(o.Adapter, lora.WeightsFile))
	for i, g := range golden.Tensors(t, filepath.Join(out, lora.WeightsFile)) {
		if g.Name != want[i].Name || string(g.Data) != string(want[i].Data) {
			t.Errorf("%s, want %s, or other values", g.Name, want[i].Name)
		}
	}
}

// peftAdapter writes an adapter of the demo model as peft would, with changes of its
// configuration.
func peftAdapter(t *testing.T, changes map[string]string) string {
	t.Helper()
	in := input(t, "", "")
	m, err := in.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	a, err := model.NewAdapter(m, lora.Config{Rank: 2, Alpha: 4, Targets: lora.Targets{List: []string{"k_proj"}}}, 5)
	dir := t.TempDir()
	if err == nil {
		for _, p := range a.Pairs {
			for i := range p.B.Data {
				p.B.Data[i] = 0.02 * (float32(i%7) - 2.5)
			}
		}
		err = a.Save(m.Device(), dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	config := testfiles.Tree(t, dir)[lora.ConfigFile]
	config = strings.Replace(config, "{", `{"qalora_group_size": 16, "loftq_config": {}, "megatron_core": "megatron.core",`, 1)
	for from, to := range changes {
		if !strings.Contains(config, from) {
			t.Fatalf("no %s in %s", from, config)
		}
		config = strings.Replace(config, from, to, 1)
	}
	if err := os.WriteFile(filepath.Join(dir, lora.ConfigFile), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestRefusesAdapters: what contradicts the continued adapter is bad input that names it.
func TestRefusesAdapters(t *testing.T) {
	data := coffee(t)
	plain := train.Defaults()
	plain.Epochs, plain.Batch, plain.DType = 1, 2, "f32"
	from := trained(t, options(), input(t, data, ""))
	for want, c := range map[string]struct {
		adapter, digest string
		change          func(o *train.Options)
	}{
		"rank is 7":                              {from, "d", func(o *train.Options) { o.Rank = 7 }},
		"targets is [q_proj]":                    {from, "d", func(o *train.Options) { o.Targets = []string{"q_proj"} }},
		"dora is true":                           {from, "d", func(o *train.Options) { o.DoRA = true }},
		"trained on a base model with digest d,": {from, "other-f32", nil},
		"use_qalora is true":                     {peftAdapter(t, map[string]string{"{": `{"use_qalora": true,`}), "d", nil},
		"new_trick is true, a key of PEFT that is not known": {peftAdapter(t, map[string]string{"{": `{"new_trick": true,`}), "d", nil},
		`init_lora_weights is "pissa"`: {peftAdapter(t,
			map[string]string{`"init_lora_weights": true`: `"init_lora_weights": "pissa"`}), "d", nil},
		"expected [5":                  {peftAdapter(t, map[string]string{`"r": 2`: `"r": 5`}), "d", nil},
		"leave out; peft would ignore": {peftAdapter(t, map[string]string{`"k_proj"`: `"v_proj"`}), "d", nil},
		"no tensor base_model.model.model.layers.0.self_attn.k_proj.lora_magnitude_vector": {peftAdapter(t,
			map[string]string{`"use_dora": false`: `"use_dora": true`}), "d", nil},
	} {
		o, in := plain, input(t, data, "")
		o.Adapter, in.ModelDigest = c.adapter, c.digest
		if c.change != nil {
			c.change(&o)
		}
		_, err := train.Run(t.Context(), o, in, durable.Env{Out: filepath.Join(t.TempDir(), "out"), Progress: progress.Silent})
		if bad := (*badinput.Error)(nil); !errors.As(err, &bad) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// TestAnotherAdapterIsAnotherRun: the identity has the content of the continued adapter, not
// its path.
func TestAnotherAdapterIsAnotherRun(t *testing.T) {
	data := coffee(t)
	o := train.Defaults()
	o.Epochs, o.Batch, o.LR, o.DType = 1, 2, 1e-3, "f32"
	o.Adapter = peftAdapter(t, nil)
	out := trained(t, o, input(t, data, ""))
	run := func() error {
		_, err := train.Run(t.Context(), o, input(t, data, ""), durable.Env{Out: out, Seed: 3, Progress: progress.Silent})
		return err
	}
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(o.Adapter, moved); err != nil {
		t.Fatal(err)
	}
	o.Adapter = moved
	if err := run(); err != nil {
		t.Errorf("the same adapter elsewhere: %v", err)
	}
	o.Adapter = peftAdapter(t, map[string]string{`"lora_alpha": 4`: `"lora_alpha": 5`})
	if err := run(); err == nil || !strings.Contains(err.Error(), "adapter's adapter_config.json") {
		t.Errorf("another adapter: %v", err)
	}
}

// continued trains twice, the second time in two parts, and compares the outputs. It returns the
// directory of the first.
func continued(t *testing.T, o train.Options, data string) string {
	t.Helper()
	whole := trained(t, o, input(t, data, ""))
	out := filepath.Join(t.TempDir(), "again")
	ctx, cancel := context.WithCancel(t.Context())
	env := durable.Env{Out: out, Seed: 3, Progress: &watch{Reporter: progress.Silent, at: 5, do: cancel}}
	if _, err := train.Run(ctx, o, input(t, data, ""), env); err == nil {
		t.Fatal("the run was not interrupted")
	}
	env.Progress = progress.Silent
	if _, err := train.Run(t.Context(), o, input(t, data, ""), env); err != nil {
		t.Fatal(err)
	}
	testfiles.Same(t, "continued", outputs(t, out), outputs(t, whole))
	return whole
}

// TestTrainsEmbeddingsAndHead: a run that trains both is interrupted and continued to the same
// bytes, and its adapter is continued with both.
func TestTrainsEmbeddingsAndHead(t *testing.T) {
	data := coffee(t)
	o := options()
	o.ModulesToSave, o.Targets = []string{"embed_tokens", "lm_head"}, []string{"v_proj"}
	whole := continued(t, o, data)

	still := train.Defaults()
	still.Epochs, still.Batch, still.LR, still.DType, still.Adapter = 1, 2, 1e-30, "f32", whole
	again := trained(t, still, input(t, data, ""))
	for i, x := range golden.Tensors(t, filepath.Join(again, lora.WeightsFile)) {
		if want := golden.Tensors(t, filepath.Join(whole, lora.WeightsFile))[i]; x.Name != want.Name || string(x.Data) != string(want.Data) {
			t.Errorf("%s, want %s, or other values", x.Name, want.Name)
		}
	}
}

// TestInitsFromTheBase: a run with PiSSA is interrupted and continued to the same bytes, and
// its adapter has twice the rank, at the same scale.
func TestInitsFromTheBase(t *testing.T) {
	data := coffee(t)
	o := options()
	o.Init, o.Targets = lora.PiSSA, []string{"v_proj", "down_proj"}
	whole := continued(t, o, data)
	cfg, err := lora.ReadConfig(whole)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Rank != 2*o.Rank || cfg.Alpha != 2*o.Alpha {
		t.Errorf("rank %d and alpha %g, expected twice %d and %g", cfg.Rank, cfg.Alpha, o.Rank, o.Alpha)
	}
	o.Rank = 1000
	_, err = train.Run(t.Context(), o, input(t, data, ""), durable.Env{Out: filepath.Join(t.TempDir(), "refused"), Progress: progress.Silent})
	if bad := (*badinput.Error)(nil); !errors.As(err, &bad) || !strings.Contains(err.Error(), "take at most") {
		t.Errorf("rank 1000: %v", err)
	}
}
