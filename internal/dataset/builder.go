package dataset

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strings"

	"barka/internal/atomicfile"
)

// Builder writes the files of a dataset directory: rows, rows of
// subdirectories, rejected rows, card and manifest. The caller makes the
// directory appear in its place when the Builder has sealed it.
type Builder struct {
	dir      string
	limits   Limits
	splits   []*Split
	rejected *rejectTable
}

// NewBuilder prepares a Builder. It makes dir with the first row.
func NewBuilder(dir string, limits Limits) *Builder { return &Builder{dir: dir, limits: limits} }

// Split is the rows of one type in one directory: those of the dataset itself
// or of a subdirectory.
type Split struct {
	Notes bool // its rows describe other rows and are not counted
	name  string
	table *table
}

// Write appends a row.
func (s *Split) Write(row reflect.Value) error { return s.table.write(row) }

// RowType is the type of the rows.
func (s *Split) RowType() reflect.Type { return s.table.rowType }

// Split adds the rows of a subdirectory, or of the dataset itself for the name
// "".
func (b *Builder) Split(name string, rowType reflect.Type) (*Split, error) {
	if b.Find(name) != nil {
		return nil, fmt.Errorf("dataset: a second writer of the same rows (split %q)", name)
	}
	if err := CheckRowType(rowType); err != nil {
		return nil, err
	}
	s := &Split{name: name, table: newTable(b.dir, name, b.limits, rowType)}
	b.splits = append(b.splits, s)
	return s, nil
}

// Find returns the Split of the name, nil if there is none.
func (b *Builder) Find(name string) *Split {
	for _, s := range b.splits {
		if s.name == name {
			return s
		}
	}
	return nil
}

// ValidSplit reports whether name can be a subdirectory of rows.
func ValidSplit(name string) bool {
	return name != "" && name != RejectedDir && !strings.ContainsAny(name, `/\.`)
}

// Reject appends a rejected row. All rejected rows have one type.
func (b *Builder) Reject(row reflect.Value, why Reject) error {
	if b.rejected == nil {
		b.rejected = newRejectTable(b.dir, b.limits, row.Type())
	}
	return b.rejected.write(row, why)
}

// Close closes the files that are open. They stay unfinished.
func (b *Builder) Close() {
	for _, s := range b.splits {
		s.table.abandon()
	}
	if b.rejected != nil {
		b.rejected.table.abandon()
	}
}

// Finish ends all rows. It sets the manifest's rows and files and the counts
// out, rejected and rejected_<reason>.
func (b *Builder) Finish(m *Manifest) error {
	m.Counts, m.Files = map[string]int64{"out": 0, "rejected": 0}, []FileInfo{}
	sort.Slice(b.splits, func(i, j int) bool { return b.splits[i].name < b.splits[j].name })
	for _, s := range b.splits {
		files, err := s.table.finish()
		if err != nil {
			return err
		}
		m.Files = append(m.Files, files...)
		if !s.Notes {
			m.Counts["out"] += s.table.rows
		}
		if s.name == "" {
			m.Rows = s.table.rows
		}
	}
	if b.rejected == nil {
		return nil
	}
	files, err := b.rejected.table.finish()
	if err != nil {
		return err
	}
	m.Files = append(m.Files, files...)
	m.Counts["rejected"] = b.rejected.table.rows
	for reason, n := range b.rejected.counts {
		m.Counts["rejected_"+reason] = n
	}
	return nil
}

// Seal writes other files, such as the card README.md, and the manifest, and makes
// the directory durable. The manifest comes last: a directory that has one is whole.
func (b *Builder) Seal(m *Manifest, files map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := b.writeFile(name, files[name]); err != nil {
			return err
		}
		sum := sha256.Sum256(files[name])
		m.Files = append(m.Files, FileInfo{Name: name, Size: int64(len(files[name])), SHA256: hex.EncodeToString(sum[:])})
	}
	var data bytes.Buffer
	enc := json.NewEncoder(&data)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(m); err != nil {
		return err
	}
	if err := atomicfile.SyncTree(b.dir); err != nil {
		return err
	}
	return b.writeFile(ManifestName, data.Bytes())
}

func (b *Builder) writeFile(name string, data []byte) error {
	path := filepath.Join(b.dir, name)
	return atomicfile.Explain(path, atomicfile.WriteFile(path, data))
}
