package kernels

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"testing"
)

// The archive holds what the manifest names, and the manifest was made from the sources beside it.
// That the images are what the sources give is build.py's to check.
func TestImagesAreThoseOfTheManifest(t *testing.T) {
	table, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	sources := sha256.New()
	for _, name := range append([]string{"kernel.h", "product.h", "rows.h", "attend.h"}, files(table.Modules())...) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sources.Write(data)
	}
	if hex.EncodeToString(sources.Sum(nil)) != table.Sources {
		t.Error("a source has changed since build.py ran")
	}
	seen := map[string]bool{}
	for _, module := range table.Modules() {
		for _, capability := range [][2]int{{8, 0}, {8, 6}, {8, 9}, {9, 0}, {10, 0}, {12, 0}} {
			name, image, err := table.Image(module, capability[0], capability[1])
			if err != nil {
				t.Fatal(err)
			}
			if image == nil {
				continue
			}
			if sum := fmt.Sprintf("%x", sha256.Sum256(image)); sum != table.Images[name] {
				t.Errorf("%s is not the manifest's", name)
			}
			if !bytes.HasPrefix(image, []byte("\x7fELF")) && !bytes.HasPrefix(image, []byte("//")) {
				t.Errorf("%s is neither machine code nor PTX", name)
			}
			seen[name] = true
		}
	}
	if len(seen) != len(table.Images) {
		t.Errorf("%d images are used, the manifest has %d", len(seen), len(table.Images))
	}
}

func files(modules []string) []string {
	var names []string
	for _, m := range modules {
		names = append(names, m+".cu")
	}
	return names
}
