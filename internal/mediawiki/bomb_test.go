package mediawiki

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"barka/internal/badinput"
	"barka/internal/resident"
)

// most is what a dump may take beside its longest text, in bytes: the decoder's
// copies of that text, and the windows of decompression.
const most = 5*maxText + 128<<20

// repeated reads a text over and over, n bytes in all, between a beginning and
// an end.
func repeated(before, text string, n int64, after string) io.Reader {
	return io.MultiReader(strings.NewReader(before),
		io.LimitReader(&again{text, 0}, n/int64(len(text))*int64(len(text))), strings.NewReader(after))
}

type again struct {
	text string
	at   int
}

func (a *again) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		c := copy(p[n:], a.text[a.at:])
		n, a.at = n+c, (a.at+c)%len(a.text)
	}
	return n, nil
}

func last(r io.Reader) (pages int, err error) {
	for _, e := range Pages(r, nil) {
		if err = e; e == nil {
			pages++
		}
	}
	return pages, err
}

// TestBombs: whatever part of a dump is gigabytes long, it is refused or read
// in bounded memory.
func TestBombs(t *testing.T) {
	const page = "<mediawiki><page><title>A</title>"
	for _, c := range []struct{ name, before, text, after, want string }{
		{"text", page + "<revision><text>", "x", "</text></revision></page></mediawiki>", `page "A": more than 32768 KiB`},
		{"text in pieces", page + "<revision><text>", "xxxxxxxx<b/>", "</text></revision></page></mediawiki>",
			"text of more than 32768 KiB"},
		{"comment in text", page + "<revision><text><!--", "x", "--></text></revision></page></mediawiki>", "more than 1024 KiB"},
		{"title", "<mediawiki><page><title>", "x", "</title></page></mediawiki>", "more than 1024 KiB"},
		{"attributes", page + "<revision><text ", `a="" `, "/></revision></page></mediawiki>", "more than 1024 KiB"},
		{"space", "<mediawiki>", " ", "</mediawiki>", "more than 1024 KiB"},
		{"nesting", "<mediawiki><page>", "<a>", "", "65 deep"},
		{"roots", "", "<mediawiki>", "", "within <mediawiki>"},
		{"namespaces", "<mediawiki><siteinfo><namespaces>",
			`<namespace key="00000001">` + strings.Repeat("x", 1000) + "</namespace>", "</namespaces></siteinfo></mediawiki>", ""},
		{"revisions", page, "<revision><text>" + strings.Repeat("x", 1<<20) + "</text></revision>", "</page></mediawiki>", ""},
		{"pages", "<mediawiki>", "<page><title>A</title></page>", "</mediawiki>", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := int64(4 * maxText)
			if c.want == "" {
				n = 16 << 20 // is read to its end
			}
			var err error
			if grown := resident.Growth(func() { _, err = last(repeated(c.before, c.text, n, c.after)) }); grown > most {
				t.Errorf("took %d MiB", grown>>20)
			}
			if c.want == "" && err != nil || c.want != "" && (err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// bzip2Text is a page with 131 MiB of the letter x in 221 bytes: in Python,
// base64 of bz2.compress(b"<mediawiki><page><title>A</title><revision><text>") +
// 3 * bz2.compress(b"x" * 45899235).
const bzip2Text = "QlpoOTFBWSZTWeqgw3IAAAEdgAAAgAUgACav3cAgACGqfqeoho8p6J6CgaaGRkxClwM37cisVTsfsXeIn+eQxGZVAdU0UMMdi7ki" +
	"nChIdVBhuQBCWmg5MUFZJlNZtOtUoAFfjgCAgEAACCAAMIBNRkKgJakKgJcXckU4UJC061SgQlpoOTFBWSZTWbTrVKABX44AgIBA" +
	"AAggADCATUZCoCWpCoCXF3JFOFCQtOtUoEJaaDkxQVkmU1m061SgAV+OAICAQAAIIAAwgE1GQqAlqQqAlxdyRThQkLTrVKA="

// TestCompressedBombs: files of a few kilobytes.
func TestCompressedBombs(t *testing.T) {
	dir := t.TempDir()
	const before, after = "<mediawiki><page><title>A</title><revision><text>", "</text></revision></page></mediawiki>"
	compress := func(name string, w func(io.Writer) io.WriteCloser) {
		var out bytes.Buffer
		z := w(&out)
		if _, err := io.Copy(z, repeated(before, strings.Repeat("x", 1<<16), 256<<20, after)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		os.WriteFile(filepath.Join(dir, name), out.Bytes(), 0o666)
	}
	compress("text.xml.gz", func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	compress("text.xml.zst", func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z })
	os.WriteFile(filepath.Join(dir, "text.xml.bz2"), decoded(t, bzip2Text), 0o666)
	os.WriteFile(filepath.Join(dir, "dictionary.xml.xz"), xzDictionary(40), 0o666)
	os.WriteFile(filepath.Join(dir, "window.xml.zst"), []byte("\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00"), 0o666) // of 2 GiB
	for name, want := range map[string]string{
		"text.xml.gz": "more than 32768 KiB", "text.xml.zst": "more than 32768 KiB", "text.xml.bz2": "more than 32768 KiB",
		"dictionary.xml.xz": "more than 128 MiB", "window.xml.zst": "more than 128 MiB",
	} {
		var err error
		grown := resident.Growth(func() {
			var f io.ReadCloser
			if f, err = OpenDump(filepath.Join(dir, name)); err == nil {
				_, err = last(f)
				f.Close()
			}
		})
		most := int64(most)
		if strings.HasSuffix(name, ".bz2") {
			most += 3 * maxBlocks * 46 << 20 // the reader of a block takes up to three times its size
		}
		if grown > most || !badinput.Is(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v and %d MiB, want %q and at most %d MiB", name, err, grown>>20, want, most>>20)
		}
	}
}

func decoded(t *testing.T, text string) []byte {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// xzDictionary is the beginning of an xz file whose only block names the
// largest dictionary, 4 GiB.
func xzDictionary(size byte) []byte {
	sum := func(b []byte) []byte { return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b)) }
	out := append([]byte("\xfd7zXZ\x00"), binary.LittleEndian.AppendUint32([]byte{0, 1}, crc32.ChecksumIEEE([]byte{0, 1}))...)
	out = append(out, sum([]byte{2, 0, 0x21, 1, size, 0, 0, 0})...)
	return append(out, 1, 0, 0, 'x', 0)
}
