// Command hubserver serves the repositories below a directory
// (models/ORG/NAME/…, datasets/ORG/NAME/…) by the protocol of the Hugging Face
// hub, and prints its address. check.py downloads from it. It ends with its
// standard input.
package main

import (
	"fmt"
	"io"
	"os"

	"barka/internal/hub/hubtest"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: hubserver DIR")
		os.Exit(2)
	}
	s := hubtest.New()
	if err := s.AddDir(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "hubserver:", err)
		os.Exit(1)
	}
	fmt.Println(s.URL())
	_, _ = io.Copy(io.Discard, os.Stdin)
}
