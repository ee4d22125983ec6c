package main

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// faults lists, per system call, what happens instead of the call: an error, "KILL" for a
// kill of the process at this call, or "0" for a call that returns 0, which is a write
// without progress.
var faults = map[string][]string{
	"write":      {"ENOSPC", "EIO", "EDQUOT", "EINTR", "KILL", "0"},
	"pwrite64":   {"ENOSPC", "EIO", "EINTR", "KILL", "0"},
	"fsync":      {"EIO", "ENOSPC", "KILL"},
	"renameat":   {"EACCES", "EIO", "ENOSPC", "KILL"},
	"openat":     {"EACCES", "EMFILE", "EIO", "EINTR", "ENOSPC", "ENOMEM", "KILL"},
	"read":       {"EIO", "EINTR", "KILL"},
	"pread64":    {"EIO", "EINTR", "KILL"},
	"ftruncate":  {"EIO", "EINTR", "ENOSPC", "KILL"},
	"mmap":       {"ENOMEM", "ENODEV", "KILL"},
	"unlinkat":   {"EACCES", "EIO", "KILL"},
	"flock":      {"EIO", "EINTR", "KILL"},
	"close":      {"EIO", "ENOSPC", "EINTR", "KILL"},
	"mkdirat":    {"EACCES", "ENOSPC", "KILL"},
	"getdents64": {"EIO", "ENOMEM", "KILL"},
	"newfstatat": {"EIO", "EACCES", "KILL"},
	"fstat":      {"EIO", "KILL"},
	"symlinkat":  {"EACCES", "ENOSPC", "KILL"},
	"linkat":     {"EACCES", "ENOSPC", "KILL"},
	"fchmodat":   {"EACCES", "EIO", "KILL"},
	"readlinkat": {"EIO", "EACCES", "KILL"},
	"lseek":      {"EIO", "KILL"},
	sizeLimit:    {"EFBIG"},
}

// sizeLimit is a limit on file sizes: a write that reaches it is short, and the next one
// fails.
const sizeLimit = "RLIMIT_FSIZE"

// errorTexts holds the texts of the errors in messages.
var errorTexts = map[string]string{"ENOSPC": "no space left on device", "EIO": "input/output error",
	"EDQUOT": "quota exceeded", "EINTR": "interrupted system call",
	"EACCES": "permission denied", "EMFILE": "too many open files", "ENOMEM": "cannot allocate memory",
	"ENODEV": "no such device", "EFBIG": "file too large", "0": ""}

// target is a kind of system call on a file, and the number of such calls of one thread.
// For sizeLimit it is the directory of all files, and the largest size.
type target struct {
	call, path string
	count      int
}

// fault is one call to a target and its replacement.
type fault struct {
	target
	n     int    // number of the thread's call, from 1, or the limit in bytes
	error string // as in faults
	stays bool   // all later calls fail too, as on a full disk
}

func (f fault) String() string {
	plus := ""
	if f.stays {
		plus = "+"
	}
	return fmt.Sprintf("%s %d%s of %d on %s: %s", f.call, f.n, plus, f.count, f.path, f.error)
}

// below returns the command that injects the fault.
func (f fault) below(log string) []string {
	if f.call == sizeLimit {
		return []string{"prlimit", fmt.Sprintf("--fsize=%d", f.n)}
	}
	what := ":error=" + f.error
	switch f.error {
	case "KILL":
		what = ":signal=KILL"
	case "0":
		what = ":retval=0"
	}
	when := fmt.Sprintf(":when=%d", f.n)
	if f.stays {
		when += "+"
	}
	return []string{"strace", "-f", "-qqq", "-e", "signal=none", "-o", log, "-e", "trace=" + f.call, "-P", f.path, "-e",
		"inject=" + f.call + what + when}
}

// TestFaults makes single system calls of each verb fail, or kills the process at one. The
// verb must do its work, or end with a documented exit code and a message that names the
// file and the error. The same command must then write the files of an undisturbed run.
// BARKA_FAULTS is the number of faults, BARKA_FAULTS_SEED the seed, and BARKA_FAULTS_CALL
// the only call that fails.
func TestFaults(t *testing.T) {
	number, err := strconv.Atoi(os.Getenv("BARKA_FAULTS"))
	if err != nil {
		t.Skip("BARKA_FAULTS is not set")
	}
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("there is no strace")
	}
	all := trials(t)
	share := number/len(all) + 1
	var counted tally
	t.Run("verbs", func(t *testing.T) {
		for _, tr := range all {
			t.Run(tr.name, func(t *testing.T) {
				t.Parallel()
				mine := share
				if tr.verb == "run" { // it takes as long as all others together
					mine = (share + 3) / 4
				}
				tr.injectFaults(t, &counted, mine)
			})
		}
	})
	counted.print(t)
}

// injectFaults injects a number of faults into a verb.
func (tr *trial) injectFaults(t *testing.T, counted *tally, number int) {
	log := filepath.Join(filepath.Dir(tr.work), "strace.log")
	tr.env = append(tr.env, "GODEBUG=asyncpreemptoff=1") // each preemption would be a stop of strace
	calls := slices.DeleteFunc(slices.Sorted(maps.Keys(faults)), func(call string) bool { return call == sizeLimit })
	tr.measure(t, []string{"strace", "-f", "-y", "-qqq", "-e", "signal=none", "-s", "4096", "-o", log, "-e",
		"trace=" + strings.Join(calls, ",")})
	targets := readTargets(t, log, filepath.Dir(filepath.Dir(tr.work)))
	if len(targets) < 4 {
		t.Fatalf("only %d kinds of calls: %v", len(targets), targets)
	}
	largest := len(tr.said(t))
	for _, data := range tr.want {
		largest = max(largest, len(data))
	}
	targets = append(targets, target{sizeLimit, tr.work, largest})
	if only := os.Getenv("BARKA_FAULTS_CALL"); only != "" {
		targets = slices.DeleteFunc(targets, func(tg target) bool { return tg.call != only })
		if len(targets) == 0 {
			t.Skip("it does not make this call")
		}
	}
	rng := seeded(t, "BARKA_FAULTS_SEED", tr.name)
	files, tried, injected := map[string]bool{}, map[fault]bool{}, 0
	for redrawn := 0; injected < number && redrawn < 200; {
		f := randomFault(rng, targets)
		if tried[f] {
			redrawn++ // most possible faults were tried
			continue
		}
		tried[f] = true
		tr.reset(t)
		e := tr.run(t, f.below(log), nil)
		traced, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		if f.call != sizeLimit && !e.killed && !bytes.Contains(traced, []byte("(INJECTED)")) {
			continue // that thread made fewer calls this time
		}
		if f.call == sizeLimit && e.code == exitDone && tr.difference(t, false) == "" {
			continue // no file is written in such pieces
		}
		injected++
		files[f.path] = true
		outcome := tr.judge(t, f, e)
		counted.add(tr.name, f, outcome)
	}
	t.Logf("%s: %d faults on %d files and directories, at most %d MiB resident", tr.name, injected, len(files), tr.peak>>20)
	if injected < number/2 {
		t.Errorf("only %d faults in %d tries", injected, len(tried))
	}
}

// randomFault picks the call first, then the file, so that all kinds of calls and files
// occur.
func randomFault(rng *rand.Rand, targets []target) fault {
	byCall := map[string][]target{}
	for _, tg := range targets {
		byCall[tg.call] = append(byCall[tg.call], tg)
	}
	call := slices.Sorted(maps.Keys(byCall))[rng.IntN(len(byCall))]
	f := fault{target: byCall[call][rng.IntN(len(byCall[call]))]}
	f.error = faults[call][rng.IntN(len(faults[call]))]
	f.n = 1 + rng.IntN(f.count)
	// Go repeats a call after EINTR without a limit.
	f.stays = f.error != "KILL" && f.error != "EINTR" && rng.IntN(3) == 0
	return f
}

// judge checks how a run under a fault ended, and that the same command resumes it.
func (tr *trial) judge(t *testing.T, f fault, e ended) (outcome string) {
	t.Helper()
	wrong := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%s %s: %s\nexit code %d, %s", tr.name, f, fmt.Sprintf(format, args...), e.code, e.stderr)
	}
	for _, word := range []string{"goroutine ", "panic", "fatal error", "defect of barka"} {
		if strings.Contains(e.stderr, word) {
			wrong("a report of a defect")
		}
	}
	switch {
	case f.error == "KILL":
		outcome = "killed"
		if !e.killed {
			wrong("it was not killed")
		}
	case e.code == exitDone:
		if diff := tr.difference(t, false); diff != "" {
			wrong("done, but %s", diff)
		}
		return "absorbed"
	case e.code == exitFailed || e.code == exitBadInput:
		outcome = "refused"
		known := strings.Contains(e.stderr, errorTexts[f.error]) ||
			f.call == "newfstatat" && strings.Contains(e.stderr, "file exists") // of os.MkdirAll
		if !known || !tr.names(e.stderr, f.path) {
			wrong("the message lacks the error or the file")
		}
	default:
		wrong("this exit code is not expected")
	}
	if problem := tr.finish(t); problem != "" {
		wrong("%s", problem)
	}
	return outcome
}

// names reports whether a message names a file, the directory that it is in or
// standard output.
func (tr *trial) names(message, path string) bool {
	if path == tr.stdout || path == tr.work {
		return strings.Contains(message, "stdout") || strings.Contains(message, "standard output") || strings.Contains(message, path)
	}
	return strings.Contains(message, strings.TrimSuffix(path, ".tmp")) || strings.Contains(message, filepath.Dir(path))
}

var (
	tracedCall = regexp.MustCompile(`^(\d+) +(\w+)\((.*)`)
	openFile   = regexp.MustCompile(`^(?:\d+|NULL, \d+, [A-Z_|]+, [A-Z_|]+, \d+)<(/[^>]*)>`)
	namedFile  = regexp.MustCompile(`"(/[^"]*)"`)
)

// readTargets reads from a log of strace which calls are made on files below a
// directory.
func readTargets(t *testing.T, log, root string) []target {
	t.Helper()
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	byThread := map[string]int{}
	most := map[[2]string]int{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		m := tracedCall.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		path := openFile.FindStringSubmatch(m[3])
		if path == nil {
			path = namedFile.FindStringSubmatch(m[3])
		}
		if path == nil || !strings.HasPrefix(path[1], root+"/") || strings.HasSuffix(path[1], "strace.log") {
			continue
		}
		key := [2]string{m[2], path[1]}
		thread := m[1] + " " + m[2] + " " + path[1]
		byThread[thread]++
		most[key] = max(most[key], byThread[thread])
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	var targets []target
	for key, n := range most {
		targets = append(targets, target{key[0], key[1], n})
	}
	slices.SortFunc(targets, func(a, b target) int { return strings.Compare(a.call+a.path, b.call+b.path) })
	return targets
}

// tally counts faults by kind and by the outcome of the run.
type tally struct {
	mu     sync.Mutex
	counts map[string]map[string]int // by a call, an error or a verb, then by outcome
}

func (c *tally) add(verb string, f fault, outcome string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]map[string]int{}
	}
	for _, key := range []string{"all", "call " + f.call, "error " + f.error, "verb " + verb} {
		if c.counts[key] == nil {
			c.counts[key] = map[string]int{}
		}
		c.counts[key][outcome]++
		c.counts[key]["all"]++
	}
}

func (c *tally) print(t *testing.T) {
	for _, key := range slices.Sorted(maps.Keys(c.counts)) {
		n := c.counts[key]
		t.Logf("%s: %d faults, %d killed, %d refused, %d absorbed", key, n["all"], n["killed"], n["refused"], n["absorbed"])
	}
}
