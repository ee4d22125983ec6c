// Command hubserver serves the repositories below a directory
// (models/ORG/NAME/…, datasets/ORG/NAME/…) by the protocol of the Hugging Face
// hub, and prints its address. The checks beside it download from it. With a token as
// the second argument it takes uploads, larger ones in parts of 1 MiB. It ends with its
// standard input.
package main

import (
	"fmt"
	"io"
	"os"

	"barka/internal/hub/hubtest"
)

func main() {
	if len(os.Args) != 2 && len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: hubserver DIR [TOKEN]")
		os.Exit(2)
	}
	s := hubtest.New()
	if len(os.Args) == 3 {
		s.Token, s.ChunkSize = os.Args[2], 1<<20
	}
	if err := s.AddDir(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "hubserver:", err)
		os.Exit(1)
	}
	fmt.Println(s.URL())
	_, _ = io.Copy(io.Discard, os.Stdin)
}
