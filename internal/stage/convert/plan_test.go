package convert

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/durable"
	"barka/internal/progress"
)

// TestPlan: a plan counts what a run writes, and finds what it stops at.
func TestPlan(t *testing.T) {
	o := Defaults()
	o.Benchmark = "boolq"
	data := filepath.Join(t.TempDir(), "train.jsonl")
	text := `{"question": "is coffee a drink", "passage": "Coffee is a drink made of roasted beans.", "answer": true}
{"question": "is coffee a drink", "passage": "Coffee is a drink made of roasted beans.", "answer": true}
{"question": "is tea a stone", "passage": "Tea is a drink made of leaves.", "answer": false}
`
	if err := os.WriteFile(data, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	in := map[string]string{"data": data}
	e, err := Plan(context.Background(), o, 0, in)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Run(context.Background(), o, nil, durable.Env{Out: filepath.Join(t.TempDir(), "out"), In: in, Progress: progress.Silent})
	if err != nil {
		t.Fatal(err)
	}
	if int64(e.Rows) != m.Rows || int64(e.Rejected) != m.Counts["rejected"] || e.Rows != 2 || e.Rejected != 1 || e.Chars < 100 {
		t.Errorf("planned %+v, made %d rows and rejected %d", e, m.Rows, m.Counts["rejected"])
	}
	if err := os.WriteFile(data, []byte(text+`{"question": "no passage"}`+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Plan(context.Background(), o, 0, in); err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), "train.jsonl:4") {
		t.Errorf("a broken row at the end: %v", err)
	}
}
