package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// writeSet makes a dataset of n passages at dir.
func writeSet(t *testing.T, dir string, n int) {
	t.Helper()
	b := NewBuilder(dir, DefaultLimits)
	rows, err := b.Split("", reflect.TypeFor[Passage]())
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := rows.Write(reflect.ValueOf(Passage{ID: fmt.Sprint(i), Text: "text", Revision: int64(i) << 40})); err != nil {
			t.Fatal(err)
		}
	}
	m := &Manifest{Format: ManifestFormat, Stage: "test"}
	if err := b.Finish(m); err != nil {
		t.Fatal(err)
	}
	if err := b.Seal(m, nil); err != nil {
		t.Fatal(err)
	}
}

func TestTreeDigest(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "config.json"), []byte("{}"), 0o666)
	a, err := Digest(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(dir, ".cache"), []byte("{}"), 0o666)
	if b, _ := Digest(t.Context(), dir); a != b {
		t.Error("hidden files count")
	}
	os.WriteFile(filepath.Join(dir, "weights"), []byte("{}"), 0o666)
	if b, _ := Digest(t.Context(), dir); a == b {
		t.Error("new files do not count")
	}
}

func TestIDsAndSeeds(t *testing.T) {
	if a, b := ContentID("ab", "c"), ContentID("a", "bc"); a == b || len(a) != 16 {
		t.Errorf("%s %s", a, b)
	}
	if got := ContentID("x"); got != "f91b14e7bbea4c5b" {
		t.Errorf("ids changed: %s", got)
	}
	seen := map[int64]bool{}
	for i := range 1000 {
		s := RecordSeed(int64(i%2), fmt.Sprint(i/2), "s")
		if s < 0 || seen[s] {
			t.Fatalf("seed %d", s)
		}
		seen[s] = true
	}
}
