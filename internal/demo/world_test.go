package demo

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// Classes of names: the sum of the numbers of a name's syllables modulo 8, as reference/demo/world.py
// deals them out. The training of the models has all other classes.
const (
	articleNames = 0 // articles and questions of the demonstration
	heldOutNames = 1 // questions of its evaluation
)

// classOf returns the class of a name of the invented country, in English or Arabic, and whether a
// word is such a name.
func classOf(word string) (class int, ok bool) {
	const vowels, arabicVowels, consonants, arabicConsonants = "aio", "ايو", "bdfgklmnrstz", "بدفجكلمنرستز"
	if first, _ := utf8.DecodeRuneInString(word); 'A' <= first && first <= 'Z' {
		word = strings.ToLower(word)
	} else if first < utf8.RuneSelf {
		return 0, false
	}
	letters := []rune(word)
	if len(letters) != 6 {
		return 0, false
	}
	index := func(table string, letter rune) int {
		at := strings.IndexRune(table, letter)
		return utf8.RuneCountInString(table[:max(at, 0)]) + min(at, 0)
	}
	for i := 0; i < 6; i += 2 {
		c, v := max(index(consonants, letters[i]), index(arabicConsonants, letters[i])),
			max(index(vowels, letters[i+1]), index(arabicVowels, letters[i+1]))
		if c < 0 || v < 0 {
			return 0, false
		}
		class += 3*c + v
	}
	return class % 8, true
}

var wordPattern = regexp.MustCompile(`[\p{L}\p{M}]+`)

// words returns the words of a text without the bold marks of wikitext.
func words(text string) []string {
	return wordPattern.FindAllString(strings.ReplaceAll(text, "'''", ""), -1)
}

// names counts the names in a text by class.
func names(text string) (counts [8]int) {
	for _, w := range words(text) {
		if class, ok := classOf(w); ok {
			counts[class]++
		}
	}
	return counts
}

// sentences returns the sentences and questions of texts.
func sentences(texts ...string) (all []string) {
	for _, text := range texts {
		for _, s := range regexp.MustCompile(`[^.?؟\n]+[.?؟]`).FindAllString(text, -1) {
			all = append(all, strings.Join(words(s), " "))
		}
	}
	return all
}

// articles returns the text of the pages, without headings.
func articles(t *testing.T) (texts []string) {
	t.Helper()
	var dump struct {
		Pages []struct {
			Text string `xml:"revision>text"`
		} `xml:"page"`
	}
	data, err := files.ReadFile("data/pages.xml")
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(data, &dump); err != nil {
		t.Fatal(err)
	}
	for _, p := range dump.Pages {
		texts = append(texts, regexp.MustCompile(`(?m)^==.*==$`).ReplaceAllString(p.Text, ""))
	}
	return texts
}

// sciq is a question in SciQ's layout.
type sciq struct {
	Question, Support, Distractor1, Distractor2, Distractor3 string
	CorrectAnswer                                            string `json:"correct_answer"`
}

func questions(t *testing.T) (rows []sciq) {
	t.Helper()
	data, err := files.ReadFile("data/questions.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

const task = "data/benchmarks/OALL/AlGhafa-Arabic-LLM-Benchmark-Translated/sciq_ar"

func heldOut(t *testing.T) (rows []sciq) {
	t.Helper()
	for _, name := range []string{"test", "validation"} {
		data, err := files.ReadFile(task + "/" + name + ".jsonl")
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(data) {
			var row sciq
			if err := json.Unmarshal(line, &row); err != nil {
				t.Fatal(err)
			}
			rows = append(rows, row)
		}
	}
	return rows
}

func shown(rows []sciq) (texts []string) {
	for _, r := range rows {
		texts = append(texts, r.Support, r.Question)
	}
	return texts
}

// grams adds a text's runs of n words to a set.
func grams(set map[string]bool, n int, text string) {
	w := words(text)
	for i := range max(len(w)-n+1, 0) {
		set[strings.Join(w[i:i+n], " ")] = true
	}
}

// TestNothingHeldOutIsTrainedOn: no name of the articles, of the questions or of the held-out
// questions is in the training texts of the models, and no name of the held-out questions is in the
// articles and questions. As every sentence has a name, no sentence is in two of the three. The
// sample of the training texts shares no run of 13 words with the others.
func TestNothingHeldOutIsTrainedOn(t *testing.T) {
	text, err := os.ReadFile("testdata/training.txt")
	if err != nil {
		t.Fatal(err)
	}
	training, trained := string(text), names(string(text))
	if trained[articleNames]+trained[heldOutNames] != 0 || trained[2] < 100 || trained[7] < 100 {
		t.Errorf("names of the training texts by class: %v", trained)
	}
	const n = 13
	known, knownSentences := map[string]bool{}, map[string]bool{}
	learn := func(text string) {
		grams(known, n, text)
		for _, s := range sentences(text) {
			knownSentences[s] = true
		}
	}
	for line := range strings.Lines(training) {
		learn(line)
	}
	check := func(what string, class int, texts []string) {
		t.Helper()
		total := 0
		for _, s := range sentences(texts...) {
			total++
			counts := names(s)
			own := counts[class]
			counts[class] = 0
			if own == 0 || counts != [8]int{} {
				t.Errorf("%s: %q has %d names of its class, and others %v", what, s, own, counts)
			}
			if knownSentences[s] {
				t.Errorf("%s: %q is trained on", what, s)
			}
		}
		for _, text := range texts {
			own := map[string]bool{}
			grams(own, n, text)
			for g := range own {
				if known[g] {
					t.Errorf("%s: %q is trained on", what, g)
				}
			}
		}
		if total < 400 {
			t.Errorf("%s: only %d sentences", what, total)
		}
	}
	check("articles", articleNames, articles(t))
	check("questions", articleNames, shown(questions(t)))
	for _, text := range append(articles(t), shown(questions(t))...) {
		learn(text)
	}
	check("held-out questions", heldOutNames, shown(heldOut(t)))
}

// TestQuestionsCannotBeGuessed: every question has four different options, its answer is in the
// text, one wrong option is not, and the two others are.
func TestQuestionsCannotBeGuessed(t *testing.T) {
	for _, r := range append(questions(t), heldOut(t)...) {
		inText := func(s string) bool { return strings.Contains(" "+strings.Join(words(r.Support), " ")+" ", " "+s+" ") }
		options, there := map[string]bool{r.CorrectAnswer: true}, 0
		for _, d := range []string{r.Distractor1, r.Distractor2, r.Distractor3} {
			options[d] = true
			if inText(d) {
				there++
			}
		}
		if len(options) != 4 || !inText(r.CorrectAnswer) || there != 2 {
			t.Errorf("%+v: %d wrong options are in the text", r, there)
		}
	}
}

// TestScriptsWriteTheData: reference/demo writes the committed articles, questions and sample of
// training texts.
func TestScriptsWriteTheData(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	scripts, out := filepath.Join("..", "..", "reference", "demo"), t.TempDir()
	run := func(args ...string) []byte {
		t.Helper()
		c := exec.Command(python, append([]string{"-B"}, args...)...)
		c.Env = append(os.Environ(), "PYTHONIOENCODING=utf-8")
		text, err := c.Output()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return text
	}
	if sample := run(filepath.Join(scripts, "corpus.py")); !equalFile(t, "testdata/training.txt", sample) {
		t.Error("corpus.py prints another sample")
	}
	run(filepath.Join(scripts, "data.py"), "--out", out)
	count := 0
	err = filepath.WalkDir(out, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		made, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(out, path)
		if count++; !equalFile(t, filepath.Join("data", name), made) {
			t.Errorf("data.py writes another %s", name)
		}
		return nil
	})
	if err != nil || count != 4 {
		t.Errorf("%d files, %v", count, err)
	}
}

func equalFile(t *testing.T, name string, data []byte) bool {
	t.Helper()
	committed, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(committed, data)
}
