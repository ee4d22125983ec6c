package testfiles

import (
	"archive/zip"
	"bytes"
	"html"
	"io"
	"regexp"
	"strings"
	"testing"
	"unicode/utf16"
)

// Parallel returns human translations from English: NTREX (news) and TICO-19 (medicine).
func Parallel(t testing.TB) map[string][][2]string {
	t.Helper()
	lines := func(name string) []string {
		return strings.Split(strings.TrimSpace(string(Read(t, Shared(t, "parallel", "ntrex", name)))), "\n")
	}
	en, ar := lines("newstest2019-src.eng.txt"), lines("newstest2019-ref.arb.txt")
	sets := map[string][][2]string{}
	for i := range en {
		sets["NTREX"] = append(sets["NTREX"], [2]string{en[i], ar[i]})
	}
	z, err := zip.OpenReader(Shared(t, "parallel", "tico19", "all.en-ar.tmx.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, f := range z.File {
		if !strings.HasSuffix(f.Name, ".tmx") || strings.Contains(f.Name, "MACOSX") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		segments := regexp.MustCompile(`(?s)<seg>(.*?)</seg>`).FindAllStringSubmatch(utf8Text(data), -1)
		for i := 0; i+1 < len(segments); i += 2 {
			sets["TICO-19"] = append(sets["TICO-19"], [2]string{html.UnescapeString(segments[i][1]), html.UnescapeString(segments[i+1][1])})
		}
	}
	if len(sets["TICO-19"]) < 3000 {
		t.Fatalf("%d pairs of TICO-19", len(sets["TICO-19"]))
	}
	return sets
}

func utf8Text(data []byte) string {
	if !bytes.HasPrefix(data, []byte{0xFF, 0xFE}) {
		return string(data)
	}
	u := make([]uint16, len(data)/2)
	for i := range u {
		u[i] = uint16(data[2*i]) | uint16(data[2*i+1])<<8
	}
	return string(utf16.Decode(u))
}
