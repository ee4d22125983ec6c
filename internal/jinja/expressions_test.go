package jinja

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// value reads JSON with the order of its keys.
func value(t testing.TB, d *json.Decoder) Value {
	t.Helper()
	tok, err := d.Token()
	if err != nil {
		t.Fatal(err)
	}
	switch v := tok.(type) {
	case json.Delim:
		if v == '[' {
			l := NewList()
			for d.More() {
				l.Items = append(l.Items, value(t, d))
			}
			d.Token()
			return l
		}
		m := NewDict()
		for d.More() {
			k := value(t, d).(Text)
			m.Set(k.s, value(t, d))
		}
		d.Token()
		return m
	case json.Number:
		if i, err := v.Int64(); err == nil && !strings.ContainsAny(v.String(), ".e") {
			return i
		}
		f, _ := v.Float64()
		return f
	case string:
		return Text{s: v}
	case bool:
		return v
	}
	return nil
}

// TestExpressions: small templates give what they do in transformers' Jinja,
// and fail where they do.
func TestExpressions(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "expressions.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Variables json.RawMessage
		Rows      []struct {
			Template string
			Text     *string
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(file.Variables))
	d.UseNumber()
	dict := value(t, d).(*Dict)
	vars := map[string]Value{}
	for i, k := range dict.keys {
		vars[k.(Text).s] = dict.values[i]
	}
	vars["messages"], vars["tools"], vars["documents"], vars["add_generation_prompt"] = NewList(), nil, nil, false
	for _, r := range file.Rows {
		var out Output
		tpl, err := Parse(r.Template)
		if err == nil {
			out, err = tpl.Render(vars, goldenDay)
		}
		switch {
		case r.Text == nil && err == nil:
			t.Errorf("%s: %q, Jinja fails", r.Template, out.Text)
		case r.Text != nil && err != nil:
			t.Errorf("%s: %v\nwant %q", r.Template, err, *r.Text)
		case r.Text != nil && out.Text.String() != *r.Text:
			t.Errorf("%s:\n got %q\nwant %q", r.Template, out.Text, *r.Text)
		}
	}
	if len(file.Rows) < 100 {
		t.Errorf("%d templates", len(file.Rows))
	}
}
