//go:build cuda && linux

package cuda

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"barka/internal/cuda"
	"barka/internal/cuda/cudatest"
	"barka/internal/tensor"
)

func failure(t *testing.T, f func()) *tensor.Failure {
	t.Helper()
	err := func() (err error) {
		defer tensor.Guard(&err)
		f()
		return nil
	}()
	var failed *tensor.Failure
	if !errors.As(err, &failed) {
		t.Fatalf("error %v, want a Failure", err)
	}
	return failed
}

// Values survive the way to the GPU and back, in more pieces than the staging memory has.
func TestTransfers(t *testing.T) {
	d := open(t)
	for _, n := range []int{0, 1, 1000, 3*stagingHalf/4 + 5} {
		src := make([]float32, n)
		for i := range src {
			src[i] = float32(i)
		}
		a, b := d.Alloc(1, n), d.Alloc(1, n)
		d.Upload(a, src)
		want := slices.Clone(src)
		clear(src) // read before Upload returned
		d.Copy(b, a)
		d.Zero(a)
		d.Download(src, b)
		if !slices.Equal(src, want) {
			t.Fatalf("%d values came back changed", n)
		}
		d.Download(src, a)
		if slices.ContainsFunc(src, func(v float32) bool { return v != 0 }) {
			t.Fatalf("%d values are not zero", n)
		}
		d.Free(a, b)
	}
}

// Ranges that are in use never overlap, and freed ones become one again.
func TestMemory(t *testing.T) {
	d := open(t)
	d.memory.apart = false
	random := rand.New(rand.NewPCG(1, 2))
	var live []tensor.Tensor
	check := func() {
		sorted := slices.SortedFunc(slices.Values(live), func(a, b tensor.Tensor) int { return int(a.Handle) - int(b.Handle) })
		for i := 1; i < len(sorted); i++ {
			if sorted[i-1].Handle+uintptr(4*sorted[i-1].Len()) > sorted[i].Handle {
				t.Fatal("two tensors overlap")
			}
		}
	}
	for range 3000 {
		if len(live) > 0 && random.IntN(100) < 49 {
			i := random.IntN(len(live))
			d.Free(live[i])
			live = slices.Delete(live, i, i+1)
			continue
		}
		live = append(live, d.Alloc(1+random.IntN(30), 1<<random.IntN(12)))
		check()
	}
	peak := d.Peak()
	d.Free(live...)
	if d.Live() != 0 || d.memory.taken != 0 || len(d.memory.idle) != 0 || d.memory.end != 0 || peak == 0 {
		t.Errorf("%d bytes are live, %d taken, %d free ranges below %d", d.Live(), d.memory.taken, len(d.memory.idle), d.memory.end)
	}
	d.Trim()
	if d.Peak() != 0 {
		t.Error("Trim did not begin the peak again")
	}
	before := d.Held()
	d.Free(d.Alloc(int(before)/8, 1))
	if d.Held() != before {
		t.Error("a tensor that fits freed memory took more")
	}
}

// A lack of memory fails one operation, and the device works on.
func TestOutOfMemory(t *testing.T) {
	d := open(t)
	d.memory.apart = false
	_, total, err := d.Memory()
	if err != nil {
		t.Fatal(err)
	}
	f := failure(t, func() { d.Alloc(int(total/32), 16) })
	if !f.OutOfMemory || !strings.HasPrefix(f.Operation, "Alloc [") {
		t.Errorf("%v, out of memory %v", f, f.OutOfMemory)
	}
	x, got := d.Alloc(1, 1), []float32{0}
	d.Upload(x, []float32{3})
	if d.Download(got, x); got[0] != 3 {
		t.Error("the device does not work after a lack of memory")
	}
}

// A lack of memory names other programs if they had some of it when the device was opened.
func TestCrowded(t *testing.T) {
	gpu := cudatest.Open(t)
	free, total, err := gpu.Memory()
	if err != nil {
		t.Fatal(err)
	}
	lack := func() string {
		d, err := New(gpu)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		return failure(t, func() { d.Alloc(int(total/32), 16) }).Error()
	}
	if text := lack(); free > total/10*9 && strings.Contains(text, "programs") {
		t.Errorf("nobody else uses the GPU: %s", text)
	}
	p, err := gpu.Alloc(int(total / 5))
	if err != nil {
		t.Fatal(err)
	}
	if text := lack(); !strings.Contains(text, "were free: other programs use the GPU") {
		t.Errorf("a fifth is taken: %s", text)
	}
	if err := gpu.Free(p); err != nil {
		t.Fatal(err)
	}
}

// After an error of the GPU every operation fails, and Free does not.
func TestLostGPU(t *testing.T) {
	cudatest.Plant(t, "fail_launch", 3)
	cudatest.Library(t)
	driver, err := cuda.Load()
	if err != nil {
		t.Fatal(err)
	}
	gpu, err := driver.Open(0)
	if err != nil {
		t.Fatal(err)
	}
	defer gpu.Close()
	d, err := New(gpu)
	if err != nil {
		t.Fatal(err)
	}
	x := d.Alloc(2, 3)
	d.Zero(x)
	for range 3 {
		d.begin("Test", x)
		d.launch("add_f32", 1, 1, pointer(x), pointer(x), cuda.Size(x.Len()))
	}
	for range 2 {
		f := failure(t, func() { d.Download(make([]float32, 6), x) })
		var e *cuda.Error
		if f.OutOfMemory || !errors.As(f, &e) || e.Code != 719 || !strings.Contains(f.Error(), "emulated GPU") {
			t.Errorf("failure %v", f)
		}
		failure(t, func() { d.Alloc(1, 1) })
		failure(t, func() { d.Zero(x) })
	}
	d.Free(x)
	if d.Close() == nil {
		t.Error("Close does not return the GPU's error")
	}
}

// A launch that the driver refuses is named with its operation, however late the error surfaces.
func TestRefusedLaunch(t *testing.T) {
	cudatest.Plant(t, "refuse_launch", 2)
	driver, err := cuda.Load()
	if err != nil {
		t.Fatal(err)
	}
	gpu, err := driver.Open(0)
	if err != nil {
		t.Fatal(err)
	}
	defer gpu.Close()
	d, err := New(gpu)
	if err != nil {
		t.Fatal(err)
	}
	x := d.Alloc(2, 3)
	d.Zero(x)
	f := failure(t, func() {
		for _, name := range []string{"First", "Second", "Third"} {
			d.begin(name, x, x)
			d.launch("add_f32", 1, 1, pointer(x), pointer(x), cuda.Size(x.Len()))
		}
		d.Download(make([]float32, 6), x)
	})
	if f.Operation != "Second [2,3] [2,3]" || !strings.Contains(f.Error(), "add_f32") {
		t.Errorf("failure %v", f)
	}
}
