//go:build cuda && linux

package cuda_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"barka/internal/badinput"
	"barka/internal/cuda"
	"barka/internal/cuda/cudatest"
	"barka/internal/cuda/kernels"
)

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func noise(n int) []byte {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

func TestMemoryRoundTrips(t *testing.T) {
	g := cudatest.Open(t)
	for _, n := range []int{1, 255, 4096, 9<<20 + 3} { // below and above the staging buffers
		p := must[cuda.Pointer](t)(g.Alloc(n))
		q := must[cuda.Pointer](t)(g.Alloc(n))
		want, got := noise(n), make([]byte, n)
		check(t, g.Upload(p, want))
		g.Compute.Copy(q, p, n)
		check(t, g.Download(got, q))
		if !bytes.Equal(got, want) {
			t.Errorf("%d bytes came back changed", n)
		}
		g.Compute.Fill(q, 7, n)
		check(t, g.Download(got, q))
		if !bytes.Equal(got, bytes.Repeat([]byte{7}, n)) {
			t.Errorf("%d bytes were not filled", n)
		}
		check(t, g.Free(p))
		check(t, g.Free(q))
	}
	free, total, err := g.Memory()
	check(t, err)
	if free <= 0 || free > total {
		t.Errorf("%d of %d bytes are free", free, total)
	}
}

// Uploads of many goroutines meet on one thread.
func TestCallersFromAnywhere(t *testing.T) {
	g := cudatest.Open(t)
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for range 20 {
				n := 1000 + i
				p, err := g.Alloc(n)
				if err != nil {
					t.Error(err)
					return
				}
				got := make([]byte, n)
				if err := errors.Join(g.Upload(p, noise(n)), g.Download(got, p), g.Free(p)); err != nil {
					t.Error(err)
				}
				if !bytes.Equal(got, noise(n)) {
					t.Error("another goroutine's bytes")
				}
			}
		})
	}
	wait.Wait()
}

func TestEventsOrderStreams(t *testing.T) {
	g := cudatest.Open(t)
	const n = 1 << 20
	p := must[cuda.Pointer](t)(g.Alloc(n))
	h := must[*cuda.Host](t)(g.AllocHost(n))
	copied := must[*cuda.Event](t)(g.NewEvent())
	filled := must[*cuda.Event](t)(g.NewEvent())
	copy(h.Bytes, noise(n))
	g.Transfer.CopyIn(p, h, 0, n)
	g.Transfer.Record(copied)
	g.Compute.Wait(copied)
	g.Compute.Fill(p+n/2, 0, n/2)
	g.Compute.Record(filled)
	check(t, filled.Synchronize())
	if passed := must[bool](t)(filled.Passed()); !passed {
		t.Error("an event is not passed after waiting for it")
	}
	if d := must[time.Duration](t)(filled.Since(copied)); d < 0 || d > time.Minute {
		t.Errorf("%v between two events", d)
	}
	got := make([]byte, n)
	check(t, g.Download(got, p))
	if !bytes.Equal(got[:n/2], noise(n)[:n/2]) || !bytes.Equal(got[n/2:], make([]byte, n/2)) {
		t.Error("the streams ran in another order")
	}
	check(t, errors.Join(copied.Close(), filled.Close(), g.FreeHost(h), g.Free(p)))
}

func TestGraphReplays(t *testing.T) {
	g := cudatest.Open(t)
	nothing := must[*cuda.Kernels](t)(g.LoadKernels()).Function("nothing")
	p := must[cuda.Pointer](t)(g.Alloc(4))
	g.Compute.Fill(p, 0, 4)
	graph := must[*cuda.Graph](t)(g.Compute.Capture(func() {
		for range 10 {
			g.Compute.Launch(nothing, 1, 1, cuda.Argument(p))
		}
	}))
	got := make([]byte, 4)
	check(t, g.Download(got, p))
	if got[0] != 0 {
		t.Error("recording has run the work")
	}
	for range 3 {
		g.Compute.Replay(graph)
	}
	check(t, g.Download(got, p))
	if got[0] != 30 {
		t.Errorf("3 replays of 10 launches counted to %d", got[0])
	}
	check(t, errors.Join(graph.Close(), g.Free(p)))
}

func TestArenaGrowsInPlace(t *testing.T) {
	g := cudatest.Open(t)
	const chunk = 2 << 20
	a := must[*cuda.Arena](t)(g.NewArena(16*chunk, chunk))
	check(t, a.Grow(1))
	if a.Mapped() != chunk {
		t.Errorf("%d bytes are mapped for 1", a.Mapped())
	}
	first, base := noise(chunk), a.Base()
	check(t, g.Upload(base, first))
	check(t, a.Grow(3*chunk))
	got := make([]byte, chunk)
	check(t, g.Download(got, base))
	if a.Base() != base || !bytes.Equal(got, first) {
		t.Error("growing moved or changed what was there")
	}
	// A copy over the border of two mappings.
	check(t, g.Upload(base+chunk/2, first))
	check(t, g.Download(got, base+chunk/2))
	if !bytes.Equal(got, first) {
		t.Error("memory over a border of mappings does not hold")
	}
	if err := a.Grow(17 * chunk); err == nil {
		t.Error("an arena grew beyond its addresses")
	}
	check(t, a.Close())
}

// A launch costs no allocation, and 100,000 go through a ring of 1,024.
func TestLaunchesDoNotAllocate(t *testing.T) {
	cudatestOrders(t, 1)
	g := cudatest.Open(t)
	nothing := must[*cuda.Kernels](t)(g.LoadKernels()).Function("nothing")
	p := must[cuda.Pointer](t)(g.Alloc(4))
	g.Compute.Fill(p, 0, 4)
	launches := 0
	if n := testing.AllocsPerRun(2000, func() {
		g.Compute.Launch(nothing, 1, 1, cuda.Argument(p))
		launches++
	}); n > 1 && !cudatest.OnCard() { // the fake driver's own memory is not Go's
		t.Errorf("%v allocations per launch", n)
	}
	got := make([]byte, 4)
	check(t, g.Download(got, p))
	if counted := int(got[0]) | int(got[1])<<8; counted != launches {
		t.Errorf("%d of %d launches ran", counted, launches)
	}
	check(t, g.Free(p))
}

func cudatestOrders(t *testing.T, n int) {
	if !cudatest.OnCard() {
		cudatest.Plant(t, "orders", n)
	}
}

// Ctrl+C: Go's handlers stay in place over the driver's initialisation, caught and uncaught.
func TestSignalsSurvive(t *testing.T) {
	if os.Getenv("BARKA_TEST_SIGNAL") == "wait" {
		cudatest.Open(t)
		os.Stdout.WriteString("ready\n")
		time.Sleep(time.Minute)
		os.Exit(9)
	}
	g := cudatest.Open(t)
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGINT)
	check(t, syscall.Kill(os.Getpid(), syscall.SIGINT))
	select {
	case <-caught:
	case <-time.After(10 * time.Second):
		t.Error("SIGINT did not arrive")
	}
	signal.Stop(caught)
	check(t, g.Synchronize())

	process := exec.Command(os.Args[0], "-test.run=^TestSignalsSurvive$")
	process.Env = append(cudatest.Child(), "BARKA_TEST_SIGNAL=wait")
	out := must[interface{ Read([]byte) (int, error) }](t)(pipe(process))
	check(t, process.Start())
	ready := make([]byte, 6)
	if _, err := out.Read(ready); err != nil || string(ready) != "ready\n" {
		t.Fatalf("the child said %q, %v", ready, err)
	}
	check(t, process.Process.Signal(syscall.SIGINT))
	err := process.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGINT {
		t.Errorf("Ctrl+C ended the process with %v", err)
	}
}

func pipe(c *exec.Cmd) (interface{ Read([]byte) (int, error) }, error) { return c.StdoutPipe() }

func TestFailures(t *testing.T) {
	type plan map[string]int
	for _, c := range []struct {
		name  string
		plan  plan
		do    func(d *cuda.Driver) error
		wants string
		bad   bool // bad input
	}{
		{"no device", plan{"init": 100}, nil, "error 100, CUDA_ERROR_NO_DEVICE. The driver sees no GPU", false},
		{"mismatch", plan{"init": 803}, nil, "reboot after a driver update", false},
		{"absent", plan{"devices": 2}, func(d *cuda.Driver) error { _, err := d.Open(7); return err },
			"there is no GPU 7: the driver shows 2", true},
		{"old chip", plan{"capability": 75}, func(d *cuda.Driver) error { _, err := d.Open(0); return err },
			"has compute capability 7.5; bfloat16 products need 8.0", true},
		{"old driver", plan{"version": 11080}, func(d *cuda.Driver) error { _, err := d.Open(0); return err },
			"the NVIDIA driver supports CUDA 11.8; GPU 0, emulated GPU, needs a driver for CUDA 12.0", true},
		{"old driver for a new chip", plan{"version": 12020, "capability": 120}, func(d *cuda.Driver) error { _, err := d.Open(0); return err },
			"supports CUDA 12.2; GPU 0, emulated GPU, needs a driver for CUDA 12.4. Update the driver to 550", true},
		{"memory", plan{"fail_allocation": 2}, func(d *cuda.Driver) error {
			g, err := d.Open(0)
			if err != nil {
				return err
			}
			defer g.Close()
			if _, err := g.Alloc(8); err != nil {
				return err
			}
			_, err = g.Alloc(8)
			if !cuda.OutOfMemory(err) {
				t.Errorf("not told as out of memory: %v", err)
			}
			if g.Err() != nil {
				t.Error("a lack of memory ended the GPU")
			}
			return err
		}, "CUDA_ERROR_OUT_OF_MEMORY: out of memory. Other programs", false},
		{"launch", plan{"fail_launch": 2}, func(d *cuda.Driver) error {
			g, err := d.Open(0)
			if err != nil {
				return err
			}
			defer g.Close()
			k, err := g.LoadKernels()
			if err != nil {
				return err
			}
			for range 5 {
				g.Compute.Launch(k.Function("nothing"), 1, 1, 0)
			}
			err = g.Synchronize()
			if again := g.Synchronize(); again == nil || again.Error() != err.Error() {
				t.Errorf("the error does not stay: %v", again)
			}
			if _, later := g.Alloc(8); later == nil {
				t.Error("a failed GPU works on")
			}
			return err
		}, "error 719, CUDA_ERROR_LAUNCH_FAILED", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, value := range c.plan {
				cudatest.Plant(t, name, value)
			}
			d, err := cuda.Load()
			if err == nil && c.do != nil {
				err = c.do(d)
			}
			if err == nil || !strings.Contains(err.Error(), c.wants) {
				t.Errorf("got %v\nwant %s", err, c.wants)
			}
			if badinput.Is(err) != c.bad {
				t.Errorf("bad input: %v", badinput.Is(err))
			}
		})
	}
}

// The emulator finds what it is there to find.
func TestEmulatorFindsFaults(t *testing.T) {
	for _, c := range []struct{ name, wants string }{
		{"no_barrier", "719"}, {"no_wait", "719"}, {"early_copy", "719"}, {"shared", "719"}, {"memory", "700"},
		{"lanes", "719"}, {"apart", "719"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cudatest.Plant(t, "devices", 1)
			d := must[*cuda.Driver](t)(cuda.Load())
			g := must[*cuda.GPU](t)(d.Open(0))
			f := must[*cuda.Function](t)(g.FakeFunction("fault_"+c.name, kernels.Kernel{Threads: 64, Shared: 1024}))
			p := must[cuda.Pointer](t)(g.Alloc(1024))
			g.Compute.Fill(p, 0, 1024)
			g.Compute.Launch(f, 1, 1, cuda.Argument(p))
			if err := g.Close(); err == nil || !strings.Contains(err.Error(), "error "+c.wants) {
				t.Errorf("the fault gave %v, want error %s", err, c.wants)
			}
		})
	}
}

// A copy of a box that nobody waits for is found too.
func TestEmulatorFindsBoxesInFlight(t *testing.T) {
	cudatest.Plant(t, "devices", 1)
	d := must[*cuda.Driver](t)(cuda.Load())
	g := must[*cuda.GPU](t)(d.Open(0))
	f := must[*cuda.Function](t)(g.FakeFunction("fault_box",
		kernels.Kernel{Threads: 64, Shared: 64*128 + 8, Outputs: 64, Tokens: 64, Maps: true}))
	p := must[cuda.Pointer](t)(g.Alloc(64 * 128))
	g.Compute.Fill(p, 0, 64*128)
	cuda.Product{Function: f}.Launch(g.Compute, cuda.Operands{Y: p, X: p, W: p, T: 64, N: 64, K: 64, Ldx: 64, Ldw: 64, Ldy: 64})
	if err := g.Close(); err == nil || !strings.Contains(err.Error(), "error 719") {
		t.Errorf("the fault gave %v", err)
	}
}

func TestNothingVisible(t *testing.T) {
	cudatest.Plant(t, "init", 100)
	t.Setenv("CUDA_VISIBLE_DEVICES", "GPU-typo")
	if _, err := cuda.Load(); !badinput.Is(err) || !strings.Contains(err.Error(), `CUDA_VISIBLE_DEVICES is "GPU-typo"`) {
		t.Error(err)
	}
}

func TestNoDriver(t *testing.T) {
	t.Setenv("BARKA_LIBCUDA", "/nonexistent/libcuda.so.1")
	_, err := cuda.Load()
	if !badinput.Is(err) || !strings.Contains(err.Error(), "no NVIDIA driver") {
		t.Error(err)
	}
}

// The kernel at fault is named when every launch is waited for.
func TestSynchronousLaunchesNameTheKernel(t *testing.T) {
	t.Setenv("BARKA_CUDA_SYNC", "1")
	cudatest.Plant(t, "fail_launch", 1)
	d := must[*cuda.Driver](t)(cuda.Load())
	g := must[*cuda.GPU](t)(d.Open(0))
	g.Compute.Launch(must[*cuda.Kernels](t)(g.LoadKernels()).Function("nothing"), 1, 1, 0)
	if err := g.Close(); err == nil || !strings.Contains(err.Error(), "of nothing failed with error 719") {
		t.Error(err)
	}
}
