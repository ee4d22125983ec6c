package bench

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"

	"barka/internal/chat"
	"barka/internal/dataset"
)

// Rows returns n translated questions with answers of about so many words, as the data
// stages pass them on. They are made of invented words, with common real ones among
// them in the proportions of text. Of 100 rows about two repeat an earlier one, one differs
// from an earlier one in a word, and two have an answer that is too short. The same numbers
// always give the same rows.
func Rows(n, words int) iter.Seq[dataset.Instruction] {
	return func(yield func(dataset.Instruction) bool) {
		w := newWriter()
		for i := range n {
			if !yield(w.row(i, words)) {
				return
			}
		}
	}
}

// SciQ is a row of the benchmark of that name, as it is published.
type SciQ struct {
	Question      string `json:"question"`
	Distractor1   string `json:"distractor1"`
	Distractor2   string `json:"distractor2"`
	Distractor3   string `json:"distractor3"`
	CorrectAnswer string `json:"correct_answer"`
	Support       string `json:"support"`
}

// SciQRows returns n rows in the layout of SciQ with a passage of so many invented words.
func SciQRows(n, words int) iter.Seq[SciQ] {
	return func(yield func(SciQ) bool) {
		w := newWriter()
		for i := range n {
			rng := rowSource(i)
			option := func() string { return w.english.phrase(rng, 2) }
			r := SciQ{Question: w.english.phrase(rng, 14) + "?", Distractor1: option(), Distractor2: option(),
				Distractor3: option(), CorrectAnswer: option(), Support: w.english.text(rng, words, ".")}
			if !yield(r) {
				return
			}
		}
	}
}

func rowSource(i int) *rand.Rand { return rand.New(rand.NewPCG(7, uint64(i))) }

// writer writes rows of two vocabularies.
type writer struct{ arabic, english vocabulary }

func newWriter() *writer {
	rng := rand.New(rand.NewPCG(7, 1<<63))
	return &writer{
		arabic: invent(rng, "من في على إلى أن عن مع هذا هذه التي الذي كان كانت قد لم لا ما هو هي بين بعد قبل عند كل غير حتى منذ ذلك",
			[]rune("ابتثجحخدذرزسشصضطظعغفقكلمنهوي")),
		english: invent(rng, "the of and in to a is that for it as was with on by from at an be which or this are has have not but",
			[]rune("abcdefghijklmnoprstuvwy")),
	}
}

func (w *writer) row(i, words int) dataset.Instruction {
	rng := rowSource(i)
	kind := rng.IntN(100)
	if kind < 3 && i > 0 { // 0 and 1 repeat a row, 2 repeats most of it
		rng = rowSource(rng.IntN(i))
		rng.IntN(100)
	}
	questionEN, question := w.english.phrase(rng, 12)+"?", w.arabic.phrase(rng, 12)+"؟"
	words = max(words/2+rng.IntN(words+1), 3)
	answerEN, answer := w.english.text(rng, words, "."), w.arabic.text(rng, words, ".")
	switch {
	case kind == 2:
		answer += " " + w.arabic.words[1000+i%1000] + "."
	case kind == 3 || kind == 4:
		answer, answerEN = w.arabic.words[100], w.english.words[100]
	}
	id := dataset.ContentID("bench", fmt.Sprint(i))
	return dataset.Instruction{
		ID: id, Dataset: "bench", Form: dataset.FormQuestion, PassageID: dataset.ContentID("passage", fmt.Sprint(i)),
		Title: w.english.words[i%len(w.english.words)], URL: "https://example.org/" + id, Licence: "CC BY-SA 4.0",
		Language: "arb_Arab", Generator: "bench", Translator: "bench", FinishReason: "stop",
		Messages:   turns(question, answer),
		MessagesEN: turns(questionEN, answerEN),
		Segments: []dataset.Segment{{Message: 0, Source: questionEN, Target: question, Score: -0.4},
			{Message: 1, Source: answerEN, Target: answer, Score: -0.5}},
	}
}

func turns(question, answer string) []chat.Message {
	return []chat.Message{{Role: "user", Content: question}, {Role: "assistant", Content: answer}}
}

// vocabulary is a list of words, the most frequent first.
type vocabulary struct{ words []string }

// invent returns the common words and 20,000 others of some letters.
func invent(rng *rand.Rand, common string, letters []rune) vocabulary {
	words := strings.Fields(common)
	for range 20_000 {
		word := make([]rune, 3+rng.IntN(6))
		for i := range word {
			word[i] = letters[rng.IntN(len(letters))]
		}
		words = append(words, string(word))
	}
	return vocabulary{words}
}

// word draws a word. The share of a word falls with its place in the list.
func (v vocabulary) word(rng *rand.Rand) string {
	u := rng.Float64()
	return v.words[int(u*u*u*float64(len(v.words)))]
}

func (v vocabulary) phrase(rng *rand.Rand, words int) string {
	list := make([]string, words)
	for i := range list {
		list[i] = v.word(rng)
	}
	return strings.Join(list, " ")
}

// text returns sentences of eight to twenty words.
func (v vocabulary) text(rng *rand.Rand, words int, end string) string {
	var sentences []string
	for words > 0 {
		n := min(8+rng.IntN(12), words)
		sentences = append(sentences, v.phrase(rng, n)+end)
		words -= n
	}
	return strings.Join(sentences, " ")
}
