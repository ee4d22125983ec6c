package mediawiki

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/bzip2"
	"io"
	"iter"
	"os"
	"slices"
	"strings"

	"barka/internal/badinput"
)

// A multistream dump is a bzip2 file of many streams. The first holds the header, each of
// the others a hundred whole pages, and the last the end of the root element.

// Stream is the place of a bzip2 stream in a file.
type Stream struct{ Offset, End int64 }

// Every stream begins with "BZh", the size of its blocks from 1 to 9, and the magic number of
// a block. In compressed data these ten bytes do not occur by chance.
const (
	streamMagic = "BZh"
	blockMagic  = "1AY&SY"
	magicBytes  = len(streamMagic) + 1 + len(blockMagic)
)

// Streams returns the streams of a multistream dump, or nil for any other dump. It finds them
// by their first bytes, so that it needs no index. The site is that of the header.
func Streams(path string) ([]Stream, *Site, error) {
	if !strings.HasSuffix(path, ".bz2") {
		return nil, nil, nil
	}
	f, err := badinput.Open(path)
	if err != nil {
		return nil, nil, badinput.Wrap(err)
	}
	defer f.Close()
	streams, err := findStreams(f)
	if err != nil {
		return nil, nil, badinput.Errorf("dump %s: %w", path, err)
	}
	if len(streams) < 2 || streams[0].Offset != 0 {
		return nil, nil, nil
	}
	// Programs that compress in parallel also write many streams, which end anywhere.
	second := newWindow(streamReader(f, streams[1]))
	_ = second.skipSpace(maxMarkup)
	_ = second.atLeast(len(rootEnd))
	if !bytes.HasPrefix(second.rest(), pageStart) && !bytes.HasPrefix(second.rest(), rootEnd) {
		return nil, nil, nil
	}
	site := &Site{}
	for _, err := range fragment(streamReader(f, streams[0]), site) {
		if err != nil {
			return nil, nil, badinput.Errorf("dump %s, header: %w", path, err)
		}
		break
	}
	return streams, site, nil
}

// findStreams looks for the beginnings of streams.
func findStreams(r io.Reader) (streams []Stream, err error) {
	buf := make([]byte, 0, 4<<20)
	var base int64 // of buf in the file
	for {
		n, err := io.ReadFull(r, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		for at := 0; ; {
			i := bytes.Index(buf[at:], []byte(blockMagic))
			if i < 0 {
				break
			}
			start := at + i - len(streamMagic) - 1
			if start >= 0 && string(buf[start:start+len(streamMagic)]) == streamMagic && '1' <= buf[start+3] && buf[start+3] <= '9' {
				streams = append(streams, Stream{Offset: base + int64(start)})
			}
			at += i + 1
		}
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return nil, err
		}
		if err != nil {
			base += int64(len(buf))
			break
		}
		keep := magicBytes - 1
		base += int64(len(buf) - keep)
		buf = buf[:copy(buf, buf[len(buf)-keep:])]
	}
	for i := range streams {
		streams[i].End = base
		if i+1 < len(streams) {
			streams[i].End = streams[i+1].Offset
		}
	}
	return streams, nil
}

func streamReader(f io.ReaderAt, s Stream) io.Reader {
	text, _ := openStream(f, s)
	return text
}

// openStream returns the text of a stream. position returns the byte of the file up to which
// the stream was unpacked.
func openStream(f io.ReaderAt, s Stream) (text io.Reader, position func() int64) {
	section := io.NewSectionReader(f, s.Offset, s.End-s.Offset)
	from := bufio.NewReaderSize(section, 64<<10)
	position = func() int64 {
		n, _ := section.Seek(0, io.SeekCurrent) // which fails for no such argument
		return s.Offset + n - int64(from.Buffered())
	}
	return bounded(bzip2.NewReader(from), func() int64 { return s.End - s.Offset }), position
}

// StreamPages yields the pages of one stream of a multistream dump. f is the dump. An error
// names the stream, the byte of the file up to which it was unpacked, and the byte of its text.
// The site stays as it is, even if the stream has a header: goroutines that read streams share it.
func StreamPages(f io.ReaderAt, s Stream, site *Site) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		text, position := openStream(f, s)
		own := *site
		for p, err := range fragment(text, &own) {
			if err != nil {
				err = badinput.Errorf("stream at byte %d of the file, read to byte %d: %w", s.Offset, position(), err)
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// Bounds of what a dump may unpack to. MediaWiki's XML takes 5 to 30 times the space of its
// compressed form, with all revisions up to 100 times.
const (
	freeBytes = 1 << 30 // that may unpack from anything
	maxRatio  = 200     // beyond these
)

// bomb is a reader that gives up when r, which unpacks something, has yielded too much for
// what it was given.
type bomb struct {
	r    io.Reader
	n    int64
	from func() int64
}

// Bounded returns a reader of what a file of the given size unpacks to. It refuses what is
// far too much for it.
func Bounded(r io.Reader, size int64) io.Reader {
	return bounded(r, func() int64 { return size })
}

func bounded(r io.Reader, from func() int64) io.Reader { return &bomb{r: r, from: from} }

func (b *bomb) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.n += int64(n)
	if from := b.from(); b.n > freeBytes && b.n/maxRatio > from {
		return 0, badinput.Errorf("%d compressed bytes unpack to more than %d; at most %d times their size is taken as a dump beyond %d MiB",
			from, b.n, maxRatio, freeBytes>>20)
	}
	return n, err
}

// FindIndex returns the index that belongs to a multistream dump by its name and lies beside
// it, or "".
func FindIndex(dump string) string {
	i := strings.LastIndex(dump, "multistream")
	if i < 0 {
		return ""
	}
	name := dump[:i] + "multistream-index" + strings.Replace(dump[i+len("multistream"):], ".xml", ".txt", 1)
	for _, path := range []string{name, strings.TrimSuffix(name, ".bz2")} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// IndexEntry is a line of an index.
type IndexEntry struct {
	Offset int64 // of the page's stream
	ID     int64
	Title  string
}

// ReadIndex yields the lines of a multistream dump's index, offset:pageid:title, compressed
// or not.
func ReadIndex(path string) iter.Seq2[IndexEntry, error] {
	return func(yield func(IndexEntry, error) bool) {
		f, err := OpenDump(path)
		if err != nil {
			yield(IndexEntry{}, err)
			return
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, maxName)
		n := 0
		for lines.Scan() {
			n++
			e, ok := parseIndexLine(lines.Text())
			if !ok {
				yield(e, badinput.Errorf("%s, line %d: %.100q, expected offset:pageid:title", path, n, lines.Text()))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(IndexEntry{}, badinput.Errorf("%s, after line %d: %w", path, n, err))
		}
	}
}

func parseIndexLine(line string) (e IndexEntry, ok bool) {
	offset, rest, ok1 := strings.Cut(line, ":")
	id, title, ok2 := strings.Cut(rest, ":")
	var err1, err2 error
	e.Offset, err1 = number(offset)
	e.ID, err2 = number(id)
	// Titles stand in the index as in the dump's XML.
	if e.Title, ok = unescape([]byte(title)); !ok {
		e.Title, ok = title, true
	}
	return e, ok1 && ok2 && err1 == nil && err2 == nil && offset != "" && id != "" && title != ""
}

// Lookup returns the numbers of the streams that hold the pages with the given titles, in
// order, and removes from want the titles that the index has.
func Lookup(index string, streams []Stream, want map[string]bool) ([]int, error) {
	var found []int
	for e, err := range ReadIndex(index) {
		if err != nil {
			return nil, err
		}
		if !want[e.Title] {
			continue
		}
		delete(want, e.Title)
		i, ok := slices.BinarySearchFunc(streams, e.Offset, func(s Stream, at int64) int { return cmp.Compare(s.Offset, at) })
		if !ok {
			return nil, badinput.Errorf("%s has the page %q at byte %d, where no stream of the dump begins; take the index of the same dump, "+
				"or remove it to read the whole dump", index, e.Title, e.Offset)
		}
		found = append(found, i)
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}
