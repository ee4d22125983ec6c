package model_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"testing"

	"barka/internal/model"
	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
)

// TestCacheRows: released rows are reused before new ones, and growing keeps the rows'
// values.
func TestCacheRows(t *testing.T) {
	dev := cpu.New(1)
	defer dev.Close()
	c := model.NewCache(dev, 2, 8, tensor.F32)
	if c.RowBytes() != 2*2*8*4 {
		t.Errorf("a row of %d bytes", c.RowBytes())
	}
	a := c.Reserve(50)
	for i, r := range a {
		if r != int32(i) {
			t.Fatalf("rows %v, expected the lowest first", a)
		}
		c.Layer(1).V.Row(i)[7] = float32(i)
	}
	c.Release(a[20:30])
	b := c.Reserve(100) // grows
	if !slices.Contains(b, 20) || !slices.Contains(b, 29) || slices.Max(b) != 139 {
		t.Errorf("rows %v, expected the ten given back and 90 fresh ones", b)
	}
	all := slices.Concat(a[:20], a[30:], b)
	slices.Sort(all)
	if len(slices.Compact(all)) != 140 {
		t.Error("a row was handed out twice")
	}
	for i := range a {
		if v := c.Layer(1).V.Row(i)[7]; v != float32(i) {
			t.Fatalf("row %d holds %g after growing", i, v)
		}
	}
	c.Free()
	if c.Take() != 0 {
		t.Error("a freed cache does not begin at row 0")
	}
	c.Free()
}

// TestSetAsideMemoryIsFree: memory for rows that were never used takes no physical pages
// (512 MiB reserved, a few rows used).
func TestSetAsideMemoryIsFree(t *testing.T) {
	resident := func() int64 {
		data, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Skip("this system does not say how much memory is in use")
		}
		var kib int64
		_, after, _ := bytes.Cut(data, []byte("VmRSS:"))
		if _, err := fmt.Sscan(string(bytes.TrimSpace(after)), &kib); err != nil {
			t.Skipf("this system says how much memory is in use in words of its own: %v", err)
		}
		return kib << 10
	}
	before := resident()
	dev := cpu.New(1)
	defer dev.Close()
	c := model.NewCache(dev, 4, 1024, tensor.F32)
	defer c.Free()
	c.Grow(16384)
	for _, r := range c.Reserve(100) {
		for i := range 4 {
			c.Layer(i).K.Row(int(r))[0], c.Layer(i).V.Row(int(r))[0] = 1, 1
		}
	}
	if used := resident() - before; used > 192<<20 {
		t.Errorf("100 rows of %d KiB take %d MiB", c.RowBytes()>>10, used>>20)
	} else {
		t.Logf("100 rows of %d KiB of 512 MiB take %d MiB", c.RowBytes()>>10, used>>20)
	}
}
