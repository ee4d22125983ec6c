package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"slices"
	"strings"
	"time"

	"barka/internal/version"
)

// debian returns a Debian package: an ar archive of the format's version, the description of
// the package and its files (deb(5)).
func debian(r *release, processor string, program file, licences []byte) ([]byte, error) {
	const docs = "usr/share/doc/barka/"
	program.name = "usr/bin/barka"
	files := []file{program, {docs + "THIRD_PARTY_LICENSES.txt", licences, 0o644}}
	for _, f := range r.documents {
		switch f.name {
		case "LICENSE": // Apache-2.0 is in every system
			f = file{"copyright", []byte("Barka is under the Apache License 2.0; see /usr/share/common-licenses/Apache-2.0.\n" +
				"The licences of the libraries in the program are in THIRD_PARTY_LICENSES.txt.\n"), 0o644}
		case "CHANGELOG.md":
			var b bytes.Buffer
			z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
			if err != nil {
				return nil, err
			}
			if _, err := z.Write(f.data); err != nil {
				return nil, err
			}
			if err := z.Close(); err != nil {
				return nil, err
			}
			f = file{"changelog.gz", b.Bytes(), 0o644}
		}
		f.name = docs + f.name
		files = append(files, f)
	}
	files = append(files, r.completions...)
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	data, err := tarred("./", files, r.date)
	if err != nil {
		return nil, err
	}
	size := 0
	for _, f := range files {
		size += len(f.data)
	}
	description := fmt.Sprintf(`Package: barka
Version: %s
Architecture: %s
Maintainer: The Barka authors <barka@localhost>
Installed-Size: %d
Recommends: ca-certificates
Section: science
Priority: optional
Description: takes an open large language model to a new language
 Barka turns Wikipedia pages and benchmark training sets into instructions,
 translates and filters them, fine-tunes a model with LoRA and evaluates it
 on the Open Arabic LLM Leaderboard. It needs no Python and no GPU.
`, version.Barka, processor, (size+1023)/1024)
	control, err := tarred("./", []file{{"control", []byte(description), 0o644}}, r.date)
	if err != nil {
		return nil, err
	}
	return ar([]file{{"debian-binary", []byte("2.0\n"), 0o644}, {"control.tar.gz", control, 0o644}, {"data.tar.gz", data, 0o644}}, r.date), nil
}

// ar returns a common ar archive.
func ar(files []file, date time.Time) []byte {
	b := bytes.NewBufferString("!<arch>\n")
	for _, f := range files {
		fmt.Fprintf(b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", f.name, date.Unix(), 0, 0, fmt.Sprintf("100%o", f.mode), len(f.data))
		b.Write(f.data)
		if len(f.data)%2 == 1 {
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}
