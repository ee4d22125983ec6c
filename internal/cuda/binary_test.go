//go:build cuda && linux

package cuda_test

import (
	"debug/elf"
	"os"
	"slices"
	"testing"
)

// A build with the tag needs the C library and nothing else: no CUDA library, no C++ runtime.
func TestBinaryNeedsTheCLibraryAlone(t *testing.T) {
	program := must[string](t)(os.Executable())
	f := must[*elf.File](t)(elf.Open(program))
	defer f.Close()
	libraries := must[[]string](t)(f.ImportedLibraries())
	slices.Sort(libraries)
	if want := []string{"libc.so.6", "libdl.so.2", "libpthread.so.0"}; !slices.Equal(libraries, want) {
		t.Errorf("needs %v, want %v", libraries, want)
	}
}
