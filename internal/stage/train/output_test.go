package train_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/badinput/badinputtest"
	"barka/internal/durable"
	"barka/internal/model"
	"barka/internal/progress"
	"barka/internal/stage/train"
	"barka/internal/tensorboard"
	"barka/internal/testfiles"
)

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// killedAt trains until the step and leaves what a process that is killed
// there leaves: OUT.partial, and OUT if it was there before.
func killedAt(t *testing.T, step int, o train.Options, in train.Input, env durable.Env, left string) {
	t.Helper()
	env.Progress = &watch{Reporter: progress.Silent, at: step, do: func() {
		copyTree(t, env.Out+".partial", left+".partial")
		if _, err := os.Stat(env.Out); err == nil {
			copyTree(t, env.Out, left)
		}
	}}
	if _, err := train.Run(context.Background(), o, in, env); err != nil {
		t.Fatal(err)
	}
}

// TestTwoRunsAtOnce: the second is refused and does not disturb the first.
func TestTwoRunsAtOnce(t *testing.T) {
	in := input(t, coffee(t), "")
	at := durable.Env{Out: filepath.Join(t.TempDir(), "out"), Seed: 3, Progress: progress.Silent}
	first := at
	first.Progress = &watch{Reporter: progress.Silent, at: 3, do: func() {
		_, err := train.Run(context.Background(), options(), in, at)
		badinputtest.Want(t, err, "another process is working on this output")
		restarted := at
		restarted.Restart = true
		_, err = train.Run(context.Background(), options(), in, restarted)
		badinputtest.Want(t, err, "another process is working on this output")
	}}
	s, err := train.Run(context.Background(), options(), in, first)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(outputs(t, at.Out)["metrics.jsonl"], "\n"); lines != s.Steps || s.Steps != 12 {
		t.Errorf("%d lines of metrics for %d steps", lines, s.Steps)
	}
}

// TestRestart: the old adapter stays until the new one is whole, also when the
// restarted run is killed, and no checkpoint of the old run is taken up.
func TestRestart(t *testing.T) {
	data := coffee(t)
	dir := t.TempDir()
	o, other := options(), options()
	other.LR = 1e-3
	env := func(name string, restart bool) durable.Env {
		return durable.Env{Out: filepath.Join(dir, name), Seed: 3, Progress: progress.Silent, Restart: restart}
	}
	run := func(o train.Options, env durable.Env) {
		t.Helper()
		if _, err := train.Run(context.Background(), o, input(t, data, ""), env); err != nil {
			t.Fatal(err)
		}
	}
	run(o, env("old", false))
	run(other, env("new", false))
	old, want := outputs(t, filepath.Join(dir, "old")), outputs(t, filepath.Join(dir, "new"))
	if old["adapter_model.safetensors"] == want["adapter_model.safetensors"] {
		t.Fatal("both options give one adapter")
	}

	copyTree(t, filepath.Join(dir, "old"), filepath.Join(dir, "out"))
	killedAt(t, 5, other, input(t, data, ""), env("out", true), filepath.Join(dir, "killed"))
	testfiles.Same(t, "restarted", outputs(t, filepath.Join(dir, "out")), want)
	testfiles.Same(t, "beside the restarted run", outputs(t, filepath.Join(dir, "killed")), old)
	run(other, env("killed", false))
	testfiles.Same(t, "restarted, killed and continued", outputs(t, filepath.Join(dir, "killed")), want)

	// As a process leaves it that is killed while it clears the old run's work
	// away: every file may be gone or not.
	killedAt(t, 5, o, input(t, data, ""), env("begun", false), filepath.Join(dir, "a"))
	for i, gone := range []string{"", "checkpoints", "final", "final/metrics.jsonl", "final/train.json",
		"checkpoints/step-00000004", "identity.json"} {
		left := filepath.Join(dir, "cleared"+string(rune('0'+i)))
		copyTree(t, filepath.Join(dir, "a.partial"), left+".partial")
		if gone != "" {
			if err := os.RemoveAll(filepath.Join(left+".partial", filepath.FromSlash(gone))); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := train.Run(context.Background(), other, input(t, data, ""), env(filepath.Base(left), false)); !badinput.Is(err) {
			t.Errorf("without %q: error %v, want a refusal", gone, err)
		}
		if gone == "identity.json" {
			continue // it goes last, when nothing else is there
		}
		run(other, env(filepath.Base(left), true))
		testfiles.Same(t, "cleared but for "+gone, outputs(t, left), want)
	}

	// An old checkpoint under the new identity, should that ever come about.
	killedAt(t, 5, other, input(t, data, ""), env("b-out", false), filepath.Join(dir, "b"))
	checkpoints := filepath.Join(dir, "b.partial", "checkpoints")
	if err := os.RemoveAll(checkpoints); err != nil {
		t.Fatal(err)
	}
	copyTree(t, filepath.Join(dir, "a.partial", "checkpoints"), checkpoints)
	_, err := train.Run(context.Background(), other, input(t, data, ""), env("b", false))
	badinputtest.Want(t, err, "belongs to a run with other options", "--restart")
}

// TestKilledAtTheEnd: what a process leaves that is killed between the summary
// and the end of tidying up is finished without training.
func TestKilledAtTheEnd(t *testing.T) {
	data := coffee(t)
	dir := t.TempDir()
	at := durable.Env{Out: filepath.Join(dir, "out"), Seed: 3, Progress: progress.Silent}
	killedAt(t, 5, options(), input(t, data, ""), at, filepath.Join(dir, "killed"))
	want := outputs(t, at.Out)
	in := input(t, data, "")
	in.Open = func() (model.Decoder, error) { return nil, errors.New("a finished run opens the model") }
	for name, set := range map[string]func(out string){
		"whole, not renamed": func(out string) {
			copyTree(t, filepath.Join(dir, "killed.partial"), out+".partial")
			os.RemoveAll(out + ".partial/final")
			copyTree(t, at.Out, out+".partial/final")
		},
		"renamed, checkpoints left": func(out string) {
			copyTree(t, at.Out, out)
			copyTree(t, filepath.Join(dir, "killed.partial"), out+".partial")
			os.RemoveAll(out + ".partial/final")
		},
		"renamed, only the lock left": func(out string) {
			copyTree(t, at.Out, out)
			os.Mkdir(out+".partial", 0o755)
			os.WriteFile(out+".partial/lock", nil, 0o644)
		},
		"checkpoints of an earlier version left": func(out string) {
			copyTree(t, at.Out, out)
			copyTree(t, filepath.Join(dir, "killed.partial", "checkpoints"), out+"/checkpoints")
		},
	} {
		env := at
		env.Out = filepath.Join(t.TempDir(), "out")
		set(env.Out)
		if _, err := train.Run(context.Background(), options(), in, env); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		testfiles.Same(t, name, outputs(t, env.Out), want)
		if _, err := os.Stat(env.Out + ".partial"); err == nil {
			t.Errorf("%s: work is left", name)
		}
	}
}

// TestForeignFiles: nothing that training has not written is removed.
func TestForeignFiles(t *testing.T) {
	data := coffee(t)
	for _, restart := range []bool{false, true} {
		for name, set := range map[string]func(out string) string{
			"a directory of another kind": func(out string) string { return filepath.Join(out, "checkpoints", "model.pt") },
			"a foreign file among checkpoints": func(out string) string {
				if _, err := train.Run(context.Background(), options(), input(t, data, ""),
					durable.Env{Out: out, Seed: 4, Progress: progress.Silent}); err != nil {
					t.Fatal(err)
				}
				return filepath.Join(out, "checkpoints", "notes.txt")
			},
			"an adapter of peft":   func(out string) string { return filepath.Join(out, "adapter_model.safetensors") },
			"work of another kind": func(out string) string { return filepath.Join(out+".partial", "adapter_model.safetensors") },
		} {
			t.Run(name, func(t *testing.T) {
				at := durable.Env{Out: filepath.Join(t.TempDir(), "out"), Seed: 3, Progress: progress.Silent, Restart: restart}
				path := set(at.Out)
				os.MkdirAll(filepath.Dir(path), 0o755)
				if err := os.WriteFile(path, []byte("mine"), 0o644); err != nil {
					t.Fatal(err)
				}
				_, err := train.Run(context.Background(), options(), input(t, data, ""), at)
				badinputtest.Want(t, err, "choose another --out")
				if text, err := os.ReadFile(path); err != nil || string(text) != "mine" {
					t.Errorf("the file holds %q, %v", text, err)
				}
			})
		}
	}
	at := durable.Env{Out: filepath.Join(t.TempDir(), "out"), Seed: 3, Progress: progress.Silent}
	o := options()
	o.Epochs = 1
	if _, err := train.Run(context.Background(), o, input(t, data, ""), at); err != nil {
		t.Fatal(err)
	}
	card := filepath.Join(at.Out, "README.md")
	if err := os.WriteFile(card, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := train.Run(context.Background(), o, input(t, data, ""), at); err != nil {
		t.Errorf("a finished run with a card: %v", err)
	}
	at.Restart = true
	_, err := train.Run(context.Background(), o, input(t, data, ""), at)
	badinputtest.Want(t, err, "README.md", "move it away")
}

// TestDamage: a checkpoint, the records that it vouches for and a finished
// adapter are compared with their digests. What is damaged is refused or, if
// nothing depends on the bit, makes no difference.
func TestDamage(t *testing.T) {
	data := coffee(t)
	dir := t.TempDir()
	at := durable.Env{Out: filepath.Join(dir, "out"), Seed: 3, Progress: progress.Silent}
	killedAt(t, 5, options(), input(t, data, ""), at, filepath.Join(dir, "killed"))
	want := outputs(t, at.Out)

	// damaged copies the work, changes a file of it, and goes on.
	damaged := func(name string, change func([]byte) []byte) (string, error) {
		env := at
		env.Out = filepath.Join(t.TempDir(), "out")
		copyTree(t, filepath.Join(dir, "killed.partial"), env.Out+".partial")
		path := filepath.Join(env.Out+".partial", filepath.FromSlash(name))
		text, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, change(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, err = train.Run(context.Background(), options(), input(t, data, ""), env)
		return env.Out, err
	}
	const newest = "checkpoints/step-00000004/"
	for name, flips := range map[string]int{newest + "state.safetensors": 12, newest + "state.json": 24, "identity.json": 6} {
		for i := range flips {
			out, err := damaged(name, func(text []byte) []byte {
				bit := (8*len(text) - 1) * (2*i + 1) / (2 * flips)
				text[bit/8] ^= 1 << (bit % 8)
				return text
			})
			if err == nil {
				testfiles.Same(t, name, outputs(t, out), want)
			} else if !badinput.Is(err) {
				t.Errorf("%s: %v", name, err)
			}
			if err == nil && strings.HasSuffix(name, ".safetensors") {
				t.Errorf("%s: flip %d is not noticed", name, i)
			}
		}
	}
	const metrics, events = "final/metrics.jsonl", "final/" + tensorboard.Name
	_, err := damaged(metrics, func(text []byte) []byte {
		text[bytes.Index(text, []byte(`"loss":`))+len(`"loss":`)] ^= 1 // another digit
		return text
	})
	badinputtest.Want(t, err, "metrics.jsonl", "--restart")
	_, err = damaged(metrics, func(text []byte) []byte {
		lines := bytes.SplitAfter(text, []byte("\n"))
		return bytes.Join(append(lines[:1:1], lines[2:]...), nil)
	})
	badinputtest.Want(t, err, "metrics.jsonl")
	_, err = damaged(metrics, func(text []byte) []byte { return text[:100] })
	badinputtest.Want(t, err, "metrics.jsonl", "lines are missing")
	_, err = damaged(events, func(text []byte) []byte { return text[:100] })
	badinputtest.Want(t, err, tensorboard.Name, "events are missing")

	adapter := filepath.Join(at.Out, "adapter_model.safetensors")
	text := []byte(want["adapter_model.safetensors"])
	text[len(text)-3] ^= 4
	if err := os.WriteFile(adapter, text, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = train.Run(context.Background(), options(), input(t, data, ""), at)
	badinputtest.Want(t, err, "adapter_model.safetensors", "SHA-256", "--restart")
	at.Restart = true
	if _, err := train.Run(context.Background(), options(), input(t, data, ""), at); err != nil {
		t.Fatal(err)
	}
	testfiles.Same(t, "made again", outputs(t, at.Out), want)
}

// TestFinishedByEarlierVersions: a summary without digests is accepted if the
// adapter can be read.
func TestFinishedByEarlierVersions(t *testing.T) {
	data := coffee(t)
	at := durable.Env{Out: filepath.Join(t.TempDir(), "out"), Seed: 3, Progress: progress.Silent}
	o := options()
	o.Epochs = 1
	if _, err := train.Run(context.Background(), o, input(t, data, ""), at); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(at.Out, train.StateFile)
	var s map[string]json.RawMessage
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil || s["files"] == nil {
		t.Fatalf("%s: %v", text, err)
	}
	delete(s, "files")
	if text, err = json.Marshal(s); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := train.Run(context.Background(), o, input(t, data, ""), at); err != nil {
		t.Error(err)
	}
	if err := os.Truncate(filepath.Join(at.Out, "adapter_model.safetensors"), 1000); err != nil {
		t.Fatal(err)
	}
	_, err = train.Run(context.Background(), o, input(t, data, ""), at)
	badinputtest.Want(t, err, "--restart")
}

// TestEventsAreWrittenOnce: TensorBoard's file has each step once, however
// often the run was killed.
func TestEventsAreWrittenOnce(t *testing.T) {
	in := input(t, coffee(t), "")
	dir := t.TempDir()
	at := durable.Env{Out: filepath.Join(dir, "0"), Seed: 3, Progress: progress.Silent}
	for i, step := range []int{5, 2, 1} { // of each process
		next := filepath.Join(dir, string(rune('1'+i)))
		killedAt(t, step, options(), in, at, next)
		at.Out = next
	}
	if _, err := train.Run(context.Background(), options(), in, at); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(at.Out, tensorboard.Name))
	if err != nil {
		t.Fatal(err)
	}
	var steps []uint64
	for len(data) > 0 {
		n := binary.LittleEndian.Uint64(data)
		event := data[12 : 12+n]
		data = data[12+n+4:]
		if event = event[9:]; event[0] == 2<<3 { // behind wall_time; the first has none
			step, _ := binary.Uvarint(event[1:])
			steps = append(steps, step)
		}
	}
	if len(steps) != 12 {
		t.Errorf("steps %v", steps)
	}
	for i, s := range steps {
		if s != uint64(i+1) {
			t.Errorf("steps %v, want 1 to 12", steps)
			break
		}
	}
}
