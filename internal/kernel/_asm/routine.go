package main

import (
	"fmt"
	"strings"
)

// routine is one assembly function: its Go declaration, and what its comment
// says in the .s file and at its declaration.
type routine struct {
	name     string
	params   string // as Go writes them
	result   string // a type, or nothing
	does     string // what it computes, after its name; without a full stop
	twin     string // the plain Go function, or the one whose loop does the same
	requires string // instruction sets
	frame    int    // bytes on the stack
}

func (r routine) doc() string {
	return fmt.Sprintf("%s %s. Requires %s. Plain Go twin: %s.", r.name, r.does, r.requires, r.twin)
}

func (r routine) declaration() string {
	return strings.TrimSpace(fmt.Sprintf("func %s(%s) %s", r.name, r.params, r.result))
}

// argumentBytes is the size of the arguments and the result on the stack, as
// the Go ABI0 lays them out.
func (r routine) argumentBytes() int {
	size := 0
	pending := 1 // names that wait for their type
	for _, p := range strings.Split(r.params, ", ") {
		_, typ, ok := strings.Cut(p, " ")
		if !ok {
			pending++
			continue
		}
		for range pending {
			size = aligned(size, typeBytes(typ)) + typeBytes(typ)
		}
		pending = 1
	}
	if r.result != "" {
		size = aligned(size, 8) + typeBytes(r.result)
	}
	return size
}

func aligned(offset, to int) int { return (offset + to - 1) / to * to }

func typeBytes(name string) int {
	switch name {
	case "float32", "uint32":
		return 4
	}
	return 8 // integers, float64 and pointers
}

// comment makes a Go comment of a text, in lines of at most 100 columns.
func comment(text string) string {
	var s strings.Builder
	line := "//"
	for _, word := range strings.Fields(text) {
		if len([]rune(line))+1+len([]rune(word)) > 100 {
			s.WriteString(line + "\n")
			line = "//"
		}
		line += " " + word
	}
	return s.String() + line + "\n"
}
