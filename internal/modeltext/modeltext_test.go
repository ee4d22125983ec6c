package modeltext

import (
	"regexp"
	"testing"
)

func TestClean(t *testing.T) {
	label := regexp.MustCompile(`^(?i)answer:`)
	for text, want := range map[string]string{
		"<think>So.</think>\n\nanswer: \"Yes.\"": "Yes.",
		"So, the text.\n</think>Yes":             "Yes", // the chat template wrote the opening tag
		"<thinking>I never end":                  "",
		"«نعم»":                                  "نعم",
		`"A" and "B"`:                            `"A" and "B"`,
		"  “one”  ":                              "one",
		`Answer: answer: "x"`:                    "x",
		"The answer: x":                          "The answer: x",
	} {
		if got := Clean(text, label); got != want {
			t.Errorf("Clean(%q) = %q, want %q", text, got, want)
		}
	}
	if got := CleanQuoted(`Answer: "x"`, label); got != `"x"` {
		t.Errorf("CleanQuoted took the quotation marks: %q", got)
	}
}
