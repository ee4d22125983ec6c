package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func example() *release {
	return &release{module: "barka", commit: strings.Repeat("ab", 20), date: time.Unix(1_800_000_000, 0).UTC(),
		documents: []file{{"LICENSE", []byte("text"), 0o644}, {"CHANGELOG.md", []byte("# odd"), 0o644},
			{"recipes/a.yaml", []byte("name: a"), 0o644}},
		completions: []file{{"usr/share/fish/vendor_completions.d/barka.fish", []byte("complete"), 0o644}}}
}

// TestArchives: archives hold the files with their modes and the time of the commit, and are
// the same bytes each time.
func TestArchives(t *testing.T) {
	r := example()
	files := append([]file{{"barka", []byte("program"), 0o755}}, r.documents...)
	data, err := tarred("barka_1/", files, r.date)
	again, _ := tarred("barka_1/", files, r.date)
	if err != nil || !bytes.Equal(data, again) {
		t.Fatal("not the same bytes", err)
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int64{}
	for tr := tar.NewReader(z); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil || !h.ModTime.Equal(r.date) || h.Uid != 0 {
			t.Fatal(h, err)
		}
		found[h.Name] = h.Mode
	}
	if len(found) != 6 || found["barka_1/barka"] != 0o755 || found["barka_1/recipes/"] != 0o755 || found["barka_1/recipes/a.yaml"] != 0o644 {
		t.Errorf("%v", found)
	}
	data, err = zipped("barka_1", files, r.date)
	again, _ = zipped("barka_1", files, r.date)
	if err != nil || !bytes.Equal(data, again) {
		t.Fatal("not the same bytes", err)
	}
	list, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil || len(list.File) != 4 || list.File[0].Name != "barka_1/barka" || list.File[0].Mode() != 0o755 {
		t.Errorf("%v, %v", list, err)
	}
}

// TestImage: the files of an image lie at its root, and anyone may write to /tmp.
func TestImage(t *testing.T) {
	r := example()
	data, err := image(file{"barka", []byte("program"), 0o755}, []byte("licences"), r.documents, r.date)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int64{}
	for tr := tar.NewReader(z); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		found[string(h.Typeflag)+h.Name] = h.Mode
	}
	want := map[string]int64{"5licenses/": 0o755, "0barka": 0o755, "0licenses/LICENSE": 0o644,
		"0licenses/THIRD_PARTY_LICENSES.txt": 0o644, "5tmp/": 0o1777}
	if !maps.Equal(found, want) {
		t.Errorf("%v, expected %v", found, want)
	}
}

// TestDebian: dpkg reads the package, where there is a dpkg.
func TestDebian(t *testing.T) {
	r := example()
	data, err := debian(r, "amd64", file{"barka", []byte("program"), 0o755}, []byte("licences"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(data, []byte("!<arch>\ndebian-binary   1800000000  0     0     100644  4         `\n2.0\n")) {
		t.Errorf("%q", data[:80])
	}
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("there is no dpkg-deb")
	}
	path := filepath.Join(t.TempDir(), "barka.deb")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	for flag, want := range map[string]string{"--info": "Installed-Size: 1\n", "--contents": "root/root"} {
		text, err := exec.Command("dpkg-deb", flag, path).CombinedOutput()
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v\n%s", flag, err, text)
		}
	}
	if text, _ := exec.Command("dpkg-deb", "--contents", path).Output(); !strings.Contains(string(text), "-rwxr-xr-x root/root") ||
		!strings.Contains(string(text), "./usr/bin/barka\n") || !strings.Contains(string(text), "./usr/share/doc/barka/changelog.gz\n") {
		t.Errorf("%s", text)
	}
}

// TestParts: the list of parts names the modules of a program with their digests.
func TestParts(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := partsOf(program); err != nil {
		t.Fatal(err)
	}
	data, err := sbom([]part{{"example.org/a", "v1.2.3", "h1:x="}}, example(), file{"barka", []byte("program"), 0o755})
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		BOMFormat  string `json:"bomFormat"`
		Components []component
		Metadata   struct{ Component component }
	}
	if err := json.Unmarshal(data, &v); err != nil || v.BOMFormat != "CycloneDX" || len(v.Components) != 1 ||
		v.Components[0].PURL != "pkg:golang/example.org/a@v1.2.3" || len(v.Metadata.Component.Hashes[0].Content) != 64 {
		t.Errorf("%s, %v", data, err)
	}
}
