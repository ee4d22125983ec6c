package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// file is an entry of an archive.
type file struct {
	name string // with slashes; of a directory, the last one too
	data []byte
	mode fs.FileMode
}

// tarred returns a gzip-compressed tar archive of files below a directory. Owners are root,
// and all times are date.
func tarred(prefix string, files []file, date time.Time) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	w := tar.NewWriter(z)
	add := func(h tar.Header, data []byte) error {
		h.ModTime, h.Format, h.Uname, h.Gname = date, tar.FormatUSTAR, "root", "root"
		if err := w.WriteHeader(&h); err != nil {
			return err
		}
		_, err := w.Write(data)
		return err
	}
	for _, dir := range directories(prefix, files) {
		if err := add(tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755}, nil); err != nil {
			return nil, err
		}
	}
	for _, f := range files {
		h := tar.Header{Typeflag: tar.TypeReg, Name: prefix + f.name, Mode: int64(f.mode.Perm()), Size: int64(len(f.data))}
		if f.mode.IsDir() {
			h.Typeflag = tar.TypeDir
		}
		if f.mode&fs.ModeSticky != 0 {
			h.Mode |= 0o1000
		}
		if err := add(h, f.data); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// image returns the files of an image on scratch, from its root: the program, the licences, and a
// directory for temporary files.
func image(program file, licences []byte, documents []file, date time.Time) ([]byte, error) {
	files := []file{program, {"licenses/THIRD_PARTY_LICENSES.txt", licences, 0o644}, {"tmp/", nil, fs.ModeDir | fs.ModeSticky | 0o777}}
	for _, f := range documents {
		if f.name == "LICENSE" || f.name == "NOTICE" {
			files = append(files, file{"licenses/" + f.name, f.data, f.mode})
		}
	}
	return tarred("", files, date)
}

// directories lists the directories of files below a prefix, parents first.
func directories(prefix string, files []file) []string {
	var dirs []string
	for _, f := range files {
		for dir := path.Dir(prefix + f.name); dir != "." && dir != "/"; dir = path.Dir(dir) {
			if !slices.Contains(dirs, dir+"/") {
				dirs = append(dirs, dir+"/")
			}
		}
	}
	slices.Sort(dirs)
	return dirs
}

// zipped returns a zip archive of files below a directory.
func zipped(prefix string, files []file, date time.Time) ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		h := &zip.FileHeader{Name: strings.TrimSuffix(prefix, "/") + "/" + f.name, Method: zip.Deflate, Modified: date}
		h.SetMode(f.mode)
		e, err := w.CreateHeader(h)
		if err != nil {
			return nil, err
		}
		if _, err := e.Write(f.data); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}
