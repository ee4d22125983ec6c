package translate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/jsonl"
	"barka/internal/segment"
	"barka/internal/tokenizer"
)

// SourceSuffix is put to the name of a translated column for the column with its source.
const SourceSuffix = "_source"

// ColumnRow is a row of any schema with translated columns.
type ColumnRow struct {
	ID         string            `json:"id" parquet:"id"`
	Row        string            `json:"row" parquet:"row"` // a JSON object
	Language   string            `json:"language" parquet:"language"`
	Translator string            `json:"translator" parquet:"translator"`
	Segments   []dataset.Segment `json:"segments" parquet:"segments,list"`
}

// ColumnLine is a ColumnRow that is the row itself in JSON.
type ColumnLine struct {
	Row string `json:"row" parquet:"row"`
}

// MarshalJSON returns the row.
func (l ColumnLine) MarshalJSON() ([]byte, error) { return []byte(l.Row), nil }

// RunColumns translates the columns o.Columns of the rows in env.In["rows"], which may have
// any schema. A column is a text or a list of texts; a.b is the field b of the column a. The
// other columns stay, and so does the source, with SourceSuffix.
func RunColumns(ctx context.Context, o Options, tools Tools, env durable.Env) (*dataset.Manifest, error) {
	return run(ctx, o, tools, env, columns)
}

// columns is the task of rows of any schema.
var columns = task[ColumnRow]{
	input: "rows", rows: columnRows, key: func(r ColumnRow) string { return r.ID },
	texts: func(o Options, r ColumnRow) (texts []string, err error) {
		_, places, err := r.places(o)
		for _, p := range places {
			texts = append(texts, p.text)
		}
		return texts, err
	},
	worker: func(w *worker, r ColumnRow) (*worker, error) {
		to, err := r.to(w.o)
		return w.into(to), err
	},
	segments: func(r ColumnRow) []dataset.Segment { return r.Segments }, translate: (*worker).columns,
}

// to returns the target language that the row names, or "".
func (r ColumnRow) to(o Options) (string, error) {
	if o.ToColumn == "" {
		return "", nil
	}
	fields, err := jsonl.Object([]byte(r.Row))
	if err != nil {
		return "", err
	}
	switch to := fields[o.ToColumn].(type) {
	case nil:
		return "", nil
	case string:
		if to != "" && tokenizer.NLLBCode(to) == tokenizer.NLLBCode(o.From) {
			return "", badinput.Errorf("row %.80s: %s is %s, the language of the text", r.Row, o.ToColumn, to)
		}
		return to, nil
	default:
		return "", badinput.Errorf("row %.80s: %s is %v, expected the code of a language", r.Row, o.ToColumn, to)
	}
}

// checkTargets reports why rows cannot have target languages of their own.
func (o Options) checkTargets(t Tools) error {
	_, several := t.Translator.(Targeting)
	switch {
	case o.ToColumn == "":
		return nil
	case len(o.Columns) == 0:
		return badinput.Errorf("translate: to_column is only for rows with columns, which columns names")
	case !several || t.Second != nil || o.Vocabulary != "":
		return badinput.Errorf("translate: to_column needs an encoder-decoder model with its whole vocabulary, and no second translator")
	}
	return nil
}

// places returns the row's fields, and the texts in them that are translated.
func (r ColumnRow) places(o Options) (fields map[string]any, texts []place, err error) {
	if fields, err = jsonl.Object([]byte(r.Row)); err != nil {
		return nil, nil, err
	}
	for _, column := range o.Columns {
		found, err := find(fields, column)
		if err != nil {
			return nil, nil, badinput.Errorf("row %.80s: %w", r.Row, err)
		}
		texts = append(texts, found...)
	}
	return fields, texts, nil
}

// columnRows reads rows of any schema. The id of a row is its content's.
func columnRows(ctx context.Context, path string) iter.Seq2[ColumnRow, error] {
	return func(yield func(ColumnRow, error) bool) {
		for fields, err := range objects(ctx, path) {
			var r ColumnRow
			if err == nil {
				r.Row, err = object(fields)
				r.ID = dataset.ContentID(r.Row)
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// objects reads the rows at path as they are.
func objects(ctx context.Context, path string) iter.Seq2[map[string]any, error] {
	if !jsonl.Has(path) {
		return dataset.Rows[map[string]any](ctx, path)
	}
	return func(yield func(map[string]any, error) bool) {
		for line, err := range jsonl.Lines(path) {
			var fields map[string]any
			if err == nil {
				err = ctx.Err()
			}
			if err == nil {
				if fields, err = jsonl.Object(line.Data); err != nil {
					err = line.Errorf("%w", err)
				}
			}
			if !yield(fields, err) || err != nil {
				return
			}
		}
	}
}

// object writes a row, its columns sorted by name.
func object(fields map[string]any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(fields)
	return strings.TrimSuffix(b.String(), "\n"), err
}

// columns translates a row.
func (w *worker) columns(ctx context.Context, r ColumnRow) ([]ColumnRow, error) {
	to, err := r.to(w.o)
	if err == nil && to != "" {
		err = w.t.(Targeting).CheckTarget(to)
	}
	if err != nil {
		return nil, err
	}
	w = w.into(to)
	fields, texts, err := r.places(w.o)
	if err != nil {
		return nil, err
	}
	cut := make([][]segment.Segment, len(texts))
	for i, p := range texts {
		cut[i] = w.c.cut(p.text)
	}
	if err := w.learn(ctx, slices.Concat(cut...)); err != nil {
		return nil, err
	}
	r.Language, r.Translator = tokenizer.NLLBCode(w.o.To), w.t.Name()
	for i, p := range texts {
		text, segments, err := w.passed(cut[i], i)
		if err != nil {
			return nil, err
		}
		p.set(text)
		r.Segments = append(r.Segments, segments...)
	}
	r.Row, err = object(fields)
	return []ColumnRow{r}, err
}

// place is a text of a row, and what replaces it.
type place struct {
	text string
	set  func(string)
}

// find returns the texts of a column, and keeps their source beside it.
func find(fields map[string]any, column string) ([]place, error) {
	in, name := fields, column
	for {
		outer, inner, nested := strings.Cut(name, ".")
		if !nested {
			break
		}
		m, ok := in[outer].(map[string]any)
		if !ok {
			return nil, missing(fields, column)
		}
		in, name = m, inner
	}
	value, ok := in[name]
	if !ok {
		return nil, missing(fields, column)
	}
	source := name + SourceSuffix
	if _, taken := in[source]; taken {
		return nil, badinput.Errorf("a row has a column %s already, where the source of %s would be; rename it", source, column)
	}
	switch v := value.(type) {
	case nil:
		return nil, nil
	case string:
		in[source] = v
		return []place{{v, func(s string) { in[name] = s }}}, nil
	case []any:
		translated := make([]any, len(v))
		var all []place
		for i, e := range v {
			text, ok := e.(string)
			if !ok {
				return nil, badinput.Errorf("column %s: item %d of a list is %.40v, expected a text", column, i+1, e)
			}
			all = append(all, place{text, func(s string) { translated[i] = s }})
		}
		in[source], in[name] = v, translated
		return all, nil
	}
	return nil, badinput.Errorf("column %s is %.40s, expected a text or a list of texts", column, fmt.Sprint(value))
}

func missing(fields map[string]any, column string) error {
	return badinput.Errorf("a row has no column %s; it has %s", column, strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
}
