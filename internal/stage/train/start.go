package train

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"strings"

	"barka/internal/badinput"
	"barka/internal/checkpoint"
	"barka/internal/dataset"
	"barka/internal/lora"
	"barka/internal/model"
)

// lora returns the adapter's configuration, as PEFT names its fields.
func (o Options) lora(base string) (lora.Config, error) {
	if o.Adapter != "" {
		c, err := lora.ReadConfig(o.Adapter)
		if err != nil {
			return lora.Config{}, err
		}
		c.Dropout = o.Dropout
		return *c, nil
	}
	c := lora.Config{TaskType: "CAUSAL_LM", BaseModel: base, Rank: o.Rank, Alpha: o.Alpha, Dropout: o.Dropout,
		Targets: lora.NewTargets(o.Targets), RSLoRA: o.RSLoRA, DoRA: o.DoRA,
		RankPattern: lora.NewPatterns(o.RankPattern), AlphaPattern: lora.NewPatterns(o.AlphaPattern),
		LayersToTransform: o.Layers, ModulesToSave: o.ModulesToSave}
	if len(o.Exclude) > 0 {
		t := lora.NewTargets(o.Exclude)
		c.Exclude = &t
	}
	if o.Init != "" {
		c.InitWeights = o.Init
	}
	return c, nil
}

// checkAdapter reports the first setting of the adapter that makes no sense.
func (o Options) checkAdapter() error {
	for key, rank := range o.RankPattern {
		if rank < 1 {
			return badinput.Errorf("train: rank_pattern gives %q rank %d, expected a positive number", key, rank)
		}
	}
	for key, alpha := range o.AlphaPattern {
		if alpha <= 0 {
			return badinput.Errorf("train: alpha_pattern gives %q alpha %g, expected a positive number", key, alpha)
		}
	}
	for _, n := range o.Layers {
		if n < 0 {
			return badinput.Errorf("train: layers names layer %d, expected numbers from 0", n)
		}
	}
	if err := lora.CheckInit(o.Init); err != nil {
		return badinput.Errorf("train: %w", err)
	}
	if o.DoRA && lora.FromBase(o.Init) {
		return badinput.Errorf("train: init %s takes values from the base weights, and dora their lengths; choose one", o.Init)
	}
	if o.Adapter != "" {
		return o.checkContinued()
	}
	c, err := o.lora("")
	if err != nil {
		return err
	}
	return badinput.Wrap(c.Check())
}

// checkContinued returns an error if a setting was changed from its default that the
// continued adapter determines.
func (o Options) checkContinued() error {
	d := Defaults()
	for name, pair := range map[string][2]any{"rank": {o.Rank, d.Rank}, "alpha": {o.Alpha, d.Alpha}, "targets": {o.Targets, d.Targets},
		"exclude": {o.Exclude, d.Exclude}, "layers": {o.Layers, d.Layers}, "modules_to_save": {o.ModulesToSave, d.ModulesToSave},
		"rslora": {o.RSLoRA, d.RSLoRA}, "dora": {o.DoRA, d.DoRA},
		"rank_pattern": {o.RankPattern, d.RankPattern}, "alpha_pattern": {o.AlphaPattern, d.AlphaPattern}, "init": {o.Init, d.Init}} {
		if !reflect.DeepEqual(pair[0], pair[1]) && fmt.Sprint(pair[0]) != fmt.Sprint(pair[1]) {
			return badinput.Errorf("train: %s is %v, but with adapter %s the adapter's %s has it; leave %s out", name, pair[0], o.Adapter,
				lora.ConfigFile, name)
		}
	}
	return nil
}

// newAdapter attaches the adapter that is trained: a new one, or the one that is continued.
func (o Options) newAdapter(m model.Decoder, base string, seed int64) (*model.Adapter, error) {
	cfg, err := o.lora(base)
	if err != nil {
		return nil, err
	}
	if o.Adapter == "" {
		return model.NewAdapter(m, cfg, seed)
	}
	a, err := model.LoadAdapter(m, o.Adapter)
	if err != nil {
		return nil, err
	}
	a.Config = cfg
	return a, nil
}

// adapterDigests returns the digests of the files of the continued adapter; nil without one.
func (o Options) adapterDigests() (map[string]string, error) {
	if o.Adapter == "" {
		return nil, nil
	}
	weights, err := checkpoint.AdapterPath(o.Adapter)
	if err != nil {
		return nil, err
	}
	return dataset.Sums(o.Adapter, lora.ConfigFile, filepath.Base(weights))
}

// BaseOf returns the digest of the base model with which an adapter was trained, without the
// type of the packed weights, or "" if it was not recorded, as with an adapter of peft.
func BaseOf(adapter string) (string, error) {
	for _, file := range []string{filepath.Join(adapter, StateFile), filepath.Join(adapter, "..", identityFile)} {
		var recorded struct {
			State    string `json:"model_digest"`
			Identity string `json:"model"`
		}
		err := badinput.ReadJSON(file, &recorded)
		if errors.Is(err, fs.ErrNotExist) || filepath.Base(file) == identityFile && filepath.Base(filepath.Clean(adapter)) != bestDir {
			continue
		}
		if err != nil {
			return "", err
		}
		digest, _, _ := strings.Cut(recorded.State+recorded.Identity, "-")
		return digest, nil
	}
	return "", nil
}

// checkBase returns an error if the continued adapter was trained on another base model.
func (o Options) checkBase(digest string) error {
	if o.Adapter == "" || digest == "" {
		return nil
	}
	was, err := BaseOf(o.Adapter)
	if err != nil || was == "" {
		return err
	}
	if is, _, _ := strings.Cut(digest, "-"); is != was {
		return badinput.Errorf("train: adapter %s was trained on a base model with digest %s, and this one has %s; give the model that it "+
			"belongs to, or remove %s from the adapter's directory if the two are equivalent", o.Adapter, was, is, StateFile)
	}
	return nil
}
