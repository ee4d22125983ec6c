package filter

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/testfiles"
)

// corpus returns rows of all kinds, made of real texts: human translations as lines and as
// paragraphs, with their sources and without, translated and Arabic benchmarks, Arabic
// reading comprehension, and English sums and questions. Its keys name the kinds.
func corpus(tb testing.TB) map[string][]dataset.Instruction {
	tb.Helper()
	sets := map[string][]dataset.Instruction{}
	add := func(kind, form, language string, texts, sources []string) {
		r := dataset.Instruction{ID: fmt.Sprint(kind, len(sets[kind])), Form: form, Language: language, FinishReason: "stop",
			Messages: turnsOf(texts), MessagesEN: turnsOf(sources)}
		sets[kind] = append(sets[kind], r)
	}
	pairs := testfiles.Parallel(tb)
	forms := dataset.Forms()
	for _, set := range slices.Sorted(maps.Keys(pairs)) {
		for _, n := range []int{1, 8} {
			kind := map[int]string{1: "lines", 8: "paragraphs"}[n]
			for i := 0; i+2*n <= len(pairs[set]); i += 2 * n {
				join := func(from, side int) string {
					var lines []string
					for _, p := range pairs[set][from : from+n] {
						lines = append(lines, strings.TrimSpace(p[side]))
					}
					return strings.Join(lines, []string{" ", "\n"}[i/2/n%2])
				}
				ar, en := []string{join(i, 1), join(i+n, 1)}, []string{join(i, 0), join(i+n, 0)}
				form := forms[i/2/n%len(forms)]
				add("translated "+kind, form, "arb_Arab", ar, en)
				add("Arabic "+kind, form, "arb_Arab", ar, nil)
				if n > 1 {
					add("English "+kind, form, "eng_Latn", en, nil)
				}
			}
		}
	}
	for _, q := range choices(tb) {
		add("Arabic choices", dataset.FormChoice, "arb_Arab", q[:], nil)
	}
	for _, q := range readings(tb) {
		add("Arabic reading", dataset.FormReading, "arb_Arab", q[:], nil)
	}
	for _, line := range testfiles.Lines(tb, testfiles.Shared(tb, "english", "gsm8k", "train.jsonl"))[:2000] {
		q := parsed[struct{ Question, Answer string }](tb, line)
		add("English sums", dataset.FormArithmetic, "eng_Latn", []string{q.Question, q.Answer}, nil)
	}
	for _, name := range []string{"boolq", "piqa", "ARC-Easy"} {
		data := testfiles.Read(tb, testfiles.Shared(tb, "english", "llm-adapters", name, "test.json"))
		for _, q := range parsed[[]struct{ Instruction, Output string }](tb, data)[:500] {
			add("English questions", dataset.FormInstruction, "eng_Latn", []string{q.Instruction, q.Output}, nil)
		}
	}
	return sets
}

func turnsOf(texts []string) (list []chat.Message) {
	for i, text := range texts {
		list = append(list, chat.Message{Role: []string{"user", "assistant"}[i%2], Content: text})
	}
	return list
}

func parsed[T any](tb testing.TB, data []byte) (v T) {
	tb.Helper()
	if err := json.Unmarshal(data, &v); err != nil {
		tb.Fatal(err)
	}
	return v
}

// choices returns questions with options, and their answers, of ARC and MMLU in Arabic.
func choices(tb testing.TB) (all [][2]string) {
	for _, file := range []string{"m_arc/ar_test.json", "m_mmlu/ar_val.json"} {
		data := testfiles.Read(tb, testfiles.Shared(tb, "oall", "okapi", file))
		for _, q := range parsed[[]map[string]any](tb, data) {
			question, answer := fmt.Sprint(q["instruction"]), ""
			for _, letter := range []string{"A", "B", "C", "D"} {
				option, ok := q["option_"+strings.ToLower(letter)].(string)
				if !ok {
					continue
				}
				question += "\n" + letter + ". " + option
				if q["answer"] == letter {
					answer = letter + ". " + option
				}
			}
			all = append(all, [2]string{question, answer})
		}
	}
	return all
}

// readings returns passages of Wikipedia with questions, and the answers, of ARCD.
func readings(tb testing.TB) (all [][2]string) {
	data := testfiles.Read(tb, testfiles.Shared(tb, "oall", "soqal", "arcd-test.json"))
	file := parsed[struct {
		Data []struct {
			Paragraphs []struct {
				Context string
				Qas     []struct {
					Question string
					Answers  []struct{ Text string }
				}
			}
		}
	}](tb, data)
	for _, article := range file.Data {
		for _, p := range article.Paragraphs {
			for _, q := range p.Qas {
				all = append(all, [2]string{"«" + p.Context + "»\n\n" + q.Question, q.Answers[0].Text})
			}
		}
	}
	return all
}

// withPlants returns the rows with a planted text in the middle of one of their messages, a
// different one in each.
func withPlants(rows []dataset.Instruction) (all []dataset.Instruction) {
	for i, r := range rows {
		p := plants[i%len(plants)]
		r.ID += " with " + p.kind
		r.Messages, r.MessagesEN = slices.Clone(r.Messages), slices.Clone(r.MessagesEN)
		k := i / len(plants) % 2
		if p.arabic != "" {
			r.Messages[k].Content = splice(r.Messages[k].Content, p.arabic)
		}
		if p.answerEN != "" && len(r.MessagesEN) > 0 {
			r.MessagesEN[k].Content = splice(r.MessagesEN[k].Content, p.answerEN)
		} else if p.answerEN != "" && r.Language == "eng_Latn" {
			r.Messages[k].Content = splice(r.Messages[k].Content, p.answerEN)
		}
		all = append(all, r)
	}
	return all
}

// splice inserts a text behind a blank near the middle of another.
func splice(s, insert string) string {
	at := len(s)/2 + strings.IndexByte(s[len(s)/2:], ' ') + 1
	if at <= len(s)/2 {
		return insert
	}
	return s[:at] + insert + " " + s[at:]
}
