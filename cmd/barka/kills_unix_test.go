//go:build unix

package main

import (
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// TestEveryVerbSurvivesKills kills each verb at random moments, some of them while it
// resumes after a kill, and compares its final files with those of an undisturbed run.
// BARKA_KILLS is the number of kills per verb, BARKA_KILLS_SEED the seed.
func TestEveryVerbSurvivesKills(t *testing.T) {
	if testing.Short() {
		t.Skip("runs every verb several times")
	}
	kills, err := strconv.Atoi(os.Getenv("BARKA_KILLS"))
	if err != nil {
		kills = 1
	}
	for _, tr := range trials(t) {
		t.Run(tr.name, func(t *testing.T) {
			rng := seeded(t, "BARKA_KILLS_SEED", tr.name)
			tr.measure(t, nil)
			killed := 0
			for tries := 0; killed < kills && tries < 10*kills; tries++ {
				tr.reset(t)
				for again := true; again; again = killed < kills && rng.IntN(2) == 0 {
					wait := time.Duration(rng.Float64() * float64(tr.took))
					e := tr.run(t, nil, func(p *os.Process) {
						time.Sleep(wait)
						_ = p.Kill() // it may have ended already
					})
					if e.killed {
						killed++
					} else if e.code != exitDone {
						t.Errorf("exit code %d, %s", e.code, e.stderr)
					}
				}
				if problem := tr.finish(t); problem != "" {
					t.Fatalf("after %d kills: %s", killed, problem)
				}
			}
			t.Logf("%s: %d kills, at most %d MiB resident", tr.name, killed, tr.peak>>20)
			if killed < kills {
				t.Errorf("only %d kills", killed)
			}
		})
	}
}

// seeded returns random numbers for a verb, from the seed in an environment variable or
// from the time.
func seeded(t *testing.T, variable, name string) *rand.Rand {
	seed, err := strconv.ParseUint(os.Getenv(variable), 10, 64)
	if err != nil {
		seed = uint64(time.Now().UnixNano())
		t.Logf("%s=%d", variable, seed)
	}
	h := fnv.New64()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}
