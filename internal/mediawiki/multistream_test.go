package mediawiki

import (
	"bytes"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/badinput"
)

// smallDump has 60 pages in streams of 10, and an index. reference/data/multistream.py made
// it of a dump without streams.
const smallDump = "testdata/small-multistream.xml.bz2"

func pagesOf(t *testing.T, path string, streams []Stream, site *Site) (pages []Page, err error) {
	t.Helper()
	f, ferr := os.Open(path)
	if ferr != nil {
		t.Fatal(ferr)
	}
	defer f.Close()
	for _, s := range streams {
		for p, e := range StreamPages(f, s, site) {
			if e != nil {
				return pages, e
			}
			pages = append(pages, p)
		}
	}
	return pages, nil
}

// TestStreams: the streams of a dump give the pages that the whole file gives.
func TestStreams(t *testing.T) {
	streams, site, err := Streams(smallDump)
	if err != nil || len(streams) != 8 || site.DB != "testwiki" || site.Namespaces[1] != "Talk" {
		t.Fatalf("%d streams of %+v, %v", len(streams), site, err)
	}
	got, err := pagesOf(t, smallDump, streams, site)
	if err != nil {
		t.Fatal(err)
	}
	f, err := OpenDump(smallDump)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var want []Page
	for p, err := range Pages(f, nil) {
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, p)
	}
	if len(want) != 60 || !slices.Equal(got, want) {
		t.Errorf("%d pages by streams, %d in all", len(got), len(want))
	}
}

// TestStreamsShareASite: reading the stream with the header changes nothing for those who read
// other streams meanwhile.
func TestStreamsShareASite(t *testing.T) {
	streams, _, err := Streams(smallDump)
	if err != nil {
		t.Fatal(err)
	}
	shared := Site{Name: "as it was"}
	if _, err := pagesOf(t, smallDump, streams[:1], &shared); err != nil || shared.Name != "as it was" || shared.DB != "" {
		t.Errorf("%+v, %v", shared, err)
	}
}

// TestOtherBzip2Files: files of one stream, and of streams that end within pages, are no
// multistream dumps.
func TestOtherBzip2Files(t *testing.T) {
	whole, err := os.ReadFile(smallDump)
	if err != nil {
		t.Fatal(err)
	}
	streams, _, _ := Streams(smallDump)
	bzip2Text := decoded(t, bzip2Text)
	for name, data := range map[string][]byte{
		"one.bz2": whole[:streams[1].Offset], "empty.bz2": {}, "cut.bz2": bzip2Text, "text.bz2": []byte("1AY&SY BZh91AY&S"),
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		if streams, _, err := Streams(path); streams != nil || err != nil {
			t.Errorf("%s: %d streams, %v", name, len(streams), err)
		}
	}
}

// TestFindStreams: beginnings on both sides of the buffer's end are found once.
func TestFindStreams(t *testing.T) {
	const mark = "BZh91AY&SY"
	for _, at := range []int{4<<20 - 10, 4<<20 - 9, 4<<20 - 5, 4<<20 - 1, 4 << 20} {
		data := bytes.Repeat([]byte{'x'}, 9<<20)
		copy(data, mark)
		copy(data[at:], mark)
		got, err := findStreams(bytes.NewReader(data))
		if want := []Stream{{0, int64(at)}, {int64(at), 9 << 20}}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%d: %v, %v", at, got, err)
		}
	}
}

// TestDamagedStream: a stream with a wrong bit names its place, and the others can be read.
func TestDamagedStream(t *testing.T) {
	data, err := os.ReadFile(smallDump)
	if err != nil {
		t.Fatal(err)
	}
	streams, site, _ := Streams(smallDump)
	data[(streams[3].Offset+streams[3].End)/2] ^= 8
	path := filepath.Join(t.TempDir(), "d.bz2")
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := pagesOf(t, path, streams[3:4], site); !badinput.Is(err) || !strings.Contains(err.Error(), "stream at byte 2") {
		t.Errorf("error %v", err)
	}
	if pages, err := pagesOf(t, path, slices.Concat(streams[:3], streams[4:]), site); err != nil || len(pages) != 50 {
		t.Errorf("%d pages, %v", len(pages), err)
	}
}

func TestLookup(t *testing.T) {
	streams, _, err := Streams(smallDump)
	if err != nil {
		t.Fatal(err)
	}
	index := FindIndex(smallDump)
	if filepath.Base(index) != "small-multistream-index.txt.bz2" {
		t.Fatalf("index %q", index)
	}
	want := map[string]bool{"A & B": true, "Page 31": true, "Page 33": true, "Nowhere": true}
	got, err := Lookup(index, streams, want)
	if err != nil || !slices.Equal(got, []int{1, 4}) || !slices.Equal(slices.Collect(maps.Keys(want)), []string{"Nowhere"}) {
		t.Errorf("streams %v without %v, %v", got, want, err)
	}
	other := filepath.Join(t.TempDir(), "index.txt")
	for text, want := range map[string]string{
		"17:1:Page 1\n": "no stream of the dump begins", "17:1\n": "line 1", "x:1:Page 1\n": "expected offset:pageid:title",
		"\n": "line 1", strings.Repeat("x", 1<<20): "token too long",
	} {
		if err := os.WriteFile(other, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Lookup(other, streams, map[string]bool{"Page 1": true}); !badinput.Is(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

// TestUnpackedBound: what unpacks to far more than its size is refused, with both numbers.
func TestUnpackedBound(t *testing.T) {
	_, err := io.Copy(io.Discard, bounded(repeated("", strings.Repeat(" ", 1<<16), 2<<30, ""), func() int64 { return 1 << 20 }))
	if !badinput.Is(err) || !strings.Contains(err.Error(), "1048576 compressed bytes unpack to more than 10737") {
		t.Errorf("error %v", err)
	}
}
