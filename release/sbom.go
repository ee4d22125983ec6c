package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"barka/internal/version"
)

// part is a module in the program.
type part struct{ path, version, sum string }

// partsOf reads the modules from a program, sorted.
func partsOf(program string) ([]part, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, err
	}
	var parts []part
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		parts = append(parts, part{m.Path, m.Version, m.Sum})
	}
	slices.SortFunc(parts, func(a, b part) int { return strings.Compare(a.path, b.path) })
	return parts, nil
}

// licencesOf returns the licences of modules and of Go itself. A module without one is an
// error.
func licencesOf(parts []part) ([]byte, error) {
	root, err := run(nil, "go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	b := bytes.NewBufferString("The program contains code of the following projects, under their licences.\n")
	add := func(name, dir string) error {
		var found []string
		for _, pattern := range []string{"LICEN[CS]E*", "COPYING*", "NOTICE*"} {
			paths, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil {
				return err
			}
			if found = append(found, paths...); len(found) == 0 && pattern == "COPYING*" {
				return fmt.Errorf("%s has no licence in %s", name, dir)
			}
		}
		for _, path := range found {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(b, "\n\n==== %s: %s ====\n\n%s\n", name, filepath.Base(path), bytes.TrimSpace(text))
		}
		return nil
	}
	if err := add("Go "+runtime.Version(), root); err != nil {
		return nil, err
	}
	for _, p := range parts {
		dir, err := run(nil, "go", "list", "-m", "-f", "{{.Dir}}", p.path)
		if err != nil {
			return nil, err
		}
		if err := add(p.path+" "+p.version, dir); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// component is a part as CycloneDX describes it.
type component struct {
	Type    string `json:"type"`
	Ref     string `json:"bom-ref"`
	Name    string `json:"name"`
	Version string `json:"version"`
	PURL    string `json:"purl,omitempty"`
	Hashes  []hash `json:"hashes,omitempty"`
	// Properties hold Go's own digests of modules, which are not of one file.
	Properties []property `json:"properties,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// sbom returns a CycloneDX 1.5 document about the program.
func sbom(parts []part, r *release, program file) ([]byte, error) {
	sum := sha256.Sum256(program.data)
	main := component{Type: "application", Ref: r.module, Name: "barka", Version: version.Barka,
		Hashes: []hash{{"SHA-256", hex.EncodeToString(sum[:])}}, Properties: []property{{"commit", r.commit}, {"go", runtime.Version()}}}
	var components []component
	refs := []string{}
	for _, p := range parts {
		purl := "pkg:golang/" + p.path + "@" + p.version
		components = append(components, component{Type: "library", Ref: purl, Name: p.path, Version: p.version, PURL: purl,
			Properties: []property{{"go.sum", p.sum}}})
		refs = append(refs, purl)
	}
	return json.MarshalIndent(map[string]any{"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
		"metadata":     map[string]any{"timestamp": r.date.Format(time.RFC3339), "component": main},
		"components":   components,
		"dependencies": []any{map[string]any{"ref": r.module, "dependsOn": refs}}}, "", "  ")
}
