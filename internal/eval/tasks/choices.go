package tasks

import (
	"strconv"

	"barka/internal/pyrandom"
)

// ChoiceFormat says what of an AlGhafa question is scored, with the prompt the
// same.
type ChoiceFormat string

const (
	// Texts scores the options' full texts: the reference until March 2025,
	// and version 1 of the leaderboard.
	Texts ChoiceFormat = "text"
	// Indices scores the numbers the prompt gives the options, from "0": the
	// reference since March 2025, and version 2.
	Indices ChoiceFormat = "index"
)

// ChoiceFormats lists the values of ChoiceFormat.
var ChoiceFormats = []ChoiceFormat{Texts, Indices}

// Names of AlGhafa's prompt function before and since it scores indices.
const (
	alghafaTexts   = "alghafa_prompt"
	alghafaIndices = "alghafa_pfn"
)

// Scoring returns the task with such choices, if it is one of AlGhafa's
// native ones or of the six translated ones that share their prompt. Others
// are returned as they are.
func (t Task) Scoring(c ChoiceFormat) Task {
	switch {
	case t.PromptName != alghafaTexts && t.PromptName != alghafaIndices:
	case c == Texts:
		t.PromptName, t.Prompt = alghafaTexts, alghafa
	case c == Indices:
		t.PromptName, t.Prompt = alghafaIndices, alghafaByIndex
	}
	return t
}

func alghafaByIndex(row Row, rnd *pyrandom.Random) (Doc, error) {
	doc, err := alghafa(row, rnd)
	for i := range doc.Choices {
		doc.Choices[i] = strconv.Itoa(i)
	}
	return doc, err
}
