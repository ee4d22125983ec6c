package translate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/segment"
	"barka/internal/testfiles"
)

// careless translates to Arabic letters and gets every fourth text wrong in one of several
// ways. Half of its other hypotheses are right.
type careless struct{}

func (careless) Name() string                 { return "careless" }
func (careless) CountTokens(s string) int     { return len(strings.Fields(s)) }
func (careless) RoundTrip(text string) string { return text }

var (
	digit       = regexp.MustCompile(`[0-9]`)
	placeholder = regexp.MustCompile(`#\d+#`)
)

func (careless) wrong(text string, how uint32) string {
	good := fakeWord(text)
	switch how {
	case 0:
		return digit.ReplaceAllString(good, "7")
	case 1:
		return placeholder.ReplaceAllString(good, "")
	case 2:
		return text
	case 3:
		return ""
	case 4:
		return strings.Repeat("نعم ثم لا ثم ", 20)
	case 5:
		return placeholder.ReplaceAllString(good, "$0 $0")
	}
	return good
}

func (c careless) Translate(_ context.Context, texts []string, _ func()) ([]Translation, error) {
	out := make([]Translation, len(texts))
	for i, text := range texts {
		h := fnv.New32a()
		h.Write([]byte(text))
		n := h.Sum32()
		out[i] = Translation{Text: c.wrong(text, n%24), Score: -0.5,
			Alternatives: []Alternative{{Text: c.wrong(text, n/24%12), Score: -0.6}, {Text: c.wrong(text, n/576%12), Score: -0.7}}}
	}
	return out, nil
}

// TestRealRowsSurvive translates rows of public sets carelessly: in each row that is kept, every
// message has its numbers and all that must not be translated.
func TestRealRowsSurvive(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testfiles.Shared(t, "english", "llm-adapters"), "*", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	sets := map[string][][2]string{}
	for _, file := range files {
		var rows []struct{ Instruction, Output string }
		if err := json.Unmarshal(testfiles.Read(t, file), &rows); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		name := filepath.Base(filepath.Dir(file))
		for _, r := range rows[:min(len(rows), 300)] {
			sets[name] = append(sets[name], [2]string{r.Instruction, r.Output})
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(testfiles.Read(t, testfiles.Shared(t, "english", "gsm8k", "train.jsonl"))))
	for range 600 {
		var r struct{ Question, Answer string }
		if err := decoder.Decode(&r); err != nil {
			t.Fatal(err)
		}
		sets["gsm8k"] = append(sets["gsm8k"], [2]string{r.Question, r.Answer})
	}
	for name, rows := range sets {
		t.Run(name, func(t *testing.T) { survive(t, rows) })
	}
}

func survive(t *testing.T, rows [][2]string) {
	var lines bytes.Buffer
	for i, r := range rows {
		row := dataset.Instruction{ID: fmt.Sprint(i), Messages: []chat.Message{{Role: "user", Content: r[0]}, {Role: "assistant", Content: r[1]}}}
		if err := json.NewEncoder(&lines).Encode(row); err != nil {
			t.Fatal(err)
		}
	}
	in, out := filepath.Join(t.TempDir(), "in.jsonl"), filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(in, lines.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := Run(t.Context(), Defaults(), with(careless{}), durable.Env{Out: out, In: map[string]string{"instructions": in}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d rows, %d kept: %v", len(rows), m.Rows, m.Counts)
	if m.Rows < int64(len(rows)/2) || m.Counts["rung_"+RungNBest] == 0 {
		t.Errorf("%d of %d rows are kept", m.Rows, len(rows))
	}
	for r, err := range dataset.Rows[dataset.Instruction](t.Context(), out) {
		if err != nil {
			t.Fatal(err)
		}
		for i, message := range r.Messages {
			source := r.MessagesEN[i].Content
			if !sameNumbers(source, message.Content) {
				t.Errorf("row %s: the numbers of %q are not those of %q", r.ID, message.Content, source)
			}
			spans := map[string]int{}
			for line := range strings.Lines(source) {
				for _, v := range segment.Verbatim(line) {
					spans[line[v[0]:v[1]]]++
				}
			}
			for span, n := range spans {
				if strings.Count(message.Content, span) < n {
					t.Errorf("row %s: %q lost %q", r.ID, message.Content, span)
				}
			}
		}
	}
}
