// Package hostile damages valid files for tests. Their readers must either refuse
// a damaged file with a sentence or accept it, in bounded memory and time and
// without a panic.
package hostile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"barka/internal/badinput"
	"barka/internal/resident"
)

// A small damaged file must be read within these bounds. They leave room for what
// formats legitimately need, such as Zstandard's window.
const (
	MaxMemory = 700 << 20 // bytes
	MaxTime   = 2 * time.Minute
)

// Mutate returns a damaged copy of a file: bits or bytes changed, the end cut off,
// a number replaced by an extreme one, a block repeated, moved or removed.
func Mutate(rng *rand.Rand, file []byte) []byte {
	out := bytes.Clone(file)
	for range 1 + rng.IntN(3) {
		if len(out) == 0 {
			break
		}
		out = mutations[rng.IntN(len(mutations))](rng, out)
	}
	return out
}

var mutations = []func(*rand.Rand, []byte) []byte{
	flipBit, setByte, truncate, binaryNumber, binaryNumber, textNumber, textNumber, duplicate, drop, swap,
}

func flipBit(rng *rand.Rand, b []byte) []byte {
	b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
	return b
}

func setByte(rng *rand.Rand, b []byte) []byte {
	b[rng.IntN(len(b))] = byte(rng.Uint32())
	return b
}

func truncate(rng *rand.Rand, b []byte) []byte { return b[:rng.IntN(len(b))] }

// binaryNumber overwrites bytes with an extreme number, which may hit a length.
func binaryNumber(rng *rand.Rand, b []byte) []byte {
	extremes := []uint64{0, 1, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 40, 1<<63 - 1, 1 << 63, 1<<64 - 1}
	var number [10]byte
	n := []int{1, 2, 4, 8, 10}[rng.IntN(5)]
	if v := extremes[rng.IntN(len(extremes))]; n == 10 {
		n = binary.PutUvarint(number[:], v)
	} else {
		binary.LittleEndian.PutUint64(number[:], v)
	}
	copy(b[rng.IntN(len(b)):], number[:n])
	return b
}

var digits = regexp.MustCompile(`[0-9]+`)

// textNumber replaces one of the numbers in a text by an extreme or another value.
func textNumber(rng *rand.Rand, b []byte) []byte {
	found := digits.FindAllIndex(b, 1000)
	if len(found) == 0 {
		return setByte(rng, b)
	}
	at := found[rng.IntN(len(found))]
	with := []string{
		"-1", "0", "1", "2147483647", "4294967296", "1000000000000", "9223372036854775807", "99999999999999999999", "1e308",
		"null", "0.5", `""`, "[]", "{}",
	}
	return bytes.Join([][]byte{b[:at[0]], []byte(with[rng.IntN(len(with))]), b[at[1]:]}, nil)
}

// block returns the bounds of a random part of b, short or long.
func block(rng *rand.Rand, b []byte) (begin, end int) {
	begin = rng.IntN(len(b))
	return begin, min(len(b), begin+1+rng.IntN(1<<rng.IntN(12)))
}

func duplicate(rng *rand.Rand, b []byte) []byte {
	begin, end := block(rng, b)
	return bytes.Join([][]byte{b[:end], bytes.Repeat(b[begin:end], 1+rng.IntN(3)), b[end:]}, nil)
}

func drop(rng *rand.Rand, b []byte) []byte {
	begin, end := block(rng, b)
	return append(b[:begin:begin], b[end:]...)
}

func swap(rng *rand.Rand, b []byte) []byte {
	begin, end := block(rng, b)
	to := rng.IntN(len(b) - (end - begin) + 1)
	rest := append(b[:begin:begin], b[end:]...)
	return bytes.Join([][]byte{rest[:to], b[begin:end], rest[to:]}, nil)
}

// Tally counts how damaged files were read.
type Tally struct {
	Refused, Accepted, Panics int
	Peak                      int64    // largest memory taken by one file, in bytes
	Problems                  []string // panics, errors that do not blame the input, bounds exceeded
}

// Read reads the file at path, which the tally calls name, and counts the outcome.
// A refusal must name the file or its directory.
func (t *Tally) Read(name, path string, read func() error) {
	var err error
	done := make(chan struct{})
	watch := time.AfterFunc(MaxTime, func() { panic(name + ": is read for more than " + MaxTime.String()) })
	grown := resident.Growth(func() {
		go func() { // its own goroutine, because its stack counts too
			defer close(done)
			defer func() {
				if p := recover(); p != nil {
					err = fmt.Errorf("panic: %v", p)
					t.Panics++
				}
			}()
			err = read()
		}()
		<-done
	})
	watch.Stop()
	t.Peak = max(t.Peak, grown)
	switch {
	case err == nil:
		t.Accepted++
	case badinput.Is(err) && (strings.Contains(err.Error(), filepath.Base(path)) || strings.Contains(err.Error(), filepath.Dir(path))):
		t.Refused++
	case badinput.Is(err):
		t.Problems = append(t.Problems, fmt.Sprintf("%s: %.500s: does not name the file", name, err))
	default:
		t.Problems = append(t.Problems, fmt.Sprintf("%s: %.500s: not a refusal of bad input", name, err))
	}
	if grown > MaxMemory {
		t.Problems = append(t.Problems, fmt.Sprintf("%s: took %d MiB", name, grown>>20))
	}
}

func (t *Tally) String() string {
	return fmt.Sprintf("%d refused with a sentence, %d accepted, %d panics, peak memory %d MiB, %d problems",
		t.Refused, t.Accepted, t.Panics, t.Peak>>20, len(t.Problems))
}
