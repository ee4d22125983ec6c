package torchfile

import (
	"archive/zip"
	"bytes"
	"cmp"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"slices"
	"strings"

	"barka/internal/badinput"
)

// Bounds of an archive, far above those of any model.
const (
	// maxDirectory bounds the list of members, in bytes.
	maxDirectory = 16 << 20
	// After decompression the compressed members of a file may have freeInflated bytes
	// together, and maxRatio more for each byte of the file. PyTorch does not compress.
	// Another program may: weights, half of which are zeros, then become half as long.
	freeInflated = 64 << 20
	maxRatio     = 32
)

// member is one file of an archive. Its bytes start at offset.
type member struct {
	name     string
	offset   int
	stored   int // bytes in the archive
	size     int // bytes after decompression
	crc      uint32
	deflated bool
}

// archive is a zip file written by torch.save. All members are in one directory, whose name
// is arbitrary.
type archive struct {
	file    []byte
	members map[string]*member // by name in the directory
}

// readArchive lists the members of a zip file. file and r have the same bytes; r reads them
// without mapping whole pages.
func readArchive(file []byte, r io.ReaderAt) (*archive, error) {
	if err := checkMagic(file[:min(len(file), 512)]); err != nil {
		return nil, err
	}
	directory := &limited{ReaderAt: r, left: maxDirectory}
	z, err := zip.NewReader(directory, int64(len(file)))
	if err != nil {
		return nil, badinput.Errorf("not a readable zip archive: %w; is the download complete?", err)
	}
	directory.left = math.MaxInt64
	a := &archive{file: file, members: map[string]*member{}}
	root, err := rootOf(z.File)
	if err != nil {
		return nil, err
	}
	var all []*member
	inflated := 0
	for _, f := range z.File {
		m, err := a.member(f)
		if err != nil {
			return nil, badinput.Errorf("member %q: %w", f.Name, err)
		}
		name, below := strings.CutPrefix(f.Name, root)
		if !below || strings.HasSuffix(name, "/") {
			continue
		}
		if a.members[name] != nil {
			return nil, badinput.Errorf("member %q appears twice", f.Name)
		}
		if m.deflated {
			inflated += m.size
		}
		if most := freeInflated + maxRatio*len(file); inflated > most {
			return nil, badinput.Errorf("the compressed members have more than %d bytes, the most that is read of a file of %d", most,
				len(file))
		}
		a.members[name] = m
		all = append(all, m)
	}
	if err := checkOverlaps(all); err != nil {
		return nil, err
	}
	return a, a.checkByteOrder()
}

// limited is a reader that fails after a number of bytes.
type limited struct {
	io.ReaderAt
	left int64
}

func (l *limited) ReadAt(p []byte, off int64) (int, error) {
	if l.left -= int64(len(p)); l.left < 0 {
		return 0, fmt.Errorf("the list of its members takes more than %d bytes", maxDirectory)
	}
	return l.ReaderAt.ReadAt(p, off)
}

// legacyMagic is at the start of files of PyTorch before 1.6, after the two bytes of the
// pickle protocol.
var legacyMagic = []byte("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")

// checkMagic returns an error for files that are not zip archives. It names the format if it
// is a known one.
func checkMagic(head []byte) error {
	legacy := errors.New("this is the format of PyTorch before 1.6, which is not read; write the weights again with a newer PyTorch: " +
		`python -c "import sys, torch; f = sys.argv[1]; torch.save(torch.load(f, map_location='cpu', weights_only=True), f)" FILE`)
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return nil
	case len(head) > 2 && bytes.HasPrefix(head[2:], legacyMagic):
		return badinput.Wrap(legacy)
	case len(head) > 262 && string(head[257:262]) == "ustar": // of PyTorch 0.1
		return badinput.Wrap(legacy)
	case bytes.HasPrefix(head, []byte("version https://git-lfs")):
		return badinput.Errorf("this is a pointer of Git LFS, not the weights; `git lfs pull` fetches them")
	}
	return badinput.Errorf("expected a zip archive written by torch.save, found a file that begins with %q", head[:min(len(head), 8)])
}

// rootOf returns the directory that holds data.pkl.
func rootOf(files []*zip.File) (string, error) {
	root := ""
	for _, f := range files {
		dir, base := path.Split(f.Name)
		if base != "data.pkl" || strings.Count(dir, "/") > 1 {
			continue
		}
		if root != "" {
			return "", badinput.Errorf("the archive holds %sdata.pkl and %s, expected one", root, f.Name)
		}
		if root = dir; root == "" {
			return "", badinput.Errorf("data.pkl is in no directory of the archive; torch.save puts it into one")
		}
	}
	if root == "" {
		return "", badinput.Errorf("the zip archive holds no data.pkl; expected one written by torch.save")
	}
	return root, nil
}

// member returns a member of the archive, after checking its entry in the list.
func (a *archive) member(f *zip.File) (*member, error) {
	const encrypted = 1
	size, stored, whole := f.UncompressedSize64, f.CompressedSize64, uint64(len(a.file))
	switch {
	case !fs.ValidPath(strings.TrimSuffix(f.Name, "/")) || strings.Contains(f.Name, `\`):
		return nil, errors.New("its name leads outside the archive")
	case f.Flags&encrypted != 0:
		return nil, errors.New("it is encrypted")
	case f.Method != zip.Store && f.Method != zip.Deflate:
		return nil, fmt.Errorf("it is compressed by method %d; expected one that is stored, or deflated", f.Method)
	case stored > whole:
		return nil, fmt.Errorf("it claims %d bytes, the file has %d", stored, whole)
	case f.Method == zip.Store && size != stored:
		return nil, fmt.Errorf("it is stored in %d bytes and claims %d", stored, size)
	case f.Method == zip.Deflate && size > freeInflated+maxRatio*whole:
		return nil, fmt.Errorf("%d compressed bytes claim to be %d", stored, size)
	}
	offset, err := f.DataOffset()
	if err != nil {
		return nil, err
	}
	if offset < 0 || uint64(offset) > whole-stored {
		return nil, fmt.Errorf("its %d bytes from %d on are outside the file of %d", stored, offset, whole)
	}
	return &member{f.Name, int(offset), int(stored), int(size), f.CRC32, f.Method == zip.Deflate}, nil
}

// checkOverlaps returns an error if two members share bytes.
func checkOverlaps(members []*member) error {
	slices.SortFunc(members, func(a, b *member) int { return cmp.Compare(a.offset, b.offset) })
	var before *member
	for _, m := range members {
		if m.stored == 0 {
			continue
		}
		if before != nil && m.offset < before.offset+before.stored {
			return badinput.Errorf("members %q and %q overlap", before.name, m.name)
		}
		before = m
	}
	return nil
}

// checkByteOrder returns an error for files of big-endian machines. Files of PyTorch before
// 2.1 do not have the member byteorder.
func (a *archive) checkByteOrder() error {
	m := a.members["byteorder"]
	if m == nil {
		return nil
	}
	text, err := a.read(m, 16)
	if err == nil && string(text) != "little" {
		err = badinput.Errorf("its byte order is %q, expected \"little\"", text)
	}
	return err
}

// read returns the bytes of a small member.
func (a *archive) read(m *member, most int) ([]byte, error) {
	if m.size > most {
		return nil, badinput.Errorf("member %q has %d bytes, expected at most %d", m.name, m.size, most)
	}
	return a.bytes(m)
}

// bytes returns the contents of a member: a view of the file, or a decompressed copy.
func (a *archive) bytes(m *member) ([]byte, error) {
	stored := a.file[m.offset : m.offset+m.stored : m.offset+m.stored]
	if !m.deflated {
		return stored, nil
	}
	out := make([]byte, m.size)
	r := flate.NewReader(bytes.NewReader(stored))
	if _, err := io.ReadFull(r, out); err != nil {
		return nil, badinput.Errorf("member %q does not decompress to its %d bytes: %w", m.name, m.size, err)
	}
	if n, err := r.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		return nil, badinput.Errorf("member %q decompresses to more than its %d bytes", m.name, m.size)
	}
	return out, nil
}
