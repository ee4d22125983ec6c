package main

import (
	"fmt"
	"slices"
	"strings"

	"barka/internal/local"
	"barka/internal/model"
	"barka/internal/ui"
)

// modelRows say what a model's directory holds and whether the machine has
// memory for it.
func modelRows(name string) ([][]any, error) {
	i, err := local.Inspect(name)
	if err != nil {
		return nil, err
	}
	architecture := i.Architecture
	if !slices.Contains(model.Architectures(), architecture) {
		architecture += " (not supported)"
	}
	files := fmt.Sprintf("%d files", i.Files)
	if i.Files == 1 {
		files = "1 file"
	}
	return [][]any{
		{"model", i.Dir},
		{"model's architecture", architecture},
		{"model's weights", fmt.Sprintf("%s, %s, %s; %d tensors of %s",
			i.Format, files, ui.Bytes(i.Stored), i.Tensors, strings.Join(i.Types, ", "))},
		{"model's parameters", i.Values},
		{"memory for its weights", memoryFor(i.Values)},
		{"model's tokenizer", i.Tokenizer},
	}, nil
}

// memoryFor says what values take as each type of --dtype.
func memoryFor(values int64) string {
	free := local.AvailableMemory()
	var texts []string
	for _, t := range []struct {
		name string
		size int64
	}{{"f32", 4}, {"bf16", 2}, {"int8", 1}} {
		text := t.name + " " + ui.Bytes(values*t.size)
		if free > 0 && values*t.size > free {
			text += " (not free)"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}
