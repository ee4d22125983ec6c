//go:build cuda && linux

// Package cudatest opens GPUs for tests: the fake driver, which it builds with g++ from the sources
// in internal/cuda/fake, or a real card with BARKA_GPU=card.
package cudatest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
	"unsafe"

	"barka/internal/cuda"

	"github.com/ebitengine/purego"
)

// OnCard reports whether tests run on a real GPU.
func OnCard() bool { return os.Getenv("BARKA_GPU") == "card" }

// Large reports whether tests use the sizes of real models: on a card, unless BARKA_GPU_SMALL is set,
// as it is under compute-sanitizer.
func Large() bool { return OnCard() && os.Getenv("BARKA_GPU_SMALL") == "" }

// cache is the user's directory of caches, before tests have set another one for themselves.
var cache = func() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return os.TempDir()
	}
	return dir
}()

// fake builds the fake driver, unless an earlier process has built it from the same sources, and
// returns its path, or why there is none.
var fake = sync.OnceValues(func() (path, why string) {
	if runtime.GOARCH != "amd64" {
		return "", "the emulator's fibers are written for amd64"
	}
	compiler, err := exec.LookPath("g++")
	if err != nil {
		return "", "g++ is missing: the fake GPU driver is C++"
	}
	_, here, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(here), "..")
	sources, _ := filepath.Glob(filepath.Join(root, "fake", "*.cc"))
	if len(sources) == 0 {
		return "", "the sources of the fake driver are not beside this test"
	}
	arguments := append([]string{"-std=c++20", "-O2", "-DBARKA_EMULATE", "-ffp-contract=off", "-fno-strict-aliasing", "-fPIC",
		"-shared", "-Wall", "-Wno-psabi", "-Werror"}, sources...)
	folder := filepath.Join(cache, "barka-fake-gpu")
	path = filepath.Join(folder, digest(root, compiler, arguments)+".so")
	if now := time.Now(); os.Chtimes(path, now, now) == nil {
		return path, ""
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err.Error()
	}
	forget(folder)
	built := fmt.Sprintf("%s.%d", path, os.Getpid())
	defer os.Remove(built)
	if out, err := exec.Command(compiler, append(arguments, "-o", built)...).CombinedOutput(); err != nil {
		panic("the fake driver does not compile:\n" + string(out))
	}
	if err := os.Rename(built, path); err != nil {
		return "", err.Error()
	}
	return path, ""
})

// digest is a hash of the compiler's version, its arguments, and all sources below root.
func digest(root, compiler string, arguments []string) string {
	h := sha256.New()
	version, _ := exec.Command(compiler, "--version").Output()
	fmt.Fprintf(h, "%s\n%q\n", version, arguments)
	for _, pattern := range []string{"fake/*", "kernels/*.cu", "kernels/*.h"} {
		files, _ := filepath.Glob(filepath.Join(root, pattern))
		for _, name := range files {
			data, _ := os.ReadFile(name)
			fmt.Fprintf(h, "%s %d\n%s", name, len(data), data)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// forget removes drivers that no test has used for some days.
func forget(folder string) {
	entries, _ := os.ReadDir(folder)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > 5*24*time.Hour {
			os.Remove(filepath.Join(folder, e.Name()))
		}
	}
}

// child is set for processes that a test starts: they use the fake driver of their parent.
const child = "BARKA_FAKE_CHILD"

// Child returns the environment of a process that a test starts.
func Child() []string { return append(os.Environ(), child+"=1") }

// Library names the driver for Load: the fake one, or the machine's. Without either the test is
// skipped.
func Library(t testing.TB) {
	t.Helper()
	if OnCard() || os.Getenv(child) != "" {
		return
	}
	path, why := fake()
	if why != "" {
		t.Skip(why)
	}
	os.Setenv("BARKA_LIBCUDA", path)
}

// Plant sets what the fake driver is to do until the test ends (see barka_fake_plant in
// fake/driver.cc), and skips on a card.
func Plant(t testing.TB, name string, value int) {
	t.Helper()
	if OnCard() {
		t.Skip("failures are planted in the fake driver only")
	}
	Library(t)
	set := planter(t)
	set(name, value)
	t.Cleanup(func() { set("reset", 0) })
}

// FailAllocation makes the n-th allocation from now on fail, in an open GPU too, and when it is tried
// again at once. met, which is called afterwards, ends that and reports whether there was one.
func FailAllocation(t testing.TB, n int) (met func() bool) {
	t.Helper()
	if OnCard() {
		t.Skip("failures are planted in the fake driver only")
	}
	set, count := planter(t), symbol(t, "barka_fake_allocations")
	set("failures", 2)
	set("fail_allocation", n)
	return func() bool {
		asked, _, _ := purego.SyscallN(count)
		set("fail_allocation", -1)
		return int(asked) >= n
	}
}

// OneOrder makes the fake driver run each launch once instead of in three orders of its threads, for
// tests of whole models, until the process ends or a test that plants something else does.
func OneOrder(t testing.TB) {
	t.Helper()
	if OnCard() {
		return
	}
	Library(t)
	planter(t)("orders", 1)
}

// planter returns the fake driver's barka_fake_plant.
func planter(t testing.TB) func(name string, value int) {
	t.Helper()
	plant := symbol(t, "barka_fake_plant")
	return func(name string, value int) {
		text := append([]byte(name), 0)
		purego.SyscallN(plant, uintptr(unsafe.Pointer(&text[0])), uintptr(value))
	}
}

// symbol returns a function of the fake driver.
func symbol(t testing.TB, name string) uintptr {
	t.Helper()
	library, err := purego.Dlopen(os.Getenv("BARKA_LIBCUDA"), purego.RTLD_NOW)
	if err != nil {
		t.Fatal(err)
	}
	f, err := purego.Dlsym(library, name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Open opens the first GPU until the test ends. A GPU that has failed by then fails the test.
func Open(t testing.TB) *cuda.GPU {
	t.Helper()
	Library(t)
	d, err := cuda.Load()
	if err != nil {
		t.Fatal(err)
	}
	g, err := d.Open(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}
