package bench

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/cespare/xxhash/v2"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/dtype"
	"barka/internal/safetensors"
)

// WriteCheckpoint writes a checkpoint of the shape in Hugging Face layout:
// config.json and bfloat16 safetensors. The weights are noise of a magnitude that
// keeps activations finite. Equal shapes get equal bytes. config.json is written
// last, so a directory that has one is complete. progress is called with the
// number of bytes written.
func (s *Shape) WriteCheckpoint(dir string, progress func(n int64)) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return badinput.Wrap(err)
	}
	config := maps.Clone(s.config)
	config["torch_dtype"] = "bfloat16"
	layers := []string{"num_hidden_layers"}
	if s.Seq2Seq() {
		layers = []string{"encoder_layers", "decoder_layers", "num_hidden_layers"}
	}
	for _, key := range layers {
		config[key] = s.Layers
	}
	data, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return err
	}
	var sources []safetensors.Source
	for _, w := range s.tensors(s) {
		sources = append(sources, safetensors.Source{
			Name: w.name, DType: dtype.BF16, Shape: w.shape, Data: func() ([]byte, error) { return w.noise(), nil },
		})
	}
	if err := safetensors.WriteModel(dir, sources, map[string]string{"format": "pt"}, 5<<30, progress); err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(dir, "config.json"), append(data, '\n'))
}

// noise returns the weight's bfloat16 values: norms near their neutral value,
// small biases, matrices uniform with a spread of 1/√inputs.
func (w weight) noise() []byte {
	n := 1
	for _, d := range w.shape {
		n *= d
	}
	neutral := strings.Contains(w.name, "norm") && strings.HasSuffix(w.name, "weight")
	spread := float32(0.02)
	if len(w.shape) == 2 && strings.Contains(w.name, "layers.") {
		spread = 1
		for k := w.shape[1]; k > 1; k /= 4 {
			spread /= 2
		}
	}
	state := xxhash.Sum64String(w.name) | 1
	out := make([]byte, 2*n)
	for i := range n {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		v := spread * (float32(state>>40)/(1<<23) - 1)
		if neutral {
			v += 1
		}
		b := dtype.ToBF16(v)
		out[2*i], out[2*i+1] = byte(b), byte(b>>8)
	}
	return out
}
