package compare

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
)

// writeReference writes the reference's own evaluation, from testdata, to a directory.
func writeReference(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	const stamp = "2026-11-25T23-43-31.394174"
	for from, to := range map[string]string{
		"acva_Yemen.parquet":      "details/m/" + stamp + "/details_community|acva:Yemen|0_" + stamp + ".parquet",
		"xstory_cloze_ar.parquet": "details/m/" + stamp + "/details_lighteval|xstory_cloze:ar|0_" + stamp + ".parquet",
		"results.json":            "results/m/results_" + stamp + ".json",
	} {
		text, err := os.ReadFile(filepath.Join("testdata/lighteval", from))
		if err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(root, to), string(text))
	}
	return root
}

func put(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestOpen finds the same evaluation by every path that denotes it.
func TestOpen(t *testing.T) {
	root := writeReference(t)
	const stamp = "2026-11-25T23-43-31.394174"
	results := filepath.Join(root, "results", "m", "results_"+stamp+".json")
	for _, path := range []string{root, filepath.Join(root, "details"), filepath.Join(root, "details", "m", stamp), results} {
		r, err := Open(path)
		if err != nil || len(r.files) != 2 || r.Runs != 1 || r.Time != stamp || filepath.Base(filepath.Dir(r.Dir)) != "m" {
			t.Errorf("%s: %+v, %v", path, r, err)
		}
	}
	text, err := os.ReadFile(results)
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(root, "details", "m", "results_"+stamp+".json"), string(text))
	if r, err := Open(root); err != nil || r.Model != "demo_models_gemma2" {
		t.Errorf("%+v, %v", r, err)
	}
	c := mustCompare(t, root, root, Options{})
	if c.All.Questions != 9 || c.All.OnlyA+c.All.OnlyB != 0 {
		t.Errorf("%+v", c.All)
	}
}

func TestBadInput(t *testing.T) {
	root := t.TempDir()
	good := evaluation(t, nil)
	write(t, good, "m", stamp, map[string][]textRow{"community|acva:Iraq|0": asked("10")})
	bad := func(change func(*textRow)) string {
		rows := asked("10")
		change(&rows[1])
		return evaluation(t, map[string][]textRow{"community|acva:Iraq|0": rows})
	}
	corrupt := evaluation(t, map[string][]textRow{"community|acva:Iraq|0": asked("10")})
	file := filepath.Join(corrupt, "details", "m", stamp, "details_community|acva:Iraq|0_"+stamp+".parquet")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	put(t, file, string(text[:len(text)/2]))
	empty := evaluation(t, map[string][]textRow{"community|acva:Iraq|0": {}})
	stray := put(t, filepath.Join(root, "notes.txt"), "x")
	alone := put(t, filepath.Join(root, "alone", "results", "m", "results_"+stamp+".json"), `{"config_general": {}}`)
	put(t, filepath.Join(root, "shards", "shards", "0", "questions.jsonl"), "x")
	for name, c := range map[string]struct{ path, want string }{
		"nothing there":      {filepath.Join(root, "none"), "no such file"},
		"no directory":       {stray, "expected an output directory"},
		"broken results":     {put(t, filepath.Join(root, "broken", "results_"+stamp+".json"), "{"), "results_"},
		"other JSON":         {put(t, filepath.Join(root, "other", "results_"+stamp+".json"), "{}"), "no config_general"},
		"results alone":      {alone, "--no-details"},
		"no details":         {filepath.Join(root, "alone"), "--no-details"},
		"empty directory":    {t.TempDir(), "has no evaluation"},
		"shards not joined":  {filepath.Join(root, "shards"), "barka eval merge"},
		"cut parquet":        {corrupt, "acva:Iraq"},
		"no rows":            {empty, "no rows"},
		"metric unknown":     {bad(func(r *textRow) { r.Metrics = "{'exact_match': 1}" }), "row 2: metrics are"},
		"metric too large":   {bad(func(r *textRow) { r.Metrics = "{'acc_norm': 1.5}" }), "row 2: metrics are"},
		"metric of another":  {bad(func(r *textRow) { r.Metrics = "{'acc': 1}" }), "the metric of"},
		"choices unreadable": {bad(func(r *textRow) { r.Choices = "صح" }), "row 2: choices are"},
		"no gold":            {bad(func(r *textRow) { r.GoldIndex = "[]" }), "row 2: gold_index is"},
	} {
		_, err := compared(t, good, c.path, Options{})
		if !badinput.Is(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want bad input that says %q", name, err, c.want)
		}
	}
	// If the model's answer is unreadable, it is left out of the flips.
	odd := bad(func(r *textRow) {
		r.Predictions, r.GoldIndex, r.Metrics = "[(nan, False), (-1.0, True)]", "[0]", "{'acc_norm': 1}"
	})
	var flips []Flip
	if _, err := compared(t, good, odd, Options{Flips: func(f Flip) error {
		flips = append(flips,
			f)
		return nil
	}}); err != nil || len(flips) != 1 || flips[0].B != "" || flips[0].LogProbsB != nil {
		t.Errorf("%+v, %v", flips, err)
	}
	// A gold index beyond the choices belongs to a judged task, or is a mistake.
	high := bad(func(r *textRow) { r.GoldIndex = "[7]" })
	if c, err := compared(t, high, high, Options{}); err != nil || c.All.Questions != 2 {
		t.Errorf("%v", err)
	}
}
