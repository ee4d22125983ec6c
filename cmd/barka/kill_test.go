package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"barka/internal/recipe"
)

// TestMain lets a test start this test binary as the program itself, so that
// it can be killed.
func TestMain(m *testing.M) {
	if _, ok := os.LookupEnv("HF_HUB_OFFLINE"); !ok { // tests with their own hub set it to ""
		os.Setenv("HF_HUB_OFFLINE", "1")
	}
	if os.Getenv("BARKA_TEST_MAIN") == "1" {
		main()
		return
	}
	os.Exit(withCache(m.Run))
}

// withCache runs the tests with a cache directory of their own.
func withCache(run func() int) int {
	dir, err := os.MkdirTemp("", "barka-cache-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	os.Setenv("XDG_CACHE_HOME", dir)
	return run()
}

// program returns a command that runs barka in its own process.
func program(args ...string) *exec.Cmd {
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), "BARKA_TEST_MAIN=1")
	return c
}

// TestRunSurvivesKills kills a run of testdata/chain at ten random moments, resumes it each
// time, and compares with an uninterrupted run. Times and speeds in files are not compared.
func TestRunSurvivesKills(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs signals")
	}
	if testing.Short() {
		t.Skip("runs a whole recipe twice")
	}
	// Both runs use one path, because provenance may contain it.
	root := t.TempDir()
	out, kept := filepath.Join(root, "demo"), filepath.Join(root, "whole")
	args := runChain(t, out)
	start := time.Now()
	if text, err := program(append(args, "--quiet")...).CombinedOutput(); err != nil {
		t.Fatalf("uninterrupted run: %v\n%s", err, text)
	}
	whole := time.Since(start)
	if err := os.Rename(out, kept); err != nil {
		t.Fatal(err)
	}
	args = runChain(t, out)

	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d; the whole takes %v", seed, whole)
	killed := 0
	for killed < 10 {
		c := program(append(args, "--quiet")...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rng.Float64() * 0.35 * float64(whole)))
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait() // the state of a killed process
		killed++
	}
	if text, err := program(append(args, "--quiet")...).CombinedOutput(); err != nil {
		t.Fatalf("last run: %v\n%s", err, text)
	}
	compareRuns(t, kept, out)
}

// compareRuns fails the test if two runs of a recipe differ.
func compareRuns(t *testing.T, a, b string) {
	t.Helper()
	x, y := contents(t, a), contents(t, b)
	names := map[string]bool{}
	for n := range x {
		names[n] = true
	}
	for n := range y {
		names[n] = true
	}
	compared := 0
	for n := range names {
		p, inA := x[n]
		q, inB := y[n]
		switch {
		case !inA || !inB:
			t.Errorf("%s is in one run alone", n)
		case !bytes.Equal(p, q):
			t.Errorf("%s differs", n)
		}
		compared++
	}
	if compared < 30 {
		t.Errorf("only %d files compared", compared)
	}
	t.Logf("%d files equal", compared)
}

// contents reads a run's files. Evaluation files have the time in their names and in some
// fields; contents removes it, and there must be one file of each kind. TensorBoard's
// events and the score journal are left out, because they hold times or depend on the order
// of work.
func contents(t *testing.T, root string) map[string][]byte {
	t.Helper()
	out, twice := newestContents(t, root)
	for _, name := range twice {
		t.Errorf("%s: there are two files %s, apart from the time", root, name)
	}
	return out
}

// newestContents is contents for an evaluation that may have left files of several times.
// It reads the newest and returns the names of those that exist twice.
func newestContents(t *testing.T, root string) (out map[string][]byte, twice []string) {
	t.Helper()
	out = map[string][]byte{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if strings.Contains(rel, "tfevents") || strings.Contains(rel, string(filepath.Separator)+"cache"+string(filepath.Separator)) {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		switch {
		case filepath.Base(rel) == recipe.TimesFile:
			return nil
		case filepath.Base(rel) == "report.html":
			data = costsOfPage.ReplaceAll(data, nil)
		}
		if strings.Contains(rel, "-eval-") {
			rel, data = timeless(t, rel, data)
		}
		if out[rel] != nil {
			twice = append(twice, rel)
		}
		out[rel] = data
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out, twice
}

// costsOfPage matches the times in the page about a run.
var costsOfPage = regexp.MustCompile(`(?s)<section id="costs">.*?</section>`)

// timeOfDay matches the times in the file names of evaluations.
var timeOfDay = regexp.MustCompile(`20\d\d-\d\d-\d\dT\d\d-\d\d-\d\d(\.\d+)?`)

// timeless removes times from an evaluation file's name and content.
func timeless(t *testing.T, name string, data []byte) (string, []byte) {
	t.Helper()
	name = timeOfDay.ReplaceAllString(filepath.ToSlash(name), "TIME")
	if !strings.HasSuffix(name, ".json") {
		return name, data
	}
	var v map[string]any
	if json.Unmarshal(data, &v) != nil {
		return name, data
	}
	if c, ok := v["config_general"].(map[string]any); ok {
		for _, k := range []string{"start_time", "end_time", "total_evaluation_time_secondes"} {
			delete(c, k)
		}
	}
	clean, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return name, clean
}
