package main

import (
	"strings"
	"testing"
)

func TestParseDevice(t *testing.T) {
	for s, want := range map[string]struct {
		kind   string
		number int
	}{"cpu": {"cpu", 0}, "cuda": {"cuda", 0}, "cuda:0": {"cuda", 0}, "cuda:13": {"cuda", 13}, "auto": {"auto", 0}} {
		if kind, number, err := parseDevice(s); kind != want.kind || number != want.number || err != nil {
			t.Errorf("%s: %s %d %v", s, kind, number, err)
		}
	}
	for _, s := range []string{"", "gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:1:2", "cpu:0", "auto:1", "CUDA"} {
		if r := barka(t, "", "doctor", "--fast", "--device="+s); r.code != exitUsage || !strings.Contains(r.err, "expected cpu, cuda") {
			t.Errorf("--device=%s: exit code %d, %s", s, r.code, r.err)
		}
	}
}

// Without a driver, or in a build without GPUs, cuda is an error and auto the CPU.
func TestNoGPU(t *testing.T) {
	t.Setenv("BARKA_LIBCUDA", "/nonexistent/libcuda.so.1")
	r := barka(t, "", "doctor", "--fast", "--device", "cuda")
	if r.code != exitBadInput || !strings.Contains(r.err, "no NVIDIA driver") && !strings.Contains(r.err, "-tags cuda") {
		t.Errorf("exit code %d, %s", r.code, r.err)
	}
	r = barka(t, "", "doctor", "--fast", "--device", "auto")
	if r.code != exitDone || strings.Count(r.err, "device: cpu, because no GPU can be used: ") != 1 || !strings.Contains(r.out, "none: ") {
		t.Errorf("exit code %d, %s%s", r.code, r.out, r.err)
	}
	if r := barka(t, "", "bench", "--device", "auto", "--list"); r.code != exitDone {
		t.Errorf("exit code %d, %s", r.code, r.err)
	}
}
