package hub

import (
	"slices"
	"strings"
	"testing"

	"barka/internal/badinput"
)

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		want         FileSet
		files, chose string
	}{
		{Weights, "config.json tokenizer.json model.safetensors pytorch_model.bin flax_model.msgpack README.md",
			"config.json tokenizer.json model.safetensors"},
		{Weights, "config.json sentencepiece.bpe.model special_tokens_map.json tokenizer.json pytorch_model.bin rust_model.ot",
			"config.json sentencepiece.bpe.model special_tokens_map.json tokenizer.json pytorch_model.bin"},
		{Weights, "config.json pytorch_model-00001-of-00002.bin pytorch_model-00002-of-00002.bin " +
			"pytorch_model.bin.index.json training_args.bin",
			"config.json pytorch_model-00001-of-00002.bin pytorch_model-00002-of-00002.bin pytorch_model.bin.index.json"},
		{Weights, "config.json consolidated.safetensors model-00001-of-00001.safetensors model.safetensors.index.json " +
			"sub/model-00001-of-00001.safetensors",
			"config.json model-00001-of-00001.safetensors model.safetensors.index.json"},
		// Only one format, in one layout.
		{Weights, "config.json model.safetensors.index.json model-00001-of-00001.safetensors " +
			"pytorch_model.bin.index.json pytorch_model-00001-of-00001.bin",
			"config.json model.safetensors.index.json model-00001-of-00001.safetensors"},
		{Weights, "config.json pytorch_model.bin pytorch_model.bin.index.json pytorch_model-00001-of-00001.bin",
			"config.json pytorch_model.bin"},
		{Weights, "config.json pytorch_model.bin model.fp16.safetensors pytorch_model.fp16.bin", "config.json pytorch_model.bin"},
		{Weights, "config.json weights.safetensors chat_template.jinja vocab.json merges.txt",
			"config.json weights.safetensors chat_template.jinja vocab.json merges.txt"},
		{Tokenizer, "config.json tokenizer.json model.safetensors", "config.json tokenizer.json"},
		{Adapter, "adapter_config.json adapter_model.safetensors tokenizer.json optimizer.pt",
			"adapter_config.json adapter_model.safetensors"},
		{Adapter, "adapter_config.json adapter_model.bin training_args.bin", "adapter_config.json adapter_model.bin"},
		{Adapter, "adapter_config.json adapter_model.bin adapter_model.safetensors", "adapter_config.json adapter_model.safetensors"},
		{Adapter, "adapter_config.json training_args.bin", ""},
		{Weights, "model.safetensors", ""}, {Weights, "config.json x.gguf", ""}, {Adapter, "config.json", ""}, {Tokenizer, "", ""},
	} {
		l := &Listing{Repo: Repo{Model, "a/b", "main"}}
		for name := range strings.FieldsSeq(c.files) {
			l.Files = append(l.Files, File{Path: name})
		}
		files, err := l.Choose(c.want)
		if c.chose == "" {
			if !badinput.Is(err) {
				t.Errorf("%s: chose %v, error %v", c.files, files, err)
			}
			continue
		}
		var got []string
		for _, f := range files {
			got = append(got, f.Path)
		}
		want := strings.Fields(c.chose)
		slices.Sort(got)
		slices.Sort(want)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("of %s\n chose %v, %v\n want  %v", c.files, got, err, want)
		}
	}
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern string
		across  bool
		yes, no string
	}{
		{"*.json", true, "a.json b/c.json", "a.jsonl"},
		{"*.json", false, "a.json", "b/a.json"},
		{"data/*/test-*", false, "data/x/test-00000-of-00001.parquet", "data/test-0 data/x/y/test-0"},
		{"**/test.csv", false, "test.csv a/test.csv a/b/test.csv", "atest.csv"},
		{"data/**", false, "data/x data/x/y", "datax"},
		{"a?[0-9][!x].t", true, "ab1y.t", "ab1x.t abcy.t"},
		{"a[b", true, "a[b", "ab"},
		{"a.b", true, "a.b", "axb"},
	} {
		re, err := Glob(c.pattern, c.across)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		for s := range strings.FieldsSeq(c.yes) {
			if !re.MatchString(s) {
				t.Errorf("%s does not match %s", c.pattern, s)
			}
		}
		for s := range strings.FieldsSeq(c.no) {
			if re.MatchString(s) {
				t.Errorf("%s matches %s", c.pattern, s)
			}
		}
	}
	if _, err := Glob("[z-a]", true); !badinput.Is(err) {
		t.Errorf("error %v", err)
	}
}

func FuzzPlainPath(f *testing.F) {
	f.Add("a/b.json")
	f.Add("../x")
	f.Fuzz(func(t *testing.T, p string) {
		if plainPath(p) && (strings.HasPrefix(p, "/") || slices.Contains(strings.Split(p, "/"), "..") || strings.Contains(p, "\\")) {
			t.Errorf("%q is taken", p)
		}
	})
}
