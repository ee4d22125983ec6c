package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"barka/internal/bench"
)

func TestBenchTokenize(t *testing.T) {
	dir := inputs(t)
	text, profile := filepath.Join(dir, "text.txt"), filepath.Join(dir, "cpu.pprof")
	if err := os.WriteFile(text, []byte(strings.Repeat("بركة words\n", 2000)), 0o644); err != nil {
		t.Fatal(err)
	}
	out := ok(t, "", "bench", "tokenize", "--tokenizer", filepath.Join(dir, "models", "nllb"), "--text", text,
		"--repeat", "2", "--cpuprofile", profile, "--json")
	var results []bench.Result
	if err := json.Unmarshal([]byte(out), &results); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	last := results[len(results)-1]
	if last.Work != "tokenize" || !(last.Median > 0 && last.Median <= last.Value) || last.Outcome == 0 {
		t.Errorf("%+v", last)
	}
	if info, err := os.Stat(profile); err != nil || info.Size() == 0 {
		t.Errorf("no profile was written: %v", err)
	}
}

// TestBenchData measures each data stage; the filter drops the bad rows among the made ones.
func TestBenchData(t *testing.T) {
	out := ok(t, "", "bench", "data", "--rows", "2000", "--json")
	var results []bench.Result
	if err := json.Unmarshal([]byte(out), &results); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	rows := map[string]float64{}
	for _, r := range results {
		rows[r.Work+", "+r.Variant] = r.Outcome
		bytes := r.Work == "rules" || strings.HasPrefix(r.Variant, "XML")
		if unit := map[bool]string{true: "MB/s", false: "rows/s"}[bytes]; !(r.Value > 0) || r.Unit != unit {
			t.Errorf("%+v", r)
		}
	}
	equal, near := rows["filter, rules and equal rows"], rows["filter, and near-duplicates"]
	passed, own := rows["rules, all rules, one thread"], rows["rules, language alone, one thread"]
	if len(rows) != 10 || rows["wiki, XML"] != 2000 || rows["wiki, passages"] != 2000 ||
		passed < equal || passed > 1980 || own == 0 || rows["translate, no model"] != 2000 ||
		rows["mix, one dataset"] != 2000 || rows["convert, sciq"] != 2000 || equal < 1800 || equal > 1960 || near >= equal || near < 1800 {
		t.Errorf("rows written: %v", rows)
	}
}

// TestBenchRules reads given rows and makes none.
func TestBenchRules(t *testing.T) {
	in := filepath.Join(t.TempDir(), "rows.jsonl")
	row := `{"id":"1","language":"arb_Arab","messages":[{"role":"user","content":"كيف تقدم القهوة في الخليج العربي؟"},` +
		`{"role":"assistant","content":"تحضر القهوة خفيفة مع الهيل، وتصب في فناجين صغيرة بلا مقابض."}]}` + "\n"
	if err := os.WriteFile(in, []byte(strings.Repeat(row, 100)), 0o666); err != nil {
		t.Fatal(err)
	}
	var results []bench.Result
	if err := json.Unmarshal([]byte(ok(t, "", "bench", "data", "rules", "--input", in, "--repeat", "2", "--json")), &results); err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Outcome != 100 || len(r.Rates) != 2 || r.Shape != "100 rows, 0.0 MB" {
			t.Errorf("%+v", r)
		}
	}
	if len(results) != 2 {
		t.Errorf("%d results", len(results))
	}
}

// TestBenchWiki reads a given dump.
func TestBenchWiki(t *testing.T) {
	dump := "../../internal/mediawiki/testdata/small-multistream.xml.bz2"
	var results []bench.Result
	if err := json.Unmarshal([]byte(ok(t, "", "bench", "data", "wiki", "--input", dump, "--json")), &results); err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if !(r.Value > 0) || !(r.Outcome > 0) || r.PeakRSS == 0 && runtime.GOOS == "linux" || !strings.HasSuffix(r.Shape, "of XML") {
			t.Errorf("%+v", r)
		}
	}
	if runtime.GOOS == "linux" && len(results) != 3 {
		t.Errorf("%d results", len(results))
	}
}

// TestBenchWrites: --write writes a checkpoint and its inputs for other programs.
func TestBenchWrites(t *testing.T) {
	dir := t.TempDir()
	at := strings.TrimSpace(ok(t, "", "bench", "--write", "--dir", dir, "--shape", "pythia-70m", "--layers", "1"))
	for _, name := range []string{"config.json", "model.safetensors", "inputs.json"} {
		if _, err := os.Stat(filepath.Join(at, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestBenchRefusals(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--write"}, exitUsage, "--dir"},
		{[]string{"data", "prefill"}, exitUsage, "convert, translate"},
		{[]string{"data", "--rows", "0"}, exitUsage, "--rows"},
		{[]string{"data", "wiki", "rules", "--input", "x"}, exitUsage, "--input"},
		{[]string{"data", "wiki", "--input", "/no/such/dump.xml"}, exitBadInput, "/no/such/dump.xml"},
		{[]string{"data", "rules", "--input", "/no/such/rows.jsonl"}, exitBadInput, "/no/such/rows.jsonl"},
		{[]string{"tokenize"}, exitBadInput, "--tokenizer"},
		{[]string{"--shape", "gpt-9"}, exitBadInput, "gemma-2-2b"},
		{[]string{"speed"}, exitBadInput, "decode"},
		{[]string{"tokenize", "--cpuprofile", "/no/such/dir/file"}, exitBadInput, "/no/such/dir"},
	} {
		r := barka(t, "", append([]string{"bench"}, c.args...)...)
		if r.code != c.code || !strings.Contains(r.err, c.want) {
			t.Errorf("barka bench %s: exit code %d, %q; expected %d and %q", strings.Join(c.args, " "), r.code, r.err, c.code, c.want)
		}
	}
}
