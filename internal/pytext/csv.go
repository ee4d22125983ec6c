package pytext

import (
	"fmt"
	"iter"
	"strings"
	"unicode/utf8"
)

// CSV splits text into records as csv.reader does with its default dialect:
// quotes inside a quoted field are doubled, quotes elsewhere are plain text,
// and line breaks inside quotes stay as they are (encoding/csv would fold
// \r\n). Empty lines are skipped. Errors name the record, counted from 1.
func CSV(text string, comma byte) ([][]string, error) {
	var records [][]string
	for record, err := range Records(text, comma) {
		if err != nil {
			return nil, err
		}
		records = append(records, record)
	}
	return records, nil
}

// maxFields bounds the fields of a record, which take more memory than their text.
const maxFields = 1000

// Records yields the records of CSV one by one. It ends at the first error.
func Records(text string, comma byte) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		rest := strings.TrimPrefix(text, "\ufeff")
		if !utf8.ValidString(rest) {
			yield(nil, fmt.Errorf("not UTF-8 text"))
			return
		}
		for n := 1; rest != ""; {
			record, after, err := csvRecord(rest, comma)
			if err != nil {
				yield(nil, fmt.Errorf("record %d: %w", n, err))
				return
			}
			rest = after
			if record == nil {
				continue
			}
			if n++; !yield(record, nil) {
				return
			}
		}
	}
}

// csvRecord reads one record. The record of an empty line is nil.
func csvRecord(text string, comma byte) (record []string, rest string, err error) {
	if n := lineBreak(text); n > 0 {
		return nil, text[n:], nil
	}
	for {
		field, after, err := csvField(text, comma)
		if err != nil {
			return nil, "", err
		}
		if record = append(record, field); len(record) > maxFields {
			return nil, "", fmt.Errorf("more than %d fields; is this a CSV file?", maxFields)
		}
		if after == "" {
			return record, "", nil
		}
		if after[0] == comma {
			text = after[1:]
			continue
		}
		return record, after[lineBreak(after):], nil
	}
}

// csvField reads one field. rest is empty or starts with a comma or a line break.
func csvField(text string, comma byte) (field, rest string, err error) {
	if text == "" || text[0] != '"' {
		end := fieldEnd(text, comma)
		return text[:end], text[end:], nil
	}
	var b strings.Builder
	text = text[1:]
	for {
		i := strings.IndexByte(text, '"')
		if i < 0 {
			return "", "", fmt.Errorf("a quoted field is not closed; is the file truncated?")
		}
		b.WriteString(text[:i])
		text = text[i+1:]
		if text == "" || text[0] != '"' {
			break
		}
		b.WriteByte('"')
		text = text[1:]
	}
	end := fieldEnd(text, comma)
	b.WriteString(text[:end])
	return b.String(), text[end:], nil
}

func fieldEnd(text string, comma byte) int {
	if i := strings.IndexAny(text, string([]byte{comma, '\r', '\n'})); i >= 0 {
		return i
	}
	return len(text)
}

// lineBreak returns the length of the line break at the start of text, or 0.
func lineBreak(text string) int {
	switch {
	case strings.HasPrefix(text, "\r\n"):
		return 2
	case text != "" && (text[0] == '\n' || text[0] == '\r'):
		return 1
	}
	return 0
}
