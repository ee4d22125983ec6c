package main

import (
	"fmt"
	"strings"
)

// kernel describes a function over blocks of 16 values: pointers, the number
// of blocks, float32 scalars, and perhaps a result. The pointers advance
// together. Each scalar is broadcast to a register, from register 15 down.
type kernel struct {
	name    string
	f       *file
	w       width
	ptrs    []string
	scalars []string
	result  string // "", "float32" or "float64"
}

var pointerRegisters = []string{"DI", "SI", "DX", "R8", "R9", "R10"}

// at is the memory operand of vector i of a pointer's block.
func (k *kernel) at(name string, i int) string {
	for j, p := range k.ptrs {
		if p == name {
			return fmt.Sprintf("%d(%s)", i*k.w.n*4, pointerRegisters[j])
		}
	}
	panic("no pointer " + name)
}

// scalar is the register of a broadcast scalar.
func (k *kernel) scalar(name string) string {
	for j, s := range k.scalars {
		if s == name {
			return k.w.r(15 - j)
		}
	}
	panic("no scalar " + name)
}

// op writes an instruction whose operands are register numbers or text.
func (k *kernel) op(name string, operands ...any) {
	text := ""
	for i, o := range operands {
		if i > 0 {
			text += ", "
		}
		if n, ok := o.(int); ok {
			o = k.w.r(n)
		}
		text += o.(string)
	}
	k.f.op("%s %s", name, text)
}

// write emits the function: begin, body for each vector of a block, finish.
// does completes the sentence "name does", for blocks of 16 values.
func (k *kernel) write(name, does string, begin func(), body func(i int), finish func()) {
	f := k.f
	r := routine{
		name:     name + k.w.name,
		params:   fmt.Sprintf("%s *float32, blocks int%s", strings.Join(k.ptrs, ", "), k.scalarParameters()),
		result:   k.result,
		does:     does + ", for blocks of 16 values",
		twin:     name + "Generic",
		requires: k.w.requires,
	}
	f.text(r)
	if k.w.n == 16 { // once for all widths
		described := *k
		described.name = name
		f.kernels = append(f.kernels, described)
	}
	for i, p := range k.ptrs {
		f.op("MOVQ %s+%d(FP), %s", p, 8*i, pointerRegisters[i])
	}
	at := 8*len(k.ptrs) + 8
	f.op("MOVQ blocks+%d(FP), CX", at-8)
	for i, s := range k.scalars {
		f.op("VBROADCASTSS %s+%d(FP), %s", s, at+4*i, k.w.r(15-i))
	}
	if begin != nil {
		begin()
	}
	f.label("loop")
	for i := range 16 / k.w.n {
		body(i)
	}
	for i := range k.ptrs {
		f.op("ADDQ $64, %s", pointerRegisters[i])
	}
	f.op("DECQ CX")
	f.op("JNZ loop")
	if finish != nil {
		finish()
	}
	switch result := aligned(at+4*len(k.scalars), 8); k.result {
	case "float32":
		f.op("VMOVSS X0, ret+%d(FP)", result)
	case "float64":
		f.op("VMOVSD X0, ret+%d(FP)", result)
	}
	f.end()
}

// widen adds the float32 lanes of register x to the float64 accumulators acc
// and acc+1, through t.
func (k *kernel) widen(x, acc, t int) {
	half, extract := "X", "VEXTRACTF128"
	if k.w.n == 16 {
		half, extract = "Y", "VEXTRACTF64X4"
	}
	k.op("VCVTPS2PD", fmt.Sprintf("%s%d", half, x), t)
	k.op("VADDPD", t, acc, acc)
	k.op(extract, "$1", x, fmt.Sprintf("%s%d", half, t))
	k.op("VCVTPS2PD", fmt.Sprintf("%s%d", half, t), t)
	k.op("VADDPD", t, acc+1, acc+1)
}

// collect adds the lanes of the float64 accumulators acc and acc+1 into X0.
func (k *kernel) collect(acc int) {
	k.op("VADDPD", acc+1, acc, 0)
	if k.w.n == 16 {
		k.f.op("VEXTRACTF64X4 $1, Z0, Y1")
		k.f.op("VADDPD Y1, Y0, Y0")
	}
	k.f.op("VEXTRACTF128 $1, Y0, X1")
	k.f.op("VADDPD X1, X0, X0")
	k.f.op("VPERMILPD $1, X0, X1")
	k.f.op("VADDSD X1, X0, X0")
}

// clear2 zeroes a pair of accumulators.
func (k *kernel) clear2(acc int) func() {
	return func() {
		k.w.clear(k.f, acc)
		k.w.clear(k.f, acc+1)
	}
}

// dispatch returns the Go side of a file's kernels: a function <kernel>Blocks
// for each, which chooses the level on amd64 and calls the plain loop on other
// machines. The caller checks the slices' lengths; the first slice gives the
// number of blocks.
func (f *file) dispatch() (amd64, other string) {
	amd64 = generated + "package kernel\n\nimport \"barka/internal/cpu\"\n\n"
	other = generated + "//go:build !amd64\n\npackage kernel\n\n"
	for _, k := range f.kernels {
		head := fmt.Sprintf("func %sBlocks(%s []float32%s) %s {\n", k.name, strings.Join(k.ptrs, ", "), k.scalarParameters(), k.result)
		amd64 += head + k.choice() + "}\n\n"
		other += head + k.generic() + "}\n\n"
	}
	return amd64, other
}

func (k *kernel) scalarParameters() string {
	if len(k.scalars) == 0 {
		return ""
	}
	return ", " + strings.Join(k.scalars, ", ") + " float32"
}

func (k *kernel) returns() string {
	if k.result == "" {
		return ""
	}
	return "return "
}

func (k *kernel) generic() string {
	return fmt.Sprintf("%s%sGeneric(%s)\n", k.returns(), k.name, strings.Join(append(append([]string{}, k.ptrs...), k.scalars...), ", "))
}

func (k *kernel) choice() string {
	call := func(w width) string {
		var args []string
		for _, p := range k.ptrs {
			args = append(args, "&"+p+"[0]")
		}
		args = append(append(args, "len("+k.ptrs[0]+")/16"), k.scalars...)
		return fmt.Sprintf("%s%s%s(%s)\n", k.returns(), k.name, w.name, strings.Join(args, ", "))
	}
	text := "switch level := cpu.Current(); {\ncase level >= cpu.AVX512:\n" + call(w512) + "case level >= cpu.AVX2:\n" + call(w256)
	if k.result == "" {
		return text + "default:\n" + k.generic() + "}\n"
	}
	return text + "}\n" + k.generic()
}
