package tasks

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"barka/internal/pyrandom"
	"barka/internal/pytext"
)

// fiveLetters labels up to five options. The fifth has two characters, by which acc_norm
// divides.
var fiveLetters = append(slices.Clone(arabicLetters), "هـ")

const chooseRight = "السؤال التالي هو سؤال متعدد الإختيارات. اختر الإجابة الصحيحة:"

// optional lists the non-empty columns of "Option 1" to "Option 5" as lines
// "أ. text", with their letters and the position of the right one among them. The
// letter of an empty option is not used.
func (r *reader) optional() (lines string, letters []string, gold int) {
	key := r.oneOf("Answer Key", "A", "B", "C", "D", "E")
	gold = -1
	for i, letter := range fiveLetters {
		v, err := r.row.Get(fmt.Sprintf("Option %d", i+1))
		if err != nil || v == nil || v == "" {
			continue
		}
		if i == key {
			gold = len(letters)
		}
		lines += letter + ". " + pytext.Value(v) + "\n"
		letters = append(letters, letter)
	}
	if gold < 0 && r.err == nil {
		r.err = fmt.Errorf("the right answer is option %d, which is empty", key+1)
	}
	return lines, letters, gold
}

func nativeMMLU(row Row, _ *pyrandom.Random) (Doc, error) {
	r := reader{row: row}
	instruction := chooseRight + "\n\n"
	lines, letters, gold := r.optional()
	return r.doc(Doc{instruction + r.text("Question") + "\n" + lines + answerLine, instruction, letters, gold})
}

// humanMMLU scores the numbers of the options, counted from 1.
func humanMMLU(row Row, _ *pyrandom.Random) (Doc, error) {
	r := reader{row: row}
	instruction := chooseRight + "\n\n"
	query := instruction + r.text("question") + "\n"
	var numbers []string
	for i, option := range r.strings("choices") {
		numbers = append(numbers, fmt.Sprint(i+1))
		query += numbers[i] + ". " + option + "\n"
	}
	return r.doc(Doc{query + answerLine, instruction, numbers, r.integer("answer")})
}

// madinahQA writes the word None if a question has no passage, as the reference does.
// Half of the benchmark's questions have none.
func madinahQA(row Row, _ *pyrandom.Random) (Doc, error) {
	r := reader{row: row}
	instruction := "بناءً على السياق أدناه، اختر الإجابة الصحيحة للسؤال التالي من قائمة الأجوبة:\n\n"
	lines, letters, gold := r.optional()
	query := instruction + "\nالسياق:\n" + r.orNone("Context") + "\nالسؤال:\n" + r.text("Question") + "\n" + lines + answerLine
	return r.doc(Doc{query, instruction, letters, gold})
}

// orNone returns a column's text, or None, Python's null, if the column is empty or null.
// In text files, an empty field is null.
func (r *reader) orNone(column string) string {
	v, err := r.row.Get(column)
	if err != nil && r.err == nil {
		r.err = err
	}
	if v == "" {
		v = nil
	}
	return pytext.Value(v)
}

// araTrust adds no letters to the options, whose texts contain them.
func araTrust(row Row, _ *pyrandom.Random) (Doc, error) {
	r := reader{row: row}
	instruction := chooseRight + " أ، ب أو ج. \n\n"
	query := instruction + r.text("Question") + "\n" + strings.Join(r.texts("A", "B", "C"), "\n") + "\n" + answerLine
	letters := arabicLetters[:3]
	return r.doc(Doc{query, instruction, letters, r.oneOf("Answer", letters...)})
}

// alrage asks for a written answer. Its only choice is the right answer, for the judge.
func alrage(row Row, _ *pyrandom.Random) (Doc, error) {
	r := reader{row: row}
	instruction := "بناءً على السياقات المقترحة التالية، اجب عن السؤال التالي"
	query := instruction + "\n\nالسؤال:\n" + r.text("question") + "\n\nالسياقات المقترحة:\n" +
		strings.Join(r.passages("candidates"), ", ") + "\n"
	d := Doc{query, instruction, []string{r.text("gold_answer")}, 0}
	return d, r.err
}

// passages reads a list, or a text with one passage per line, and strips white space. It
// skips blank lines of a text and empty elements of a list.
func (r *reader) passages(column string) []string {
	var out []string
	switch v := r.get(column).(type) {
	case nil:
		return nil
	case []any:
		for _, item := range v {
			if item != nil && item != "" {
				out = append(out, strip(pytext.Value(item)))
			}
		}
	default:
		for _, line := range strings.Split(pytext.Value(v), "\n") {
			if line = strip(line); line != "" {
				out = append(out, line)
			}
		}
	}
	if len(out) == 0 && r.err == nil {
		r.err = errors.New("column \"" + column + "\" holds no passage")
	}
	return out
}

// strip is Python's str.strip.
func strip(s string) string { return strings.TrimFunc(s, pytext.IsSpace) }
