package convert

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/testfiles"
)

// TestRealRows converts real rows of each set in its archive's layout.
func TestRealRows(t *testing.T) {
	dir := testfiles.Shared(t, "english")
	for _, c := range []struct {
		benchmark, path, split string
		rows, rejected         int64
	}{
		{"boolq", "boolq/fewglue_train_32.jsonl", "train", 32, 0},
		{"boolq", "hf-dummy/boolq_dummy_0.1.0.zip", "train", 3, 0},
		{"boolq", "hf-dummy/super_glue_dummy_boolq_1.0.2.zip", "train", 3, 0},
		{"copa", "copa/train.jsonl", "train", 368, 0},
		{"copa", "copa/val.jsonl", "train", 100, 0},
		{"copa", "hf-dummy/super_glue_copa.zip", "train", 3, 0},
		{"gsm8k", "gsm8k/train.jsonl", "train", 7473, 0},
		{"gsm8k", "gsm8k/test.jsonl", "train", 1319, 0},
		{"hellaswag", "hf-dummy/hellaswag_dummy_0.1.0.zip", "train", 2, 0},
		{"race", "hf-dummy/race_dummy_all_0.1.0.zip", "train", 22, 0},
		{"race", "hf-dummy/race_dummy_high_0.1.0.zip", "validation", 6, 0},
		{"sciq", "hf-dummy/sciq_dummy_0.1.0.zip", "train", 3, 0},
		{"arc-challenge", "hf-dummy/ai2_arc_dummy_ARC-Challenge_1.0.0.zip", "train", 3, 0},
		{"arc-easy", "hf-dummy/ai2_arc_dummy_ARC-Easy_1.0.0.zip", "train", 3, 0},
		{"openbookqa", "hf-dummy/openbookqa_dummy_main_1.0.1.zip", "train", 4, 0},
		{"piqa", "hf-dummy/piqa_dummy_plain_text_1.1.0.zip", "train", 5, 0},
		{"alpaca", "llm-adapters/ARC-Challenge/train.json", "train", 1118, 1},
	} {
		path := filepath.Join(dir, filepath.FromSlash(c.path))
		if strings.HasSuffix(path, ".zip") {
			path = testfiles.Unzip(t, path)
		}
		o := options(c.benchmark)
		o.Split = c.split
		got, m, _ := convert(t, o, path)
		if m.Rows != c.rows || m.Counts["rejected"] != c.rejected {
			t.Errorf("%s %s: %d rows, counts %v; want %d and %d rejected", c.path, c.split, m.Rows, m.Counts, c.rows, c.rejected)
		}
		for _, r := range got {
			for _, msg := range r.Messages {
				for _, mark := range []string{"<<", "####", "[title]", "[header]", "« None", "  ", " .\n", " , "} {
					if strings.Contains(msg.Content, mark) && c.benchmark != "alpaca" {
						t.Errorf("%s: %q in %q", c.path, mark, msg.Content)
					}
				}
			}
		}
		if testing.Verbose() && len(got) > 0 {
			text, _ := json.MarshalIndent(got[len(got)/2].Messages, "", " ")
			t.Logf("%s\n%s", c.path, text)
		}
	}
}
