package filter

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/progress"
)

func write(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rows.jsonl")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func encode(t *testing.T, r dataset.Instruction) string {
	t.Helper()
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func ids(t *testing.T, dir string) string {
	t.Helper()
	var out []string
	for r, err := range dataset.Rows[dataset.Instruction](context.Background(), dir) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r.ID)
	}
	return strings.Join(out, " ")
}

// TestRun keeps the good rows in their order, counts the others by reason,
// does nothing a second time and refuses other options.
func TestRun(t *testing.T) {
	cut := row("cut", question, answer)
	cut.FinishReason = "length"
	other := row("a", "متى تزرع القهوة في جبال اليمن؟", "تزرع في المرتفعات بعد موسم الأمطار وتقطف ثمارها بأيدي المزارعين في الخريف.")
	in := write(t, encode(t, row("b", question, answer)), encode(t, cut), encode(t, row("again", question, answer)),
		encode(t, other), encode(t, row("short", question, "نعم")))
	env := durable.Env{Out: filepath.Join(t.TempDir(), "out"), In: map[string]string{"instructions": in}, Progress: progress.Silent}
	m, err := Run(context.Background(), Defaults(), env)
	if err != nil {
		t.Fatal(err)
	}
	if got := ids(t, env.Out); got != "b a" {
		t.Errorf("kept %q", got)
	}
	for reason, n := range map[string]int64{"in": 5, "out": 2, "rejected": 3, "rejected_truncated": 1,
		"rejected_duplicate": 1, "rejected_short_answer": 1} {
		if m.Counts[reason] != n {
			t.Errorf("%s: %d, expected %d", reason, m.Counts[reason], n)
		}
	}
	if again, err := Run(context.Background(), Defaults(), env); err != nil || again.Counts["out"] != 2 {
		t.Errorf("a second time: %v, %v", again, err)
	}
	if _, err := Run(context.Background(), Seed(), env); err == nil || !strings.Contains(err.Error(), "seed_rules") {
		t.Errorf("other rules over finished work: %v", err)
	}
}

// TestBrokenInput leaves nothing that looks finished, and runs when the file
// is mended.
func TestBrokenInput(t *testing.T) {
	good := encode(t, row("a", question, answer))
	in := write(t, good, "{oops")
	env := durable.Env{Out: filepath.Join(t.TempDir(), "out"), In: map[string]string{"instructions": in}, Progress: progress.Silent}
	if _, err := Run(context.Background(), Defaults(), env); !badinput.Is(err) || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("%v", err)
	}
	if _, err := dataset.ReadManifest(env.Out); err == nil {
		t.Error("a broken file left a finished directory")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	env.In["instructions"] = write(t, good)
	env.Restart = true
	if _, err := Run(ctx, Defaults(), env); err == nil {
		t.Error("a cancelled run finished")
	}
	if _, err := Run(context.Background(), Defaults(), env); err != nil || ids(t, env.Out) != "a" {
		t.Errorf("the mended file: %v", err)
	}
}

// TestBoundsAreExact: each bound keeps what is just inside and drops what is
// just outside.
func TestBoundsAreExact(t *testing.T) {
	words := func(n int) string { return strings.TrimSpace(strings.Repeat("كلمة ", n)) }
	for _, c := range []struct {
		name            string
		o               Rules
		inside, outside string
	}{
		{"min_answer_words", Rules{MinAnswerWords: 4}, words(4), words(3)},
		{"max_chars", Rules{MaxChars: 40}, strings.Repeat("ب", 40), strings.Repeat("ب", 41)},
		{"min_length_ratio", Rules{MinLengthRatio: 0.5}, strings.Repeat("ب", 43), strings.Repeat("ب", 42)},
		{"max_length_ratio", Rules{MaxLengthRatio: 2}, strings.Repeat("ب", 172), strings.Repeat("ب", 173)},
		{"repetition", Rules{Repetition: true}, strings.Repeat("ا ب ج د ه ", 3), strings.Repeat("ا ب ج د ه ", 4)},
		{"min_script_share", Rules{MinScriptShare: 0.5}, strings.Repeat("ب", 15) + strings.Repeat("b", 15),
			strings.Repeat("ب", 14) + strings.Repeat("b", 16)},
	} {
		for text, dropped := range map[string]bool{c.inside: false, c.outside: true} {
			r := row("1", question, text)
			if n := len([]rune(r.MessagesEN[1].Content)); n != 86 {
				t.Fatalf("the English answer has %d characters; the ratios here are of 86", n)
			}
			if got := check(t, with(func(r *Rules) { *r = c.o }), r); (got.Reason != "") != dropped {
				t.Errorf("%s: %q: %+v, expected dropped %v", c.name, text, got, dropped)
			}
		}
	}
}

// TestOtherRows: what is no dataset of instructions is refused before work
// begins, and a set of which nothing is left is said to be so.
func TestOtherRows(t *testing.T) {
	run := func(lines ...string) (*dataset.Manifest, error) {
		return Run(t.Context(), Defaults(), durable.Env{Out: filepath.Join(t.TempDir(), "out"),
			In: map[string]string{"instructions": write(t, lines...)}, Progress: progress.Silent})
	}
	if _, err := run(`{"id":"a","title":"Coffee","text":"A passage."}`); !badinput.Is(err) ||
		!strings.Contains(err.Error(), "passages") || !strings.Contains(err.Error(), "messages") {
		t.Errorf("passages: %v", err)
	}
	m, err := run(encode(t, row("short", question, "نعم")))
	if err != nil || m.Rows != 0 || len(m.Notes) != 1 || !strings.Contains(m.Notes[0], "none of the 1 rows") {
		t.Errorf("nothing left: %v, %+v", err, m)
	}
}

// TestEarlierSets: rows that repeat one of an earlier set are dropped and counted, and others
// are written as without it. The set counts as an input.
func TestEarlierSets(t *testing.T) {
	first := "ما هي عاصمة اليمن ومتى بنيت أسوارها القديمة حول المدينة؟"
	long := "عاصمة اليمن هي صنعاء وقد بنيت أسوارها القديمة من الطين قبل قرون طويلة وما زالت أجزاء كبيرة منها قائمة حول المدينة حتى اليوم."
	like := strings.Replace(long, "اليوم", "الآن", 1)
	other := row("other", "متى تزرع القهوة في جبال اليمن؟", "تزرع في المرتفعات بعد موسم الأمطار وتقطف ثمارها بأيدي المزارعين في الخريف.")
	a := write(t, encode(t, row("a1", question, answer)))
	b := write(t, encode(t, row("b1", first, long)), encode(t, row("b2", question, "نعم"))) // no rule drops these
	in := write(t, encode(t, row("same", question, answer)), encode(t, row("like", first, like)), encode(t, other),
		encode(t, row("again", other.Messages[0].Content, other.Messages[1].Content)))
	env := durable.Env{Out: filepath.Join(t.TempDir(), "out"), Progress: progress.Silent,
		In: map[string]string{"instructions": in, dataset.EarlierInput + "001 alpha": a, dataset.EarlierInput + "002 beta": b}}
	m, err := Run(t.Context(), Defaults(), env)
	if err != nil {
		t.Fatal(err)
	}
	if got := ids(t, env.Out); got != "other" || m.Counts["in"] != 4 || m.Counts["rejected_duplicate"] != 1 ||
		m.Counts["rejected_duplicate_across_sets"] != 1 || m.Counts["rejected_near_duplicate_across_sets"] != 1 {
		t.Errorf("%s, counts %v", got, m.Counts)
	}
	type rejected struct {
		ID     string `json:"id" parquet:"id"`
		Detail string `json:"detail" parquet:"detail"`
	}
	for r, err := range dataset.Rows[rejected](t.Context(), filepath.Join(env.Out, dataset.RejectedDir)) {
		want := map[string]string{"same": "of a1 in alpha", "like": "of b1 in beta, similarity", "again": "of other"}[r.ID]
		if err != nil || !strings.HasPrefix(r.Detail, want) {
			t.Errorf("%s: %q, want %q; %v", r.ID, r.Detail, want, err)
		}
	}
	delete(env.In, dataset.EarlierInput+"001 alpha")
	if _, err := Run(t.Context(), Defaults(), env); !badinput.Is(err) || !strings.Contains(err.Error(), "alpha") {
		t.Errorf("without one of the sets: %v", err)
	}
	env.Restart = true
	if m, err := Run(t.Context(), Defaults(), env); err != nil || ids(t, env.Out) != "same other" ||
		m.Counts["rejected_duplicate_across_sets"] != 0 {
		t.Errorf("made again: %v, %s", err, ids(t, env.Out))
	}
}
