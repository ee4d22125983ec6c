package benchdata

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"barka/internal/hub"
	"barka/internal/yamltext"
)

// config is a subset that a dataset's card, the front matter of README.md,
// declares.
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

// UnmarshalYAML implements yaml.InterfaceUnmarshaler. A card may give only
// patterns, which are the training split's, a mapping of splits to patterns, or a
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

// maxConfigs bounds the part of a card that is parsed, in bytes.
const maxConfigs = 256 << 10

// configs reads the subsets that a card declares. A card that cannot be read
// declares none, and the files' names decide.
func configs(card []byte) []config {
	block := configsBlock(card)
	if !harmless(block) {
		return nil
	}
	var parsed struct {
		Configs []config `yaml:"configs"`
	}
	if yamltext.Unmarshal(block, &parsed) != nil {
		return nil
	}
	for i, c := range parsed.Configs {
		if c.Name == "" {
			parsed.Configs[i].Name = "default"
		}
	}
	return parsed.Configs
}

// configsBlock cuts the key configs out of a card's front matter.
func configsBlock(card []byte) []byte {
	var out []byte
	in := false
	for n, line := range bytes.Split(bytes.TrimPrefix(card, []byte("\ufeff")), []byte("\n")) {
		line = bytes.TrimRight(line, " \t\r")
		switch {
		case n == 0 && string(line) != "---":
			return nil
		case n == 0:
			continue
		case string(line) == "---":
			return out
		case bytes.HasPrefix(line, []byte("configs:")):
			in = true
		case len(line) > 0 && !bytes.ContainsRune([]byte(" -#"), rune(line[0])):
			in = false
		}
		if in {
			out = append(append(out, line...), '\n')
		}
		if len(out) > maxConfigs {
			return nil
		}
	}
	return nil // without an end
}

// anchor matches YAML's anchors. A few lines with them can expand to a value larger
// than the memory.
var anchor = regexp.MustCompile(`(^|[\s\[{,:])&`)

// harmless reports whether a block is safe to parse: it has no anchors, and no
// nesting that exhausts the parser's stack.
func harmless(block []byte) bool {
	depth := 0
	for line := range bytes.Lines(block) {
		indent := len(line) - len(bytes.TrimLeft(line, " "))
		if anchor.Match(line) || indent > 40 || bytes.Contains(line, []byte("- - ")) {
			return false
		}
		for _, c := range line {
			switch c {
			case '[', '{':
				depth++
			case ']', '}':
				depth--
			}
			if depth > 8 {
				return false
			}
		}
	}
	return len(block) > 0
}

// maxGlobs bounds the patterns of a split that are matched with every file.
const maxGlobs = 100

// declared returns those of the sorted files that a card declares for a split, in
// the card's order, and by name within a pattern.
func declared(all []config, files []string, subset, split string) []string {
	i := slices.IndexFunc(all, func(c config) bool { return c.Name == subset })
	if i < 0 && subset == "default" && len(all) == 1 {
		i = 0
	}
	if i < 0 {
		return nil
	}
	var out []string
	seen := map[string]bool{}
	add := func(f string) {
		if !seen[f] {
			out = append(out, f)
		}
		seen[f] = true
	}
	globs := 0
	for _, s := range all[i].Files {
		if s.Split != split {
			continue
		}
		for _, pattern := range s.Path {
			if dir := all[i].DataDir; dir != "" {
				pattern = dir + "/" + pattern
			}
			pattern = strings.TrimPrefix(pattern, "./")
			if _, plain := slices.BinarySearch(files, pattern); plain {
				add(pattern)
				continue
			}
			re, err := hub.Glob(pattern, false)
			if globs++; err != nil || globs > maxGlobs {
				continue
			}
			for _, f := range files {
				if re.MatchString(f) {
					add(f)
				}
			}
		}
	}
	return out
}
