package mix

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"barka/internal/badinput"
	"barka/internal/dataset"
)

// SourcesName is the file with the counts of each source before and after the mix.
const SourcesName = "sources.json"

// Sources is the content of sources.json.
type Sources struct {
	Tokenizers []string `json:"tokenizers"`
	Classes    []*class `json:"classes"`
}

// files returns the files of the set that describe it for programs.
func (m *mixer) files(rows []dataset.FileInfo) (map[string][]byte, error) {
	croissant, err := m.croissant(rows)
	if err != nil {
		return nil, err
	}
	sources, err := json.MarshalIndent(Sources{m.o.Tokenizers, m.classes}, "", "  ")
	return map[string][]byte{CroissantName: croissant, SourcesName: append(sources, '\n')}, err
}

// ReadSources reads sources.json of a mix. It returns nil for a mix of an older version.
func ReadSources(dir string) (*Sources, error) {
	path := filepath.Join(dir, SourcesName)
	data, err := badinput.ReadFile(path, badinput.MaxSettings)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var s Sources
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil {
		return nil, badinput.Errorf("%s: %w", path, err)
	}
	return &s, nil
}

// Table returns the counts of each dataset: the column names and the rows, with the
// total at the end.
func (s *Sources) Table() (columns []string, rows [][]any) {
	m := &mixer{o: Options{Tokenizers: s.Tokenizers}, classes: s.Classes}
	lines, all := m.lines(func(c *class) string { return c.Dataset })
	all.name = "all"
	columns = []string{"dataset", "rows read", "in the mix", "to train on", "validation"}
	keys := all.tokenKeys()
	for _, k := range keys {
		columns = append(columns, k.String()+" tokens read", "in the mix")
	}
	for _, l := range append(slices.Clone(lines), all) {
		row := []any{l.name}
		for _, n := range []int64{l.read, l.rows, l.train, l.validation} {
			row = append(row, n)
		}
		for _, k := range keys {
			row = append(row, l.tokensRead[k], l.tokens[k])
		}
		rows = append(rows, row)
	}
	return columns, rows
}
