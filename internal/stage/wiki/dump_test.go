package wiki

import (
	"bytes"
	"compress/bzip2"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/mediawiki"
	"barka/internal/progress"
)

// smallDump has 60 pages in streams of 10, with an index.
const smallDump = "../../mediawiki/testdata/small-multistream.xml.bz2"

func dumpOptions(path string) Options {
	o := Defaults()
	o.Dump, o.MinChars = path, 20
	return o
}

func runDump(t *testing.T, o Options, p progress.Reporter) (string, *dataset.Manifest, error) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	m, err := Run(t.Context(), o, nil, durable.Env{Out: out, Progress: p})
	return out, m, err
}

// copied writes a file beside no index.
func copied(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func smallBytes(t *testing.T) (compressed, text []byte) {
	t.Helper()
	compressed, err := os.ReadFile(smallDump)
	if err != nil {
		t.Fatal(err)
	}
	if text, err = io.ReadAll(bzip2.NewReader(bytes.NewReader(compressed))); err != nil {
		t.Fatal(err)
	}
	return compressed, text
}

// TestSameRows: a dump gives the same rows and counts by its streams and as a plain file.
func TestSameRows(t *testing.T) {
	_, text := smallBytes(t)
	want, m, err := runDump(t, dumpOptions(smallDump), progress.Silent)
	if err != nil || m.Rows != 96 || m.Counts["pages"] != 48 || m.Counts["rejected_redirect"] != 6 {
		t.Fatalf("%v, %+v", err, m)
	}
	got, plain, err := runDump(t, dumpOptions(copied(t, "plain.xml", text)), progress.Silent)
	if err != nil || !slices.Equal(rows(t, want), rows(t, got)) || fmt.Sprint(m.Counts) != fmt.Sprint(plain.Counts) {
		t.Errorf("%v; %v by streams, %v plain", err, m.Counts, plain.Counts)
	}
}

// TestTitlesByIndex: the index spares the streams without chosen titles, and changes no row.
func TestTitlesByIndex(t *testing.T) {
	data, _ := smallBytes(t)
	o := dumpOptions(smallDump)
	o.Titles = []string{"a & B", "Page 41", "Page 9", "Nowhere"}
	sized := &sizes{Reporter: progress.Silent}
	withIndex, m, err := runDump(t, o, sized)
	if err != nil || m.Counts["pages"] != 2 || m.Counts["rejected_missing_page"] != 1 || m.Counts["rejected_redirect"] != 1 {
		t.Fatalf("%v, %+v", err, m)
	}
	if total := int64(len(data)); sized.total > total/2 || sized.total == 0 {
		t.Errorf("%d of %d bytes are read for two streams", sized.total, total)
	}
	o.Dump = copied(t, "alone-multistream.xml.bz2", data)
	without, _, err := runDump(t, o, sized)
	if err != nil || sized.total != int64(len(data)) || !slices.Equal(rows(t, withIndex), rows(t, without)) {
		t.Errorf("without an index: %v, %d bytes read", err, sized.total)
	}
	o.Index = copied(t, "index.txt", []byte("5:1:A &amp; B\n"))
	if _, _, err = runDump(t, o, progress.Silent); !badinput.Is(err) || !strings.Contains(err.Error(), "no stream of the dump begins") {
		t.Errorf("the index of another dump: %v", err)
	}
}

type sizes struct {
	progress.Reporter
	total int64
}

func (s *sizes) Start(_ string, total int64, _ string) { s.total = total }

// TestResumedDump: an interrupted run goes on with the units that are not done, and ends in
// the same bytes.
func TestResumedDump(t *testing.T) {
	data, text := smallBytes(t)
	for name, path := range map[string]string{
		"streams": copied(t, "a-multistream.xml.bz2", data), "plain": copied(t, "a.xml", manyPages(text)),
	} {
		want, _, err := runDump(t, dumpOptions(path), progress.Silent)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		out := filepath.Join(t.TempDir(), "out")
		stop := &stopAfter{Reporter: progress.Silent, calls: 1, cancel: cancel}
		if _, err := Run(ctx, dumpOptions(path), nil, durable.Env{Out: out, Progress: stop}); !errors.Is(err, context.Canceled) {
			t.Fatalf("%s: error %v, want that it was cancelled", name, err)
		}
		second := &counts{Reporter: progress.Silent, end: -1}
		if _, err := Run(t.Context(), dumpOptions(path), nil, durable.Env{Out: out, Progress: second}); err != nil {
			t.Fatal(err)
		}
		if second.skipped == 0 {
			t.Errorf("%s: nothing was kept", name)
		}
		sameFiles(t, want, out)
	}
}

// TestSecondHeader: pages keep the address of the first header, even if workers make them after
// another one was read.
func TestSecondHeader(t *testing.T) {
	const header = "<siteinfo><base>https://%s.test/wiki/Main</base></siteinfo>"
	const page = "<page><title>%s</title><ns>0</ns><id>1</id><revision><text>Some text.</text></revision></page>"
	text := fmt.Sprintf("<mediawiki>"+header+page+header+page+"</mediawiki>", "first", "A", "second", "B")
	f, err := mediawiki.OpenDump(copied(t, "x.xml", []byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var pages []rawPage
	for p, err := range (&dumpPages{s: &stage{o: dumpOptions("")}}).xml(f) {
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, p)
	}
	for _, p := range pages {
		if m, _, err := p.make(); err != nil || !strings.HasPrefix(m.Row.URL, "https://first.test/") {
			t.Errorf("%s: %q, %v", p.name, m.Row.URL, err)
		}
	}
	if len(pages) != 2 {
		t.Errorf("%d pages", len(pages))
	}
}

// manyPages repeats the pages of a dump, with other numbers, so that they make several units.
func manyPages(text []byte) []byte {
	start, end := bytes.Index(text, []byte("  <page>")), bytes.Index(text, []byte("</mediawiki>"))
	out := bytes.Clone(text[:start])
	for i := range 8 {
		pages := bytes.ReplaceAll(text[start:end], []byte("<id>"), fmt.Appendf(nil, "<id>%d", i+1))
		out = append(out, bytes.ReplaceAll(pages, []byte(" is a page"), fmt.Appendf(nil, " is page %d", i))...)
	}
	return append(out, text[end:]...)
}

// stopAfter cancels at the given call of Add.
type stopAfter struct {
	progress.Reporter
	calls  int
	cancel func()
}

func (s *stopAfter) Add(int64) {
	if s.calls--; s.calls == 0 {
		s.cancel()
	}
}

// sameFiles compares two dataset directories byte by byte.
func sameFiles(t *testing.T, a, b string) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(a, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, _ := filepath.Rel(a, path)
		x, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		y, err := os.ReadFile(filepath.Join(b, name))
		if n++; err == nil && !bytes.Equal(x, y) {
			t.Errorf("%s differs", name)
		}
		return err
	})
	if err != nil || n < 2 {
		t.Errorf("%d files, %v", n, err)
	}
}

// TestDamagedDump: the pages before and after the damage are kept; the run fails with the
// place, and with allow_damaged ends with what could be read, without reading it again.
func TestDamagedDump(t *testing.T) {
	data, text := smallBytes(t)
	streams, _, err := mediawiki.Streams(smallDump)
	if err != nil {
		t.Fatal(err)
	}
	wrong := bytes.Clone(data)
	wrong[(streams[2].Offset+streams[2].End)/2] ^= 4
	for _, c := range []struct {
		name  string
		data  []byte
		want  []string
		pages int64
	}{
		{"wrong-multistream.xml.bz2", wrong, []string{fmt.Sprintf("stream at byte %d of the file", streams[2].Offset)}, 40},
		{"cut-multistream.xml.bz2", data[:streams[5].Offset+50],
			[]string{fmt.Sprintf("stream at byte %d of the file, read to byte %d:", streams[5].Offset, streams[5].Offset+50), "complete"}, 32},
		{"cut.xml", text[:len(text)/2], []string{`after the page "Page 2`, "ends at byte", "is the download complete?"}, 24},
		{"malformed.xml", bytes.Replace(text, []byte("<title>Page 33<"), []byte("<title>Page 33</b><"), 1),
			[]string{`after the page "Page 32"`, "syntax"}, 27},
	} {
		o, out := dumpOptions(copied(t, c.name, c.data)), filepath.Join(t.TempDir(), "out")
		_, err := Run(t.Context(), o, nil, durable.Env{Out: out, Progress: progress.Silent})
		for _, want := range append(c.want, "--allow-damaged", "pages that could be read are kept") {
			if !badinput.Is(err) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want %q", c.name, err, want)
			}
		}
		o.AllowDamaged = true
		second := &counts{Reporter: progress.Silent, end: -1}
		m, err := Run(t.Context(), o, nil, durable.Env{Out: out, Progress: second})
		if err != nil {
			t.Fatal(err)
		}
		if m.Counts["damaged"] != 1 || m.Counts["pages"] != c.pages || second.added != 0 || second.skipped == 0 ||
			!strings.Contains(strings.Join(m.Notes, " "), c.want[0]) {
			t.Errorf("%s: %v, %d bytes read again, notes %q", c.name, m.Counts, second.added, m.Notes)
		}
	}
}
