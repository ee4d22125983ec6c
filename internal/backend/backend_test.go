package backend

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/dtype"
	"barka/internal/eval"
	"barka/internal/generate"
	"barka/internal/golden"
	"barka/internal/llm"
	"barka/internal/model"
	"barka/internal/progress"
	"barka/internal/stage/merge"
	"barka/internal/stage/translate"
	"barka/internal/torchfile/torchtest"
)

const (
	gemma = "../../testdata/chain/models/gemma2"
	nllb  = "../../testdata/chain/models/nllb"
)

func engine(t *testing.T, threads int) *Engine {
	t.Helper()
	e := NewEngine(threads, "", nil)
	t.Cleanup(func() { e.Device.(interface{ Close() }).Close() })
	return e
}

func decoder(t *testing.T, threads int) *Decoder {
	t.Helper()
	d, err := engine(t, threads).OpenDecoder(gemma, "")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func ask(text string, seed int64) llm.Request {
	return llm.Request{Messages: []chat.Message{{Role: "user", Content: text}}, Temperature: 0.9, TopP: 0.9, MaxTokens: 12, Seed: seed}
}

func requests() []llm.Request {
	var out []llm.Request
	for i := range 9 {
		out = append(out, ask(strings.Repeat("How is coffee served? ", 1+i%4), int64(i)))
	}
	return out
}

// TestChatAnswersAloneAndTogether: an answer depends only on its request, not on concurrent
// requests or the number of threads.
func TestChatAnswersAloneAndTogether(t *testing.T) {
	alone, err := decoder(t, 1).Chat()
	if err != nil {
		t.Fatal(err)
	}
	var want []llm.Response
	for _, r := range requests() {
		a, err := alone.Complete(context.Background(), r)
		if err != nil {
			t.Fatal(err)
		}
		if a.CompletionTokens == 0 || a.PromptTokens == 0 || a.FinishReason != llm.FinishLength && a.FinishReason != llm.FinishStop {
			t.Errorf("answer %+v", a)
		}
		want = append(want, a)
	}
	if want[0].Text == want[4].Text {
		t.Errorf("two seeds give one text, %q", want[0].Text)
	}
	together, err := decoder(t, 2).Chat()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i, r := range requests() {
		wg.Go(func() {
			if a, err := together.Complete(context.Background(), r); err != nil || a != want[i] {
				t.Errorf("request %d: %+v (%v), alone %+v", i, a, err, want[i])
			}
		})
	}
	wg.Wait()
}

// TestChatOutlivesCancelled: a cancelled request ends with its context's error, and later
// requests are answered.
func TestChatOutlivesCancelled(t *testing.T) {
	c, err := decoder(t, 1).Chat()
	if err != nil {
		t.Fatal(err)
	}
	r := ask("Where?", 1)
	want, err := c.Complete(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.Complete(gone, r); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled request: %v", err)
	}
	if again, err := c.Complete(context.Background(), r); err != nil || again != want {
		t.Errorf("after the cancelled request: %+v (%v), want %+v", again, err, want)
	}
}

// TestCacheIsBounded: a request that the cache can never hold is refused with figures;
// others wait until it has room.
func TestCacheIsBounded(t *testing.T) {
	open := func(bytes int64) *Chat {
		e := engine(t, 1) // a device runs one model at a time
		e.CacheBytes = bytes
		d, err := e.OpenDecoder(gemma, "")
		if err != nil {
			t.Fatal(err)
		}
		c, err := d.Chat()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	small := open(1 << 10)
	if _, err := small.Complete(context.Background(), ask("Where?", 1)); !badinput.Is(err) ||
		!strings.Contains(err.Error(), "27 KiB of key/value cache") {
		t.Errorf("a cache of one KiB: %v", err)
	}
	tight := open(60 * small.d.Model.NewCache().RowBytes())
	free := open(0)
	var wg sync.WaitGroup
	for i, r := range requests()[:6] {
		if i%4 > 1 {
			continue // longer than the small cache
		}
		wg.Go(func() {
			a, err := tight.Complete(context.Background(), r)
			b, err2 := free.Complete(context.Background(), r)
			if err != nil || err2 != nil || a != b {
				t.Errorf("request %d: %+v (%v) in a tight cache, %+v (%v) in a large one", i, a, err, b, err2)
			}
		})
	}
	wg.Wait()
	if cacheBytes(16<<30) != 4<<30 || cacheBytes(0) <= 0 || cacheBytes(1<<20) < 1<<20 {
		t.Errorf("bounds %d, %d, %d", cacheBytes(16<<30), cacheBytes(0), cacheBytes(1<<20))
	}
}

func TestChatStopsAndLimits(t *testing.T) {
	c, err := decoder(t, 1).Chat()
	if err != nil {
		t.Fatal(err)
	}
	r := ask("How is coffee served?", 3)
	whole, err := c.Complete(context.Background(), r)
	if err != nil || len([]rune(whole.Text)) < 4 {
		t.Fatalf("%+v, %v", whole, err)
	}
	half := []rune(whole.Text)[len([]rune(whole.Text))/2:]
	r.Stop = []string{"", string(half)}
	cut, err := c.Complete(context.Background(), r)
	if err != nil || cut.Text != whole.Text[:strings.Index(whole.Text, string(half))] {
		t.Errorf("stopped at %q: %+v, %v; whole %q", string(half), cut, err, whole.Text)
	}
	var long *llm.TooLong
	if _, err := c.Complete(context.Background(), ask(strings.Repeat("coffee ", 2000), 1)); !errors.As(err, &long) ||
		long.Limit != 1024 || long.Tokens < 1024 {
		t.Errorf("a prompt past the limit: %v", err)
	}
}

// TestLazyOpensOnce: the model is opened with the first request. If that fails, every
// request returns the error.
func TestLazyOpensOnce(t *testing.T) {
	e := engine(t, 1)
	c := e.LazyChat("writer", gemma)
	a, err := c.Complete(context.Background(), ask("Where?", 1))
	if err != nil || a.Model != "writer" || c.Name() != "writer" {
		t.Errorf("%+v, %v", a, err)
	}
	missing := e.LazyChat("writer", filepath.Join(t.TempDir(), "none"))
	for range 2 {
		if _, err := missing.Complete(context.Background(), ask("Where?", 1)); !badinput.Is(err) {
			t.Errorf("a missing model: %v", err)
		}
	}
}

// scores scores requests with a model and waits for all results.
func scores(m eval.Model, reqs []eval.Request) ([]eval.Score, error) {
	out := make([]eval.Score, len(reqs))
	return out, m.Score(context.Background(), reqs, func(i int, s eval.Score) error {
		out[i] = s
		return nil
	})
}

// TestEvaluatedScores: a log-likelihood depends only on its request, and greedy means that
// no other token was more likely.
func TestEvaluatedScores(t *testing.T) {
	m, err := decoder(t, 2).EvalModel()
	if err != nil {
		t.Fatal(err)
	}
	info := m.Info()
	if info.DType != "torch.bfloat16" || info.Digest == "" || info.AdapterDigest != "" || m.MaxLength() != 1024 {
		t.Errorf("info %+v, length %d", info, m.MaxLength())
	}
	tok := m.Tokenizer()
	var reqs []eval.Request
	for i, text := range []string{"In small cups.", "With dates", "لا", "A long answer that goes on and on."} {
		reqs = append(reqs,
			eval.Request{Context: tok.Encode(strings.Repeat("How is it served? ", i+1), true), Continuation: tok.Encode(text, false)})
	}
	together, err := scores(m, reqs)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range reqs {
		one, err := scores(m, []eval.Request{r})
		if err != nil || fmt.Sprint(one[0]) != fmt.Sprint(together[i]) {
			t.Errorf("request %d: alone %+v (%v), together %+v", i, one, err, together[i])
		}
		sum := 0.0
		for _, p := range together[i].PerToken {
			sum += p
		}
		if len(together[i].PerToken) != len(r.Continuation) || sum >= 0 || sum-together[i].LogProb > 1e-4 || together[i].LogProb-sum > 1e-4 {
			t.Errorf("request %d: %+v, tokens sum to %g", i, together[i], sum)
		}
	}
	// A shorter limit cuts the context from the left.
	m.Longest = len(reqs[3].Continuation) + 4
	cut, err := scores(m, reqs[3:])
	if err != nil {
		t.Fatal(err)
	}
	m.Longest = 0
	last := reqs[3]
	last.Context = last.Context[len(last.Context)-5:]
	want, err := scores(m, []eval.Request{last})
	if err != nil || fmt.Sprint(cut) != fmt.Sprint(want) || cut[0].LogProb == together[3].LogProb {
		t.Errorf("cut to 5 tokens of context: %+v, want %+v (%v)", cut, want, err)
	}
	prompt, err := m.ApplyChatTemplate([]chat.Message{{Role: "user", Content: "Where?"}})
	if err != nil || !strings.Contains(prompt, "Where?") || prompt == "Where?" {
		t.Errorf("prompt %q, %v", prompt, err)
	}
}

// TestEvaluatedAnswers: an answer is the greedy text and depends only on its prompt. A
// prompt that fills the model is cut on the left.
func TestEvaluatedAnswers(t *testing.T) {
	d := decoder(t, 2)
	m, err := d.EvalModel()
	if err != nil {
		t.Fatal(err)
	}
	prompt, err := m.ApplyChatTemplate([]chat.Message{{Role: "user", Content: "How is coffee served?"}})
	if err != nil {
		t.Fatal(err)
	}
	prompts := []string{prompt, "How is it served?", strings.Repeat("How is it served? ", 300)}
	answers := func(prompts ...string) []string {
		out := make([]string, len(prompts))
		err := m.Generate(context.Background(), prompts, 9, true, func(i int, text string) error {
			out[i] = text
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	together := answers(prompts...)
	for i, p := range prompts {
		if alone := answers(p)[0]; alone != together[i] {
			t.Errorf("prompt %d: %q alone, %q together", i, alone, together[i])
		}
	}
	// The engine alone, with the last tokens and room for one more.
	ids := d.Tokenizer.Encode(prompts[2], true)
	call, err := d.Generator().Submit(context.Background(), generate.Request{
		Prompt: ids[len(ids)-(m.MaxLength()-1):], MaxNewTokens: 1, Stop: []int32{d.Tokenizer.Special().EOS}, Tokenizer: d.Tokenizer})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := call.Wait(); err != nil || r.Text != together[2] || together[0] == "" {
		t.Errorf("%q, %v; evaluation %q", r.Text, err, together)
	}
	failed := errors.New("disk full")
	if err := m.Generate(context.Background(), prompts[:2], 9, false, func(int, string) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("error %v, want the caller's", err)
	}
}

// TestPartsOfDifferentModels: a tokenizer or an adapter of another model is
// refused.
func TestPartsOfDifferentModels(t *testing.T) {
	e := engine(t, 1)
	if _, err := e.OpenDecoder(withTokenizer(t, golden.Dir("gemma2")), ""); !badinput.Is(err) || !strings.Contains(err.Error(), "320") {
		t.Errorf("a tokenizer of 1,700 tokens on a vocabulary of 320: %v", err)
	}
	if _, err := e.OpenDecoder(gemma, filepath.Join(golden.Dir("gemma2"), "adapter")); !badinput.Is(err) {
		t.Errorf("an adapter of another model: %v", err)
	}
}

// withTokenizer copies a reference checkpoint and adds testdata/chain's tokenizer.
func withTokenizer(t *testing.T, from string) string {
	t.Helper()
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(from, "config.json"), filepath.Join(from, "model.safetensors"),
		filepath.Join(gemma, "tokenizer.json"), filepath.Join(gemma, "tokenizer_config.json")} {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestTranslator(t *testing.T) {
	o := TranslatorOptions{From: "eng_Latn", To: "arb_Arab", Decoding: translate.DefaultDecoding()}
	o.Beam, o.MaxLength = 3, 24
	tr, err := engine(t, 2).OpenTranslator(nllb, o)
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{"Coffee is served in small cups.", "Where?", strings.Repeat("a long story ", 400), "🜁"}
	done := 0
	outputs, err := tr.Run(context.Background(), texts, func() { done++ })
	if err != nil || done != len(texts) {
		t.Fatalf("%v, %d done", err, done)
	}
	alone, err := engine(t, 1).OpenTranslator(nllb, o)
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range texts {
		one, err := alone.Run(context.Background(), []string{text}, nil)
		if err != nil || fmt.Sprint(one[0]) != fmt.Sprint(outputs[i]) {
			t.Errorf("text %d: alone %+v (%v), together %+v", i, one, err, outputs[i])
		}
		if out := outputs[i]; len(out.IDs) > o.MaxLength || out.IDs[0] != 2 || out.Score >= 0 {
			t.Errorf("text %d: %+v", i, out)
		}
	}
	if n := tr.CountTokens(texts[2]); outputs[2].Cut != n-512 || outputs[0].Cut != 0 {
		t.Errorf("%d of %d tokens were cut, expected all past 512", outputs[2].Cut, n)
	}
	for _, out := range outputs {
		if ended := out.IDs[len(out.IDs)-1] == 2 && len(out.IDs) < o.MaxLength; ended == out.HitMax {
			t.Errorf("hit max %v: %v", out.HitMax, out.IDs)
		}
	}
	staged, err := tr.Translate(context.Background(), texts, nil)
	if err != nil || staged[2].Cut != outputs[2].Cut || staged[0].Text != outputs[0].Text || staged[3].Unknown != outputs[3].Unknown {
		t.Errorf("%+v, %v", staged, err)
	}
	lazy, err := engine(t, 1).LazyTranslator("nllb", nllb, o)
	if err != nil {
		t.Fatal(err)
	}
	if lazy.CountTokens(texts[0]) != tr.CountTokens(texts[0]) || lazy.Name() != "nllb" {
		t.Errorf("the lazy translator counts %d tokens", lazy.CountTokens(texts[0]))
	}
	if got, err := lazy.Translate(context.Background(), texts[:2], nil); err != nil || !reflect.DeepEqual(got, staged[:2]) {
		t.Errorf("lazy: %+v, %v; want %+v", got, err, staged[:2])
	}
}

func TestBadTranslators(t *testing.T) {
	e, d := engine(t, 1), translate.DefaultDecoding()
	zero, few := d, d
	zero.MaxLength, few.Beam = 0, 2
	for name, c := range map[string]struct {
		dir string
		o   TranslatorOptions
	}{
		"target":       {nllb, TranslatorOptions{From: "eng_Latn", To: "ar_AR", Decoding: d}},
		"source":       {nllb, TranslatorOptions{From: "en", To: "arb_Arab", Decoding: d}},
		"decoder only": {gemma, TranslatorOptions{From: "eng_Latn", To: "arb_Arab", Decoding: d}},
		"zero is zero": {nllb, TranslatorOptions{From: "eng_Latn", To: "arb_Arab", Decoding: zero}},
		"few beams":    {nllb, TranslatorOptions{From: "eng_Latn", To: "arb_Arab", Decoding: few, NumReturn: 3}},
		"no directory": {"/none", TranslatorOptions{From: "eng_Latn", To: "arb_Arab", Decoding: d}},
	} {
		if _, err := e.OpenTranslator(c.dir, c.o); err == nil || !badinput.Is(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFits: a model larger than the memory is refused before it is read, and weights that
// exist in two formats count once.
func TestFits(t *testing.T) {
	free := AvailableMemory()
	if free == 0 {
		t.Skip("this system does not say how much memory is free")
	}
	dir := withTokenizer(t, golden.Dir("gemma2"))
	sparse := func(name string, size int64) {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		header := fmt.Sprintf(`{"w":{"dtype":"F32","shape":[%d],"data_offsets":[0,%d]}}`, size/4, size/4*4)
		_, err = f.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...))
		if err := errors.Join(err, f.Truncate(int64(8+len(header))+size/4*4), f.Close()); err != nil {
			t.Skip("no sparse files here: ", err)
		}
	}
	e := engine(t, 1)
	o, err := e.options(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.fits(dir, o); err != nil {
		t.Errorf("a small model: %v", err)
	}
	sparse("pytorch_model.bin", 8*free)
	if err := e.fits(dir, o); err != nil {
		t.Errorf("the format that is not read counts: %v", err)
	}
	sparse("model.safetensors", 8*free)
	if err := e.fits(dir, o); err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), "GiB") {
		t.Errorf("a model of eight times the memory: %v", err)
	}
}

// TestCountValues: an embedding that several shards of a checkpoint repeat counts once.
func TestCountValues(t *testing.T) {
	want, err := countValues(golden.Dir("m2m100"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := countValues(golden.TorchDir("m2m100")); err != nil || got != want {
		t.Errorf("%d values, %v; want %d", got, err, want)
	}
}

// TestTorchFiles: the digest of a model or an adapter in PyTorch's files depends on its
// weights, and its memory estimate is the same as for safetensors.
func TestTorchFiles(t *testing.T) {
	base, adapter := withTokenizer(t, gemma), t.TempDir()
	twin := t.TempDir()
	torchtest.Twin(t, gemma, twin, 2)
	e := engine(t, 1)
	plan := func(dir string) (*model.Shape, string) {
		p, err := e.UnloadedModel(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		digest, err := e.Digest(dir)
		if err != nil {
			t.Fatal(err)
		}
		return p.shape, digest
	}
	a, digestA := plan(base)
	b, digestB := plan(twin)
	if !reflect.DeepEqual(a, b) || digestA == digestB {
		t.Errorf("%+v with digest %s, want %+v, %s", b, digestB, a, digestA)
	}
	if err := os.CopyFS(adapter, os.DirFS(filepath.Join(golden.TorchDir("gemma2"), "adapter"))); err != nil {
		t.Fatal(err)
	}
	before, err := Digest(adapter)
	if err != nil {
		t.Fatal(err)
	}
	weights := filepath.Join(adapter, "adapter_model.bin")
	data, err := os.ReadFile(weights)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(weights, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if after, err := Digest(adapter); err != nil || after == before {
		t.Errorf("the adapter's digest is %s whatever its weights, %v", after, err)
	}
	want, errWant := adapterBytes(filepath.Join(golden.Dir("gemma2"), "adapter"))
	if got, err := adapterBytes(adapter); err != nil || errWant != nil || got != want {
		t.Errorf("the adapter takes %d bytes (%v), want %d (%v)", got, err, want, errWant)
	}
}

// TestDigest: content and type identify a model, not its path.
func TestDigest(t *testing.T) {
	here, copied := golden.Dir("gemma2"), withTokenizer(t, golden.Dir("gemma2"))
	a, err := Digest(copied)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := Digest(withTokenizer(t, here)); a != b {
		t.Error("the same files in another place have another digest")
	}
	if b, _ := Digest(here); a == b {
		t.Error("a tokenizer more makes no difference")
	}
	for _, c := range []struct {
		name    string
		without bool // without tokenizer.json, which makes the file irrelevant
	}{{"additional_chat_templates/default.jinja", false}, {"vocab.json", true}, {"added_tokens.json", true},
		{"special_tokens_map.json", true}} {
		dir := withTokenizer(t, here)
		if c.without {
			if err := os.Rename(filepath.Join(dir, "tokenizer.json"), filepath.Join(dir, "tokenizer.model")); err != nil {
				t.Fatal(err)
			}
		}
		before, _ := Digest(dir)
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, c.name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, c.name), []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
		if after, err := Digest(dir); err != nil || after == before {
			t.Errorf("%s makes no difference (%v)", c.name, err)
		}
	}
	f32, bf16 := NewEngine(1, "f32", nil), NewEngine(1, "bf16", nil)
	x, errX := f32.Digest(copied)
	y, errY := bf16.Digest(copied)
	if errX != nil || errY != nil || x == y || x != a+"-f32" {
		t.Errorf("%s (%v), %s (%v)", x, errX, y, errY)
	}
}

// TestMerge: the same merge is made once, and another one does not overwrite it.
func TestMerge(t *testing.T) {
	e := engine(t, 1)
	base, adapter, out := golden.Dir("gemma2"), filepath.Join(golden.Dir("gemma2"), "adapter"), filepath.Join(t.TempDir(), "merged")
	for range 2 {
		if _, err := e.Merge(t.Context(), base, adapter, out, nil, progress.Silent); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(out, merge.OriginFile), []byte("{}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Merge(t.Context(), base, adapter, out, nil, progress.Silent); !badinput.Is(err) {
		t.Errorf("a merge over another: %v", err)
	}
}

// TestReportedType: results have the type of the weights in memory, as lighteval's, and
// their size in this type.
func TestReportedType(t *testing.T) {
	for _, c := range []struct {
		stored, in dtype.DType
		torch      string
	}{
		{dtype.BF16, dtype.BF16, "bfloat16"},
		{dtype.BF16, dtype.F32, "float32"},
		{dtype.F32, dtype.F32, "float32"},
		{dtype.F32, dtype.BF16, "bfloat16"},
		{dtype.F16, dtype.F32, "float16"},
		{dtype.BF16, dtype.I8, "bfloat16"},
	} {
		stored := map[dtype.DType]string{dtype.BF16: "bfloat16", dtype.F32: "float32", dtype.F16: "float16"}[c.stored]
		if got := torchDType(model.Info{TorchDType: stored, DType: c.in}); got != c.torch {
			t.Errorf("%s in %s: %s, want %s", stored, c.in, got, c.torch)
		}
	}
}
