package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/tokenizer"
)

// TestUnknownFields: an unknown field is an error with the line and the most similar name,
// in every kind of input.
func TestUnknownFields(t *testing.T) {
	dir := inputs(t)
	gemma := filepath.Join(dir, "models", "gemma2")
	generate := []string{"generate", "--model", gemma, "--max-tokens", "1", "--raw", "--input"}
	score := []string{"score", "--model", gemma}
	for _, c := range []struct {
		args         []string
		first, bad   string
		field, meant string
	}{
		{append(generate, "-"), `{"prompt":"a"}`, `{"prompt":"a","max_token":5}`, `"max_token"`, "did you mean max_tokens?"},
		{append(generate, "-"), `{"prompt":"a"}`, `{"prompt":"a","Seed":5}`, `"Seed"`, "did you mean seed?"},
		{append(generate, "-"), `{"prompt":"a"}`, `{"messages":[{"role":"user","contents":"a"}]}`,
			`"messages[0].contents"`, "did you mean content?"},
		{append(generate, "-"), `{"prompt":"a"}`, `{"prompt":"a","xyzzy":5}`, `"xyzzy"`, "repetition_penalty"}, // in the list of all
		{append(generate, "-"), `{"prompt":"a"}`, `{"prompt":"a","prompt":"b"}`, `"prompt"`, "twice"},
		{score, `{"context":"a","continuations":["b"]}`, `{"context":"a","continuation":["b"]}`, `"continuation"`,
			"did you mean continuations?"},
		{score, `{"context":"a","continuations":["b"]}`, `{"context":"a","continuations":["b"],"id":1}`, `"id"`, "context, continuations"},
	} {
		text := c.first + "\n" + c.bad + "\n"
		r := barka(t, text, c.args...)
		if r.code != exitBadInput || !strings.Contains(r.err, "standard input, line 2: ") ||
			!strings.Contains(r.err, c.field) || !strings.Contains(r.err, c.meant) {
			t.Errorf("%s: exit code %d, %q", c.bad, r.code, r.err)
		}
		if c.args[0] != "generate" {
			continue
		}
		file := filepath.Join(t.TempDir(), "prompts.jsonl")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		r = barka(t, "", append(generate, file)...)
		if r.code != exitBadInput || !strings.Contains(r.err, "prompts.jsonl: line 2: ") || !strings.Contains(r.err, c.meant) {
			t.Errorf("%s in a file: exit code %d, %q", c.bad, r.code, r.err)
		}
	}
}

// TestNotUTF8: every kind of input refuses the same bytes, with line and byte.
func TestNotUTF8(t *testing.T) {
	dir := inputs(t)
	gemma, nllb := filepath.Join(dir, "models", "gemma2"), filepath.Join(dir, "models", "nllb")
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	plain, lines := "good\nbad \xd9\x01\n", "{\"prompt\": \"good\"}\n{\"prompt\": \"bad \xd9\x01\"}\n"
	inPlain, inLines := "line 2: not UTF-8: byte 0xd9 at offset 4 ", "line 2: not UTF-8: byte 0xd9 at offset 16 "
	generate := []string{"generate", "--model", gemma, "--max-tokens", "1", "--raw"}
	for _, c := range []struct {
		stdin string
		args  []string
		want  string
	}{
		{plain, append(generate, "--input", "-"), inPlain},
		{lines, append(generate, "--input", "-"), inLines},
		{"", append(generate, "--input", write("p.txt", plain)), "p.txt: " + inPlain},
		{"", append(generate, "--input", write("p.jsonl", lines)), "p.jsonl: " + inLines},
		{plain, append(generate, "--prompt", "-"), inPlain},
		{"{\"context\":\"\",\"continuations\":[\"a\"]}\n{\"context\":\"\xff\",\"continuations\":[\"a\"]}",
			[]string{"score", "--model", gemma}, "line 2: not UTF-8: byte 0xff at offset 12 "},
		{plain, []string{"tokenize", "--model", gemma}, inPlain},
		{plain, []string{"tokenize", "--model", gemma, "--whole"}, inPlain},
		{plain, []string{"translate", "--model", nllb, "--raw"}, inPlain},
		{plain, []string{"translate", "--model", nllb}, inPlain},
		{`{"prompt": "bad \ud83d"}`, append(generate, "--input", "-"), `line 1: \\ud83d is half of a character`},
	} {
		r := barka(t, c.stdin, append(c.args, "--json")...)
		if r.code != exitBadInput || !strings.Contains(r.err, c.want) {
			t.Errorf("%v: exit code %d, %q, want %q", c.args, r.code, r.err, c.want)
		}
	}
	for flag, text := range map[string]string{"--prompt": "bad \xd9", "--stop": "\xff", "--input": "\xc0.txt"} {
		if r := barka(t, "", append(generate, flag, text)...); r.code != exitUsage || !strings.Contains(r.err, "is not UTF-8") {
			t.Errorf("%s %q: exit code %d, %q", flag, text, r.code, r.err)
		}
	}
}

// TestTokenizeLineEnds: \r\n ends a line as \n does. A lone \r is text.
func TestTokenizeLineEnds(t *testing.T) {
	model := filepath.Join(inputs(t), "models", "gemma2")
	tok, err := tokenizer.Load(model)
	if err != nil {
		t.Fatal(err)
	}
	for text, lines := range map[string][]string{
		"a b\r\nc\r\n":     {"a b", "c"},
		"a\rb\n\rc\r\r\nd": {"a\rb", "\rc\r", "d"},
		"a\r":              {"a\r"},
		"a\n\n\r\nb":       {"a", "", "", "b"},
		"\ufeffa\n":        {"\ufeffa"},
	} {
		var want strings.Builder
		for _, l := range lines {
			writeIDs(&want, tok.Encode(l, false))
		}
		if got := ok(t, text, "tokenize", "--model", model, "--no-special"); got != want.String() {
			t.Errorf("%q: %q, want %q", text, got, want.String())
		}
		want.Reset()
		writeIDs(&want, tok.Encode(text, false))
		whole := ok(t, text, "tokenize", "--model", model, "--no-special", "--whole")
		if whole != want.String() {
			t.Errorf("%q whole: %q, want %q", text, whole, want.String())
		}
		if back := ok(t, strings.TrimSuffix(whole, "\n")+"\r\n", "tokenize", "--model", model, "--decode"); back != text+"\n" {
			t.Errorf("%q comes back as %q", text, back)
		}
	}
	r := barka(t, "1,2\n3,x\n", "tokenize", "--model", model, "--decode")
	if r.code != exitBadInput || !strings.Contains(r.err, `line 2: "x" is not a token id`) || strings.Count(r.out, "\n") != 1 {
		t.Errorf("exit code %d, %q, %q", r.code, r.out, r.err)
	}
}

func writeIDs(b *strings.Builder, ids []int32) {
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprint(b, id)
	}
	b.WriteByte('\n')
}

// TestTranslateTellsOfLosses: a line that exceeds the model's length, or whose output
// exceeds --max-length, is named on stderr, counted, and marked in the JSON, with and
// without sentence splitting.
func TestTranslateTellsOfLosses(t *testing.T) {
	model := filepath.Join(inputs(t), "models", "nllb")
	tok, err := tokenizer.Load(model)
	if err != nil {
		t.Fatal(err)
	}
	if tok, err = tok.ForTranslation("eng_Latn"); err != nil {
		t.Fatal(err)
	}
	long := strings.TrimSpace(strings.Repeat("coffee ", 400))
	cut := len(tok.Encode(long, true)) - 512
	if cut <= 0 {
		t.Fatalf("the line has %d tokens too few to be cut", -cut)
	}
	in := "Good morning.\n" + strings.Repeat("\n", 39) + long + "\r\nGood evening.\n"
	for _, flags := range [][]string{{"--raw"}, {"--max-tokens", "5000"}} {
		args := append([]string{"translate", "--model", model, "--beam", "1", "--max-length", "6", "--json"}, flags...)
		r := barka(t, in, args...)
		if r.code != exitDone {
			t.Fatalf("%v: exit code %d, %s", flags, r.code, r.err)
		}
		var cuts []int
		for line := range strings.Lines(r.out) {
			var l struct {
				Cut    *int  `json:"cut"`
				HitMax *bool `json:"hit_max"`
			}
			if err := json.Unmarshal([]byte(line), &l); err != nil || l.Cut == nil || (l.HitMax != nil) != (flags[0] == "--raw") {
				t.Fatalf("%v: %s: %v", flags, line, err)
			}
			cuts = append(cuts, *l.Cut)
		}
		want, said := make([]int, 42), []string{"standard input, line 41: the translation is unfinished",
			"standard input, line 42: the translation is unfinished"}
		if flags[0] == "--raw" {
			want[40] = cut
			said = append(said, fmt.Sprintf("standard input, line 41: %d source tokens did not fit", cut), `"lines":42,"lines_cut":1`,
				fmt.Sprintf(`"tokens_cut":%d`, cut))
		} else {
			said = append(said, `"lines":42,"lines_cut":0`) // it is translated in pieces
		}
		if !slices.Equal(cuts, want) {
			t.Errorf("%v: cut by %v", flags, cuts)
		}
		for _, want := range said {
			if !strings.Contains(r.err, want) {
				t.Errorf("%v: no %q in %s", flags, want, r.err)
			}
		}
		if strings.Contains(r.err, "line 40") {
			t.Errorf("%v: an empty line lost something: %s", flags, r.err)
		}
	}
	if r := barka(t, "Good morning.\n", "translate", "--model", model, "--beam", "1",
		"--max-tokens", "5000"); strings.Contains(r.err, "cut") {
		t.Errorf("nothing was cut: %s", r.err)
	}
	if r := barka(t, "Good morning.\nBad \xff.\n", "translate", "--model", model,
		"--beam", "1"); r.code != exitBadInput || strings.Count(r.out, "\n") != 1 {
		t.Errorf("exit code %d, the line before the bad one gave %q", r.code, r.out)
	}
}
