package rowlog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// numbers yields 0 to n-1, and an error after them if there is one.
func numbers(n int, failure error) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range n {
			if !yield(i, nil) {
				return
			}
		}
		if failure != nil {
			yield(0, failure)
		}
	}
}

func input(rows iter.Seq2[int, error]) Input[int] {
	return Input[int]{Rows: rows, Size: func(int) int { return 3000 }, Workers: 3, Done: func(int, bool) {}}
}

func text(_ int, row int) ([]byte, error) { return fmt.Appendf(nil, "%d", row*row), nil }

func open(t *testing.T, path string) *Log {
	t.Helper()
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// same compares all records with those of rows 0 to n-1, in order and by number.
func same(t *testing.T, l *Log, n int) {
	t.Helper()
	i := 0
	for r, err := range l.All() {
		if err != nil {
			t.Fatal(err)
		}
		want, _ := text(0, i)
		at, err := l.At(i)
		if err != nil || string(r) != string(want) || string(at) != string(want) {
			t.Fatalf("record %d is %q and %q (%v), want %q", i, r, at, err, want)
		}
		i++
	}
	if i != n || l.Len() != n {
		t.Errorf("%d records, Len %d, want %d", i, l.Len(), n)
	}
}

// TestResume fills a log, cuts or damages its file at several places, and fills it again:
// only what is lost is made again, and the records are the same.
func TestResume(t *testing.T) {
	const n = 5000
	path := filepath.Join(t.TempDir(), "log")
	l := open(t, path)
	if err := Fill(t.Context(), l, input(numbers(n, nil)), text); err != nil {
		t.Fatal(err)
	}
	same(t, l, n)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 5, len(whole) / 3, len(whole) - 1, len(whole)} {
		for _, damage := range []bool{false, true} {
			data := append([]byte(nil), whole...)
			if damage && size > 0 {
				data[size-1] ^= 0x40
			} else {
				data = data[:size]
			}
			if err := os.WriteFile(path, data, 0o666); err != nil {
				t.Fatal(err)
			}
			l := open(t, path)
			kept, made, skipped := l.Len(), 0, 0
			in := input(numbers(n, nil))
			in.Done = func(k int, before bool) {
				if before {
					skipped += k
				} else {
					made += k
				}
			}
			if err := Fill(t.Context(), l, in, text); err != nil {
				t.Fatal(err)
			}
			if made != n-kept || skipped != kept {
				t.Errorf("size %d, damage %v: %d kept, %d skipped, %d made", size, damage, kept, skipped, made)
			}
			same(t, l, n)
		}
	}
}

// TestFillStops returns the first error, and keeps the ranges before it.
func TestFillStops(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "log"))
	broken := errors.New("line 3000 is broken")
	if err := Fill(t.Context(), l, input(numbers(3000, broken)), text); err != broken {
		t.Errorf("an input's error became %v", err)
	}
	if l.Len() == 0 || l.Len() >= 3000 {
		t.Errorf("%d records were kept", l.Len())
	}
	refuse := func(_ int, row int) ([]byte, error) {
		if row >= 2500 {
			return nil, fmt.Errorf("row %d", row)
		}
		return text(0, row)
	}
	if err := Fill(t.Context(), l, input(numbers(3000, nil)), refuse); err == nil || !strings.HasPrefix(err.Error(), "row 2500") {
		t.Errorf("a row's error became %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Fill(ctx, l, input(numbers(3000, nil)), text); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled fill gave %v", err)
	}
	if err := Fill(t.Context(), l, input(numbers(3000, nil)), text); err != nil {
		t.Fatal(err)
	}
	same(t, l, 3000)
}

// TestEmpty has no records, and empty ones.
func TestEmpty(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "log"))
	if err := Fill(t.Context(), l, input(numbers(0, nil)), text); err != nil || l.Len() != 0 {
		t.Errorf("%d records, %v", l.Len(), err)
	}
	if err := Fill(t.Context(), l, input(numbers(2, nil)), func(int, int) ([]byte, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	if r, err := l.At(1); err != nil || len(r) != 0 || l.Len() != 2 {
		t.Errorf("record 1 of %d: %q, %v", l.Len(), r, err)
	}
}

// TestJoin reads rows with their records, and refuses an input that has become longer or
// shorter.
func TestJoin(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "log"))
	if err := Fill(t.Context(), l, input(numbers(2000, nil)), text); err != nil {
		t.Fatal(err)
	}
	seen := 0
	use := func(i int, row int, record []byte) error {
		if want, _ := text(0, row); i != row || string(record) != string(want) {
			return fmt.Errorf("row %d as %d with record %q", row, i, record)
		}
		seen++
		return nil
	}
	if err := Join(l, numbers(2000, nil), use); err != nil || seen != 2000 {
		t.Errorf("%d rows, %v", seen, err)
	}
	for _, n := range []int{1999, 2001} {
		if err := Join(l, numbers(n, nil), use); err == nil || !strings.Contains(err.Error(), "do not change it") {
			t.Errorf("%d rows: %v", n, err)
		}
	}
}
