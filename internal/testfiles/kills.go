package testfiles

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// mostKills bounds the kills of one output.
const mostKills = 60

// Kills starts this test binary as a program that makes an output directory, with the
// environment that env returns for it. It kills the program at random moments and starts it
// again until it ends by itself, for three outputs, and for more if none was killed. check
// compares each with that of a program that was not killed. The package's TestMain must recognise
// the environment.
func Kills(t *testing.T, env func(out string) []string, check func(what, out string)) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	run := func(out string, wait time.Duration) (ended bool) {
		t.Helper()
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), env(out)...)
		var text strings.Builder
		c.Stdout, c.Stderr = &text, &text
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(wait, func() { _ = c.Process.Kill() })
		defer timer.Stop()
		if err := c.Wait(); err != nil && c.ProcessState.ExitCode() >= 0 {
			t.Fatalf("%v\n%s", err, text.String())
		}
		return c.ProcessState.Success()
	}
	start := time.Now()
	run(filepath.Join(t.TempDir(), "timed"), time.Hour)
	takes, all := time.Since(start), 0
	for round := 0; round < 3 || all == 0 && round < 12; round++ {
		if round >= 3 { // the timed run took longer than the others do
			takes /= 2
		}
		out, kills := filepath.Join(t.TempDir(), "out"), 0
		for !run(out, time.Duration(rng.Float64()*0.8*float64(takes))) && kills < mostKills {
			kills++
		}
		if !run(out, time.Hour) {
			t.Fatal("the last run did not end")
		}
		all += kills
		check(fmt.Sprintf("killed %d times", kills), out)
	}
	t.Logf("%d kills of a run of %v", all, takes)
	if all == 0 {
		t.Error("no kill")
	}
}
