package tasks

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"barka/internal/badinput"
	"barka/internal/nearest"
)

// Shots is the number of examples in a prompt, and what happens if they do not fit.
type Shots struct {
	// K examples precede the question.
	K int
	// Truncate drops examples until the prompt fits the model.
	Truncate bool
}

// Selection is a task to run, once for each number of examples.
type Selection struct {
	Task  Task
	Shots []Shots
}

// WithShots returns the selections with k examples instead of the list's numbers. Each
// task occurs once.
func WithShots(selected []Selection, k int) []Selection {
	out := make([]Selection, len(selected))
	for i, s := range selected {
		out[i] = Selection{s.Task, []Shots{{K: k, Truncate: s.Shots[0].Truncate}}}
	}
	return out
}

// groupLeaderboard is the name of the 135 tasks of version 1 that its leaderboard shows.
// The name of a version stands for all of its tasks.
const groupLeaderboard = "leaderboard"

// uncounted lists the tasks that are run but not shown on the leaderboard.
var uncounted = []string{"community|mmlu_okapi_ar", "lighteval|xstory_cloze:ar"}

// ParseList reads the argument of --tasks: a file with one task per line (a path
// has a dot and exists), or a list separated by commas. An entry is the
// reference's suite|task|shots|truncate, the same without the last field, or a
// short name: a task (race_ar, acva:Algeria), a family (acva, alghafa,
// arabic_mmlu), oall for all tasks of version 1, leaderboard for those that the
// leaderboard shows, or oall-v2. Lines that begin with # are skipped.
//
// All tasks belong to one version: the first that has all of them. Hence arabic_mmlu is
// that of version 1, and oall-v2:arabic_mmlu that of version 2. The result is sorted by
// key.
func ParseList(arg string) ([]Selection, error) {
	if strings.Contains(arg, ".") {
		text, err := badinput.ReadFile(arg, badinput.MaxSettings)
		if err == nil {
			return parseEntries(strings.Split(strings.TrimPrefix(string(text), "\ufeff"), "\n"),
				func(i int) string { return fmt.Sprintf("%s line %d", arg, i+1) })
		}
		if !os.IsNotExist(err) || strings.ContainsAny(arg, "/\\") && !strings.Contains(arg, "|") {
			return nil, badinput.Errorf("task list: %w", err)
		}
	}
	return parseEntries(strings.Split(arg, ","), func(i int) string { return fmt.Sprintf("--tasks entry %d", i+1) })
}

// Entries returns the entries of a list that ParseList takes, without comments.
func Entries(arg string) ([]string, error) {
	list := strings.Split(arg, ",")
	if strings.Contains(arg, ".") {
		if text, err := badinput.ReadFile(arg, badinput.MaxSettings); err == nil {
			list = strings.Split(strings.TrimPrefix(string(text), "\ufeff"), "\n")
		} else if !os.IsNotExist(err) {
			return nil, badinput.Errorf("task list: %w", err)
		}
	}
	var entries []string
	for _, entry := range list {
		if entry = strings.TrimSpace(entry); entry != "" && !strings.HasPrefix(entry, "#") {
			entries = append(entries, entry)
		}
	}
	return entries, nil
}

func parseEntries(entries []string, where func(int) string) ([]Selection, error) {
	out, first, err := parseFor(V1, entries)
	if err == nil {
		return out, nil
	}
	out, second, err2 := parseFor(V2, entries)
	if err2 == nil {
		return out, nil
	}
	// The error is that of the version that read more entries.
	at, known := first, V2
	if second > first {
		at, known, err = second, V1, err2
	}
	if first != second {
		if _, _, e := parseEntry(known, strings.TrimSpace(entries[at])); e == nil {
			err = fmt.Errorf("%q belongs to version %s and earlier entries do not; the versions have tasks with the same names, so "+
				"run them separately", strings.TrimSpace(entries[at]), known)
		}
	}
	return nil, badinput.Errorf("%s: %w", where(at), err)
}

// parseFor reads the entries as tasks of one version. at is the index of the entry that
// caused an error.
func parseFor(b Leaderboard, entries []string) (out []Selection, at int, err error) {
	shots := map[string][]Shots{}
	for i, entry := range entries {
		entry = strings.TrimSpace(entry)
		if entry == "" || strings.HasPrefix(entry, "#") {
			continue
		}
		found, s, err := parseEntry(b, entry)
		if err != nil {
			return nil, i, err
		}
		for _, t := range found {
			s := s
			if !strings.Contains(entry, "|") {
				s.Truncate = b == V1 && t.Suite == "community" // as the published lists have it
			}
			if err := add(shots, t.Key(), s); err != nil {
				return nil, i, err
			}
		}
	}
	for _, t := range tables[b] {
		if s, ok := shots[t.Key()]; ok {
			out = append(out, Selection{t, s})
		}
	}
	if len(out) == 0 {
		return nil, 0, errors.New("the task list is empty; name tasks such as acva or community|race_ar|0|1")
	}
	return out, 0, nil
}

func add(shots map[string][]Shots, key string, s Shots) error {
	for _, old := range shots[key] {
		if old == s {
			return nil
		}
		if old.K == s.K {
			return fmt.Errorf("%s is selected twice with %d shots, with and without truncation; both would have the same "+
				"name, so select one", key, s.K)
		}
	}
	shots[key] = append(shots[key], s)
	return nil
}

func parseEntry(b Leaderboard, entry string) ([]Task, Shots, error) {
	if !strings.Contains(entry, "|") {
		found := byName(b, entry)
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
		return nil, Shots{}, fmt.Errorf("%q: the number of shots is %q, expected 0 or more", entry, f[2])
	}
	truncate := false
	if len(f) == 4 {
		n, err := strconv.Atoi(f[3])
		if err != nil {
			return nil, Shots{}, fmt.Errorf("%q: truncate is %q, expected 0 or 1", entry, f[3])
		}
		truncate = n != 0
	}
	t, ok := Lookup(b, f[0]+"|"+current(b, f[1]))
	if !ok {
		return nil, Shots{}, fmt.Errorf("no task %q%s", f[0]+"|"+f[1], suggest(f[1]))
	}
	return []Task{t}, Shots{k, truncate}, nil
}

// current maps the name of the translated MMLU in later task lists.
func current(b Leaderboard, name string) string {
	if rest, ok := strings.CutPrefix(name, "arabic_mmlu_mt"); ok && b == V1 {
		return "arabic_mmlu" + rest
	}
	return name
}

// byName returns the task with a name, or the tasks of a group. The version's name and a
// colon may precede the name.
func byName(b Leaderboard, name string) []Task {
	all := name == string(b)
	name = current(b, strings.TrimPrefix(name, string(b)+":"))
	var out []Task
	for _, t := range tables[b] {
		switch {
		case t.Name == name, t.Family() == name, all,
			b == V1 && name == groupLeaderboard && !slices.Contains(uncounted, t.Key()):
			out = append(out, t)
		}
	}
	return out
}

// suggest names the most similar task, if one is similar enough.
func suggest(name string) string {
	if best := nearest.Name(name, append(Groups(), names()...)); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return "; barka eval --tasks list prints them all"
}

func names() []string {
	var out []string
	for _, b := range Leaderboards {
		for _, t := range tables[b] {
			out = append(out, t.Name)
		}
	}
	return out
}

// Groups lists the names that stand for several tasks.
func Groups() []string {
	out := []string{string(V1), groupLeaderboard}
	for _, b := range Leaderboards {
		if b != V1 {
			out = append(out, string(b))
		}
		for _, t := range tables[b] {
			if f := t.Family(); f != t.Name && !slices.Contains(out, listed(b, f)) {
				out = append(out, listed(b, f))
			}
		}
	}
	return out
}

// listed returns the name that denotes a task or family of a version in any list.
func listed(b Leaderboard, name string) string {
	if b == V1 {
		return name
	}
	return string(b) + ":" + name
}

// DefaultList returns the text of a version's published task list: every task with zero
// shots.
func DefaultList(board Leaderboard) string {
	var b strings.Builder
	for _, t := range tables[board] {
		truncate := 0
		if board == V1 && t.Suite == "community" {
			truncate = 1
		}
		fmt.Fprintf(&b, "%s|0|%d\n", t.Key(), truncate)
	}
	return b.String()
}

// WriteList prints the names for --tasks: the groups, and then every task with its
// dataset and, if known, its numbers of questions and choices.
func WriteList(w io.Writer) error {
	b := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, g := range Groups() {
		members := byName(V1, g)
		if len(members) == 0 {
			members = byName(V2, g)
		}
		questions := 0
		for _, t := range members {
			questions += t.Docs
		}
		fmt.Fprintf(b, "%s\t%d tasks", g, len(members))
		if !slices.ContainsFunc(members, func(t Task) bool { return t.Docs == 0 }) {
			fmt.Fprintf(b, "\t%d questions", questions)
		}
		fmt.Fprintln(b)
	}
	for _, board := range Leaderboards {
		fmt.Fprintln(b)
		for _, t := range tables[board] {
			if t.Docs == 0 {
				fmt.Fprintf(b, "%s\t\t\t%s\n", listed(board, t.Name), t.Repo)
				continue
			}
			fmt.Fprintf(b, "%s\t%d questions\t%d choices\t%s\n", listed(board, t.Name), t.Docs, t.Choices, t.Repo)
		}
	}
	return b.Flush()
}
