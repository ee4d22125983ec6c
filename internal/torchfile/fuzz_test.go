package torchfile

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"barka/internal/badinput"
	"barka/internal/torchfile/torchtest"
)

// FuzzUnpickle runs any bytes as the pickle of a file with storages of a few
// sizes. What is accepted has tensors of the size that they claim.
func FuzzUnpickle(f *testing.F) {
	for _, name := range []string{"layouts.bin", "layouts-protocol5.bin", "layouts-dict.bin", "layouts-1.6.bin"} {
		file, err := os.ReadFile(filepath.Join(testdata, "torch", name))
		if err != nil {
			f.Fatal(err)
		}
		a, err := readArchive(file, bytes.NewReader(file))
		if err != nil {
			f.Fatal(err)
		}
		code, err := a.bytes(a.members["data.pkl"])
		if err != nil {
			f.Fatal(err)
		}
		f.Add(code)
	}
	f.Add(good().Bytes())
	f.Add(torchtest.NewPickle().Global("os", "system").Op("(").Text("true").Op("tR.").Bytes())
	f.Fuzz(func(t *testing.T, code []byte) {
		members := []torchtest.Member{{Name: "x/data.pkl", Data: code}, {Name: "x/data/0", Data: make([]byte, 16)},
			{Name: "x/data/1", Data: make([]byte, 240)}}
		check(t, torchtest.Archive(t, members...))
	})
}

// FuzzFile reads any bytes as a whole file.
func FuzzFile(f *testing.F) {
	for _, name := range []string{"layouts.bin", "layouts-deflated.bin", "layouts-1.6.bin", "legacy.bin"} {
		file, err := os.ReadFile(filepath.Join(testdata, "torch", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file)
	}
	f.Fuzz(check)
}

func check(t *testing.T, file []byte) {
	a, entries, err := parse(file, bytes.NewReader(file))
	if err != nil {
		if !badinput.Is(err) {
			t.Errorf("not the input's fault: %v", err)
		}
		return
	}
	c := &File{shards: []*shard{{archive: a, tensors: entries}}, tensors: map[string]*entry{}, inflated: map[*member][]byte{}}
	for _, e := range entries {
		c.tensors[e.name] = e
	}
	c.findOwners()
	for _, name := range c.Names() {
		x, err := c.Tensor(name)
		if err != nil {
			continue // compressed bytes that are none
		}
		want := x.DType.Size()
		for _, d := range x.Shape {
			want *= d
		}
		if len(x.Data) != want {
			t.Errorf("tensor %s of shape %v has %d bytes, expected %d", name, x.Shape, len(x.Data), want)
		}
		if owner := c.Owner(name); !c.Has(owner) {
			t.Errorf("tensor %s is owned by %s, which is not there", name, owner)
		}
	}
}
