//go:build cuda && linux

package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/cuda/cudatest"
)

// answer is a line of barka generate --json.
type answer struct {
	Tokens   []int32   `json:"tokens"`
	LogProbs []float64 `json:"logprobs"`
}

// The emulated GPU writes the CPU's text, with either type of weights.
func TestGenerateOnGPU(t *testing.T) {
	cudatest.OneOrder(t)
	for _, dt := range []string{"f32", "bf16"} {
		args := []string{"generate", "--model", filepath.Join(inputs(t), "models", "gemma2"), "--prompt", "How is coffee poured?",
			"--max-tokens", "6", "--dtype", dt, "--json"}
		run := func(device string) (a answer) {
			if err := json.Unmarshal([]byte(ok(t, "", append(args, "--device", device)...)), &a); err != nil {
				t.Fatal(err)
			}
			return a
		}
		want, got := run("cpu"), run("cuda")
		if !slices.Equal(got.Tokens, want.Tokens) || len(want.Tokens) == 0 {
			t.Fatalf("%s: tokens %v, on the CPU %v", dt, got.Tokens, want.Tokens)
		}
		bound := map[string]float64{"f32": 1e-4, "bf16": 0.05}[dt] // the GPU stores operands as bfloat16
		for i, p := range got.LogProbs {
			if math.Abs(p-want.LogProbs[i]) > bound {
				t.Errorf("%s: log-probability %d is %g, on the CPU %g", dt, i, p, want.LogProbs[i])
			}
		}
		if slices.Equal(got.LogProbs, want.LogProbs) {
			t.Errorf("%s: the log-probabilities are those of the CPU to the last bit: was the GPU used?", dt)
		}
	}
}

// A training on the emulated GPU has the CPU's losses, dropout included, and its adapter belongs to the
// GPU: the same command on the CPU does not take it for its own.
func TestTrainOnGPU(t *testing.T) {
	cudatest.OneOrder(t)
	root := t.TempDir()
	data := filepath.Join(root, "data.jsonl")
	rows := `{"messages":[{"role":"user","content":"Is it sweet?"},{"role":"assistant","content":"نعم"}]}
{"messages":[{"role":"user","content":"Is it far?"},{"role":"assistant","content":"لا"}]}
`
	if err := os.WriteFile(data, []byte(rows), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"train", "--model", filepath.Join(inputs(t), "models", "gemma2"), "--data", data, "--rank", "4", "--alpha", "8",
		"--lr", "0.01", "--epochs", "2", "--batch", "2", "--warmup-ratio", "0", "--dropout", "0.1", "--json", "--dtype"}
	type losses struct {
		First float64 `json:"first_loss"`
		Final float64 `json:"final_loss"`
	}
	run := func(device, dt, out string) (l losses) {
		if err := json.Unmarshal([]byte(ok(t, "", append(args[:len(args):len(args)], dt, "--device", device, "--out", out)...)), &l); err != nil {
			t.Fatal(err)
		}
		return l
	}
	half, onGPU := run("cpu", "bf16", filepath.Join(root, "half host")), run("cuda", "bf16", filepath.Join(root, "half gpu"))
	if math.Abs(onGPU.First-half.First) > 5e-3*half.First || math.Abs(onGPU.Final-half.Final) > 2e-2*half.Final || onGPU == half {
		t.Errorf("bf16: losses %+v, on the CPU %+v", onGPU, half)
	}
	want, got := run("cpu", "f32", filepath.Join(root, "host")), run("cuda", "f32", filepath.Join(root, "gpu"))
	if math.Abs(got.First-want.First) > 1e-5*want.First || math.Abs(got.Final-want.Final) > 1e-4*want.Final || want.First == want.Final {
		t.Errorf("losses %+v, on the CPU %+v", got, want)
	}
	r := barka(t, "", append(args, "f32", "--device", "cpu", "--out", filepath.Join(root, "gpu"))...)
	if r.code != exitBadInput || !strings.Contains(r.err, "device was cuda and is now cpu") ||
		!strings.Contains(r.err, "--allow-other-device") {
		t.Errorf("exit code %d, %s", r.code, r.err)
	}
}

// A training whose memory runs out ends with exit code 1 and names a bound of the tokens. The same command
// continues it.
func TestTrainOnFullGPU(t *testing.T) {
	root := t.TempDir()
	data, out := filepath.Join(root, "data.jsonl"), filepath.Join(root, "adapter")
	row := `{"messages":[{"role":"user","content":"Is it sweet?"},{"role":"assistant","content":"نعم"}]}` + "\n"
	if err := os.WriteFile(data, []byte(strings.Repeat(row, 12)), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"train", "--model", filepath.Join(inputs(t), "models", "gemma2"), "--data", data, "--rank", "4", "--batch", "6",
		"--dtype", "f32", "--save-steps", "1", "--device", "cuda", "--out", out}
	named := 0
	for n := 1; n <= 6; n++ {
		cudatest.Plant(t, "failures", 4) // weights are tried so often
		cudatest.Plant(t, "fail_allocation", n)
		cudatest.OneOrder(t)
		r := barka(t, "", args...)
		if r.code == exitDone {
			break
		}
		if r.code != exitFailed || !strings.Contains(r.err, "out of memory") || strings.Contains(r.err, "goroutine") {
			t.Fatalf("allocation %d fails: exit code %d, %s", n, r.code, r.err)
		}
		if strings.Contains(r.err, "train with --micro-tokens ") {
			named++
		}
	}
	if named == 0 {
		t.Error("no failure names --micro-tokens")
	}
	cudatest.Plant(t, "fail_allocation", -1)
	cudatest.OneOrder(t)
	ok(t, "", args...)
}

// Beam search on the emulated GPU finds the CPU's translation.
func TestTranslateOnGPU(t *testing.T) {
	cudatest.OneOrder(t)
	for _, dt := range []string{"f32", "bf16"} {
		args := []string{"translate", "--model", filepath.Join(inputs(t), "models", "nllb"), "--max-length", "6", "--dtype", dt}
		want, got := ok(t, "Coffee is hot.\n", args...), ok(t, "Coffee is hot.\n", append(args, "--device", "cuda")...)
		if got != want || strings.TrimSpace(want) == "" {
			t.Errorf("%s: translation %q, on the CPU %q", dt, got, want)
		}
	}
}

// Each kind of failure has its exit code and says what to do.
func TestFailuresOfGPU(t *testing.T) {
	model := filepath.Join(inputs(t), "models", "gemma2")
	generate := []string{"generate", "--device", "cuda", "--model", model, "--prompt", "x", "--max-tokens", "2"}
	for _, c := range []struct {
		name  string
		fault string
		value int
		args  []string
		code  int
		wants []string
	}{
		{"no device", "init", 100, generate, exitFailed, []string{"error 100, CUDA_ERROR_NO_DEVICE", "--gpus"}},
		{"fabric manager", "init", 802, generate, exitFailed, []string{"error 802", "fabric manager"}},
		{"driver and library", "init", 803, generate, exitFailed, []string{"error 803", "reboot"}},
		{"old driver", "version", 11080, generate, exitBadInput, []string{"supports CUDA 11.8", "Update the driver", "--device cpu"}},
		{"old chip", "capability", 70, generate, exitBadInput, []string{"emulated GPU", "capability 7.0", "--device cpu"}},
		{"absent", "devices", 1, slices.Replace(slices.Clone(generate), 2, 3, "cuda:7"), exitBadInput,
			[]string{"no GPU 7: the driver shows 1", "CUDA_VISIBLE_DEVICES"}},
		{"memory error", "launch_error", 214, generate, exitFailed, []string{"cuda (emulated GPU): ", "error 214", "reset or replace"}},
		{"illegal address", "launch_error", 700, generate, exitFailed, []string{"error 700", "BARKA_CUDA_SYNC=1"}},
		{"launch", "launch_error", 719, generate, exitFailed, []string{"error 719", "BARKA_CUDA_SYNC=1"}},
		{"lost", "launch_error", 999, generate, exitFailed, []string{"error 999", "reboot"}},
		{"memory in a pass", "memory", 2 << 20, generate, exitFailed, []string{"out of memory"}},
		{"memory for the model", "memory", 1 << 19, generate, exitBadInput, []string{"of the GPU's memory", "are free", "--device cpu"}},
		{"refused launch", "refuse_launch", 40, generate, exitFailed, []string{"cuLaunchKernel of ", "[", "error 1"}},
		{"auto", "init", 803, slices.Replace(slices.Clone(generate), 2, 3, "auto"), exitDone, []string{"device: cpu, because", "error 803"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.fault == "launch_error" {
				cudatest.Plant(t, "fail_launch", 30)
			}
			cudatest.Plant(t, c.fault, c.value)
			cudatest.OneOrder(t)
			r := barka(t, "", c.args...)
			if r.code != c.code {
				t.Errorf("exit code %d, want %d\n%s", r.code, c.code, r.err)
			}
			for _, w := range c.wants {
				if !strings.Contains(r.err, w) {
					t.Errorf("%s\nwant %s", r.err, w)
				}
			}
			if strings.Contains(r.err, "defect") || strings.Contains(r.err, "goroutine") {
				t.Errorf("a failure of the GPU is reported as a defect:\n%s", r.err)
			}
		})
	}
}

func TestDoctorListsGPUs(t *testing.T) {
	cudatest.Plant(t, "devices", 2)
	out := ok(t, "", "doctor", "--fast")
	for _, want := range []string{"CUDA 12.8", "cuda:0\temulated GPU, capability 9.0", "cuda:1"} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is not in %s", want, out)
		}
	}
}

// The works of bench run on the emulated GPU, with outcomes near the CPU's weights in float32.
func TestBenchOnGPU(t *testing.T) {
	cudatest.OneOrder(t)
	run := func(args ...string) map[string]float64 {
		var results []struct {
			Work, Variant string
			Value         float64
			Held          int64 `json:"held_gpu_bytes"`
		}
		args = append(append([]string{"bench"}, args...), "--device", "cuda", "--divide", "64", "--repeat", "1", "--layers", "1", "--json")
		if err := json.Unmarshal([]byte(ok(t, "", args...)), &results); err != nil {
			t.Fatal(err)
		}
		values := map[string]float64{}
		for _, r := range results {
			values[r.Work] = r.Value
			if r.Variant == "mean KL from float32" {
				values[r.Variant] = r.Value
			}
			if r.Value <= 0 || r.Held <= 0 && !strings.HasPrefix(r.Work, "ceiling") && r.Work != "quality" {
				t.Errorf("%+v", r)
			}
		}
		return values
	}
	got := run("load", "prefill", "decode", "lora", "choice", "quality", "--shape", "tiny-gemma-2")
	for _, w := range []string{"ceiling", "load", "prefill", "decode", "lora", "choice", "quality"} {
		if got[w] == 0 {
			t.Errorf("%s was not measured", w)
		}
	}
	if kl := got["mean KL from float32"]; !(kl > 0 && kl < 1e-3) {
		t.Errorf("divergence from the CPU in float32: %g nats", kl)
	}
	if run("translate", "--shape", "tiny-nllb")["translate"] == 0 {
		t.Error("translate was not measured")
	}
}
