package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"barka/internal/backend"
	"barka/internal/cpu"
	"barka/internal/tensor"
)

// gpu is an opened GPU.
type gpu interface {
	backend.GPU
	io.Closer
}

// openDevice opens the GPU of --device, if that names one.
func (a *app) openDevice() error {
	kind, number, err := parseDevice(a.Device)
	if err != nil || kind == "cpu" {
		return err
	}
	a.gpu, err = openGPU(number, func(text string) { a.ui.Warnf("%s", text) })
	switch {
	case err == nil:
		a.ui.Infof("device: %s", a.gpu.Name())
	case kind == "auto":
		a.ui.Infof("device: cpu, because no GPU can be used: %v", err)
		return nil
	}
	return err
}

// parseDevice splits the value of --device.
func parseDevice(s string) (kind string, number int, err error) {
	kind, digits, numbered := strings.Cut(s, ":")
	if numbered {
		number, err = strconv.Atoi(digits)
	}
	if err != nil || number < 0 || kind != "cuda" && (numbered || kind != "cpu" && kind != "auto") {
		return "", 0, usagef("--device is %q; expected cpu, cuda, cuda:N for GPU N counted from 0, or auto", s)
	}
	return kind, number, nil
}

// onDevice runs work with the GPU of --device open, if that names one. The failure of a GPU in an
// operation that has no error result becomes work's error.
func (a *app) onDevice(work func() error) (err error) {
	if err := a.openDevice(); err != nil {
		return err
	}
	if a.gpu != nil {
		defer a.gpu.Close() // an error of the GPU has reached the operation that met it
	}
	defer tensor.Guard(&err)
	return work()
}

// kernels names what computes: the level of the CPU's kernels, or the kind of GPU.
func (a *app) kernels() string {
	if a.gpu != nil {
		return a.gpu.Kind()
	}
	return cpu.Current().String()
}

// gpuRows returns the rows of doctor about the GPUs.
func gpuRows() [][]any {
	found, err := describeGPUs()
	if err != nil {
		return [][]any{{"GPU", fmt.Sprintf("none: %v", err)}}
	}
	var rows [][]any
	for _, row := range found {
		rows = append(rows, []any{row[0], row[1]})
	}
	return rows
}
