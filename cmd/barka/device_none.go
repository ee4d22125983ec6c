//go:build !cuda || !linux

package main

import "barka/internal/badinput"

// errNoGPU is for builds without the tag cuda, which need no dynamic loader.
var errNoGPU = badinput.Errorf("this build computes on the CPU alone; Linux builds made with -tags cuda can use " +
	"an NVIDIA GPU (docs/gpu.md)")

func openGPU(int, func(string)) (gpu, error) { return nil, errNoGPU }

func describeGPUs() ([][2]string, error) { return nil, errNoGPU }
