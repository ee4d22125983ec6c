// Command asm writes the amd64 assembly of package kernel: the .s files, the Go
// declarations of their functions (*_stubs_amd64.go), and for the simple kernels
// the functions that choose a level (*_amd64.go, *_noasm.go). Run it in this
// folder with `go run . ..`. The output is committed, and the gate compares it.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: asm DIR")
		os.Exit(2)
	}
	for _, f := range []*file{gemm(), transpose(), hadamard(), int8(), vector(), rows(), functions(), activations(), attend(), peaks()} {
		if err := f.save(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
