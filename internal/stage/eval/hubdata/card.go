package hubdata

import (
	"bytes"
	"slices"

	"github.com/goccy/go-yaml"

	"barka/internal/hub"
)

// config is a subset as a dataset's card, the front matter of README.md,
// declares it.
type config struct {
	Name    string    `yaml:"config_name"`
	DataDir string    `yaml:"data_dir"`
	Files   dataFiles `yaml:"data_files"`
}

// dataFiles are the patterns of the files of each split.
type dataFiles []splitFiles

type splitFiles struct {
	Split string   `yaml:"split"`
	Path  patterns `yaml:"path"`
}

// patterns is one pattern or a list of them.
type patterns []string

// UnmarshalYAML implements yaml.InterfaceUnmarshaler.
func (p *patterns) UnmarshalYAML(unmarshal func(any) error) error {
	var one string
	if unmarshal(&one) == nil {
		*p = patterns{one}
		return nil
	}
	return unmarshal((*[]string)(p))
}

// UnmarshalYAML implements yaml.InterfaceUnmarshaler. A card may give patterns
// alone, which are of the training split, a mapping of splits to patterns, or a
// list of split and path.
func (d *dataFiles) UnmarshalYAML(unmarshal func(any) error) error {
	var alone patterns
	if alone.UnmarshalYAML(unmarshal) == nil {
		*d = dataFiles{{"train", alone}}
		return nil
	}
	var list []splitFiles
	if unmarshal(&list) == nil {
		*d = list
		return nil
	}
	var mapping map[string]patterns
	if err := unmarshal(&mapping); err != nil {
		return err
	}
	for split, p := range mapping {
		*d = append(*d, splitFiles{split, p})
	}
	return nil
}

// maxFrontMatter bounds what of a card is parsed.
const maxFrontMatter = 4 << 20

// configs reads the subsets that a card declares. A card that cannot be read
// declares none: then the files' names decide.
func configs(card []byte) []config {
	card = bytes.ReplaceAll(bytes.TrimPrefix(card, []byte("\ufeff")), []byte("\r\n"), []byte("\n"))
	rest, ok := bytes.CutPrefix(card, []byte("---\n"))
	if !ok {
		return nil
	}
	front, _, ok := bytes.Cut(rest, []byte("\n---"))
	if !ok || len(front) > maxFrontMatter {
		return nil
	}
	var parsed struct {
		Configs []config `yaml:"configs"`
	}
	if yaml.Unmarshal(front, &parsed) != nil {
		return nil
	}
	for i, c := range parsed.Configs {
		if c.Name == "" {
			parsed.Configs[i].Name = "default"
		}
	}
	return parsed.Configs
}

// declared returns the files that a card declares for a split, as far as they
// are among files, in the card's order and by name within a pattern.
func declared(card []byte, files []string, subset, split string) []string {
	all := configs(card)
	i := slices.IndexFunc(all, func(c config) bool { return c.Name == subset })
	if i < 0 && subset == "default" && len(all) == 1 {
		i = 0
	}
	if i < 0 {
		return nil
	}
	var out []string
	for _, s := range all[i].Files {
		if s.Split != split {
			continue
		}
		for _, pattern := range s.Path {
			if dir := all[i].DataDir; dir != "" {
				pattern = dir + "/" + pattern
			}
			re, err := hub.Glob(pattern, false)
			if err != nil {
				continue
			}
			for _, f := range files {
				if re.MatchString(f) && !slices.Contains(out, f) {
					out = append(out, f)
				}
			}
		}
	}
	return out
}
