//go:build cuda && linux

// Command measure times the GPU kernels and writes a JSON list of measurements to standard output:
// work, variant, shape, value, unit. check.sh runs it on a card.
package main

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"barka/internal/cuda"
	"barka/internal/dtype"
)

type measurement struct {
	Work    string  `json:"work"`
	Variant string  `json:"variant"`
	Shape   string  `json:"shape"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
}

type session struct {
	*cuda.GPU
	kernels *cuda.Kernels
	noise   cuda.Pointer // normal bfloat16 values
	filled  int          // bytes of noise
	divide  int          // of sizes, so that the emulator can run this too
	results []measurement
}

// size returns n divided as the flag says, a multiple of 8.
func (s *session) size(n int) int { return max(n/s.divide, 8) &^ 7 }

func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		log.Fatal("measure: ", err)
	}
}

func main() {
	divide := flag.Int("divide", 1, "divides all sizes, for a run on the emulated GPU")
	flag.Parse()
	driver := must(cuda.Load())
	gpu := must(driver.Open(0))
	s := &session{GPU: gpu, kernels: must(gpu.LoadKernels()), divide: *divide}
	s.add("card", fmt.Sprintf("%s, capability %d.%d, driver for CUDA %d.%d", gpu.Name, gpu.Major, gpu.Minor,
		driver.Version/1000, driver.Version%1000/10), fmt.Sprint(s.kernels.Images), float64(gpu.Processors), "multiprocessors")
	s.add("signals", "handlers that cuInit or the context replaced", fmt.Sprint("list: ", driver.Replaced),
		float64(len(driver.Replaced)), "signals")
	random := rand.New(rand.NewPCG(1, 2))
	s.filled = s.size(8 << 20)
	values := make([]float32, s.filled/2)
	for i := range values {
		values[i] = float32(random.NormFloat64())
	}
	s.noise = must(gpu.Alloc(s.filled))
	check(gpu.Upload(s.noise, dtype.Narrow(dtype.BF16, values)))

	s.copies()
	start := time.Now()
	const calls = 100_000
	for range calls {
		must(driver.Devices())
	}
	s.add("launch", "call of the driver", "cuDeviceGetCount", time.Since(start).Seconds()/calls*1e6, "µs each")
	s.launches()
	s.rows()
	s.large()
	s.small()
	s.families()
	s.attention()
	check(gpu.Close())
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", " ")
	check(out.Encode(s.results))
}

func (s *session) add(work, variant, shape string, value float64, unit string) {
	s.results = append(s.results, measurement{work, variant, shape, value, unit})
	fmt.Fprintf(os.Stderr, "%-14s %-22s %-24s %10.4g %s\n", work, variant, shape, value, unit)
}

// random allocates memory and fills it with normal values.
func (s *session) random(bytes int) cuda.Pointer {
	p := must(s.Alloc(bytes))
	for at := 0; at < bytes; at += s.filled {
		s.Compute.Copy(p+cuda.Pointer(at), s.noise, min(s.filled, bytes-at))
	}
	return p
}

func (s *session) free(ps ...cuda.Pointer) {
	for _, p := range ps {
		check(s.Free(p))
	}
}

// seconds returns the median over five of the GPU's time for one call of f, which records work; each
// of the five covers `calls` calls.
func (s *session) seconds(calls int, f func()) float64 {
	from, to := must(s.NewEvent()), must(s.NewEvent())
	defer from.Close()
	defer to.Close()
	if s.divide > 1 {
		calls = 1
	}
	f()
	var all []float64
	for range 5 {
		s.Compute.Record(from)
		for range calls {
			f()
		}
		s.Compute.Record(to)
		check(to.Synchronize())
		all = append(all, must(to.Since(from)).Seconds()/float64(calls))
	}
	slices.Sort(all)
	return all[2]
}

func (s *session) copies() {
	bytes := s.size(4 << 30)
	a, b := s.random(bytes), must(s.Alloc(bytes))
	t := s.seconds(3, func() { s.Compute.Copy(b, a, bytes) })
	s.add("copy", "device to device", "4 GiB", 2*float64(bytes)/t/1e12, "TB/s, both ways")
	s.free(a, b)
	host := s.size(256 << 20)
	h := must(s.AllocHost(host))
	d := must(s.Alloc(host))
	t = s.seconds(3, func() { s.Compute.CopyIn(d, h, 0, host) })
	s.add("copy", "host to device", "256 MiB, page-locked", float64(host)/t/1e9, "GB/s")
	t = s.seconds(3, func() { s.Compute.CopyOut(h, 0, d, host) })
	s.add("copy", "device to host", "256 MiB, page-locked", float64(host)/t/1e9, "GB/s")
	check(s.FreeHost(h))
	s.free(d)
}

// launches measures what recording and launching cost, without and with a graph.
func (s *session) launches() {
	f := s.kernels.Function("nothing")
	launch := func(n int) {
		for range n {
			s.Compute.Launch(f, 1, 1, 0)
		}
	}
	launch(2000)
	check(s.Synchronize())
	n := s.size(100_000)
	start := time.Now()
	launch(n)
	check(s.Synchronize())
	s.add("launch", "recorded", fmt.Sprint(n, " in a row"), time.Since(start).Seconds()/float64(n)*1e6, "µs each")
	var records []float64
	for range 9 {
		start := time.Now()
		launch(500) // less than the ring holds
		records = append(records, time.Since(start).Seconds()/500*1e6)
		check(s.Synchronize())
	}
	slices.Sort(records)
	s.add("launch", "caller's share", "500 in a row", records[len(records)/2], "µs each")
	start = time.Now()
	for range s.size(2000) {
		launch(1)
		check(s.Synchronize())
	}
	s.add("launch", "with a wait", "one at a time", time.Since(start).Seconds()/float64(s.size(2000))*1e6, "µs each")
	graph := must(s.Compute.Capture(func() { launch(400) }))
	t := s.seconds(20, func() { s.Compute.Replay(graph) })
	s.add("launch", "graph of 400", "GPU's time", t/400*1e6, "µs each")
	start = time.Now()
	for range 50 {
		s.Compute.Replay(graph)
		check(s.Synchronize())
	}
	s.add("launch", "graph of 400", "with a wait, whole graph", time.Since(start).Seconds()/50*1e6, "µs")
	check(graph.Close())
}

// rows measures kernels that move memory, at Gemma-2-2b's widths.
func (s *session) rows() {
	T, D, F := s.size(8192), s.size(2304), s.size(9216)
	x, y, w := s.random(4*T*D), must(s.Alloc(4*T*D)), s.random(4*D)
	f := s.kernels.Function("rms_norm_bf16_f32")
	t := s.seconds(20, func() {
		s.Compute.Launch(f, T, 1, cuda.Argument(y), cuda.Argument(x), cuda.Argument(w), cuda.Int(D), cuda.Float(1e-6), cuda.Int(1))
	})
	s.add("rows", "rms_norm_bf16_f32", fmt.Sprintf("%d×%d", T, D), float64(T*D*6)/t/1e12, "TB/s")
	f = s.kernels.Function("add_f32_bf16")
	t = s.seconds(20, func() {
		s.Compute.Launch(f, 8*s.Processors, 1, cuda.Argument(y), cuda.Argument(x), cuda.Size(T*D))
	})
	s.add("rows", "add_f32_bf16", fmt.Sprintf("%d×%d", T, D), float64(T*D*10)/t/1e12, "TB/s")
	s.free(x, y, w)
	g, z := s.random(2*T*2*F), must(s.Alloc(2*T*F))
	f = s.kernels.Function("gate_bf16")
	t = s.seconds(20, func() {
		s.Compute.Launch(f, (F+8*256-1)/(8*256), T, cuda.Argument(z), cuda.Argument(g),
			cuda.Argument(g)+cuda.Argument(2*F), cuda.Int(F), cuda.Int(2*F), cuda.Int(0))
	})
	s.add("rows", "gate_bf16", fmt.Sprintf("%d×%d", T, F), float64(T*F*6)/t/1e12, "TB/s")
	s.free(g, z)
}

// Gemma-2-2b's products [N,K]: q|k|v, the attention's output, gate|up, down.
var gemma2b = [][2]int{{4096, 2304}, {2304, 2048}, {18432, 2304}, {2304, 9216}}

// large measures products of many rows. The best variant also appears by itself.
func (s *session) large() {
	shapes := [][3]int{{8192, 8192, 8192}, {1024, 256000, 2304}}
	for _, nk := range gemma2b {
		shapes = append(shapes, [3]int{8192, nk[0], nk[1]})
	}
	shapes = append(shapes, [3]int{512, 2304, 2304}, [3]int{128, 2304, 2304})
	for _, shape := range shapes {
		T, N, K := s.size(shape[0]), s.size(shape[1]), s.size(shape[2])
		o := cuda.Operands{T: T, N: N, K: K, Ldx: K, Ldw: K, Ldy: N}
		o.Y, o.X, o.W = must(s.Alloc(2*T*N)), s.random(2*T*K), s.random(2*N*K)
		flop := 2 * float64(T) * float64(N) * float64(K)
		s.best("gemm_tn", shapeText(T, N, K), func(p cuda.Product) (float64, string) {
			if p.Small && T > 512 {
				return 0, ""
			}
			calls := int(min(max(0.02/(flop/400e12), 3), 50))
			return flop / s.seconds(calls, func() { p.Launch(s.Compute, o) }) / 1e12, "TFLOP/s"
		})
		s.free(o.Y, o.X, o.W)
	}
}

func shapeText(T, N, K int) string { return fmt.Sprintf("T=%d N=%d K=%d", T, N, K) }

// best measures all products that take part and adds the fastest once more.
func (s *session) best(work, shape string, measure func(cuda.Product) (float64, string)) {
	var best measurement
	for _, p := range s.kernels.Products(cuda.ProductBF16) {
		value, unit := measure(p)
		if unit == "" {
			continue
		}
		s.add(work, p.Name, shape, value, unit)
		if value > best.Value {
			best = s.results[len(s.results)-1]
		}
	}
	s.add(work+" best", best.Variant, shape, best.Value, cmp.Or(best.Unit, "none"))
}

// small measures products of few rows, which read weights. A graph goes through so many copies of
// the weights that the L2 cache holds none of them.
func (s *session) small() {
	for _, nk := range append([][2]int{{2304, 2304}}, gemma2b...) {
		N, K := s.size(nk[0]), s.size(nk[1])
		bytes := 2 * N * K
		copies := max(4, 512<<20/s.divide/s.divide/bytes)
		weights := s.random(copies * bytes)
		for _, T := range []int{1, 8, 16, 32, 64} {
			o := cuda.Operands{Y: must(s.Alloc(2 * T * N)), X: s.random(2 * T * K), T: T, N: N, K: K, Ldx: K, Ldw: K, Ldy: N}
			s.best("gemm_small", shapeText(T, N, K), func(p cuda.Product) (float64, string) {
				if !p.Small || p.Tokens >= 2*T && p.Tokens > 8 {
					return 0, ""
				}
				graph := must(s.Compute.Capture(func() {
					for c := range copies {
						o.W = weights + cuda.Pointer(c*bytes)
						p.Launch(s.Compute, o)
					}
				}))
				t := s.seconds(3, func() { s.Compute.Replay(graph) })
				check(graph.Close())
				return float64(copies*bytes) / t / 1e12, "TB/s of weights"
			})
			s.free(o.Y, o.X)
		}
		s.free(weights)
	}
}
