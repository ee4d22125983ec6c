package segment

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"barka/internal/testfiles"
)

var update = flag.Bool("update", false, "write the golden file")

// translation are the options of the translation stage.
var translation = Options{MaxTokens: 128, Count: words, MinWords: 3, Target: unicode.Arabic, Form: brackets}

// TestRows compares what becomes of rows of public sets and of the hard cases with
// testdata/rows.txt, which people have read.
func TestRows(t *testing.T) {
	var b strings.Builder
	decoder := json.NewDecoder(bytes.NewReader(testfiles.Read(t, filepath.Join("testdata", "rows.jsonl"))))
	for decoder.More() {
		var row struct{ Source, Text string }
		if err := decoder.Decode(&row); err != nil {
			t.Fatal(err)
		}
		segments := Split(row.Text, translation)
		if got := echoed(segments, brackets, translation); got != row.Text {
			t.Errorf("%q was echoed as %q", row.Text, got)
		}
		fmt.Fprintf(&b, "== %s\n", row.Source)
		for _, s := range segments {
			switch {
			case s.Translated():
				fmt.Fprintf(&b, "%-8s %q", s.Kind, brackets.Mask(s))
				for _, p := range s.Spans {
					fmt.Fprintf(&b, " %q", s.Text[p.Start:p.End])
				}
				b.WriteByte('\n')
			case s.Kind != Blank:
				fmt.Fprintf(&b, "%-8s %q is kept\n", s.Kind, s.Text)
			}
		}
	}
	golden := filepath.Join("testdata", "rows.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, got := strings.Split(string(testfiles.Read(t, golden)), "\n"), strings.Split(b.String(), "\n")
	for i := range got {
		if i >= len(want) || got[i] != want[i] {
			t.Fatalf("line %d of %s (go test -update writes it): %s", i+1, golden, got[i])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d lines, %s has %d", len(got), golden, len(want))
	}
}

// found are the counts of a set.
type found struct {
	texts, segments, withSpans int
	cut                        int // texts of which a sentence is cut at a span
	prices                     int // texts with a price in a span that is no sum
}

func (f *found) add(t *testing.T, text string) {
	t.Helper()
	segments := Split(text, translation)
	if Join(segments) != text || echoed(segments, brackets, translation) != text {
		t.Errorf("%q changed", text)
	}
	f.texts++
	cut, price := false, false
	for i, s := range segments {
		if s.Kind == Span && i > 0 && i+1 < len(segments) && segments[i-1].Translated() && segments[i+1].Translated() {
			cut = true
		}
		if !s.Translated() {
			continue
		}
		f.segments++
		if len(s.Spans) > 0 {
			f.withSpans++
		}
		for _, p := range s.Spans {
			span := s.Text[p.Start:p.End]
			price = price || span[0] == '$' && !strings.Contains(span, "<<")
		}
	}
	if cut {
		f.cut++
	}
	if price {
		f.prices++
	}
}

// TestRealRows cuts whole public sets: an identity translator returns every byte, no
// sentence is cut at a span, no price is taken for a formula.
func TestRealRows(t *testing.T) {
	for _, set := range []struct {
		name  string
		texts func(*testing.T) []string
		spans int // at least this many segments have spans
	}{
		{"GSM8K", gsm8k, 27000},
		{"multiple choice", choices, 150},
		{"TICO-19", tico, 30},
		{"NTREX-128", func(t *testing.T) []string {
			return strings.Split(string(testfiles.Read(t, testfiles.Shared(t, "parallel", "ntrex", "newstest2019-src.eng.txt"))), "\n")
		}, 3},
	} {
		t.Run(set.name, func(t *testing.T) {
			var f found
			for _, text := range set.texts(t) {
				f.add(t, text)
			}
			t.Logf("%+v", f)
			if f.texts == 0 || f.cut > 0 || f.prices > 0 || f.withSpans < set.spans {
				t.Errorf("%+v", f)
			}
		})
	}
}

func gsm8k(t *testing.T) (texts []string) {
	for _, name := range []string{"train.jsonl", "test.jsonl"} {
		decoder := json.NewDecoder(bytes.NewReader(testfiles.Read(t, testfiles.Shared(t, "english", "gsm8k", name))))
		for decoder.More() {
			var row struct{ Question, Answer string }
			if err := decoder.Decode(&row); err != nil {
				t.Fatal(err)
			}
			texts = append(texts, row.Question, row.Answer)
		}
	}
	return texts
}

func choices(t *testing.T) (texts []string) {
	files, err := filepath.Glob(filepath.Join(testfiles.Shared(t, "english", "llm-adapters"), "*", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	for _, file := range files {
		var rows []struct{ Instruction, Output string }
		if err := json.Unmarshal(testfiles.Read(t, file), &rows); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, r := range rows {
			texts = append(texts, r.Instruction, r.Output)
		}
	}
	return texts
}

var seg = regexp.MustCompile(`(?s)<seg>(.*?)</seg>`)

func tico(t *testing.T) (texts []string) {
	dir := testfiles.Unzip(t, testfiles.Shared(t, "parallel", "tico19", "all.en-ar.tmx.zip"))
	for name, data := range testfiles.Tree(t, dir) {
		if !strings.HasSuffix(name, ".tmx") || strings.Contains(name, "MACOSX") {
			continue
		}
		for _, m := range seg.FindAllStringSubmatch(data, -1) {
			texts = append(texts, html.UnescapeString(m[1]))
		}
	}
	return texts
}
