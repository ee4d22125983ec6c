// Package cpu selects the kernel variants: the best ones that this machine can run, or
// those that the user chose. The levels are ordered, and each includes the instructions of
// those below it. Code therefore tests them with >=.
package cpu

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
)

// Level is a set of kernel variants.
type Level int32

const (
	Generic    Level = iota // plain Go
	AVX2                    // AVX2 and FMA
	AVX512                  // AVX-512 F, BW, DQ, VL
	AVX512VNNI              // and VPDPBUSD
	AVX512BF16              // and VDPBF16PS
)

var names = [...]string{"generic", "avx2", "avx512", "avx512vnni", "avx512bf16"}

func (l Level) String() string { return names[l] }

// Variable is the environment variable that selects a level.
const Variable = "BARKA_CPU"

var selected atomic.Int32

func init() {
	level, err := choose(os.Getenv(Variable), Best())
	if err != nil {
		selectErr = err
	}
	selected.Store(int32(level))
}

var selectErr error // for Selected

// Selected returns the level in use. It returns an error if BARKA_CPU names a level that
// does not exist or that this machine lacks. Programs call it at start; kernels use Current.
func Selected() (Level, error) { return Current(), selectErr }

// Current returns the level in use.
func Current() Level { return Level(selected.Load()) }

// choose returns the level of a name, or best for an empty one. An unknown or unsupported
// level is an error, never a silent fallback.
func choose(value string, best Level) (Level, error) {
	if value == "" {
		return best, nil
	}
	for i, name := range names {
		if name != value {
			continue
		}
		if Level(i) > best {
			return best, fmt.Errorf("%s=%s: this machine has %s at most", Variable, value, best)
		}
		return Level(i), nil
	}
	return best, fmt.Errorf("%s=%s: expected one of %s", Variable, value, strings.Join(names[:], ", "))
}

// Levels lists the levels that this machine can run, lowest first.
func Levels() []Level {
	var ls []Level
	for l := Generic; l <= Best(); l++ {
		ls = append(ls, l)
	}
	return ls
}

// Use switches the level and returns a function that switches back. It is for tests and
// benchmarks. It panics if the machine lacks the level.
func Use(l Level) (restore func()) {
	if l > Best() {
		panic("cpu: this machine does not support the level")
	}
	old := selected.Swap(int32(l))
	return func() { selected.Store(old) }
}
