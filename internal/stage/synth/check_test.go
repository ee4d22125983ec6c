package synth

import "testing"

// TestLeaksAndMeta: wording about the text and about the task, as models wrote
// it, and wording like it that is about a subject.
func TestLeaksAndMeta(t *testing.T) {
	for text, want := range map[string][2]bool{
		"What is a short answer to the following text?":                             {true, false},
		"What does the passage say?":                                                {true, false},
		"What is the answer?":                                                       {false, true},
		"The answer to this question is: The user can't say.":                       {false, true},
		"What question is this?":                                                    {false, true},
		"What is the Answer to the Ultimate Question of Life in the novel?":         {false, false},
		"Why did the question of slavery divide the states?":                        {false, false},
		"How did Darwin answer the question of how species arise?":                  {false, false},
		"Who wrote the text of the anthem of Egypt?":                                {true, false},
		"Which articles follow in the constitution, and what is the first of them?": {false, false},
	} {
		if got := [2]bool{leak.MatchString(text), meta.MatchString(text)}; got != want {
			t.Errorf("%q: leak and meta %v, want %v", text, got, want)
		}
	}
}
