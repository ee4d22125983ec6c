package filestamp

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

func of(t *testing.T, path string) Stamp {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return Of(info)
}

// TestStamp changes a file in the ways that must show: its bytes with the same size and the
// modification time set back, and its replacement.
func TestStamp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write(path, "one")
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	before := of(t, path)
	if of(t, path) != before {
		t.Error("the stamp of an unchanged file differs")
	}
	if runtime.GOOS == "windows" {
		return // no change time
	}
	time.Sleep(20 * time.Millisecond) // longer than a tick of the file system's clock
	write(path, "two")
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	second := of(t, path)
	if second == before {
		t.Error("a rewritten file has the same stamp")
	}
	write(path+"2", "two")
	if err := os.Rename(path+"2", path); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	if of(t, path).Inode == second.Inode {
		t.Error("another file has the same inode")
	}
}

func TestSettled(t *testing.T) {
	now := time.Now()
	at := func(d time.Duration) int64 { return now.Add(d).UnixNano() }
	for _, c := range []struct {
		modified, changed time.Duration
		want              bool
	}{{-time.Hour, -time.Hour, true}, {-time.Hour, -time.Second, false}, {-time.Second, -time.Hour, false},
		{time.Hour, -time.Hour, false}, {0, 0, false}} {
		s := Stamp{Modified: at(c.modified), Changed: at(c.changed)}
		if s.Settled(now) != c.want {
			t.Errorf("modified %v, changed %v: settled is %v", c.modified, c.changed, !c.want)
		}
	}
}
