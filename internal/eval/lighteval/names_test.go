package lighteval

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestModelName(t *testing.T) {
	dir := t.TempDir()
	if got := ModelName(dir); strings.Contains(got, "/") || !strings.HasPrefix(got, "_") {
		t.Errorf("ModelName(%s) = %s", dir, got)
	}
	if got := ModelName("google/gemma-2-9b-it"); got != "google/gemma-2-9b-it" {
		t.Errorf("ModelName of a hub id = %s", got)
	}
}

func TestFormatBytes(t *testing.T) {
	for n, want := range map[int64]string{18483411968: "17.21 GB", 512: "512.0 bytes", 1536: "1.5 KB", 3 << 40: "3.0 TB"} {
		if got := FormatBytes(n); got != want {
			t.Errorf("FormatBytes(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestMarkdownTable(t *testing.T) {
	results := []Result{
		{"community|acva:Iraq|0", []Metric{{"acc_norm", 0.55294}, {"acc_norm_stderr", 0.05424}}},
		{"lighteval|xstory_cloze:ar|0", []Metric{{"acc", 0.5}}},
		{"all", []Metric{{"acc_norm", 0.55294}, {"acc_norm_stderr", 0.05424}, {"acc", 0.5}}},
	}
	want := `|           Task            |Version| Metric |Value |   |Stderr|
|---------------------------|------:|--------|-----:|---|-----:|
|all                        |       |acc_norm|0.5529|±  |0.0542|
|                           |       |acc     |0.5000|   |      |
|community:acva:Iraq:0      |      0|acc_norm|0.5529|±  |0.0542|
|lighteval:xstory_cloze:ar:0|      0|acc     |0.5000|   |      |
`
	got := consoleTable(results, map[string]bool{"community|acva:Iraq|0": true, "lighteval|xstory_cloze:ar|0": true})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
