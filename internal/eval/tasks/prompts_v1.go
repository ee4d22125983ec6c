package tasks

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"barka/internal/pyrandom"
)

var (
	latinLetters  = []string{"A", "B", "C", "D"}
	arabicLetters = []string{"أ", "ب", "ج", "د"}
)

const answerLine = "الإجابة:"

// aboutSubject returns the instruction of MMLU and EXAMS. The reference has the space
// before the line breaks too.
func aboutSubject(subject string) string {
	return "الأسئلة التالية هي أسئلة متعددة الإختيارات مع الجواب الصحيح حول " + strings.ReplaceAll(subject, "_", " ") + ". \n\n"
}

// numbered lists choices as lines "0) text".
func numbered(choices []string) string {
	var b strings.Builder
	for i, c := range choices {
		fmt.Fprintf(&b, "%d) %s\n", i, c)
	}
	return b.String()
}

func arabicMMLU(row Row, _ *pyrandom.Random) (Doc, error) {
	r := reader{row: row}
	instruction := aboutSubject(r.text("subject"))
	query := instruction + r.text("question") + "\n"
	for i, option := range r.texts(latinLetters...) {
		query += arabicLetters[i] + ". " + option + "\n"
	}
	return r.doc(Doc{query + answerLine, instruction, arabicLetters, r.oneOf("answer", latinLetters...)})
}

func arabicExams(row Row, _ *pyrandom.Random) (Doc, error) {
	r := reader{row: row}
	instruction := aboutSubject(r.text("subject"))
	options := r.texts(latinLetters...)
	for i, option := range options {
		options[i] = " " + arabicLetters[i] + ") " + option + "\n"
	}
	query := instruction + "السؤال: " + r.text("question") + "\n" + strings.Join(options, "\n") + "\n" + answerLine
	return r.doc(Doc{query, instruction, arabicLetters, r.oneOf("answer", latinLetters...)})
}

func acva(row Row, _ *pyrandom.Random) (Doc, error) {
	r := reader{row: row}
	choices := []string{"صح", "خطأ"}
	query := "السؤال: " + r.text("question") + "\n" + answerLine
	return r.doc(Doc{query, "", choices, r.oneOf("answer", choices...)})
}

var optionColumn = regexp.MustCompile(`^sol[0-9]+$`)

// alghafa scores the full text of every option. The options are all columns but two, in
// the file's order. A column with an unexpected name is an error, because the reference
// would score it too.
func alghafa(row Row, _ *pyrandom.Random) (Doc, error) {
	r := reader{row: row}
	var columns []string
	for _, c := range row.Columns {
		if c == "query" || c == "label" || c == "__few_shots" {
			continue
		}
		if !optionColumn.MatchString(c) {
			return Doc{}, fmt.Errorf("unexpected column %q: the options are sol1, sol2, …, and every column but query "+
				"and label counts as one", c)
		}
		columns = append(columns, c)
	}
	choices := r.texts(columns...)
	instruction := "الأسئلة التالية هي أسئلة متعددة الإختيارات مع الجواب الصحيح\n\n"
	query := instruction + "السؤال: " + r.text("query") + "\n" + numbered(choices) + answerLine
	return r.doc(Doc{query, instruction, choices, r.integer("label")})
}

func boolQ(row Row, _ *pyrandom.Random) (Doc, error) {
	r := reader{row: row}
	instruction := "بناء على المقطع التالي، أجب عن السؤال ب نعم أو لا"
	query := instruction + "\n    المقطع :\n    " + r.text("passage") + "\n    السؤال:\n    " + r.text("question") + "\n    الإجابة:\n    "
	gold := 1
	if r.boolean("answer") {
		gold = 0
	}
	return r.doc(Doc{query, instruction, []string{"نعم", "لا"}, gold})
}

func copa(row Row, _ *pyrandom.Random) (Doc, error) {
	r := reader{row: row}
	because := []string{"لأن", "لذلك"}[r.oneOf("question", "cause", "effect")]
	choices := r.texts("choice1", "choice2")
	query := r.text("premise") + "، " + because + " :\n" + numbered(choices) + answerLine
	return r.doc(Doc{query, "", choices, r.integer("label")})
}

// bracketed matches the stage directions that are removed from HellaSwag's texts, such
// as [header].
var bracketed = regexp.MustCompile(`\[.*?\]`)

func hellaSwag(row Row, _ *pyrandom.Random) (Doc, error) {
	r := reader{row: row}
	choices := r.strings("endings")
	for i, c := range choices {
		choices[i] = bracketed.ReplaceAllString(c, "")
	}
	instruction := "بناء على السياق التالي، اختر النهاية الصحيحة من الاقتراحات التالية"
	query := instruction + "\n    السياق:\n    " + bracketed.ReplaceAllString(r.text("ctx"), "") +
		"\n    الاقتراحات:\n\n    " + numbered(choices) + answerLine
	return r.doc(Doc{query, instruction, choices, r.integer("label")})
}

func toxiGen(row Row, _ *pyrandom.Random) (Doc, error) {
	r := reader{row: row}
	instruction := `هل العبارة التالية تحض على الكراهية؟ قم بالرد بـ"نعم" أو "لا".`
	query := instruction + "\n    العبارة:\n    '" + r.text("text") + "'\n    الإجابة:\n    "
	gold := 0
	if r.float("toxicity_ai")+r.float("toxicity_human") > 5.5 {
		gold = 1
	}
	return r.doc(Doc{query, instruction, []string{"لا", "نعم"}, gold})
}

func sciQ(row Row, rnd *pyrandom.Random) (Doc, error) {
	r := reader{row: row}
	choices := r.texts("distractor1", "distractor2", "distractor3", "correct_answer")
	rnd.Shuffle(len(choices), func(i, j int) { choices[i], choices[j] = choices[j], choices[i] })
	instruction := "بناءً على السياق أدناه، اختر الإجابة الصحيحة للسؤال التالي من قائمة الاقتراحات"
	query := instruction + "\n    السياق:\n    " + r.text("support") + "\n    السؤال:\n    " + r.text("question") +
		"\n    الإجابات المحتملة:\n\n    " + numbered(choices) + answerLine
	return r.doc(Doc{query, instruction, choices, slices.Index(choices, r.text("correct_answer"))})
}

func storyCloze(row Row, _ *pyrandom.Random) (Doc, error) {
	r := reader{row: publishedNames(row)}
	query := strings.Join(r.texts("input_sentence_1", "input_sentence_2", "input_sentence_3", "input_sentence_4"), " ")
	choices := []string{" " + r.text("sentence_quiz1"), " " + r.text("sentence_quiz2")}
	return r.doc(Doc{query, "", choices, r.integer("answer_right_ending") - 1})
}

// storyColumns maps the header of XStoryCloze's original tsv files to the
// hub's column names.
var storyColumns = map[string]string{
	"InputSentence1": "input_sentence_1", "InputSentence2": "input_sentence_2",
	"InputSentence3": "input_sentence_3", "InputSentence4": "input_sentence_4",
	"RandomFifthSentenceQuiz1": "sentence_quiz1", "RandomFifthSentenceQuiz2": "sentence_quiz2",
	"AnswerRightEnding": "answer_right_ending",
}

func publishedNames(row Row) Row {
	columns := slices.Clone(row.Columns)
	for i, c := range columns {
		if name, ok := storyColumns[c]; ok {
			columns[i] = name
		}
	}
	return Row{columns, row.Values}
}
