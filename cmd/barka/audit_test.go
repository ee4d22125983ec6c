package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/chat"
	"barka/internal/dataset"
)

// TestAuditToMix: audit finds a training row that repeats a question in another spelling of
// Arabic, and mix --drop leaves it out.
func TestAuditToMix(t *testing.T) {
	dir := inputs(t)
	data := filepath.Join(dir, "data", "benchmarks")
	talk := func(id, question, answer string) dataset.Instruction {
		return dataset.Instruction{ID: id, Dataset: "talk", Language: "arb_Arab",
			Messages: []chat.Message{{Role: "user", Content: question}, {Role: "assistant", Content: answer}}}
	}
	train := filepath.Join(t.TempDir(), "train.jsonl")
	var lines []byte
	for _, row := range []dataset.Instruction{
		talk("own", "ما لون السماء في النهار؟", "السماء زرقاء في النهار."),
		talk("copy", "صحيح أم خطأ: الصَّحْراء الكُبرى تغطى معظم اراضي الجزائر؟", "صح، هذا صحيح تماما."),
		talk("other", "كم عدد أيام الأسبوع؟", "أيام الأسبوع سبعة أيام."),
	} {
		line, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(append(lines, line...), '\n')
	}
	if err := os.WriteFile(train, lines, 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "audit")
	args := []string{"audit", "--data", data, "--tasks", "acva:Algeria,acva:Iraq,copa_ext_ar", "--train", train}
	r := barka(t, "", append(args, "--out", out)...)
	drop := filepath.Join(out, "drop.jsonl")
	for _, want := range []string{"acva:Iraq", "get it: barka download --dataset OALL/ACVA",
		"1 training row to drop: barka mix … --drop " + drop} {
		if r.code != exitDone || !strings.Contains(r.err, want) {
			t.Errorf("exit code %d, and no %q in %s", r.code, want, r.err)
		}
	}
	if want := train + "\t3\t1\t1\tacva 1"; !strings.Contains(r.out, want) {
		t.Errorf("no %q in %s", want, r.out)
	}
	mixed := filepath.Join(t.TempDir(), "mixed")
	ok(t, "", "mix", "--in", "talk="+train, "--drop", drop, "--out", mixed)
	var ids []string
	for row, err := range dataset.Rows[dataset.Conversation](t.Context(), mixed) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, row.ID)
	}
	if slices.Sort(ids); !slices.Equal(ids, []string{"other", "own"}) {
		t.Errorf("mixed %v", ids)
	}
	var report struct {
		Overlap struct {
			Datasets []struct{ Drop int }
		}
	}
	if text := ok(t, "", append(args, "--json")...); json.Unmarshal([]byte(text), &report) != nil ||
		len(report.Overlap.Datasets) != 1 || report.Overlap.Datasets[0].Drop != 1 {
		t.Errorf("as JSON: %s", text)
	}
	t.Setenv("HF_HUB_CACHE", t.TempDir())
	if r := barka(t, "", "audit", "--tasks", "acva"); r.code != exitBadInput || !strings.Contains(r.err, "no task has data") {
		t.Errorf("no data: exit code %d, %s", r.code, r.err)
	}
	t.Setenv("BARKA_BENCHMARKS", data)
	ok(t, "", "audit", "--tasks", "acva:Algeria")
	for want, more := range map[string][]string{
		"--ngram is 3 words": {"--ngram", "3"}, "--threshold is 2": {"--threshold", "2"}, "no-such.jsonl": {"--train",
			"no-such.jsonl"}, "no-original.parquet": {"--originals", "no-original.parquet"},
	} {
		if r := barka(t, "", append(args, more...)...); r.code != exitBadInput || !strings.Contains(r.err, want) {
			t.Errorf("%v: exit code %d, %s", more, r.code, r.err)
		}
	}
}
