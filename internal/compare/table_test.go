package compare

import (
	"strings"
	"testing"
)

// TestTables: if rows of the leaderboard are missing, the tasks are shown too. Published
// figures come last.
func TestTables(t *testing.T) {
	a := evaluation(t, map[string][]textRow{"community|acva:Iraq|0": asked("1110"), "community|copa_ext_ar|0": asked("10")})
	b := evaluation(t, map[string][]textRow{"community|acva:Iraq|0": asked("1111"), "community|copa_ext_ar|0": asked("10")})
	c := mustCompare(t, a, b, Options{Resamples: 20})
	tables := c.Tables(false, true)
	if len(tables) != 3 || len(tables[0].Rows) != 1 || len(tables[1].Rows) != 3 || len(tables[2].Rows) != 15 {
		t.Fatalf("%+v", tables)
	}
	for i, table := range tables {
		for _, row := range table.Rows {
			if len(row) != len(table.Headers) {
				t.Errorf("table %d: %d cells under %d headers", i, len(row), len(table.Headers))
			}
		}
	}
	if row := tables[1].Rows[0]; row[0] != "acva:Iraq" || row[1] != "4" || row[2] != "75.00" || row[3] != "100.00" || row[4] != "+25.00" {
		t.Errorf("%v", row)
	}
	// With an average, only the leaderboard's table is shown, unless tasks are requested.
	c.Average = c.All
	if n := len(c.Tables(false, false)); n != 1 {
		t.Errorf("%d tables with an average, want 1", n)
	}
	if n := len(c.Tables(true, false)); n != 2 {
		t.Errorf("%d tables with all tasks, want 2", n)
	}
}

// TestFlipText: each answer is marked with the run that gave it.
func TestFlipText(t *testing.T) {
	f := Flip{Task: "community|acva:Iraq|0", Question: 2, Prompt: "P", Choices: []string{"x", "y"}, Gold: "y", A: "x", B: "y", ScoreB: 1,
		LogProbsA: []float64{-1, -2}, LogProbsB: []float64{-3, -1}}
	want := "community|acva:Iraq|0, question 2: only B is right\n\nP\n\n" +
		"- x  ← A  (log-probability -1.00, -3.00)\n- y  ← right, B  (log-probability -2.00, -1.00)\n"
	if got := f.Text(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if text := (Flip{Choices: []string{"m"}, Gold: "m", A: "u", B: "v"}).Text(); strings.Contains(text, "log-probability") {
		t.Errorf("a judged question has no log-probabilities:\n%s", text)
	}
}
