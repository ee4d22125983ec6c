// Command release builds the files of a release: archives for every system and processor,
// Debian packages, the files of images, a list of the parts of each program (CycloneDX) and checksums. Two runs on
// the same commit with the same version of Go write the same bytes.
//
//	go run ./release                                    # everything, to dist/
//	go run ./release -targets linux/amd64 -out /tmp/dist
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"barka/internal/version"
)

// allTargets are the systems and processors of a release, and one build for GPUs, which needs glibc.
const allTargets = "linux/amd64,linux/arm64,linux/amd64/cuda,darwin/amd64,darwin/arm64,windows/amd64,windows/arm64"

func main() {
	out := flag.String("out", "dist", "`directory` to write")
	targets := flag.String("targets", allTargets, "systems and processors to build for, separated by commas")
	dirty := flag.Bool("dirty", false, "build a working tree with changes that are not committed")
	flag.Parse()
	if err := build(*out, strings.Split(*targets, ","), *dirty); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// release is what all targets share.
type release struct {
	module, commit string
	date           time.Time // of the commit
	documents      []file    // that every archive holds
	completions    []file    // of shells, for packages
}

// build writes the files of all targets to a directory.
func build(out string, targets []string, dirty bool) error {
	r, err := prepare(dirty)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	var made []string
	for _, t := range targets {
		if !slices.Contains(strings.Split(allTargets, ","), t) {
			return fmt.Errorf("target %q, expected one of %s", t, allTargets)
		}
		system, processor, _ := strings.Cut(t, "/")
		processor, tag, _ := strings.Cut(processor, "/")
		names, err := r.target(out, system, processor, tag)
		if err != nil {
			return fmt.Errorf("%s: %w", t, err)
		}
		made = append(made, names...)
	}
	return checksums(out, made)
}

// prepare finds out what is released, and reads the documents.
func prepare(dirty bool) (*release, error) {
	if changes, err := run(nil, "git", "status", "--porcelain"); err != nil {
		return nil, err
	} else if changes != "" && !dirty {
		return nil, fmt.Errorf("there are changes that are not committed; commit them, or give -dirty:\n%s", changes)
	}
	r := &release{}
	var err error
	if r.module, err = run(nil, "go", "list", "-m"); err != nil {
		return nil, err
	}
	if r.commit, err = run(nil, "git", "rev-parse", "HEAD"); err != nil {
		return nil, err
	}
	seconds, err := run(nil, "git", "log", "-1", "--format=%ct")
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return nil, err
	}
	r.date = time.Unix(n, 0).UTC()
	recipes, err := filepath.Glob("recipes/*.yaml")
	if err != nil {
		return nil, err
	}
	for _, name := range append([]string{"LICENSE", "NOTICE", "README.md", "README.ar.md", "CHANGELOG.md"}, recipes...) {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		r.documents = append(r.documents, file{filepath.ToSlash(name), data, 0o644})
	}
	for shell, path := range map[string]string{"bash": "usr/share/bash-completion/completions/barka",
		"zsh": "usr/share/zsh/vendor-completions/_barka", "fish": "usr/share/fish/vendor_completions.d/barka.fish"} {
		text, err := run(nil, "go", "run", "./cmd/barka", "completion", shell)
		if err != nil {
			return nil, err
		}
		r.completions = append(r.completions, file{path, []byte(text + "\n"), 0o644})
	}
	slices.SortFunc(r.completions, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return r, nil
}

// target builds the program for one target, with a build tag or "", and writes its files. It returns their names.
func (r *release) target(out, system, processor, tag string) ([]string, error) {
	name := fmt.Sprintf("barka_%s_%s_%s", version.Barka, system, processor)
	if tag != "" {
		name += "_" + tag
	}
	temporary, err := os.MkdirTemp("", "barka-release-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temporary)
	program := file{name: "barka", mode: 0o755}
	if system == "windows" {
		program.name += ".exe"
	}
	path := filepath.Join(temporary, program.name)
	if err := r.compile(path, system, processor, tag); err != nil {
		return nil, err
	}
	if program.data, err = os.ReadFile(path); err != nil {
		return nil, err
	}
	parts, err := partsOf(path)
	if err != nil {
		return nil, err
	}
	licences, err := licencesOf(parts)
	if err != nil {
		return nil, err
	}
	files := append([]file{program, {"THIRD_PARTY_LICENSES.txt", licences, 0o644}}, r.documents...)
	made := map[string][]byte{}
	if system == "windows" {
		made[name+".zip"], err = zipped(name, files, r.date)
	} else {
		made[name+".tar.gz"], err = tarred(name+"/", files, r.date)
	}
	if err != nil {
		return nil, err
	}
	if made[name+".cdx.json"], err = sbom(parts, r, program); err != nil {
		return nil, err
	}
	if system == "linux" && tag == "" { // an image on scratch has no glibc
		if made[fmt.Sprintf("barka_%s_%s.deb", version.Barka, processor)], err = debian(r, processor, program, licences); err != nil {
			return nil, err
		}
		if made[name+".image.tar.gz"], err = image(program, licences, r.documents, r.date); err != nil {
			return nil, err
		}
	}
	var names []string
	for name, data := range made {
		if err := os.WriteFile(filepath.Join(out, name), data, 0o644); err != nil {
			return nil, err
		}
		fmt.Printf("%s %d bytes\n", name, len(data))
		names = append(names, name)
	}
	return names, nil
}

// compile builds the program. The environment holds nothing that changes the bytes.
func (r *release) compile(path, system, processor, tag string) error {
	stamp := fmt.Sprintf("-s -w -buildid= -X %[1]s/internal/version.Commit=%[2]s -X %[1]s/internal/version.Date=%[3]s",
		r.module, r.commit, r.date.Format(time.RFC3339))
	env := []string{"CGO_ENABLED=0", "GOOS=" + system, "GOARCH=" + processor, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=-mod=readonly",
		"GOEXPERIMENT=", "GOWORK=off"}
	_, err := run(env, "go", "build", "-trimpath", "-buildvcs=false", "-tags", tag, "-ldflags", stamp, "-o", path, "./cmd/barka")
	return err
}

// checksums writes the digests of files in the form that sha256sum -c reads.
func checksums(out string, names []string) error {
	slices.Sort(names)
	var text strings.Builder
	for _, name := range names {
		f, err := os.Open(filepath.Join(out, name))
		if err != nil {
			return err
		}
		sum := sha256.New()
		_, err = io.Copy(sum, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		fmt.Fprintf(&text, "%s  %s\n", hex.EncodeToString(sum.Sum(nil)), name)
	}
	return os.WriteFile(filepath.Join(out, "SHA256SUMS"), []byte(text.String()), 0o644)
}

// run runs a program with more environment variables and returns its output.
func run(env []string, name string, args ...string) (string, error) {
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	data, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return strings.TrimSpace(string(data)), nil
}
