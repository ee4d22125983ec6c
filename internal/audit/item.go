package audit

import (
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"barka/internal/eval/tasks"
	"barka/internal/overlap"
)

// item is a question, split into the parts that are compared.
type item struct {
	task  *Task
	split string
	row   int
	test  bool // whether it is in the evaluated split
	// question includes its passage, on a separate line. fixed is set if the options
	// are the same for every row, such as true and false.
	question string
	options  []string
	gold     int
	fixed    bool
	// proof is the text that a training row must hold beside the question: the right
	// answer or, if that is unknown, one of the options.
	proof []string
	found bool // whether it has a defect
	// prompt is a hash of the evaluation's prompt.
	prompt uint64
}

func newItem(task *Task, t tasks.Task, split string, n int, test bool, row tasks.Row, doc tasks.Doc) item {
	it := item{task: task, split: split, row: n, test: test, gold: doc.Gold, prompt: xxhash.Sum64String(doc.Query)}
	passage, question, options := overlap.Texts(t, row, doc)
	it.question, it.options = strings.Trim(passage+"\n"+question, "\n"), options
	it.proof = it.options[it.gold : it.gold+1]
	return it
}

// sortedOptions returns a text that does not depend on the order of the options.
func (it *item) sortedOptions() string {
	sorted := slices.Clone(it.options)
	slices.Sort(sorted)
	return strings.Join(sorted, "\x00")
}

func (it *item) answer() string { return it.options[it.gold] }
