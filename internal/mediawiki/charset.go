package mediawiki

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
)

// beginnings of XML files whose encoding shows before the declaration can be
// read: by a byte order mark, or by the zeros in "<?". The longer come first.
var beginnings = []struct {
	bytes string
	enc   encoding.Encoding // nil: UTF-8
}{
	{"\xff\xfe\x00\x00", utf32.UTF32(utf32.LittleEndian, utf32.UseBOM)},
	{"\x00\x00\xfe\xff", utf32.UTF32(utf32.BigEndian, utf32.UseBOM)},
	{"<\x00\x00\x00", utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM)},
	{"\x00\x00\x00<", utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM)},
	{"\xef\xbb\xbf", nil},
	{"\xff\xfe", unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)},
	{"\xfe\xff", unicode.UTF16(unicode.BigEndian, unicode.UseBOM)},
	{"<\x00", unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)},
	{"\x00<", unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)},
}

// newElements reads XML in whatever encoding it begins with or declares. One
// that golang.org/x/text does not know is an error with its name.
func newElements(r io.Reader) *elements {
	in := newWindow(r)
	_ = in.atLeast(4)
	start := in.rest()
	decoded := false
	for _, b := range beginnings {
		if !bytes.HasPrefix(start, []byte(b.bytes)) {
			continue
		}
		if b.enc == nil {
			in.take(len(b.bytes))
		} else {
			in, decoded = newWindow(b.enc.NewDecoder().Reader(in)), true
		}
		break
	}
	e := &elements{}
	e.use(in)
	e.xml.CharsetReader = func(name string, rest io.Reader) (io.Reader, error) {
		// A declaration that could be read as it stands is in no encoding of two
		// or four bytes a letter, whatever it says.
		if upper := strings.ToUpper(name); decoded || strings.HasPrefix(upper, "UTF-16") || strings.HasPrefix(upper, "UTF-32") {
			return rest, nil
		}
		enc, err := ianaindex.IANA.Encoding(name)
		if err != nil || enc == nil {
			return nil, fmt.Errorf("the encoding %q is not known here; convert the dump to UTF-8 first, as with iconv", name)
		}
		e.in.r = newWindow(enc.NewDecoder().Reader(e.in.r)) // below the meter
		return &e.in, nil
	}
	return e
}
