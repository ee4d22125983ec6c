package translate

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"barka/internal/durable"
	"barka/internal/testfiles"
	"barka/internal/translationmemory"
)

// TestMain lets a test start this program as a child that can be killed.
func TestMain(m *testing.M) {
	out := os.Getenv("BARKA_TRANSLATE_TEST_OUT")
	if out == "" {
		os.Exit(m.Run())
	}
	if err := child(os.Getenv("BARKA_TRANSLATE_TEST_IN"), out, os.Getenv("BARKA_TRANSLATE_TEST_MEMORY")); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// child translates slowly, with the memory of a path if there is one. It writes down each sentence
// that the model was asked for.
func child(in, out, memory string) error {
	asked, err := os.OpenFile(out+".asked", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	tools := with(&searching{asked: asked, step: 2 * time.Millisecond})
	if memory != "" {
		if tools.Memory, err = translationmemory.Open(memory); err != nil {
			return err
		}
		defer tools.Memory.Close()
	}
	o := Defaults()
	o.ModelDigest = "weights"
	_, err = Run(context.Background(), o, tools, durable.Env{Out: out, In: map[string]string{"instructions": in}})
	return err
}

// searching is a Streamer that has several texts in work, and ends them in another order.
type searching struct {
	fakeTranslator
	asked *os.File // gets a line for each text; may be nil
	step  time.Duration

	steps, rows int             // steps made, and texts in work in all of them
	ended       int             // texts that are translated
	enough      func(ended int) // called with each translation; may be nil
}

// slots is how many texts a searching has in work.
const slots = 8

func (s *searching) Stream(ctx context.Context, next Next, done func(int, Translation) error) error {
	type search struct{ index, left int }
	texts, taken := map[int]Request{}, 0
	var active []search
	for {
		for len(active) < slots {
			r, ok := next(ctx, len(active) == 0)
			if !ok {
				break
			}
			if s.asked != nil {
				fmt.Fprintf(s.asked, "%q\n", r.Text)
			}
			texts[taken] = r
			active = append(active, search{taken, 1 + len(r.Text)%5})
			taken++
		}
		if len(active) == 0 || ctx.Err() != nil {
			return ctx.Err()
		}
		time.Sleep(s.step)
		s.steps, s.rows = s.steps+1, s.rows+len(active)
		var rest []search
		for _, a := range active {
			if a.left--; a.left > 0 {
				rest = append(rest, a)
				continue
			}
			tr := Translation{Text: fakeWord(texts[a.index].Text), Score: -0.5}
			delete(texts, a.index)
			if err := done(a.index, tr); err != nil {
				return err
			}
			if s.ended++; s.enough != nil {
				s.enough(s.ended)
			}
		}
		active = rest
	}
}

// manyRows writes rows with sentences of different lengths, many of them equal, and
// returns the number of rows and of different sentences.
func manyRows(t *testing.T, n int) (path string, distinct int) {
	t.Helper()
	var b strings.Builder
	seen := map[string]bool{}
	for i := range n {
		texts := []string{fmt.Sprintf("How many of the %d%s stones are red?", i, strings.Repeat(" old", i%7)),
			fmt.Sprintf("About %d of them are.", i/3), "The rest of the stones is grey."}
		for _, s := range texts {
			seen[s] = true
		}
		fmt.Fprintf(&b, `{"id":"%d","messages":[{"role":"user","content":%q},{"role":"assistant","content":"%s %s"}]}`+"\n", i, texts[0],
			texts[1], texts[2])
	}
	path = filepath.Join(t.TempDir(), "in.jsonl")
	if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	return path, len(seen)
}

// TestSurvivesKills: after kills at random moments the output has the bytes of a run that was
// not killed. A kill loses the sentences that were in work, and no others.
func TestSurvivesKills(t *testing.T) {
	in, distinct := manyRows(t, 400)
	for _, memory := range []string{"", "shared"} {
		t.Run("memory"+memory, func(t *testing.T) {
			whole := filepath.Join(t.TempDir(), "whole")
			file := func(out string) string {
				if memory == "" {
					return ""
				}
				return out + ".db"
			}
			if err := child(in, whole, file(whole)); err != nil {
				t.Fatal(err)
			}
			want := testfiles.Tree(t, whole)
			env := func(out string) []string { return childOf(in, out, file(out)) }
			testfiles.Kills(t, env, func(what, out string) {
				testfiles.Same(t, what, testfiles.Tree(t, out), want)
				asked, err := os.ReadFile(out + ".asked")
				if err != nil {
					t.Fatal(err)
				}
				var kills int
				if _, err := fmt.Sscanf(what, "killed %d times", &kills); err != nil {
					t.Fatal(err)
				}
				if n := bytes.Count(asked, []byte("\n")); n < distinct || n > distinct+slots*kills {
					t.Errorf("%s: asked for %d sentences, %d of them different", what, n, distinct)
				}
			})
		})
	}
}

// childOf is the environment of a child.
func childOf(in, out, memory string) []string {
	return []string{"BARKA_TRANSLATE_TEST_IN=" + in, "BARKA_TRANSLATE_TEST_OUT=" + out, "BARKA_TRANSLATE_TEST_MEMORY=" + memory}
}

// TestRunsShareAMemory: two processes translate the same rows with one memory at the same time. Both
// have the output of a run by itself, and a third run asks for nothing.
func TestRunsShareAMemory(t *testing.T) {
	in, distinct := manyRows(t, 300)
	dir := t.TempDir()
	memory := filepath.Join(dir, "memory.db")
	alone := filepath.Join(dir, "alone")
	if err := child(in, alone, ""); err != nil {
		t.Fatal(err)
	}
	want := testfiles.Tree(t, alone)
	var both [2]*exec.Cmd
	var said [2]bytes.Buffer
	for i := range both {
		both[i] = exec.Command(os.Args[0])
		both[i].Stderr = &said[i]
		both[i].Env = append(os.Environ(), childOf(in, filepath.Join(dir, fmt.Sprint(i)), memory)...)
		if err := both[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range both {
		if err := c.Wait(); err != nil {
			t.Errorf("process %d: %v\n%s", i, err, said[i].Bytes())
		}
	}
	later := filepath.Join(dir, "later")
	if err := child(in, later, memory); err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{filepath.Join(dir, "0"), filepath.Join(dir, "1"), later} {
		testfiles.Same(t, out, testfiles.Tree(t, out), want)
		asked, err := os.ReadFile(out + ".asked")
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(asked, []byte("\n")); n > distinct || out == later && n > 0 {
			t.Errorf("%s asked for %d sentences of %d", out, n, distinct)
		}
	}
	f, err := translationmemory.Open(memory)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n, err := f.Len(); err != nil || n != int64(distinct) {
		t.Errorf("%d sentences in the memory, %v; want %d", n, err, distinct)
	}
}

// TestSearchStaysFull: the search has all its slots filled across rows, to the end of the set.
func TestSearchStaysFull(t *testing.T) {
	in, distinct := manyRows(t, 600)
	s := &searching{step: 2 * time.Millisecond}
	m, err := Run(t.Context(), Defaults(), with(s), durable.Env{Out: filepath.Join(t.TempDir(), "out"),
		In: map[string]string{"instructions": in}})
	if err != nil {
		t.Fatal(err)
	}
	if full := float64(s.rows) / float64(slots*s.steps); full < 0.95 || m.Rows != 600 {
		t.Errorf("%d rows, %d sentences in %d steps, %.0f %% full", m.Rows, distinct, s.steps, 100*full)
	}
}
