package durable

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/filelock"
	"barka/internal/testfiles"
)

// The crash tests start this test program as a child, which runs testStage to its end
// unless it is killed.
const (
	childOut      = "BARKA_DURABLE_TEST_OUT"
	childUnlocked = "BARKA_DURABLE_TEST_UNLOCKED" // as on a file system without locks
)

func TestMain(m *testing.M) {
	if out := os.Getenv(childOut); out != "" {
		if os.Getenv(childUnlocked) != "" {
			filelock.Disable()
		}
		delay, _ := time.ParseDuration(os.Getenv("BARKA_DURABLE_TEST_DELAY"))
		if err := testStage(context.Background(), out, delay, 7); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	partLimits = dataset.Limits{Rows: 40, Bytes: 1 << 16}
	os.Exit(m.Run())
}

type testOptions struct {
	Beam   int `json:"beam"`
	Nested struct {
		Rate float64 `json:"rate"`
	} `json:"nested"`
}

const testRecords = 300

func testPassages(n int) iter.Seq2[dataset.Passage, error] {
	return func(yield func(dataset.Passage, error) bool) {
		for i := range n {
			text := strings.Repeat(fmt.Sprintf("<نص %d & more> ", i), i%40)
			if !yield(dataset.Passage{ID: dataset.ContentID(fmt.Sprint(i)), Dataset: "test", Text: text, Revision: int64(i) << 40}, nil) {
				return
			}
		}
	}
}

// testStage is a stage with rejected records, records of 0, 1 and 2 rows, workers that
// finish in any order, private data in the journal, and totals.
func testStage(ctx context.Context, out string, delay time.Duration, workers int) error {
	partLimits = dataset.Limits{Rows: 40, Bytes: 1 << 16}
	r, err := Begin(out, Identity{Stage: "test", Version: 1, Options: testOptions{Beam: 5}, Seed: 7}, false)
	if err != nil {
		return err
	}
	defer r.Close()
	if r.Done() {
		return nil
	}
	rest := func() {
		if delay > 0 {
			time.Sleep(rand.N(delay))
		}
	}
	fmt.Println("map")
	o := MapOptions[dataset.Passage]{Key: func(p dataset.Passage) string { return p.ID }, Workers: workers, Total: testRecords}
	err = Map(ctx, r, testPassages(testRecords), o, func(ctx context.Context, p dataset.Passage) ([]dataset.Instruction, error) {
		rest()
		seed := dataset.RecordSeed(7, p.ID, "test")
		var noted int64
		if ok, err := r.Journal().Get(p.ID, &noted); err != nil || ok && noted != seed {
			return nil, fmt.Errorf("journal holds %d, want %d: %v", noted, seed, err)
		}
		if err := r.Journal().Put(p.ID, seed); err != nil {
			return nil, err
		}
		var rows []dataset.Instruction
		switch n := p.Revision >> 40; {
		case n%7 == 3:
			return nil, fmt.Errorf("wrapped: %w", &dataset.Reject{Reason: "too_short", Detail: fmt.Sprint(len(p.Text))})
		case n%11 == 5:
			return nil, &dataset.Reject{Reason: "no_answer"}
		default:
			for i := range n % 3 {
				rows = append(rows, dataset.Instruction{ID: dataset.ContentID(p.ID, fmt.Sprint(i)), PassageID: p.ID, Seed: seed,
					Messages: []chat.Message{{Role: "user", Content: p.Text}, {Role: "assistant", Content: fmt.Sprint(i)}},
					Segments: []dataset.Segment{{Source: "s", Score: float32(n) / 3, Flags: []string{"f"}}}})
			}
		}
		return rows, nil
	})
	if err != nil {
		return err
	}
	tokens := map[string]int64{}
	for row, err := range Outputs[dataset.Instruction](r) {
		if err != nil {
			return err
		}
		tokens["test"] += int64(len(row.Messages[0].Content))
	}
	fmt.Println("finish")
	return r.Finish(Final{Tokens: tokens, Card: "# Test\n", Notes: []string{"a <note>"}})
}

func sameTree(t *testing.T, want, got string) {
	t.Helper()
	whole := testfiles.Tree(t, want)
	if len(whole) < 3 {
		t.Fatalf("only %d files in %s", len(whole), want)
	}
	testfiles.Same(t, got, testfiles.Tree(t, got), whole)
	if _, err := os.Lstat(got + dataset.PartialSuffix); err == nil {
		t.Errorf("%s is still there", got+dataset.PartialSuffix)
	}
}

// reference is the output of an uninterrupted run with one worker.
func reference(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "reference")
	if err := testStage(context.Background(), dir, 0, 1); err != nil {
		t.Fatal(err)
	}
	return dir
}

// child runs testStage in a process and kills it wait after it printed the line after, or
// after its start if that is empty. It reports whether the process reached its end.
func child(t *testing.T, out, after string, wait, delay time.Duration) (ended bool) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childOut+"="+out, "BARKA_DURABLE_TEST_DELAY="+delay.String())
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said []string
	timer := (*time.Timer)(nil)
	if after == "" {
		timer = time.AfterFunc(wait, func() { cmd.Process.Kill() })
	}
	for s := bufio.NewScanner(stdout); s.Scan(); {
		said = append(said, s.Text())
		if s.Text() == after && timer == nil {
			timer = time.AfterFunc(wait, func() { cmd.Process.Kill() })
		}
	}
	err = cmd.Wait()
	if timer != nil {
		timer.Stop()
	}
	// On Windows a killed process has exited too.
	if err != nil && cmd.ProcessState.Exited() && runtime.GOOS != "windows" {
		t.Fatalf("the child failed by itself: %v", said)
	}
	return err == nil
}

func TestKilledDuringMap(t *testing.T) {
	want := reference(t)
	rounds := 3
	if testing.Short() {
		rounds = 1
	}
	for range rounds {
		out := filepath.Join(t.TempDir(), "out")
		kills := 0
		for ; kills < 200; kills++ {
			// The wait grows, so that slow machines reach the end too.
			wait := time.Duration(float64(60*time.Millisecond) * math.Pow(1.05, float64(kills)))
			if child(t, out, "map", rand.N(wait), 12*time.Millisecond) {
				break
			}
		}
		t.Logf("killed %d times", kills)
		if kills < 3 || kills == 200 {
			t.Errorf("%d kills: the test's times do not fit this machine", kills)
		}
		sameTree(t, want, out)
	}
}

func TestKilledDuringFinish(t *testing.T) {
	want := reference(t)
	begun := time.Now()
	if !child(t, filepath.Join(t.TempDir(), "timing"), "never", 0, 0) {
		t.Fatal("the child did not end")
	}
	whole := time.Since(begun)
	rounds, killed := 40, 0
	if testing.Short() {
		rounds = 8
	}
	out := filepath.Join(t.TempDir(), "out")
	for range rounds {
		if child(t, out, "finish", rand.N(whole/2), 0) {
			sameTree(t, want, out)
			out = filepath.Join(t.TempDir(), "out")
		} else {
			killed++
			if _, err := os.Stat(out); err == nil { // renamed already, so that it must be complete
				for name, data := range testfiles.Tree(t, want) {
					if got, _ := os.ReadFile(filepath.Join(out, name)); string(got) != data {
						t.Errorf("%s differs in a directory that has its name already", name)
					}
				}
			}
		}
	}
	t.Logf("killed %d of %d times", killed, rounds)
	if killed == 0 {
		t.Error("no kill: the test's times do not fit this machine")
	}
	for !child(t, out, "never", 0, 0) {
	}
	sameTree(t, want, out)
}

// TestStatesBetweenRenames sets up the states that a crash between the renames can leave.
func TestStatesBetweenRenames(t *testing.T) {
	want := reference(t)
	identity := func(out string, replace bool) {
		m, err := dataset.ReadManifest(want)
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := json.Marshal(identityOf(m))
		data, _ := json.Marshal(Begun{Format: identityFormat, Replace: replace, Identity: raw})
		os.MkdirAll(out+dataset.PartialSuffix, 0o777)
		if err := os.WriteFile(filepath.Join(out+dataset.PartialSuffix, identityName), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	copyTree := func(from, to string) {
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	for name, set := range map[string]func(out string){
		"renamed, journal left":   func(out string) { copyTree(want, out); identity(out, false) },
		"renamed, only lock left": func(out string) { copyTree(want, out); os.Mkdir(out+dataset.PartialSuffix, 0o777) },
		"replaced, old left": func(out string) {
			copyTree(want, out)
			identity(out, true)
			os.Mkdir(out+dataset.PartialSuffix+"/old", 0o777)
		},
		"replaced, journal and old gone": func(out string) { copyTree(want, out); identity(out, true) },
		"old moved away, not renamed": func(out string) {
			identity(out, true)
			copyTree(want, out+dataset.PartialSuffix+"/old")
			copyTree(want, out+dataset.PartialSuffix+"/final")
		},
		"final whole, not renamed": func(out string) { identity(out, false); copyTree(want, out+dataset.PartialSuffix+"/final") },
		"identity being written": func(out string) {
			os.Mkdir(out+dataset.PartialSuffix, 0o777)
			os.WriteFile(out+dataset.PartialSuffix+"/identity.json.barka0123456789abcdef.tmp", []byte("{"), 0o666)
		},
		"out is an empty directory": func(out string) { os.Mkdir(out, 0o777) },
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			set(out)
			if err := testStage(context.Background(), out, 0, 3); err != nil {
				t.Fatal(err)
			}
			sameTree(t, want, out)
		})
	}
}

func TestTwoProcesses(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	exe, _ := os.Executable()
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childOut+"="+out, "BARKA_DURABLE_TEST_DELAY=40ms")
	stdout, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	bufio.NewScanner(stdout).Scan() // it is in Map now
	err := testStage(context.Background(), out, 0, 1)
	if err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("second process: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the first process was disturbed: %v", err)
	}
	sameTree(t, reference(t), out)
}
