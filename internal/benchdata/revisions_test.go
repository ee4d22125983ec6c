package benchdata

import (
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"barka/internal/hub"
	"barka/internal/hub/hubtest"
)

// TestRevisions: a pinned dataset is read at its commit, whatever main has become since, and is
// downloaded at that commit again when the cache has lost it.
func TestRevisions(t *testing.T) {
	s := hubtest.New()
	defer s.Close()
	for name, value := range map[string]string{"HF_ENDPOINT": s.URL(), "HF_HUB_CACHE": t.TempDir(), "HF_HUB_OFFLINE": "",
		"HF_TOKEN": "", "HF_TOKEN_PATH": filepath.Join(t.TempDir(), "none")} {
		t.Setenv(name, value)
	}
	needs := []Need{{"o/d", "a", "test"}, {"o/d", "b", "test"}, {"o/d", "a", "test"}}
	add := func(text string) string {
		return s.Add("datasets", "o/d", "main", map[string][]byte{"a/test.csv": []byte("question\n" + text + "\n"),
			"b/test.csv": []byte("question\n")})
	}
	client, err := hub.New(hub.Options{})
	if err != nil {
		t.Fatal(err)
	}
	fetch := func(pins Revisions) Content {
		t.Helper()
		store := Cache(pins)
		d, err := Downloads(t.Context(), client, store.Lacking(needs), pins)
		if err != nil || d.Fetch(t.Context(), client) != nil || len(d.Why) > 0 {
			t.Fatal(err, d.Why)
		}
		c, err := Cache(pins).Identify(needs)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := add("one")
	before := fetch(nil)
	if want := (Revisions{"o/d": {first}}); !reflect.DeepEqual(before.Revisions, want) {
		t.Fatalf("%v, want %v", before.Revisions, want)
	}
	second := add("two")
	if _, err := hub.Remove(hub.CacheDir(), hub.Repo{Kind: hub.Dataset, ID: "o/d"}, ""); err != nil {
		t.Fatal(err)
	}
	if now := fetch(nil); now.Digest == before.Digest || now.Revisions["o/d"][0] != second {
		t.Errorf("main has moved on: %v", now)
	}
	if pinned := fetch(before.Revisions); !reflect.DeepEqual(pinned, before) {
		t.Errorf("pinned: %v, want %v", pinned, before)
	}
	unknown := Revisions{"o/d": {strings.Repeat("0", 40)}}
	_, err = Cache(unknown).Locate("o/d", "a", "test")
	if missing := (*Missing)(nil); !errors.As(err, &missing) || missing.Command() != "barka download --dataset o/d@"+strings.Repeat("0", 40) {
		t.Errorf("a commit that is not there: %v", err)
	}
	d, err := Downloads(t.Context(), client, needs, unknown)
	if err != nil || d.Why["o/d"] == nil || len(d.Plans) > 0 {
		t.Errorf("a commit that nobody has: %v, %v", d, err)
	}
}
