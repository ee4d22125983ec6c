package gguf_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/dtype"
	"barka/internal/gguf"
	"barka/internal/golden"
	"barka/internal/model"
	_ "barka/internal/model/all"
	"barka/internal/nn"
	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
	"barka/internal/tokenizer"
)

// reference returns a file that reference/gguf_files.py wrote.
func reference(name string) string { return filepath.Join(golden.Dir(""), "..", "gguf", name) }

// goldens is types.json.
type goldens struct {
	SHA256 map[string]string `json:"sha256"` // of each tensor's float32 values
	IDs    []int32           `json:"ids"`
	Logits []float32         `json:"logits"`
}

func readGoldens(t *testing.T) (g goldens) {
	t.Helper()
	data, err := os.ReadFile(reference("types.json"))
	if err == nil {
		err = json.Unmarshal(data, &g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestTypes: every type widens to the values of the package gguf, bit for bit,
// with queries and keys in the order of rows of transformers.
func TestTypes(t *testing.T) {
	seen := sameValues(t, reference("types.gguf"), readGoldens(t).SHA256)
	for _, d := range []dtype.DType{dtype.F32, dtype.F16, dtype.BF16, dtype.Q4_0, dtype.Q4_1, dtype.Q5_0,
		dtype.Q5_1, dtype.Q8_0, dtype.Q4_K, dtype.Q5_K, dtype.Q6_K} {
		if seen[d] == 0 {
			t.Errorf("no tensor has the type %s", d)
		}
	}
}

// TestPublishedFile: the tensors of a published file widen to the values of the package gguf, bit for bit.
// reference/real/gguf.sh sets BARKA_GGUF to the file and BARKA_GGUF_SHA256 to a JSON file of the values' sums.
func TestPublishedFile(t *testing.T) {
	path := os.Getenv("BARKA_GGUF")
	if path == "" {
		t.Skip("BARKA_GGUF is not set")
	}
	var want map[string]string
	data, err := os.ReadFile(os.Getenv("BARKA_GGUF_SHA256"))
	if err == nil {
		err = json.Unmarshal(data, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Log("tensors:", sameValues(t, path, want))
}

// sameValues compares the float32 values of a file's tensors with their sums,
// and returns the number of tensors of each type.
func sameValues(t *testing.T, path string, want map[string]string) map[dtype.DType]int {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := map[dtype.DType]int{}
	for _, name := range f.Names() {
		x, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		values, err := dtype.Float32s(x.DType, x.Data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sum := sha256.Sum256(dtype.Bytes(values))
		if hex.EncodeToString(sum[:]) != want[name] {
			t.Errorf("%s (%s) has other values", name, x.DType)
		}
		seen[x.DType]++
	}
	if len(f.Names()) != len(want) {
		t.Errorf("%d tensors, want %d", len(f.Names()), len(want))
	}
	return seen
}

func open(t *testing.T, dir string) model.Decoder {
	t.Helper()
	dev := cpu.New(2)
	t.Cleanup(dev.Close)
	m, err := model.OpenDecoder(dir, model.Options{Device: dev, DType: dtype.F32, Log: func(note string) { t.Error(note) }})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func logits(t *testing.T, m model.Decoder, ids []int32) []float32 {
	t.Helper()
	layout := tensor.Packed(len(ids))
	h, _, err := m.Forward(&nn.Pass{Dev: m.Device(), Layout: &layout, Positions: layout.Positions()}, ids, nil)
	if err != nil {
		t.Fatal(err)
	}
	head, softcap := m.Head()
	y := m.Device().Alloc(h.Rows, m.Info().Vocab)
	m.Device().MatMul(y, h, head, tensor.Tensor{}, false)
	if softcap > 0 {
		m.Device().Softcap(y, softcap)
	}
	return y.Data
}

func directory(t *testing.T, name string) string {
	t.Helper()
	dir, err := gguf.Directory(reference(name), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestLogits compares a model of all types with transformers, the rotary
// factors included.
func TestLogits(t *testing.T) {
	want := readGoldens(t)
	golden.Near(t, "logits", logits(t, open(t, directory(t, "types.gguf")), want.IDs), want.Logits, 2e-5)
}

// TestArchitectures: a checkpoint in a GGUF file has the settings and, bit for
// bit, the logits of the same checkpoint in safetensors. Where its layers are
// all alike, they are those that transformers recorded.
func TestArchitectures(t *testing.T) {
	for _, name := range []string{"gemma3", "qwen3", "smollm3", "hunyuan"} {
		t.Run(name, func(t *testing.T) {
			dir, twin := directory(t, name+".gguf"), t.TempDir()
			config, err := os.ReadFile(filepath.Join(dir, "config.json"))
			if err == nil {
				err = os.WriteFile(filepath.Join(twin, "config.json"), config, 0o644)
			}
			weights, readErr := os.ReadFile(filepath.Join(golden.Dir(name), "model.safetensors"))
			if err == nil && readErr == nil {
				err = os.WriteFile(filepath.Join(twin, "model.safetensors"), weights, 0o644)
			}
			if err != nil || readErr != nil {
				t.Fatal(err, readErr)
			}
			sameSettings(t, config, filepath.Join(golden.Dir(name), "config.json"))
			ids := []int32{2, 17, 150, 9, 9, 200, 31, 77, 5, 101, 60, 60, 3}
			if !slices.Equal(logits(t, open(t, dir), ids), logits(t, open(t, twin), ids)) {
				t.Error("other logits than of safetensors")
			}
			if name == "gemma3" || name == "smollm3" {
				return // their layers follow a pattern that no file can say
			}
			var want golden.Decoder
			recorded := golden.Load(t, name, &want)
			for i, seq := range want.Sequences {
				golden.Near(t, fmt.Sprintf("logits %d", i), logits(t, open(t, dir), seq), recorded.Tensor(fmt.Sprintf("logits.%d", i)), 2e-5)
			}
		})
	}
}

// sameSettings compares what a GGUF file says with the original config.json.
func sameSettings(t *testing.T, config []byte, original string) {
	t.Helper()
	var got, want map[string]any
	data, err := os.ReadFile(original)
	if err == nil {
		err = json.Unmarshal(data, &want)
	}
	if err == nil {
		err = json.Unmarshal(config, &got)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
		"num_attention_heads", "num_key_value_heads", "max_position_embeddings", "rms_norm_eps", "rope_theta", "tie_word_embeddings"} {
		if scaling, ok := want["rope_scaling"].(map[string]any); ok && key == "rope_theta" && scaling["alpha"] != nil {
			continue // the file's base has alpha in it; the logits show that it is right
		}
		if w, ok := want[key]; ok && got[key] != w {
			t.Errorf("%s is %v, want %v", key, got[key], w)
		}
	}
}

// TestTokenizer: the tokenizer of the file reads texts and control tokens, and
// begins as the file says.
func TestTokenizer(t *testing.T) {
	tok, err := tokenizer.Load(directory(t, "gemma3.gguf")) // byte-level, of 320 tokens
	if err != nil {
		t.Fatal(err)
	}
	ids := tok.Encode("the<|end|> t", true)
	if len(ids) != 5 || ids[0] != 0 || ids[2] != 1 {
		t.Errorf("ids %v", ids)
	}
	if text := tok.Decode(ids[1:], false); text != "the<|end|> t" {
		t.Errorf("decodes as %q", text)
	}
	if !strings.Contains(tok.ChatTemplate(), "m.content") {
		t.Error("the chat template is missing")
	}
}

// TestDirectory: the directory is made once, and again for a file that changed.
func TestDirectory(t *testing.T) {
	root := t.TempDir()
	data, err := os.ReadFile(reference("qwen3.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, "my model.gguf")
	write := func() {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write()
	first, err := gguf.Directory(path, filepath.Join(root, "cache"))
	if err != nil || filepath.Base(first) != "my model" || !gguf.Is(path) || gguf.Is(root) {
		t.Fatal(first, err)
	}
	if second, err := gguf.Directory(path, filepath.Join(root, "cache")); err != nil || second != first {
		t.Error(second, err)
	}
	data = append(data, 0)
	write()
	if third, err := gguf.Directory(path, filepath.Join(root, "cache")); err != nil || third == first {
		t.Error(third, err)
	}
}

// TestRefused: what is no whole file, or claims what it does not hold, is
// refused with the reason.
func TestRefused(t *testing.T) {
	data, err := os.ReadFile(reference("types.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) []byte {
		if len(old) != len(new) || !strings.Contains(string(data), old) {
			t.Fatalf("%q", old)
		}
		return []byte(strings.Replace(string(data), old, new, 1))
	}
	at := func(i int, b ...byte) []byte { c := slices.Clone(data); copy(c[i:], b); return c }
	for what, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":      {nil, "not a GGUF file"},
		"zip":        {[]byte("PK\x03\x04...."), "not a GGUF file"},
		"head":       {data[:20], "it ends at byte"},
		"half":       {data[:len(data)/2], "cut short"},
		"version":    {at(4, 9), "version 9"},
		"big endian": {at(4, 0, 0, 0, 3), "big-endian"},
		"tensors":    {at(8, 255, 255, 255, 255, 255), "claims"},
		"settings":   {at(16, 255, 255, 255, 255, 255), "claims"},
		"architecture": {replace("\x05\x00\x00\x00\x00\x00\x00\x00llama", "\x05\x00\x00\x00\x00\x00\x00\x00mamba"),
			`architecture "mamba" is not supported`},
		"name":    {replace("blk.1.attn_q.weight", "blk.1.attn_z.weight"), "belongs to no part"},
		"missing": {replace("llama.block_count", "llama.block_sount"), "llama.block_count is missing"},
		"pre": {replace("\x05\x00\x00\x00\x00\x00\x00\x00qwen2", "\x05\x00\x00\x00\x00\x00\x00\x00other"),
			`tokenizer.ggml.pre is "other"`},
	} {
		path := filepath.Join(t.TempDir(), "model.gguf")
		if err := os.WriteFile(path, c.data, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := gguf.Directory(path, t.TempDir())
		if err == nil {
			var f *gguf.File
			if f, err = gguf.Open(path); err == nil {
				f.Close()
			}
		}
		if !badinput.Is(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, expected %q", what, err, c.want)
		}
	}
}

// FuzzFile: no file ends the program, or takes memory for what it only claims.
func FuzzFile(f *testing.F) {
	for _, name := range []string{"types.gguf", "qwen3.gguf"} {
		data, err := os.ReadFile(reference(name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data[:min(len(data), 24<<10)])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "model.gguf")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		_, _ = gguf.Directory(path, t.TempDir())
		m, err := gguf.Open(path)
		if err != nil {
			return
		}
		defer m.Close()
		for _, name := range m.Names() {
			_, _ = m.Tensor(name)
		}
	})
}
