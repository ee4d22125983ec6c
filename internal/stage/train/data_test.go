package train_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/badinput/badinputtest"
	"barka/internal/chat"
	"barka/internal/durable"
	"barka/internal/progress"
	"barka/internal/stage/train"
	"barka/internal/testfiles"
)

// talk is a row of a user's and an assistant's turns, alternately.
func talk(turns ...string) string {
	var messages []chat.Message
	for i, text := range turns {
		messages = append(messages, chat.Message{Role: []string{"user", "assistant"}[i%2], Content: text})
	}
	data, err := json.Marshal(map[string]any{"messages": messages})
	if err != nil {
		panic(err)
	}
	return string(data)
}

// read tokenizes lines as a run would.
func read(t *testing.T, o train.Options, lines ...string) (*train.Data, error) {
	t.Helper()
	d, err := train.Read(context.Background(), o, input(t, dataset(t, lines...), ""), train.Limits{Vocab: 100000})
	if err == nil {
		t.Cleanup(func() { d.Close() })
	}
	return d, err
}

// TestRowsThatCannotBeTrained are counted by reason. More than max_dropped of them, or a set
// without any other, is an error that names them.
func TestRowsThatCannotBeTrained(t *testing.T) {
	sharegpt := `{"conversations":[{"from":"human","value":"How?"},{"from":"gpt","value":"In cups."}]}`
	bad := []string{`{"messages":[]}`, `{"messages":[{"role":"assistant","content":"x"},{"role":"assistant","content":"y"}]}`,
		`{"messages":[{"role":"tool","content":"x"},{"role":"assistant","content":"y"}]}`, talk("How?", " \n"), talk("How?"),
		talk(strings.Repeat("long question ", 200), "too late"), talk("How?", strings.Repeat("In cups. ", 60))}
	o := options()
	o.MaxLength, o.MaxDropped = 100, 1
	all := append(slices.Clone(bad), sharegpt, talk("How?", "In cups.", "And?", strings.Repeat("In cups. ", 60)), sharegpt)
	d, err := read(t, o, all...)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"empty": 1, "roles": 2, "empty_answer": 1, "no_trained_token": 1, "too_long": 2}
	if d.Rows != 10 || d.Samples() != 3 || d.Cut != 1 || d.CutAnswers != 1 || !maps.Equal(d.Dropped, want) || d.Duplicates != 2 {
		t.Errorf("%+v", d)
	}
	o.MaxDropped = 0.5
	_, err = read(t, o, all...)
	badinputtest.Want(t, err, "7 of its 10 rows (70.0 %) cannot be trained on (empty: 1, empty_answer: 1, no_trained_token: 1, "+
		"roles: 2, too_long: 2), and max_dropped allows 50.0 %", "; row 2: ")
	o.MaxDropped = 1
	for want, lines := range map[string][]string{
		"none of its 7 rows can be trained on (empty: 1, ": bad,
		"row 2: from \"dog\"":                              {sharegpt, `{"conversations":[{"from":"dog","value":"w"}]}`},
		"line 2":                                           {sharegpt, `{"messages":`},
		"none of its 1 rows":                               {`{"text":"no conversation"}`},
	} {
		_, err := read(t, o, lines...)
		badinputtest.Want(t, err, want)
	}
	_, err = train.Read(context.Background(), o, input(t, dataset(t, sharegpt), ""), train.Limits{Vocab: 20})
	badinputtest.Want(t, err, "row 1: the tokenizer has the token", "the model's vocabulary has 20 tokens")
}

// TestAnswersAreWhole: a conversation is cut between turns, at every limit, and what stays is
// the beginning of the whole one.
func TestAnswersAreWhole(t *testing.T) {
	line := talk("How is it served?", "In small cups.", "And then?", "With dates, three of them.", "Why?", "It is custom.")
	o := options()
	whole := shown(t, o, line)
	if len(whole.Parts) != 6 {
		t.Fatalf("%+v", whole)
	}
	ends, at := []int{}, 0
	for _, p := range whole.Parts {
		if at += p.Tokens; p.Trained {
			if ends = append(ends, at); !strings.HasSuffix(p.Text, "<end_of_turn>") {
				t.Errorf("trained %q", p.Text)
			}
		}
	}
	for limit := 2; limit < at+2; limit++ {
		o.MaxLength, o.MaxDropped = limit, 1
		fit := 0
		for fit < len(ends) && ends[fit] <= limit {
			fit++
		}
		for _, last := range []bool{false, true} {
			o.LastTurn = last
			// A second row keeps a set without the first from being refused.
			d, err := read(t, o, line, talk("a", "b"))
			if limit < 20 && err != nil {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			taken := fit > 0 && (!last || fit == len(ends))
			if (d.Dropped["too_long"] == 0) != taken || taken && !last && d.CutAnswers != len(ends)-fit {
				t.Errorf("limit %d, last turn %v: %+v, %d of %d answers fit", limit, last, d, fit, len(ends))
			}
			if !taken {
				continue
			}
			p := shown(t, o, line)
			parts := 2 * fit
			if last {
				parts = 2
			}
			if p.Tokens != ends[fit-1]-1 || len(p.Parts) != parts || !last && !slices.Equal(p.Parts, whole.Parts[:parts]) {
				t.Errorf("limit %d, last turn %v: %+v", limit, last, p)
			}
		}
	}
}

// shown is the preview of a row.
func shown(t *testing.T, o train.Options, line string) train.Preview {
	t.Helper()
	in := input(t, dataset(t, line), "")
	e, err := train.Plan(context.Background(), o, in, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	rows, err := e.Preview(o, in.Tokenizer, 3, 5)
	if err != nil || len(rows) != 5 && o.Epochs > 4 || len(rows) == 0 {
		t.Fatalf("%+v, %v", rows, err)
	}
	return rows[0]
}

// TestDuplicates are counted, within the training set and between it and the validation set,
// and dropped with drop_duplicates.
func TestDuplicates(t *testing.T) {
	in := input(t, dataset(t, talk("a", "b"), talk("a", "c"), talk("a", "b"), talk("a", "b")), dataset(t, talk("d", "e"), talk("a", "b")))
	o := options()
	for drop, want := range map[bool]int{false: 4, true: 2} {
		o.DropDuplicates = drop
		e, err := train.Plan(context.Background(), o, in, 3)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		text := e.Text()
		if e.Data.Duplicates != 2 || e.Data.Samples() != want || !strings.Contains(text, "2 rows repeat an earlier row") ||
			!strings.Contains(text, "1 validation rows are in the training set too") || strings.Contains(text, "duplicate: 2") != drop {
			t.Errorf("drop %v: %+v, %s", drop, e.Data, text)
		}
	}
}

// TestWeightsAndReplay: epochs take each set as often as its weight says, each time other
// rows of it where it is no whole number, and of the replayed set its share.
func TestWeightsAndReplay(t *testing.T) {
	set := func(name string, n int) string {
		var lines []string
		for i := range n {
			lines = append(lines, talk(fmt.Sprintf("%s %d?", name, i), "Yes."))
		}
		return dataset(t, lines...)
	}
	in := input(t, set("first", 8), "")
	in.Train = append(in.Train, train.Source{Path: set("second", 6), Weight: 0.5}, train.Source{Path: set("third", 2), Weight: 2.5})
	in.Replay = set("replay", 9)
	o := options()
	_, err := train.Plan(context.Background(), o, in, 3)
	badinputtest.Want(t, err, "replay_share is 0")
	o.ReplayShare, o.Batch, o.Epochs = 0.2, 4, 2
	dir := t.TempDir()
	at := durable.Env{Out: filepath.Join(dir, "out"), Seed: 3, Progress: progress.Silent}
	killedAt(t, 5, o, in, at, filepath.Join(dir, "killed"))
	var epochs [2]map[int]int
	sums := [2][4]int{}
	for _, line := range strings.Split(strings.TrimSpace(outputs(t, at.Out)["metrics.jsonl"]), "\n") {
		var m train.Metrics
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		e := (m.Step - 1) / 5
		if epochs[e] == nil {
			epochs[e] = map[int]int{}
		}
		for _, u := range m.Rows {
			epochs[e][u]++
			for i, end := range []int{8, 14, 16, 25} {
				if u < end {
					sums[e][i]++
					break
				}
			}
		}
	}
	if want := [4]int{8, 3, 5, 4}; sums[0] != want || sums[1] != want {
		t.Errorf("rows of the sets in two epochs: %v, want %v each", sums, want)
	}
	if maps.Equal(epochs[0], epochs[1]) {
		t.Errorf("both epochs drew %v", epochs[0])
	}
	want := outputs(t, at.Out)
	at.Out = filepath.Join(dir, "killed")
	if _, err := train.Run(context.Background(), o, in, at); err != nil {
		t.Fatal(err)
	}
	testfiles.Same(t, "killed", outputs(t, at.Out), want)
	in.Train[1].Weight = 1
	_, err = train.Run(context.Background(), o, in, at)
	badinputtest.Want(t, err, "weights of datasets was 2: 0.5, 3: 2.5 and is now 3: 2.5")
}

// TestTokensAreKept: a continued run reads the tokens of the process before it, unless they
// are damaged.
func TestTokensAreKept(t *testing.T) {
	for _, damaged := range []bool{false, true} {
		in := input(t, coffee(t), coffee(t))
		dir := t.TempDir()
		at := durable.Env{Out: filepath.Join(dir, "out"), Seed: 3, Progress: progress.Silent}
		left := filepath.Join(dir, "left")
		killedAt(t, 5, options(), in, at, left)
		path := filepath.Join(left+".partial", "train.tokens")
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if damaged {
			data[8] ^= 1
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		before, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		rest := at
		rest.Out = left
		rest.Progress = &hook{Reporter: progress.Silent, do: func(int) {
			now, err := os.Stat(path)
			if err != nil || now.ModTime().Equal(before.ModTime()) == damaged {
				t.Errorf("damaged %v: tokens written at %v and %v, %v", damaged, before.ModTime(), now.ModTime(), err)
			}
		}}
		if _, err := train.Run(context.Background(), options(), in, rest); err != nil {
			t.Fatal(err)
		}
		testfiles.Same(t, "continued", outputs(t, left), outputs(t, at.Out))
	}
}

// TestRefusedBeforeTheStart: a run whose data are refused leaves nothing behind that would
// refuse the next try.
func TestRefusedBeforeTheStart(t *testing.T) {
	o := options()
	at := durable.Env{Out: filepath.Join(t.TempDir(), "out"), Seed: 3, Progress: progress.Silent}
	lines := []string{talk("a", "b"), talk("a", "")}
	_, err := train.Run(context.Background(), o, input(t, dataset(t, lines...), ""), at)
	badinputtest.Want(t, err, "1 of its 2 rows (50.0 %)")
	if _, err := os.Stat(at.Out + ".partial"); !os.IsNotExist(err) {
		t.Errorf("the directory stayed: %v", err)
	}
	if _, err := train.Run(context.Background(), o, input(t, dataset(t, lines[0]), ""), at); err != nil {
		t.Error(err)
	}
}
