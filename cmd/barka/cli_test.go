package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"barka/internal/backend"
	"barka/internal/dataset"
	"barka/internal/stage/translate"
	"barka/internal/testfiles"
)

// result holds a command's exit code and output.
type result struct {
	code     int
	out, err string
}

// barka runs a command in this process.
func barka(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var out, err bytes.Buffer
	code := run(context.Background(), args, strings.NewReader(stdin), &out, &err)
	return result{code, out.String(), err.String()}
}

// ok runs a command that must succeed and returns its output.
func ok(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	r := barka(t, stdin, args...)
	if r.code != exitDone {
		t.Fatalf("barka %s: exit code %d\n%s", strings.Join(args, " "), r.code, r.err)
	}
	return r.out
}

// runChain copies the recipe of testdata/chain into the directory inputs of out, and returns the
// command line that runs it to out.
func runChain(t testing.TB, out string) []string {
	t.Helper()
	return []string{"run", testfiles.Chain(t, filepath.Join(out, "inputs")), "--out", out, "--memory", "off"}
}

// inputs copies the models and data of testdata/chain.
func inputs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	testfiles.Chain(t, dir)
	return dir
}

func TestEveryVerbHasHelpWithAnExample(t *testing.T) {
	parser, err := newParser(new(commands))
	if err != nil {
		t.Fatal(err)
	}
	help := ok(t, "", "--help")
	leaves := parser.Model.Leaves(true)
	if len(leaves) < 20 {
		t.Fatalf("%d verbs", len(leaves))
	}
	for _, leaf := range leaves {
		verb := strings.Fields(leaf.Path())[0]
		if leaf.Parent.Name == "eval" || leaf.Parent.Name == "models" {
			verb = leaf.Parent.Name + " " + leaf.Name
		}
		if !strings.Contains(help, "\n  "+verb+" ") {
			t.Errorf("%s is not in the help", verb)
		}
		if !strings.Contains(leaf.Detail, "Example") || !strings.Contains(leaf.Detail, "barka ") {
			t.Errorf("%s: the help has no example", verb)
		}
		for _, flag := range leaf.Flags {
			if !flag.Hidden && (len(flag.Help) < 10 || !strings.HasSuffix(flag.Help, ".")) {
				t.Errorf("%s: the help of --%s is %q, expected a sentence", verb, flag.Name, flag.Help)
			}
		}
	}
	if !strings.Contains(ok(t, ""), "barka demo") {
		t.Error("barka alone does not say how to begin")
	}
}

func TestExitCodes(t *testing.T) {
	dir := inputs(t)
	model := filepath.Join(dir, "models", "gemma2")
	broken := filepath.Join(t.TempDir(), "broken.jsonl")
	if err := os.WriteFile(broken, []byte("{\"id\":\"1\",\"messages\":[]}\n{oops\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty.jsonl")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"nonsense"}, exitUsage, "nonsense"},
		{[]string{"generate", "--prompt", "x"}, exitUsage, "--model"},
		{[]string{"tokenize", "--model", "/no/such/dir"}, exitBadInput, "there is no such file or directory"},
		{[]string{"tokenize", "--model", "google/not-in-the-cache"}, exitBadInput, "barka download google/not-in-the-cache"},
		{[]string{"generate", "--model", filepath.Join(dir, "models", "nllb"), "--prompt", "x"}, exitBadInput, "encoder-decoder"},
		{[]string{"generate", "--model", model, "--prompt", "x", "--dtype", "f64"}, exitBadInput, "f64"},
		{[]string{"translate", "--model", filepath.Join(dir, "models", "nllb"), "--to", "ar_AR"}, exitBadInput, "arb_Arab"},
		{[]string{"translate", "--model", filepath.Join(dir, "models", "nllb"), "--in", broken}, exitUsage, "--out"},
		{[]string{"filter", "--in", broken, "--out", out}, exitBadInput, "line 2"},
		{[]string{"decontaminate", "--in", broken, "--offline", "--originals", broken, "--tasks", "none", "--out", out}, exitBadInput, "line 2"},
		{[]string{"decontaminate", "--in", empty, "--offline"}, exitUsage, "--out is missing"},
		{[]string{"filter", "--in", empty, "--out", out}, exitBadInput, "has no rows"},
		{[]string{"translate", "--model", filepath.Join(dir, "models", "nllb"), "--in", empty, "--out", out + "2"}, exitBadInput, "has no rows"},
		{[]string{"mix", "--in", "a=" + empty, "--out", out + "3"}, exitBadInput, "none of a has a row"},
		{[]string{"filter", "--in", "/no/such", "--out", out}, exitBadInput, "/no/such"},
		{[]string{"train", "--model", model, "--data", broken, "--out", out}, exitBadInput, "broken.jsonl"},
		{[]string{"train", "--model", model, "--data", broken, "--out", out, "--lr=-1"}, exitBadInput, "lr"},
		{[]string{"eval", "--model", model}, exitBadInput, "--data"},
		{[]string{"eval", "--model", model, "--data", dir, "--tasks", "acvaa"}, exitBadInput, "acva"},
		{[]string{"eval", "--data", dir}, exitUsage, "--model"},
		{[]string{"eval", "--model", model, "--data", dir, "--num-fewshot=-1"}, exitUsage, "--num-fewshot"},
		{[]string{"wiki", "--out", out}, exitBadInput, "dump"},
		{[]string{"synth", "--in", broken, "--out", out, "--model", "m", "--endpoint", "nowhere"}, exitBadInput, "http://"},
		{[]string{"merge", "--model", model, "--adapter", dir, "--out", out}, exitBadInput, "adapter"},
	} {
		r := barka(t, "", c.args...)
		if r.code != c.code || !strings.Contains(r.err, c.want) {
			t.Errorf("barka %s: exit code %d, %q; expected %d and %q", strings.Join(c.args, " "), r.code, r.err, c.code, c.want)
		}
		if strings.Contains(r.err, "goroutine") {
			t.Errorf("barka %s: panicked", strings.Join(c.args, " "))
		}
	}
}

// TestInterruption: only resumable verbs say that the same command resumes the run.
func TestInterruption(t *testing.T) {
	data := filepath.Join(inputs(t), "data", "benchmarks")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for verb, goesOn := range map[string]bool{"audit": false, "eval": true} {
		args := []string{verb, "--data", data, "--tasks", "acva:Algeria"}
		if verb == "eval" {
			args = append(args, "--model", filepath.Join(inputs(t), "models", "gemma2"), "--output-dir", t.TempDir())
		}
		var stdout, stderr bytes.Buffer
		if code := run(ctx, args, nil, &stdout, &stderr); code != exitInterrupted || strings.Contains(stderr.String(), "resumes") != goesOn {
			t.Errorf("%s: exit code %d, %s", verb, code, stderr.String())
		}
	}
}

func TestTokenizeThereAndBack(t *testing.T) {
	model := filepath.Join(inputs(t), "models", "gemma2")
	text := "Coffee came to Arabia.\nالقهوة العربية"
	ids := ok(t, text+"\n", "tokenize", "--model", model)
	lines := strings.Split(strings.TrimSpace(ids), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "2,") {
		t.Fatalf("ids %q", ids)
	}
	if back := ok(t, ids, "tokenize", "--model", model, "--decode", "--no-special"); strings.TrimSpace(back) != text {
		t.Errorf("back: %q", back)
	}
	whole := ok(t, text, "tokenize", "--model", model, "--whole", "--no-special")
	if strings.Count(whole, "\n") != 1 {
		t.Errorf("whole: %q", whole)
	}
	if r := barka(t, "1,x\n", "tokenize", "--model", model, "--decode"); r.code != exitBadInput || !strings.Contains(r.err, "line 1") {
		t.Errorf("bad id: %d %q", r.code, r.err)
	}
}

func TestGenerateIsReproducible(t *testing.T) {
	model := filepath.Join(inputs(t), "models", "gemma2")
	args := []string{"generate", "--model", model, "--prompt", "How is coffee poured?", "--max-tokens", "12", "--temperature", "0.9", "--json"}
	var a struct {
		Text         string    `json:"text"`
		Tokens       []int32   `json:"tokens"`
		LogProbs     []float64 `json:"logprobs"`
		FinishReason string    `json:"finish_reason"`
	}
	first := ok(t, "", args...)
	if err := json.Unmarshal([]byte(first), &a); err != nil || len(a.Tokens) == 0 || len(a.Tokens) != len(a.LogProbs) {
		t.Fatalf("%s: %v", first, err)
	}
	for _, threads := range []string{"1", "9"} { // more than there are cores
		if again := ok(t, "", append(args, "--threads", threads)...); again != first {
			t.Errorf("again: %s", again)
		}
	}
	if other := ok(t, "", append(args, "--seed", "7")...); other == first {
		t.Error("another seed gave the same text")
	}
	plain := ok(t, "How is coffee poured?", "generate", "--model", model, "--prompt", "-", "--max-tokens", "12", "--temperature", "0.9")
	if strings.TrimSpace(plain) != strings.TrimSpace(a.Text) {
		t.Errorf("streamed %q, whole %q", plain, a.Text)
	}
}

// TestGenerateMany: prompts of a file are answered in order, each with the same answer as
// alone. The error of a bad line comes after the answers of the lines before it.
func TestGenerateMany(t *testing.T) {
	model, dir := filepath.Join(inputs(t), "models", "gemma2"), t.TempDir()
	type reply struct {
		ID           json.RawMessage `json:"id"`
		Text         string          `json:"text"`
		Tokens       []int32         `json:"tokens"`
		FinishReason string          `json:"finish_reason"`
		PromptTokens int             `json:"prompt_tokens"`
	}
	replies := func(out string) (rs []reply) {
		for line := range strings.Lines(out) {
			var r reply
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			rs = append(rs, r)
		}
		return rs
	}
	flags := []string{"generate", "--model", model, "--max-tokens", "10", "--temperature", "0.9", "--top-p", "0.95", "--json", "--quiet"}
	var lines, objects strings.Builder
	for i := range 150 { // more than readAhead
		lines.WriteString(strings.Repeat("How is coffee poured? ", 1+i%3) + "\n\n")
	}
	many := replies(ok(t, lines.String(), append(flags, "--input", "-")...))
	if len(many) != 150 {
		t.Fatalf("%d answers of 150 prompts", len(many))
	}
	for _, i := range []int{0, 1, 77, 149} {
		prompt := strings.Repeat("How is coffee poured? ", 1+i%3)
		one := replies(ok(t, "", append(flags, "--prompt", prompt, "--seed", strconv.Itoa(42+i))...))[0]
		if one.Text != many[i].Text || one.PromptTokens != many[i].PromptTokens {
			t.Errorf("prompt %d: %+v among others, %+v alone", i, many[i], one)
		}
	}

	whole := many[1].Text
	stop := whole[len(whole)/2:]
	for len(stop) > 0 && stop[0]&0xc0 == 0x80 {
		stop = stop[1:]
	}
	quoted, _ := json.Marshal(stop)
	prompt, _ := json.Marshal(strings.Repeat("How is coffee poured? ", 2))
	fmt.Fprintf(&objects, `{"id": {"page": 7}, "prompt": %s, "seed": 43, "stop": %s}`+"\n", prompt, quoted)
	fmt.Fprintf(&objects,
		`{"id": "b", "messages": [{"role": "user", "content": %s}], "seed": 43, "stop": ["never", %s], "max_tokens": 10}`+"\n", prompt, quoted)
	fmt.Fprintf(&objects, `{"prompt": %s, "temperature": 0}`+"\n", prompt)
	file := filepath.Join(dir, "prompts.jsonl")
	if err := os.WriteFile(file, []byte(objects.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	rs := replies(ok(t, "", append(flags, "--input", file)...))
	want := whole[:strings.Index(whole, stop)]
	if len(rs) != 3 || rs[0].Text != want || rs[1].Text != want || rs[0].FinishReason != "stop" ||
		string(rs[0].ID) != `{"page":7}` || string(rs[1].ID) != `"b"` || rs[2].ID != nil {
		t.Errorf("%+v, want the text %q twice", rs, want)
	}
	if plain := ok(t, strings.Repeat("How is coffee poured? ", 2), "generate", "--model", model, "--prompt", "-",
		"--max-tokens", "10", "--temperature", "0.9",
		"--top-p", "0.95", "--seed", "43", "--stop", "never, ever", "--stop", stop); plain != want+"\n" {
		t.Errorf("streamed %q, want %q", plain, want)
	}

	for bad, text := range map[string]string{
		"{oops": "line 4", `{"prompt": "x", "messages": [{"role": "user", "content": "y"}]}`: "either prompt",
		`{"prompt": "x", "top_p": 2}`: "top-p",
		`{"prompt": "x", "top_p": 0}`: "top-p is 0", `{"prompt": "x", "repetition_penalty": 0}`: "repetition penalty is 0",
		`{"prompt": "x", "stop": 3}`: "stop", `{"messages": [{"role": "stranger", "content": "y"}]}`: "stranger",
		`{"prompt": "` + strings.Repeat("coffee ", 2000) + `"}`: "1024 positions",
	} {
		if err := os.WriteFile(file, []byte(objects.String()+bad+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		r := barka(t, objects.String()+bad+"\n", append(flags, "--input", "-")...)
		if r.code != exitBadInput || !strings.Contains(r.err, text) || !strings.Contains(r.err, "standard input, line 4") {
			t.Errorf("%.40s: exit code %d, %q", bad, r.code, r.err)
		}
		if len(replies(r.out)) != 3 {
			t.Errorf("%.40s: the lines before it gave %q", bad, r.out)
		}
		if r := barka(t, "", append(flags, "--input", file)...); r.code != exitBadInput || !strings.Contains(r.err, "prompts.jsonl: line 4") {
			t.Errorf("%.40s in a file: exit code %d, %q", bad, r.code, r.err)
		}
	}
	for _, args := range [][]string{{}, {"--prompt", "x", "--input", "y"}, {"--prompt", "x", "--cache-gib=-1"}} {
		if r := barka(t, "", append([]string{"generate", "--model", model}, args...)...); r.code != exitUsage {
			t.Errorf("%v: exit code %d, %q", args, r.code, r.err)
		}
	}
	if r := barka(t, "", "generate", "--model", model, "--prompt", "x", "--cache-gib", "0.00001"); r.code != exitBadInput ||
		!strings.Contains(r.err, "key/value cache") {
		t.Errorf("a cache of ten KiB: exit code %d, %q", r.code, r.err)
	}
}

// TestGenerateEndTokens: every end token of generation_config.json ends a text,
// with and without the chat template.
func TestGenerateEndTokens(t *testing.T) {
	model := filepath.Join(inputs(t), "models", "gemma2")
	type reply struct {
		Tokens []int32 `json:"tokens"`
		Finish string  `json:"finish_reason"`
	}
	generate := func(args ...string) (r reply) {
		out := ok(t, "", append([]string{"generate", "--model", model,
			"--prompt", "How is coffee poured?", "--max-tokens", "8", "--json"}, args...)...)
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		return r
	}
	file := filepath.Join(model, "generation_config.json")
	for _, args := range [][]string{{"--raw"}, {}} {
		if err := os.WriteFile(file, []byte(`{"eos_token_id": 3}`), 0o644); err != nil {
			t.Fatal(err)
		}
		whole := generate(args...)
		if len(whole.Tokens) < 4 {
			t.Fatalf("%v: too short: %+v", args, whole)
		}
		end := whole.Tokens[3]
		if err := os.WriteFile(file, fmt.Appendf(nil, `{"eos_token_id": [1, %d]}`, end), 0o644); err != nil {
			t.Fatal(err)
		}
		want := whole.Tokens[:slices.Index(whole.Tokens, end)]
		if r := generate(args...); !slices.Equal(r.Tokens, want) || r.Finish != "stop" {
			t.Errorf("%v: %+v, expected %v and then stop", args, r, want)
		}
	}
	if err := os.WriteFile(file, []byte(`{"eos_token_id": "<eos>"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	r := barka(t, "", "generate", "--model", model, "--prompt", "x", "--raw")
	if r.code != exitBadInput ||
		!strings.Contains(r.err, `generation_config.json: eos_token_id is "<eos>", expected a token id or a list of them`) {
		t.Errorf("exit code %d, %q", r.code, r.err)
	}
}

// tokenScores checks the output of score --tokens for each token: its summand, its rank,
// and that the spans of a continuation's tokens add up to the continuation.
func tokenScores(t *testing.T, model string) {
	t.Helper()
	in := `{"context":"Dates are sweet.","continuations":[" نعم 🙂"," No"]}` + "\n" + `{"context":"","continuations":["a b"]}` + "\n"
	for n, line := range strings.Split(strings.TrimSpace(ok(t, in, "score", "--model", model, "--per-token", "--tokens")), "\n") {
		var r scoreReply
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		texts := [][2]string{{"Dates are sweet.", " نعم 🙂"}, {"Dates are sweet.", " No"}}
		if n == 1 {
			texts = [][2]string{{"", "a b"}}
		}
		for i, tokens := range r.TokenScores {
			whole, at := texts[i][0]+texts[i][1], len(texts[i][0])
			greedy := true
			for j, s := range tokens {
				if s.Bytes[0] != at || s.LogProb != r.TokenLogProbs[i][j] || s.Rank < 1 || s.Token == "" {
					t.Errorf("line %d, continuation %d, token %d: %+v, want byte %d", n+1, i, j, s, at)
				}
				chars, bytes := string([]rune(whole)[s.Chars[0]:s.Chars[1]]), whole[s.Bytes[0]:s.Bytes[1]]
				if !strings.Contains(chars, strings.ToValidUTF8(bytes, "")) {
					t.Errorf("characters %d of bytes %d", s.Chars, s.Bytes)
				}
				at = s.Bytes[1]
				greedy = greedy && s.Rank == 1
			}
			if at != len(whole) || len(tokens) != r.Tokens[i] || greedy != r.Greedy[i] {
				t.Errorf("line %d, continuation %d: %d tokens end at byte %d of %q, greedy %v", n+1, i, len(tokens), at, whole, greedy)
			}
		}
	}
}

func TestScoreLines(t *testing.T) {
	model := filepath.Join(inputs(t), "models", "gemma2")
	out := ok(t, `{"context":"Dates are sweet.","continuations":[" Yes"," No, they are not"]}`+"\n"+
		`{"context":"","continuations":["a"]}`+"\n", "score", "--model", model)
	var r scoreReply
	if err := json.Unmarshal([]byte(strings.SplitN(out, "\n", 2)[0]), &r); err != nil || len(r.LogProbs) != 2 ||
		r.Tokens[1] <= r.Tokens[0] || r.LogProbs[0] >= 0 || math.IsNaN(r.LogProbs[1]) {
		t.Errorf("%s: %v", out, err)
	}
	if r.TokenLogProbs != nil {
		t.Errorf("log-probabilities of tokens unasked: %s", out)
	}
	out = ok(t, `{"context":"Dates are sweet.","continuations":[" Yes"," No, they are not"]}`+"\n", "score", "--model", model, "--per-token")
	if err := json.Unmarshal([]byte(out), &r); err != nil || len(r.TokenLogProbs) != 2 || len(r.TokenLogProbs[1]) != r.Tokens[1] {
		t.Fatalf("%s: %v", out, err)
	}
	sum := 0.0
	for _, p := range r.TokenLogProbs[1] {
		sum += float64(p)
	}
	if math.Abs(sum-r.LogProbs[1]) > 1e-5 {
		t.Errorf("tokens add up to %v, the sum is %v", sum, r.LogProbs[1])
	}
	tokenScores(t, model)
	long := strings.Repeat("dates are sweet, ", 1000)
	for _, bad := range []string{"{", `{"context":"x"}`, `{"context":"x","continuations":["y","` + long + `"]}`} {
		if r := barka(t, bad+"\n", "score", "--model", model); r.code != exitBadInput || !strings.Contains(r.err, "line 1") {
			t.Errorf("%s: %d %q", bad, r.code, r.err)
		}
	}
	far := barka(t, `{"context":"x","continuations":["`+long+`"]}`+"\n", "score", "--model", model)
	if far.code != exitBadInput || !strings.Contains(far.err, "1024") || !strings.Contains(far.err, "request 0") {
		t.Errorf("score: %d %q", far.code, far.err)
	}
	far = barka(t, long, "generate", "--model", model, "--prompt", "-")
	if far.code != exitBadInput || !strings.Contains(far.err, "1024") {
		t.Errorf("generate: %d %q", far.code, far.err)
	}
}

func TestTranslateLines(t *testing.T) {
	model := filepath.Join(inputs(t), "models", "nllb")
	in := "Coffee came to Arabia from Ethiopia in the fifteenth century.\n\n12\n1. Dates are sweet."
	lines := strings.Split(strings.TrimSuffix(ok(t, in, "translate", "--model", model), "\n"), "\n")
	if len(lines) != 4 || lines[1] != "" || lines[2] != "12" || !strings.HasPrefix(lines[3], "1. ") {
		t.Fatalf("%q", lines)
	}
	if !strings.ContainsAny(lines[0], "ابتثجحخدذرزسشصضطظعغفقكلمنهوي") {
		t.Errorf("no Arabic in %q", lines[0])
	}
	raw := ok(t, "Good morning.\n", "translate", "--model", model, "--raw", "--json", "--beam", "2", "--max-length", "20")
	var r struct {
		Text  string  `json:"text"`
		IDs   []int32 `json:"ids"`
		Score float64 `json:"score"`
	}
	if err := json.Unmarshal([]byte(raw), &r); err != nil || len(r.IDs) < 3 || r.IDs[0] != 2 || r.Score >= 0 {
		t.Errorf("%s: %v", raw, err)
	}
}

// TestTranslateDecoding: every setting of beam search has an effect, also a zero, and
// invalid values are refused by name.
func TestTranslateDecoding(t *testing.T) {
	model := filepath.Join(inputs(t), "models", "nllb")
	text := "Coffee came to Arabia from Ethiopia in the fifteenth century.\n"
	type line struct {
		Text       string  `json:"text"`
		IDs        []int32 `json:"ids"`
		Score      float64 `json:"score"`
		Hypotheses []line  `json:"hypotheses"`
	}
	translate := func(args ...string) (l line) {
		out := ok(t, text, append([]string{"translate", "--model", model, "--raw", "--json", "--beam", "3", "--max-length", "24"}, args...)...)
		if err := json.Unmarshal([]byte(out), &l); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		return l
	}
	usual, sum, negative := translate(), translate("--length-penalty", "0"), translate("--length-penalty=-1")
	// The same hypothesis has a score for each power of its length.
	n := float64(len(usual.IDs) - 1)
	if len(sum.IDs) != len(usual.IDs) || math.Abs(sum.Score-n*usual.Score) > 1e-3 || math.Abs(negative.Score-n*n*usual.Score) > 1e-2 {
		t.Errorf("scores %g, %g and %g of %d tokens", usual.Score, sum.Score, negative.Score, len(usual.IDs))
	}
	if short := translate("--max-length", "3"); len(short.IDs) != 3 {
		t.Errorf("--max-length 3: %v", short.IDs)
	}
	best := translate("--num-return", "3", "--early-stopping", "never")
	if len(best.Hypotheses) != 3 || best.Hypotheses[0].Text != best.Text ||
		best.Hypotheses[2].Score > best.Hypotheses[1].Score || best.Hypotheses[1].Score > best.Score {
		t.Errorf("%+v", best)
	}
	var cut struct {
		Segments []struct {
			Alternatives []struct {
				Text  string  `json:"text"`
				Score float64 `json:"score"`
			} `json:"alternatives"`
		} `json:"segments"`
	}
	out := ok(t, text, "translate", "--model", model, "--json", "--beam", "2", "--num-return", "2")
	if err := json.Unmarshal([]byte(out), &cut); err != nil || len(cut.Segments) != 1 ||
		len(cut.Segments[0].Alternatives) != 1 || cut.Segments[0].Alternatives[0].Text == "" {
		t.Errorf("%s: %v", out, err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--max-length", "0"}, exitBadInput, "max_length is 0"},
		{[]string{"--max-length", "2"}, exitBadInput, "max_length is 2, expected at least 3"},
		{[]string{"--beam", "0"}, exitBadInput, "beam is 0"},
		{[]string{"--length-penalty", "NaN"}, exitBadInput, "length_penalty is NaN"},
		{[]string{"--no-repeat-ngram=-2"}, exitBadInput, "no_repeat_ngram is -2"},
		{[]string{"--early-stopping", "maybe"}, exitUsage, "--early-stopping"},
		{[]string{"--num-return", "6", "--json"}, exitUsage, "--num-return is 6, expected 1 to the number of hypotheses of the search, 5"},
		{[]string{"--num-return", "0"}, exitUsage, "--num-return is 0"},
		{[]string{"--temperature", "1"}, exitBadInput, "needs beam 1; beam is 5"},
		{[]string{"--beam", "1", "--top-k", "3"}, exitBadInput, "only with a temperature above 0"},
		{[]string{"--patience", "2"}, exitBadInput, "only with early_stopping ctranslate2"},
		{[]string{"--min-length", "600"}, exitBadInput, "min_length is 600"},
		{[]string{"--to-column", "text"}, exitUsage, "the field of the text itself"},
		{[]string{"--num-return", "2"}, exitUsage, "--json"},
	} {
		r := barka(t, text, append([]string{"translate", "--model", model}, c.args...)...)
		if r.code != c.code || !strings.Contains(r.err, c.want) {
			t.Errorf("%v: exit code %d, %q; expected %d and %q", c.args, r.code, r.err, c.code, c.want)
		}
	}
}

// TestTranslateSpecialText: the text of special tokens stays text in datasets and lines; in
// lines with --raw it becomes tokens.
func TestTranslateSpecialText(t *testing.T) {
	model := filepath.Join(inputs(t), "models", "nllb")
	const text = "Coffee </s> and <pad> cups"
	outputs := map[bool]string{}
	tokens := map[bool]int{}
	for _, parse := range []bool{false, true} {
		e := backend.NewEngine(1, "", nil)
		d := translate.Decoding{Beam: 2, LengthPenalty: 1, MaxLength: 24, RepetitionPenalty: 1, Patience: 1, TopP: 1}
		tr, err := e.OpenTranslator(model, backend.TranslatorOptions{From: "eng_Latn", To: "arb_Arab", Decoding: d, ParseSpecial: parse})
		if err != nil {
			t.Fatal(err)
		}
		out, err := tr.Run(t.Context(), []string{text}, nil)
		if err != nil {
			t.Fatal(err)
		}
		outputs[parse], tokens[parse] = out[0].Text, tr.CountTokens(text)
	}
	if outputs[true] == outputs[false] || tokens[true] == tokens[false] {
		t.Fatalf("the text makes no difference: %v, %v", outputs, tokens)
	}
	flags := []string{"translate", "--model", model, "--beam", "2", "--max-length", "24"}
	if out := ok(t, text+"\n", append(flags, "--raw")...); strings.TrimSpace(out) != strings.TrimSpace(outputs[true]) {
		t.Errorf("--raw: %q, want %q", out, outputs[true])
	}
	in, out := filepath.Join(t.TempDir(), "in.jsonl"), filepath.Join(t.TempDir(), "out")
	row := `{"id":"1","messages":[{"role":"user","content":"` + text + `"},{"role":"assistant","content":"` + text + `"}]}`
	if err := os.WriteFile(in, []byte(row+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`"source_tokens":%d`, tokens[false])
	if dry := ok(t, "", append(flags, "--raw", "--in", in, "--dry-run", "--json")...); !strings.Contains(dry, want) {
		t.Errorf("dry run: %s, want %d source tokens", dry, tokens[false])
	}
	ok(t, "", append(flags, "--raw", "--in", in, "--out", out)...)
	for r, err := range dataset.Rows[dataset.Instruction](t.Context(), out) {
		if err != nil || r.Messages[0].Content != outputs[false] {
			t.Errorf("dataset: %q (%v), want %q", r.Messages, err, outputs[false])
		}
	}
}

// verifiesMerge runs merge --verify on an existing merged model, and on a new one.
func verifiesMerge(t *testing.T, model, adapter, merged, other string) {
	t.Helper()
	var r struct {
		Out      string
		Verified backend.Verified
	}
	out := ok(t, "", "merge", "--model", model, "--adapter", adapter, "--out", merged, "--verify", "--json")
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Out != merged || r.Verified.Texts != 16 || r.Verified.Largest <= 0 {
		t.Errorf("%s: %v", out, err)
	}
	prompts := filepath.Join(t.TempDir(), "prompts.jsonl")
	if err := os.WriteFile(prompts, []byte(`{"prompt":"Is it sweet?"}`+"\n"+`{"prompt":"نعم"}`+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	refused := barka(t, "", "merge", "--model", model, "--adapter", adapter, "--out", other, "--verify", "--verify-bound", "1e-9")
	if refused.code != exitFailed || !strings.Contains(refused.err, "Nothing was written") {
		t.Errorf("%d %q", refused.code, refused.err)
	}
	if _, err := os.Stat(other); err == nil {
		t.Error("a refused model is there")
	}
	out = ok(t, "", "merge", "--model", model, "--adapter", adapter, "--out", other, "--verify", "--verify-prompts", prompts)
	if !strings.Contains(out, "verified on 2 texts") || !strings.Contains(out, "merged model in") {
		t.Error(out)
	}
	if r := barka(t, "", "merge", "--model", model, "--adapter", adapter, "--out", other, "--verify-bound", "1"); r.code != exitUsage {
		t.Errorf("a bound without --verify: %d %q", r.code, r.err)
	}
}

// TestTrainMergeEval trains, merges and evaluates an adapter. The merged model has the
// scores of base and adapter, up to the rounding of its weights.
func TestTrainMergeEval(t *testing.T) {
	dir := inputs(t)
	model, root := filepath.Join(dir, "models", "gemma2"), t.TempDir()
	data := filepath.Join(root, "data.jsonl")
	rows := `{"messages":[{"role":"user","content":"Is it sweet?"},{"role":"assistant","content":"نعم"}]}
{"conversations":[{"from":"human","value":"Is it far?"},{"from":"gpt","value":"لا"}]}
{"messages":[{"role":"user","content":"alone"}]}
{"messages":[{"role":"system","content":"x"},{"role":"user","content":"y"},{"role":"assistant","content":"z"}]}
`
	if err := os.WriteFile(data, []byte(rows), 0o644); err != nil {
		t.Fatal(err)
	}
	adapter, merged := filepath.Join(root, "adapter"), filepath.Join(root, "merged")
	args := []string{"train", "--model", model, "--data", data, "--out", adapter, "--rank", "4", "--alpha", "8",
		"--lr", "0.01", "--epochs", "4", "--batch", "2", "--dtype", "f32", "--warmup-ratio", "0", "--dropout", "0.1",
		"--max-dropped", "0.5", "--json"}
	dry := ok(t, "", append(args, "--dry-run")...)
	if !strings.Contains(dry, `"no_trained_token":1`) || !strings.Contains(dry, `"roles":1`) {
		t.Errorf("dry run: %s", dry)
	}
	var s struct {
		First float64 `json:"first_loss"`
		Final float64 `json:"final_loss"`
	}
	if out := ok(t, "", args...); json.Unmarshal([]byte(out), &s) != nil || !(s.Final < s.First) {
		t.Errorf("loss did not fall: %s", out)
	}
	if r := barka(t, "", append(args, "--lr", "0.02")...); r.code != exitBadInput ||
		!strings.Contains(r.err, "option lr was 0.01 and is now 0.02") {
		t.Errorf("changed option: %d %q", r.code, r.err)
	}
	ok(t, "", "merge", "--model", model, "--adapter", adapter, "--out", merged)
	verifiesMerge(t, model, adapter, merged, filepath.Join(root, "other"))
	request := `{"context":"Is it sweet?","continuations":["نعم","لا"]}` + "\n"
	var a, b scoreReply
	if err := json.Unmarshal([]byte(ok(t, request, "score", "--model", model, "--adapter", adapter, "--dtype", "f32")), &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(ok(t, request, "score", "--model", merged, "--dtype", "f32")), &b); err != nil {
		t.Fatal(err)
	}
	for i := range a.LogProbs {
		if d := math.Abs(a.LogProbs[i] - b.LogProbs[i]); d > 0.05*math.Abs(a.LogProbs[i])+0.05 {
			t.Errorf("continuation %d: %g with the adapter, %g merged", i, a.LogProbs[i], b.LogProbs[i])
		}
	}
	evaluatedThreeWays(t, model, adapter, merged, filepath.Join(dir, "data", "benchmarks"), 0.05)
	evals := filepath.Join(root, "evals")
	out := ok(t, "", "eval", "--model_args", "pretrained="+merged+",dtype=bfloat16",
		"--tasks", filepath.Join(dir, "data", "tasks.txt"), "--data", filepath.Join(dir, "data", "benchmarks"),
		"--output_dir", evals, "--override_batch_size", "32", "--save_details", "--max_samples", "3")
	if !strings.Contains(out, "acva") || !strings.Contains(out, "results_") {
		t.Errorf("eval: %s", out)
	}
}

func TestDoctor(t *testing.T) {
	out := ok(t, "", "doctor", "--fast")
	for _, want := range []string{"kernels", "Gemma2ForCausalLM", "M2M100ForConditionalGeneration", "GPTNeoXForCausalLM"} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is not in %s", want, out)
		}
	}
}
