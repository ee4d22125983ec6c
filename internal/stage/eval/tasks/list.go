package tasks

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"barka/internal/badinput"
)

// Shots says how often and how a task is prompted.
type Shots struct {
	// K examples precede the question.
	K int
	// Truncate drops examples until the prompt fits the model.
	Truncate bool
}

// Selection is a task to run, with each number of examples asked for.
type Selection struct {
	Task  Task
	Shots []Shots
}

// Leaderboard names the 135 tasks whose scores the leaderboard shows; All
// names the 137 it runs.
const (
	groupAll         = "oall"
	groupLeaderboard = "leaderboard"
)

// uncounted are run but not shown on the leaderboard.
var uncounted = []string{"community|mmlu_okapi_ar", "lighteval|xstory_cloze:ar"}

// ParseList reads what --tasks takes: a file with a task a line (a path has
// a dot and exists), or a list separated by commas. An entry is the
// reference's suite|task|shots|truncate, the same without the last field, or
// a friendly name: a task (race_ar, acva:Algeria), a family (acva, alghafa,
// arabic_mmlu), oall for all tasks or leaderboard for those it shows. Lines
// that begin with # are skipped. The result is sorted by key.
func ParseList(arg string) ([]Selection, error) {
	if strings.Contains(arg, ".") {
		text, err := os.ReadFile(arg)
		if err == nil {
			return parseEntries(strings.Split(string(text), "\n"), func(i int) string { return fmt.Sprintf("%s line %d", arg, i+1) })
		}
		if !os.IsNotExist(err) || strings.ContainsAny(arg, "/\\") && !strings.Contains(arg, "|") {
			return nil, badinput.Errorf("task list: %w", err)
		}
	}
	return parseEntries(strings.Split(arg, ","), func(i int) string { return fmt.Sprintf("--tasks entry %d", i+1) })
}

func parseEntries(entries []string, where func(int) string) ([]Selection, error) {
	shots := map[string][]Shots{}
	for i, entry := range entries {
		entry = strings.TrimSpace(entry)
		if entry == "" || strings.HasPrefix(entry, "#") {
			continue
		}
		found, s, err := parseEntry(entry)
		if err != nil {
			return nil, badinput.Errorf("%s: %w", where(i), err)
		}
		for _, t := range found {
			s := s
			if !strings.Contains(entry, "|") {
				s.Truncate = t.Suite == "community" // as the published list has it
			}
			if err := add(shots, t.Key(), s); err != nil {
				return nil, badinput.Errorf("%s: %w", where(i), err)
			}
		}
	}
	var out []Selection
	for _, t := range table {
		if s, ok := shots[t.Key()]; ok {
			out = append(out, Selection{t, s})
		}
	}
	if len(out) == 0 {
		return nil, badinput.Errorf("the task list is empty; name tasks such as acva or community|race_ar|0|1")
	}
	return out, nil
}

func add(shots map[string][]Shots, key string, s Shots) error {
	for _, old := range shots[key] {
		if old == s {
			return nil
		}
		if old.K == s.K {
			return fmt.Errorf("%s is asked for twice with %d shots, with and without truncation; both would carry the same name", key, s.K)
		}
	}
	shots[key] = append(shots[key], s)
	return nil
}

func parseEntry(entry string) ([]Task, Shots, error) {
	if !strings.Contains(entry, "|") {
		found := byName(entry)
		if len(found) == 0 {
			return nil, Shots{}, fmt.Errorf("no task or family %q%s", entry, suggest(entry))
		}
		return found, Shots{}, nil
	}
	f := strings.Split(entry, "|")
	if len(f) != 3 && len(f) != 4 {
		return nil, Shots{}, fmt.Errorf("%q has %d fields, expected suite|task|shots|truncate", entry, len(f))
	}
	k, err := strconv.Atoi(f[2])
	if err != nil || k < 0 {
		return nil, Shots{}, fmt.Errorf("%q: shots are %q, expected 0 or more", entry, f[2])
	}
	truncate := false
	if len(f) == 4 {
		n, err := strconv.Atoi(f[3])
		if err != nil {
			return nil, Shots{}, fmt.Errorf("%q: truncate is %q, expected 0 or 1", entry, f[3])
		}
		truncate = n != 0
	}
	t, ok := Lookup(f[0] + "|" + current(f[1]))
	if !ok {
		return nil, Shots{}, fmt.Errorf("no task %q%s", f[0]+"|"+f[1], suggest(f[1]))
	}
	return []Task{t}, Shots{k, truncate}, nil
}

// current maps the name that later task lists give the translated MMLU.
func current(name string) string {
	if rest, ok := strings.CutPrefix(name, "arabic_mmlu_mt"); ok {
		return "arabic_mmlu" + rest
	}
	return name
}

// byName returns the task of that name, or a group's tasks.
func byName(name string) []Task {
	name = current(name)
	var out []Task
	for _, t := range table {
		switch {
		case t.Name == name, t.Family() == name, name == groupAll,
			name == groupLeaderboard && !slices.Contains(uncounted, t.Key()):
			out = append(out, t)
		}
	}
	return out
}

// suggest names the nearest task, when one is near.
func suggest(name string) string {
	best, bestDistance := "", max(2, len(name)/3)+1
	for _, n := range append(Groups(), names()...) {
		if d := distance(name, n); d < bestDistance {
			best, bestDistance = n, d
		}
	}
	if best == "" {
		return "; barka eval --tasks list prints them all"
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

func names() []string {
	out := make([]string, len(table))
	for i, t := range table {
		out[i] = t.Name
	}
	return out
}

// Groups lists the names that stand for several tasks.
func Groups() []string {
	out := []string{groupAll, groupLeaderboard}
	for _, t := range table {
		if f := t.Family(); f != t.Name && !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// DefaultList is the text of the published task list: every task at zero
// shots.
func DefaultList() string {
	var b strings.Builder
	for _, t := range table {
		truncate := 1
		if t.Suite != "community" {
			truncate = 0
		}
		fmt.Fprintf(&b, "%s|0|%d\n", t.Key(), truncate)
	}
	return b.String()
}

// WriteList prints what --tasks takes: the groups, then every task with its
// number of questions and choices and the dataset it comes from.
func WriteList(w io.Writer) error {
	b := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, g := range Groups() {
		members := byName(g)
		questions := 0
		for _, t := range members {
			questions += t.Docs
		}
		fmt.Fprintf(b, "%s\t%d tasks\t%d questions\n", g, len(members), questions)
	}
	fmt.Fprintln(b)
	for _, t := range table {
		fmt.Fprintf(b, "%s\t%d questions\t%d choices\t%s\n", t.Name, t.Docs, t.Choices, t.Repo)
	}
	return b.Flush()
}
