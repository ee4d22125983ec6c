package convert

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"barka/internal/chat"
	"barka/internal/dataset"
)

// benchmark is a set of questions and the layouts it is published in.
type benchmark struct {
	items   func(r *row) []item
	form    string   // of the rows: one of pipeline's; "" with options or a text, which decide
	files   string   // its templates, templates/NAME.yaml
	hub     string   // where it is published on the hub; "" where that is not known
	shuffle bool     // the right option always stands first
	configs []string // directories of the hub's repository, the preferred one first
	labels  bool     // labels may be in a separate file
	text    bool     // .txt files hold a JSON object each
	licence string   // as the set's authors or the hub's card state it; "" where each copy has its own
	layouts string   // for error messages
}

var benchmarks = map[string]benchmark{
	"boolq": {items: boolq, files: "boolq", hub: "google/boolq", configs: []string{"boolq"}, licence: "CC BY-SA 3.0",
		layouts: "question, passage, answer (or label), and perhaps title"},
	"race": {items: race, files: "reading", hub: "ehovy/race", configs: []string{"all"}, text: true,
		licence: "RACE terms: non-commercial research only",
		layouts: "article, question, options, answer (the hub's), or article, questions, options, answers (the archive's)"},
	"copa": {items: copa, files: "copa", hub: "pkavumba/balanced-copa", configs: []string{"copa"}, licence: "BSD 2-Clause",
		layouts: "premise, choice1, choice2, question, label"},
	"hellaswag": {items: hellaswag, files: "hellaswag", hub: "Rowan/hellaswag", licence: "MIT",
		layouts: "ctx (or ctx_a and ctx_b), endings, label"},
	"sciq": {items: sciq, files: "reading", hub: "allenai/sciq", shuffle: true, licence: "CC BY-NC 3.0",
		layouts: "question, correct_answer, distractor1, distractor2, distractor3, support"},
	"arc-challenge": {items: arc, files: "choice", hub: "allenai/ai2_arc", configs: []string{"ARC-Challenge"}, licence: "CC BY-SA 4.0",
		layouts: arcLayouts},
	"arc-easy": {items: arc, files: "choice", hub: "allenai/ai2_arc", configs: []string{"ARC-Easy"}, licence: "CC BY-SA 4.0",
		layouts: arcLayouts},
	"openbookqa": {items: openbookqa, files: "choice", hub: "allenai/openbookqa", configs: []string{"additional", "main"},
		licence: "unknown",
		layouts: "question_stem, choices{text,label}, answerKey, and perhaps fact1 (the hub's), or " +
			"question{stem,choices[{text,label}]}, answerKey (the archive's)"},
	"piqa": {items: piqa, files: "piqa", hub: "ybisk/piqa", configs: []string{"plain_text"}, labels: true,
		licence: "AFL-3.0 (to be checked: the hub's card has unknown)",
		layouts: "goal, sol1, sol2, and label (or a file of labels beside)"},
	"gsm8k": {items: gsm8k, files: "gsm8k", hub: "openai/gsm8k", form: dataset.FormArithmetic, configs: []string{"main"}, licence: "MIT",
		layouts: "question, answer"},
	"toxigen": {items: toxigen, files: "toxigen", hub: "toxigen/toxigen-data", form: dataset.FormReading, configs: []string{"annotated"},
		licence: "MIT (to be checked: that of its repository)",
		layouts: "text, toxicity_ai, toxicity_human (the annotated statements)"},
	"mmlu-auxiliary": {items: mmlu, files: "mmlu", hub: "cais/mmlu", configs: []string{"all", "auxiliary_train"}, licence: "MIT",
		layouts: "question, choices, answer, and perhaps subject; or these in a column train"},
	"statements": {items: statements, files: "statements", form: dataset.FormReading, licence: "unknown",
		layouts: "statement, answer (or label): true or false"},
	"alpaca": {items: alpaca, form: dataset.FormInstruction,
		layouts: "instruction, output, and perhaps input and system"},
	"sharegpt": {items: sharegpt, form: dataset.FormInstruction,
		layouts: "conversations (a list of from, value), or messages (a list of role, content)"},
}

// Kinds of answers.
const (
	kindOptions = "options"
	kindVerdict = "verdict" // true or false, yes or no
	kindAnswer  = "answer"  // the set's own text, or a whole conversation
)

func (b benchmark) kind() string {
	switch b.files {
	case "boolq", "toxigen", "statements":
		return kindVerdict
	case "", "gsm8k":
		return kindAnswer
	}
	return kindOptions
}

// rewritable reports whether a model may word the set's unfinished sentences as questions.
func (b benchmark) rewritable() bool {
	return slices.Contains([]string{"reading", "choice", "mmlu"}, b.files)
}

// clean removes from a text of a row what the set's items do not show.
func (b benchmark) clean(s string) string {
	switch b.files {
	case "hellaswag":
		return unmarked(s)
	case "toxigen":
		return unbytes(s)
	}
	return s
}

const arcLayouts = "question, choices{text,label}, answerKey (the hub's), or question{stem,choices[{text,label}]}, " +
	"answerKey (the archive's)"

// boolq: a passage and a question in lower case without a mark.
func boolq(r *row) []item {
	it := item{title: r.optional("title"), context: r.text("passage"), question: sentence(r.text("question"), "?")}
	// SuperGLUE puts the title into the passage, before " -- ".
	if title, rest, ok := strings.Cut(it.context, " -- "); ok && it.title == "" && len(title) < 100 {
		it.title, it.context = title, rest
	}
	it.verdict = r.truth("answer", "label")
	return []item{it}
}

// race: an article with a question (hub) or several (archive), answers A to D.
func race(r *row) []item {
	article := r.text("article")
	if !r.has("questions") {
		q, ask := stem(r.text("question"))
		return []item{{context: article, question: q, ask: ask, options: r.texts("options"), gold: letter(r.text("answer"))}}
	}
	questions, answers, options := r.texts("questions"), r.texts("answers"), r.lists("options")
	items := make([]item, len(questions))
	for i := range questions {
		items[i] = item{context: article, gold: -1}
		items[i].question, items[i].ask = stem(questions[i])
		if i < len(options) {
			items[i].options = options[i]
		}
		if i < len(answers) {
			items[i].gold = letter(answers[i])
		}
		if len(items[i].options) == 0 {
			items[i].options = []string{""} // a question without options is refused, not one without need of them
		}
	}
	return items
}

func letter(s string) int {
	if len(s) == 1 && s[0] >= 'A' && s[0] <= 'J' {
		return int(s[0] - 'A')
	}
	return -1
}

func copa(r *row) []item {
	it := item{question: r.text("premise"), options: []string{r.text("choice1"), r.text("choice2")}, gold: r.index("label")}
	switch kind := r.text("question"); kind {
	case "cause":
		it.ask = askCause
	case "effect":
		it.ask = askEffect
	default:
		it.question = "" // refused: neither cause nor effect
	}
	if r.has("mirrored") { // Balanced COPA, the hub's
		it.licence = "CC BY 4.0"
	}
	return []item{it}
}

// Marks that stand in the half of the set that comes from WikiHow.
var (
	wikiHowTitle = regexp.MustCompile(`([^.?!\s])\s*\[title\]\s*`)
	wikiHowMarks = regexp.MustCompile(`\s*\[(?:header|substeps|step|title)\]\s*`)
)

func unmarked(s string) string {
	return tidy(wikiHowMarks.ReplaceAllString(wikiHowTitle.ReplaceAllString(s, "$1. "), " "))
}

func hellaswag(r *row) []item {
	context := ""
	if r.has("ctx") {
		context = r.text("ctx")
	} else {
		context = r.text("ctx_a") + " " + r.text("ctx_b")
	}
	it := item{question: continued(context), ask: askEnding, options: r.texts("endings"), gold: r.index("label")}
	for i, o := range it.options {
		it.options[i] = strings.TrimLeft(unmarked(o), " ,")
	}
	return []item{it}
}

// continued marks that a text goes on.
func continued(s string) string {
	if s = unmarked(s); s == "" {
		return ""
	}
	return s + " …"
}

func sciq(r *row) []item {
	q, ask := stem(r.text("question"))
	return []item{{context: r.text("support"), question: q, ask: ask, gold: 0,
		options: []string{r.text("correct_answer"), r.text("distractor1"), r.text("distractor2"), r.text("distractor3")}}}
}

// arc reads both layouts of ARC; options are labelled A to E or 1 to 5.
func arc(r *row) []item {
	text, choices := "question", r
	if q, ok := r.fields["question"].(map[string]any); ok {
		choices = r.child(q)
		text = "stem"
	}
	it := choice(choices, text)
	it.gold = labelled(it.gold, choices.labels(), r.text("answerKey"))
	r.err = firstError(r.err, choices.err)
	return []item{it}
}

func openbookqa(r *row) []item {
	text, choices := "question_stem", r
	if q, ok := r.fields["question"].(map[string]any); ok {
		choices = r.child(q)
		text = "stem"
	}
	it := choice(choices, text)
	it.gold = labelled(it.gold, choices.labels(), r.text("answerKey"))
	it.reason = sentence(r.optional("fact1"), ".")
	r.err = firstError(r.err, choices.err)
	return []item{it}
}

func choice(r *row, text string) item {
	it := item{options: r.choices(), gold: -1}
	it.question, it.ask = stem(r.text(text))
	if len(it.options) == 0 {
		it.options = []string{""}
	}
	return it
}

// labelled finds the option that bears the label.
func labelled(none int, labels []string, key string) int {
	for i, l := range labels {
		if l == key && key != "" {
			return i
		}
	}
	return none
}

func piqa(r *row) []item {
	it := item{options: []string{r.text("sol1"), r.text("sol2")}, gold: r.index("label")}
	it.question, it.ask = goal(r.text("goal"))
	return []item{it}
}

// calculator notes and the final answer are GSM8K's own marks.
var (
	calculator  = regexp.MustCompile(`<<[^<>]*>>`)
	finalAnswer = regexp.MustCompile(`(?s)\n*####\s*(\S.*?)\s*$`)
)

func gsm8k(r *row) []item {
	answer := calculator.ReplaceAllString(r.text("answer"), "")
	if final := finalAnswer.FindStringSubmatch(answer); final != nil {
		answer = fmt.Sprintf("%s\nThe answer is %s.", strings.TrimSuffix(answer, final[0]), strings.TrimSuffix(final[1], "."))
	} else {
		answer = "" // refused: the solution has no result
	}
	return []item{{question: r.text("question"), answer: answer}}
}

// toxic is the sum of the two ratings, of 1 to 5 each, above which the evaluations count a
// statement as toxic.
const toxic = 5.5

// bytesOf matches a text that was stored as a literal of Python's bytes.
var bytesOf = regexp.MustCompile(`^b(?:'(.*)'|"(.*)")$`)

var escapes = regexp.MustCompile(`\\(?:x[0-9a-fA-F]{2}|.)`)

// unbytes returns the text of a literal of Python's bytes, and any other text as it is.
func unbytes(s string) string {
	s = strings.TrimSpace(s)
	m := bytesOf.FindStringSubmatch(s)
	if m == nil {
		return s
	}
	text := escapes.ReplaceAllStringFunc(m[1]+m[2], func(e string) string {
		if n, err := strconv.ParseUint(e[2:], 16, 8); len(e) == 4 && err == nil {
			return string([]byte{byte(n)})
		}
		return strings.NewReplacer("n", "\n", "t", "\t", "r", "").Replace(e[1:])
	})
	return strings.ToValidUTF8(text, "")
}

func toxigen(r *row) []item {
	it := item{question: unbytes(r.text("text"))}
	ai, ok := r.number("toxicity_ai")
	human, ok2 := r.number("toxicity_human")
	if ok && ok2 {
		yes := ai+human > toxic
		it.verdict = &yes
	}
	return []item{it}
}

// mmlu is a question with four options. The configuration auxiliary_train has its columns
// inside another one.
func mmlu(r *row) []item {
	if inner, ok := r.fields["train"].(map[string]any); ok {
		r.fields = inner
	}
	it := item{subject: strings.ReplaceAll(r.optional("subject"), "_", " "), options: r.texts("choices"), gold: r.index("answer")}
	if s, ok := r.fields["answer"].(string); ok && it.gold < 0 {
		it.gold = letter(s)
	}
	it.question, it.ask = stem(r.text("question"))
	if len(it.options) == 0 {
		it.options = []string{""}
	}
	return []item{it}
}

func statements(r *row) []item {
	return []item{{question: sentence(r.text("statement"), "."), verdict: r.truth("answer", "label")}}
}

// alpaca is the layout of instruction sets of many origins.
func alpaca(r *row) []item {
	instruction, output := r.text("instruction"), r.text("output")
	if input := r.optional("input"); strings.TrimSpace(input) != "" {
		instruction = strings.TrimSpace(instruction) + "\n\n" + input
	}
	var turns []chat.Message
	if system := r.optional("system"); strings.TrimSpace(system) != "" {
		turns = append(turns, chat.Message{Role: "system", Content: system})
	}
	return []item{{turns: append(turns, chat.Message{Role: "user", Content: instruction},
		chat.Message{Role: "assistant", Content: output})}}
}

var shareGPTRoles = map[string]string{"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant",
	"model": "assistant", "chatgpt": "assistant", "system": "system"}

// sharegpt is a conversation in either of its two spellings.
func sharegpt(r *row) []item {
	column, role, content := "conversations", "from", "value"
	if r.has("messages") && !r.has(column) {
		column, role, content = "messages", "role", "content"
	}
	var turns []chat.Message
	for _, m := range r.maps(column) {
		turn := r.child(m)
		name := turn.text(role)
		text := turn.text(content)
		r.err = firstError(r.err, turn.err)
		if known, ok := shareGPTRoles[name]; ok {
			name = known
		}
		turns = append(turns, chat.Message{Role: name, Content: text})
	}
	if len(turns) == 0 {
		turns = []chat.Message{{}}
	}
	return []item{{turns: turns}}
}
