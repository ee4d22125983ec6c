package hub

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
)

// TestRemoveWaitsForNobody: while another process holds a lock of the repository, nothing is
// removed. Refs that name no commit remove nothing outside of the repository.
func TestRemoveWaitsForNobody(t *testing.T) {
	serve(t)
	c, _ := client(t, Options{})
	if _, err := fetch(t, c, "org/m"); err != nil {
		t.Fatal(err)
	}
	r := Repo{Model, "org/m", "main"}
	locks, err := filepath.Glob(filepath.Join(c.cache, ".locks", "models--org--m", "*.lock"))
	if err != nil || len(locks) < 2 {
		t.Fatalf("locks %v, %v", locks, err)
	}
	release, err := acquire(t.Context(), locks[0], func() {})
	if err != nil {
		t.Fatal(err)
	}
	before, err := r.cached(c.cache)
	if err != nil {
		t.Fatal(err)
	}
	for _, revision := range []string{"", "main"} {
		if _, err := Remove(c.cache, r, revision); err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), "another process") {
			t.Errorf("revision %q: %v", revision, err)
		}
	}
	if after, err := r.cached(c.cache); err != nil || after.Size != before.Size || len(after.Revisions) != 1 {
		t.Errorf("%+v, %v", after, err)
	}
	release()
	outside := filepath.Join(c.cache, "outside")
	if err := os.MkdirAll(outside, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"../../outside", strings.Repeat("f", 40)} {
		if err := os.WriteFile(filepath.Join(r.dir(c.cache), "refs", "evil"), []byte(ref), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Remove(c.cache, r, "evil")
		if there, _ := badinput.IsDir(outside); !there {
			t.Error("something outside was removed")
		}
		if (err == nil) != (len(ref) == 40) {
			t.Errorf("%s: %v", ref, err)
		}
	}
	freed, err := Remove(c.cache, r, before.Revisions[0].Commit[:8])
	if err != nil || freed != before.Size {
		t.Errorf("freed %d of %d, %v", freed, before.Size, err)
	}
	if there, _ := badinput.IsDir(r.dir(c.cache)); there {
		t.Error("the directory is left")
	}
}
