package main

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"barka/internal/hub/hubtest"
)

// TestPublishSurvivesKills kills uploads at random moments and starts the same command
// again, until it ends by itself. Nothing is visible before the end, then the content is
// that of an upload that was not killed, in one commit. BARKA_KILLS is the number of kills.
func TestPublishSurvivesKills(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs signals")
	}
	kills, err := strconv.Atoi(os.Getenv("BARKA_KILLS"))
	if err != nil {
		kills = 5
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	random := rand.NewChaCha8([32]byte{1})
	for name, size := range map[string]int{"adapter_model.safetensors": 3 << 20, "tokenizer.json": 70_000, "a.parquet": 900_000,
		"b.model": 10_000, "notes.txt": 0, "big.txt": 300_000} {
		data := make([]byte, size)
		random.Read(data)
		if strings.HasSuffix(name, ".txt") {
			data = bytes.Repeat([]byte("x"), size)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	config := `{"base_model_name_or_path": "org/base"}`
	if err := os.WriteFile(filepath.Join(dir, "adapter_config.json"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	readme := "---\nlicense: mit\n---\n# a card\n"
	if err := os.WriteFile(filepath.Join(dir, "README.md"), []byte(readme), 0o644); err != nil {
		t.Fatal(err)
	}
	line := func(id string) []string { return []string{"publish", dir, id, "--quiet"} }

	s, start := slowHub(t), time.Now()
	if text, err := program(line("org/whole")...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	whole, took, size := s.Content("models", "org/whole", "main"), time.Since(start), s.Received
	if len(whole) != 9 {
		t.Fatalf("%d files", len(whole))
	}
	killed, outputs, sent := 0, int64(0), int64(0)
	for n := 0; killed < kills; n++ {
		if n == 10*kills {
			t.Fatalf("only %d kills", killed)
		}
		s := slowHub(t) // its store is empty
		for ended := false; !ended; {
			c := program(line("org/killed")...)
			var text bytes.Buffer
			c.Stdout, c.Stderr = &text, &text
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			wait := time.Hour
			if killed < kills {
				wait = time.Duration(rng.Float64() * float64(took))
			}
			timer := time.AfterFunc(wait, func() { _ = c.Process.Kill() })
			err := c.Wait()
			timer.Stop()
			switch {
			case c.ProcessState.ExitCode() > 0:
				t.Fatalf("%v\n%s", err, text.String())
			case err == nil:
				ended = true
			default:
				killed++
			}
			got := s.Content("models", "org/killed", "main")
			if visible := len(got) > 1; visible != (len(s.Commits()) > 0) || visible && !maps.EqualFunc(got, whole, bytes.Equal) {
				t.Fatalf("after a kill %d files are visible, %d commits", len(got), len(s.Commits()))
			}
		}
		if n := len(s.Commits()); n != 1 {
			t.Errorf("%d commits", n)
		}
		outputs, sent = outputs+1, sent+s.Received
		s.Close()
	}
	t.Logf("%d kills of %d uploads that take %v alone; %.2f times their bytes were sent", killed, outputs, took.Round(time.Millisecond),
		float64(sent)/float64(size*outputs))
}

// slowHub starts a hub whose store takes its time, so that an upload takes longer than the
// start of the program.
func slowHub(t *testing.T) *hubtest.Server {
	s := publishHub(t)
	s.SetFault(func(_ http.ResponseWriter, r *http.Request, store bool) bool {
		if store && r.Method == http.MethodPut {
			time.Sleep(20 * time.Millisecond)
		}
		return false
	})
	return s
}
