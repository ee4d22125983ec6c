package torchfile

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/torchfile/torchtest"
)

type part = torchtest.Member

// refused parses a file that must be refused for a reason.
func refused(t *testing.T, what string, file []byte, want string) {
	t.Helper()
	_, entries, err := parse(file, bytes.NewReader(file))
	if err == nil {
		t.Errorf("%s: read %d tensors", what, len(entries))
	} else if !badinput.Is(err) || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

// file is an archive of a pickle and a storage of 16 bytes.
func file(t *testing.T, p *torchtest.Pickle, more ...part) []byte {
	t.Helper()
	return torchtest.Archive(t, append([]part{{Name: "x/data.pkl", Data: p.Bytes()},
		{Name: "x/data/0", Data: make([]byte, 16)}}, more...)...)
}

// good is a dictionary with one tensor of two rows.
func good() *torchtest.Pickle {
	return torchtest.NewPickle().Op("}").Text("w").Tensor("FloatStorage", "0", 4, 0, []int{2, 2}, []int{2, 1}).Op("s.")
}

// TestHostilePickles: any instruction or name that tensors do not need is an error that names
// it.
func TestHostilePickles(t *testing.T) {
	one := torchtest.NewPickle
	tensor := func(class, key string, length, offset int, shape, strides []int) *torchtest.Pickle {
		return one().Op("}").Text("w").Tensor(class, key, length, offset, shape, strides).Op("s.")
	}
	for _, c := range []struct {
		what   string
		pickle *torchtest.Pickle
		want   string
	}{
		{"a program", one().Global("os", "system").Op("(").Text("touch /tmp/x").Op("tR."), `"os.system"`},
		{"a program by protocol 4", one().Text("builtins").Text("eval").Op("\x93."), `"builtins.eval"`},
		{"a rebuild of another kind", one().Global("torch._utils", "_rebuild_sparse_tensor").Op("."),
			`"torch._utils._rebuild_sparse_tensor"`},
		{"a complex storage", tensor("ComplexFloatStorage", "0", 2, 0, []int{2}, []int{1}), `"torch.ComplexFloatStorage"`},
		{"a class as a function", one().Global("torch", "FloatStorage").Op(")R."), "it does not take"},
		{"an ordered dictionary of something", one().Global("collections", "OrderedDict").Op("]\x85R."), "it does not take"},
		{"an instance", one().Global("collections", "OrderedDict").Op(")\x81."), "instruction 0x81"},
		{"an object", one().Op("(").Global("os", "system").Op("o."), `"os.system"`},
		{"an extension", one().Op("\x82\x01."), "instruction 0x82"},
		{"an unknown instruction", one().Op("\xff."), "instruction 0xff"},
		{"protocol 0", torchtest.NewPickle().Op("\x80\x00."), "protocol 0"},
		{"a name without an end", one().Op("cos\nsystem"), "without an end"},
		{"a call of a text", one().Text("x").Op(")R."), "expected a function"},
		{"no stack", one().Op("R."), "wanted from a stack"},
		{"no container", one().Op("t."), "did not begin"},
		{"values below a mark", one().Int(1).Op("(\x85."), "wanted from a stack"},
		{"two values", one().Int(1).Int(2).Op("."), "with 2 values"},
		{"an open container", one().Int(1).Op("(."), "expected one value"},
		{"bytes after the end", good().Op("x"), "expected one value at its end"},
		{"a text that is too long", one().Op("X\xff\xff\xff\x7fx."), "a text of"},
		{"a text longer than memory", one().Op("\x8d\xff\xff\xff\xff\xff\xff\xff\xff."), "a text of"},
		{"a text that is none", one().Text("\xff\xfe").Op("."), "not UTF-8"},
		{"an integer of many bytes", one().Op("\x8a\xff" + strings.Repeat("\xff", 255) + "."), "an integer of 255 bytes"},
		{"an unknown reference", one().Op("h\x07."), "value 7 is referred to"},
		{"no end", one().Op("}"), "truncated"},
		{"nothing", &torchtest.Pickle{}, "truncated"},
		{"half a pair", one().Op("}(").Text("x").Op("u."), "expected pairs"},
		{"items of a dictionary", one().Op("}").Int(1).Op("a."), "expected a list"},
		{"attributes of a number", one().Int(1).Op("}b."), "attributes are given to the number 1"},
		{"no dictionary", one().Op("]."), "the file holds a list of 0, expected a dictionary"},
		{"a number for a name", one().Op("}").Int(1).Tensor("FloatStorage", "0", 4, 0, []int{4}, []int{1}).Op("s."),
			"name is the number 1"},
		{"no tensor", one().Op("}").Text("state_dict").Op("}s."), `"state_dict" is a dictionary of 0`},
		{"one name twice", one().Op("}").Text("w").Tensor("FloatStorage", "0", 4, 0, []int{4}, []int{1}).Op("s").
			Text("w").Tensor("FloatStorage", "0", 4, 0, []int{4}, []int{1}).Op("s."), "w appears twice"},
		{"a reference to a text", one().Text("storage").Op("Q."), "expected one to a storage"},
		{"a storage of a text", one().Op("(").Text("storage").Text("x").Text("0").Text("cpu").Int(4).Op("tQ."), "a storage is the text"},
		{"a storage of less than nothing", tensor("FloatStorage", "0", -1, 0, []int{4}, []int{1}), "the number -1"},
		{"a storage beyond memory", tensor("FloatStorage", "0", math.MaxInt64, 0, []int{4}, []int{1}), "the number 9223372036854775807"},
		{"a storage that is larger than its member", tensor("FloatStorage", "0", 5, 0, []int{5}, []int{1}), "has 16 bytes, expected 20"},
		{"a storage that is smaller", tensor("FloatStorage", "0", 2, 0, []int{2}, []int{1}), "has 16 bytes, expected 8"},
		{"a storage that is not there", tensor("FloatStorage", "../data.pkl", 4, 0, []int{4}, []int{1}), "is not in the file"},
		{"an offset outside", tensor("FloatStorage", "0", 4, 4, []int{1}, []int{1}), "outside its storage"},
		{"an offset before", tensor("FloatStorage", "0", 4, -1, []int{1}, []int{1}), "outside its storage"},
		{"rows outside", tensor("FloatStorage", "0", 4, 0, []int{2, 2}, []int{3, 1}), "outside its storage"},
		{"an end outside", tensor("FloatStorage", "0", 4, 1, []int{4}, []int{1}), "outside its storage"},
		{"strides that overflow", tensor("FloatStorage", "0", 4, 0, []int{3, 3}, []int{math.MaxInt64, math.MaxInt64}),
			"outside its storage"},
		{"a shape that overflows", tensor("FloatStorage", "0", 4, 0, []int{1 << 40, 1 << 40}, []int{0, 0}), "overflows"},
		{"a value repeated without end", tensor("FloatStorage", "0", 4, 0, []int{1 << 40}, []int{0}), "to more than 64 MiB"},
		{"a negative size", tensor("FloatStorage", "0", 4, 0, []int{-2}, []int{1}), "not negative"},
		{"a negative stride", tensor("FloatStorage", "0", 4, 3, []int{2}, []int{-1}), "not negative"},
		{"fewer strides", tensor("FloatStorage", "0", 4, 0, []int{2, 2}, []int{1}), "expected as many"},
		{"too many dimensions", tensor("FloatStorage", "0", 4, 0, make([]int, 65), make([]int, 65)), "at most 64"},
		{"a tensor of nothing", one().Global("torch._utils", "_rebuild_tensor_v2").Op("(NNNNNNtR."), "expected a storage"},
		{"a negated tensor", one().Op("}").Text("w").Global("torch._utils", "_rebuild_tensor_v2").Op("(").Storage("FloatStorage", "0", 4).
			Int(0).Ints(4).Ints(1).Op("\x89}}").Text("neg").Op("\x88stRs."), `a flag set, the text "neg"`},
		{"a parameter of a text", one().Global("torch._utils", "_rebuild_parameter").Op("(").Text("x").Op("\x88}tR."), "it does not take"},
		{"a deep stack", one().Op(strings.Repeat(")", maxStack+1)), "on the stack"},
		{"deep containers", one().Op(strings.Repeat("(", maxStack+1)), "are nested"},
		{"values without end", one().Op("]" + strings.Repeat("Na", maxValues) + "."), "values"},
	} {
		refused(t, c.what, file(t, c.pickle), c.want)
	}
	if _, entries, err := parse(file(t, good()), bytes.NewReader(file(t, good()))); err != nil || len(entries) != 1 {
		t.Fatalf("%d tensors, %v", len(entries), err)
	}
}

// TestSharedValues: containers that hold each other many times over are not
// walked through.
func TestSharedValues(t *testing.T) {
	// nest puts a pair of two equal pairs into the memo, each of which is again a pair of two
	// equal pairs, 200 deep.
	nest := func() *torchtest.Pickle {
		p := torchtest.NewPickle().Op("}").Text("w").Op("(]q\x00")
		for range 200 {
			p.Op("h\x00h\x00\x86q\x00")
		}
		return p.Op("t")
	}
	refused(t, "tuples of tuples", file(t, nest().Op("s.")), `"w" is a tuple of 201`)
	refused(t, "a dimension", file(t, nest().Global("torch._utils",
		"_rebuild_tensor_v2").Op("(").Storage("FloatStorage", "0", 4).Int(0).Op("h\x00)\x89}tR.")), "a tuple of 2 for a dimension")
	refused(t, "a length", file(t, nest().Op("(").Text("storage").Global("torch",
		"FloatStorage").Text("0").Text("cpu").Op("h\x00tQ.")), "a tuple of 2; expected")
	refused(t, "a flag", file(t, nest().Global("torch._utils", "_rebuild_tensor_v2").Op("(").Storage("FloatStorage",
		"0", 4).Int(0).Op("))\x89}}h\x00\x88stR.")), "a flag set, a tuple of 2")
	refused(t, "a list in itself", file(t, torchtest.NewPickle().Op("}").Text("w").Op("]q\x00h\x00as.")), `"w" is a list of 1`)
}

func TestHostileArchives(t *testing.T) {
	pkl := part{Name: "x/data.pkl", Data: good().Bytes()}
	zero := part{Name: "x/data/0", Data: make([]byte, 16)}
	for _, c := range []struct {
		what    string
		members []part
		want    string
	}{
		{"no pickle", []part{zero}, "holds no data.pkl"},
		{"a pickle in no directory", []part{{Name: "data.pkl", Data: pkl.Data}, {Name: "data/0", Data: zero.Data}}, "in no directory"},
		{"two models", []part{pkl, zero, {Name: "y/data.pkl", Data: pkl.Data}}, "expected one"},
		{"a member twice", []part{pkl, zero, zero}, "appears twice"},
		{"a name that leads out", []part{pkl, zero, {Name: "x/../../etc/passwd"}}, "leads outside"},
		{"an absolute name", []part{pkl, zero, {Name: "/etc/passwd"}}, "leads outside"},
		{"a name of Windows", []part{pkl, zero, {Name: `x\..\..\y`}}, "leads outside"},
		{"a big-endian machine", []part{pkl, zero, {Name: "x/byteorder", Data: []byte("big")}}, `byte order is "big"`},
		{"an essay on byte order", []part{pkl, zero, {Name: "x/byteorder", Data: make([]byte, 1000)}}, "at most 16"},
		{"a huge pickle", []part{{Name: "x/data.pkl", Data: make([]byte, maxPickle+1)}, zero}, "expected at most"},
	} {
		refused(t, c.what, torchtest.Archive(t, c.members...), c.want)
	}
	file := torchtest.Archive(t, pkl, zero, part{Name: "x/byteorder", Data: []byte("little")},
		part{Name: "x/.format_version", Data: []byte("1")},
		part{Name: "x/version", Data: []byte("3\n")}, part{Name: "x/.data/serialization_id", Data: []byte("0123")})
	if _, _, err := parse(file, bytes.NewReader(file)); err != nil {
		t.Error(err)
	}
	for n := range len(file) { // a download that stopped
		refused(t, "a truncated file", file[:n], "")
	}
	refused(t, "a page", []byte("<html>"), `begins with "<html>"`)
	refused(t, "a pointer", []byte("version https://git-lfs.github.com/spec/v1\n"), "git lfs pull")
}

// raw writes an archive with one member, whose entry in the list change can falsify.
func raw(t *testing.T, change func(*zip.FileHeader), data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	write := func(h *zip.FileHeader, data []byte) {
		w, err := z.CreateRaw(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	header := func(name string, data []byte) *zip.FileHeader {
		return &zip.FileHeader{Name: name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(data),
			CompressedSize64: uint64(len(data)), UncompressedSize64: uint64(len(data))}
	}
	code := good().Bytes()
	write(header("x/data.pkl", code), code)
	h := header("x/data/0", data)
	change(h)
	write(h, data)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestLyingMembers(t *testing.T) {
	data := make([]byte, 16)
	for _, c := range []struct {
		what   string
		change func(h *zip.FileHeader)
		want   string
	}{
		{"a claim beyond the file", func(h *zip.FileHeader) { h.CompressedSize64, h.UncompressedSize64 = 1<<40, 1<<40 }, "the file has"},
		{"a claim beyond memory", func(h *zip.FileHeader) {
			h.CompressedSize64, h.UncompressedSize64 = math.MaxUint64,
				math.MaxUint64
		}, "the file has"},
		{"two sizes", func(h *zip.FileHeader) { h.UncompressedSize64 = 17 }, "is stored in 16 bytes and claims 17"},
		{"a bomb", func(h *zip.FileHeader) { h.Method, h.UncompressedSize64 = zip.Deflate, 1<<32 }, "claim to be"},
		{"a bomb that would be too large", func(h *zip.FileHeader) {
			h.Method, h.UncompressedSize64 = zip.Deflate,
				math.MaxUint64
		}, "claim to be"},
		{"another method", func(h *zip.FileHeader) { h.Method = 93 }, "method 93"},
		{"an encrypted member", func(h *zip.FileHeader) { h.Flags |= 1 }, "encrypted"},
	} {
		refused(t, c.what, raw(t, c.change, data), c.want)
	}
	// Compressed bytes that are none are found when they are read.
	path := filepath.Join(t.TempDir(), "x.bin")
	if err := os.WriteFile(path, raw(t, func(h *zip.FileHeader) { h.Method = zip.Deflate },
		bytes.Repeat([]byte{7}, 16)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, path).Tensor("w"); !badinput.Is(err) || !strings.Contains(err.Error(), "does not decompress") {
		t.Errorf("broken compressed bytes: %v", err)
	}
}

// TestCompressedMembers: each may be small enough; together they are not.
func TestCompressedMembers(t *testing.T) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range []string{"x/data.pkl", "x/data/0", "x/data/1"} {
		w, err := z.Create(name) // deflated
		if err != nil {
			t.Fatal(err)
		}
		w.Write(make([]byte, 40<<20))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	refused(t, "zeros", b.Bytes(), "the compressed members have more than")
}

// TestOverlappingMembers: two members of the same bytes, as zip bombs have
// them.
func TestOverlappingMembers(t *testing.T) {
	b := file(t, good(), part{Name: "x/data/1", Data: make([]byte, 64)})
	entry := []byte("PK\x01\x02")
	var at []int // of the entries in the list of members
	for i := 0; i+4 <= len(b); i++ {
		if bytes.Equal(b[i:i+4], entry) {
			at = append(at, i)
		}
	}
	const offset = 42
	first := binary.LittleEndian.Uint32(b[at[1]+offset:])
	binary.LittleEndian.PutUint32(b[at[2]+offset:], first)
	refused(t, "overlapping members", b, "overlap")
	binary.LittleEndian.PutUint32(b[at[2]+offset:], uint32(len(b)))
	refused(t, "a member behind the end", b, "")
}

// TestLongDirectory: a list of members that fills the memory is not read.
func TestLongDirectory(t *testing.T) {
	var members []part
	name := "x/" + strings.Repeat("n", 4000)
	for i := range 5000 {
		members = append(members, part{Name: name + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676))})
	}
	refused(t, "20 MB of names", file(t, good(), members...), "the list of its members takes more than")
}

func TestLegacy(t *testing.T) {
	_, err := Open(filepath.Join(testdata, "torch", "legacy.bin"))
	if !badinput.Is(err) || !strings.Contains(err.Error(), "before 1.6") || !strings.Contains(err.Error(), "torch.save(torch.load(") {
		t.Error(err)
	}
}
