package filter

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/minhash"
	"barka/internal/progress"
	"barka/internal/testfiles"
)

// onlyDuplicates are options without other rules.
func onlyDuplicates() Options {
	return Options{Duplicates: true, NearDuplicates: Defaults().NearDuplicates, Permutations: Defaults().Permutations}
}

// instruction is a row with a question and an answer.
func instruction(id, form, question, answer string) dataset.Instruction {
	return dataset.Instruction{ID: id, Form: form, Language: "arb_Arab",
		Messages: []chat.Message{{Role: "user", Content: question}, {Role: "assistant", Content: answer}}}
}

// outcome runs the filter and returns what became of the rows: the ids of the kept ones
// with their clusters, and the reasons of the others by id.
func outcome(t *testing.T, o Options, rows ...dataset.Instruction) (kept string, dropped map[string]dataset.Reject) {
	t.Helper()
	lines := make([]string, len(rows))
	for i, r := range rows {
		lines[i] = encode(t, r)
	}
	out := filepath.Join(t.TempDir(), "out")
	env := durable.Env{Out: out, In: map[string]string{"instructions": write(t, lines...)}, Progress: progress.Silent}
	m, err := Run(t.Context(), o, env)
	if err != nil {
		t.Fatal(err)
	}
	return results(t, out, m)
}

func results(t *testing.T, out string, m *dataset.Manifest) (kept string, dropped map[string]dataset.Reject) {
	t.Helper()
	var ids []string
	for r, err := range dataset.Rows[dataset.Instruction](context.Background(), out) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Cluster != "" {
			r.ID += "/" + r.Cluster
		}
		ids = append(ids, r.ID)
	}
	dropped = map[string]dataset.Reject{}
	if m.Counts["rejected"] > 0 {
		for r, err := range dataset.Rows[map[string]any](context.Background(), filepath.Join(out, dataset.RejectedDir)) {
			if err != nil {
				t.Fatal(err)
			}
			dropped[r["id"].(string)] = dataset.Reject{Reason: r["reason"].(string), Detail: r["detail"].(string)}
		}
	}
	return strings.Join(ids, " "), dropped
}

// TestDuplicates: vowel marks, alef forms and punctuation do not tell rows apart.
func TestDuplicates(t *testing.T) {
	kept, dropped := outcome(t, onlyDuplicates(), instruction("1", "", question, answer),
		instruction("2", "", "كَيفَ تُقدم القهوة في الخليج العربي", answer+"!"),
		instruction("3", "", "متى تزرع القهوة في اليمن؟", "تزرع في الجبال."))
	if kept != "1/1 3" || dropped["2"] != (dataset.Reject{Reason: "duplicate", Detail: "of 1"}) {
		t.Errorf("kept %s, dropped %+v", kept, dropped)
	}
}

// words30 returns 30 words that no other multiple of 30 gives.
func words30(from int) string {
	list := make([]string, 30)
	for i := range list {
		list[i] = arabic(from + i)
	}
	return strings.Join(list, " ")
}

// arabic writes a number as a word.
func arabic(n int) string {
	letters := []rune("ابتثجحخدذرزسشصضطظعغفقكلمنهوي")
	word := []rune{'م'}
	for n += 1000; n > 0; n /= len(letters) {
		word = append(word, letters[n%len(letters)])
	}
	return string(word)
}

// TestNearDuplicates has the pairs that must and must not count as near-duplicates.
func TestNearDuplicates(t *testing.T) {
	long, other, passage := words30(0), words30(100), words30(200)
	changed := strings.Replace(long, arabic(15), "كلمة", 1)
	reading := func(question string) string { return "« " + passage + " »\n\n" + question }
	template := words30(300)
	for _, c := range []struct {
		name string
		a, b dataset.Instruction
		near bool
	}{
		{"one word of the answer", instruction("a", "", question, long), instruction("b", "", question, changed), true},
		{"another answer", instruction("a", "", question, long), instruction("b", "", question, other), false},
		{"another word in a short answer to a long template", instruction("a", "", template+" القاهرة", "القاهرة"),
			instruction("b", "", template+" بغداد", "بغداد"), false},
		{"a word of a long template with the same short answer", instruction("a", "", template+" القاهرة", "نعم"),
			instruction("b", "", template+" بغداد", "نعم"), true},
		{"two questions about one passage", instruction("a", dataset.FormReading, reading("من بنى القلعة في وسط المدينة؟"), "الملك"),
			instruction("b", dataset.FormReading, reading("متى انتهت الحرب بين الدولتين الكبيرتين؟"), "الملك"), false},
		{"one question about one passage", instruction("a", dataset.FormReading, reading("من بنى القلعة في وسط المدينة القديمة؟"), "الملك"),
			instruction("b", dataset.FormReading, reading("من بنى القلعة في وسط المدينة القديمة إذن؟"), "الملك"), true},
		{"no words", instruction("a", "", "?", "+"), instruction("b", "", "؟!", "-"), false}, // duplicates, not near
	} {
		t.Run(c.name, func(t *testing.T) {
			_, dropped := outcome(t, onlyDuplicates(), c.a, c.b)
			if near := dropped["b"].Reason == "near_duplicate"; near != c.near {
				t.Errorf("dropped %+v, expected near-duplicates: %v", dropped, c.near)
			}
		})
	}
	generated := instruction("a", dataset.FormInstruction, "لخص النص التالي.\n\n"+passage, long)
	generated.PassageID = "p"
	rewritten := instruction("b", dataset.FormInstruction, "أعد كتابة هذا بلغة أبسط.\n\n"+passage, other)
	rewritten.PassageID = "p"
	if kept, dropped := outcome(t, onlyDuplicates(), generated, rewritten); kept != "a b" {
		t.Errorf("two tasks about a passage: kept %s, dropped %+v", kept, dropped)
	}
}

// TestClusters keeps the first row of near-duplicates that are near only through others,
// names it in the reasons, and gives rows that are less similar its id as their cluster.
func TestClusters(t *testing.T) {
	version := func(from int) string { // shares all but "from" words at the beginning with version(0)
		list := strings.Fields(words30(0) + " " + words30(30))
		for i := range from {
			list[i] = arabic(500 + i)
		}
		return strings.Join(list, " ")
	}
	kept, dropped := outcome(t, onlyDuplicates(),
		instruction("alone", "", question, words30(900)),
		instruction("first", "", question, version(0)),
		instruction("second", "", question, version(4)),
		instruction("third", "", question, version(8)),
		instruction("related", "", question, version(20)),
		instruction("again", "", question, version(8)+"!"))
	if kept != "alone first/first related/first" {
		t.Errorf("kept %s", kept)
	}
	for id, reason := range map[string]string{"second": "near_duplicate", "third": "near_duplicate", "again": "duplicate"} {
		if got := dropped[id]; got.Reason != reason || !strings.HasPrefix(got.Detail, "of first") {
			t.Errorf("%s: %+v", id, got)
		}
	}
}

// TestNearOptions refuses thresholds that cannot be meant.
func TestNearOptions(t *testing.T) {
	for _, change := range []func(*Options){func(o *Options) { o.NearDuplicates = 0.2 }, func(o *Options) { o.NearDuplicates = 80 },
		func(o *Options) { o.NearDuplicates = -1 }, func(o *Options) { o.Permutations = 2 }} {
		o := Defaults()
		change(&o)
		if err := o.Validate(); err == nil {
			t.Errorf("%g with %d permutations was accepted", o.NearDuplicates, o.Permutations)
		}
	}
}

// variants returns texts with copies of which some words are replaced, in an order drawn
// by rng.
func variants(rng *rand.Rand, texts []string, word func() string) (out []string) {
	for _, text := range texts {
		out = append(out, text)
		for range rng.IntN(3) {
			list, share := strings.Fields(text), rng.Float64()*0.1
			for i := range list {
				if rng.Float64() < share {
					list[i] = word()
				}
			}
			out = append(out, strings.Join(list, " "))
		}
	}
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// recall compares all pairs of texts. found is the share of the pairs with the threshold's
// similarity that the filter joins, directly or through others. right is the share of the
// dropped rows that such pairs join with an earlier row.
func recall(t *testing.T, texts []string) (found, right float64, pairs int) {
	t.Helper()
	o := onlyDuplicates()
	rows, sets := make([]dataset.Instruction, len(texts)), make([]words, len(texts))
	for i, text := range texts {
		rows[i] = instruction(fmt.Sprint(i), "", question, text)
		sets[i] = wordsOf(rows[i])
	}
	kept, dropped := outcome(t, o, rows...)
	position := map[string]bool{}
	for _, id := range strings.Fields(kept) {
		id, _, _ = strings.Cut(id, "/")
		position[id] = true
	}
	exact := minhash.NewClusters(len(texts))
	hits, good := 0, 0
	for j := range texts {
		for i := range j {
			all, answers := similarity(sets[i], sets[j])
			if all < o.NearDuplicates || answers < nearAnswers {
				continue
			}
			exact.Join(i, j)
			pairs++
			if !position[fmt.Sprint(i)] || !position[fmt.Sprint(j)] {
				hits++ // of a pair that is joined, one is dropped
			}
		}
	}
	for j := range texts {
		if _, gone := dropped[fmt.Sprint(j)]; gone && exact.Find(j) != j {
			good++
		}
	}
	return float64(hits) / float64(max(pairs, 1)), float64(good) / float64(max(len(dropped), 1)), pairs
}

// TestRecall compares the filter with the exact similarity of all pairs, on synthetic
// texts.
func TestRecall(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	word := func() string { return arabic(rng.IntN(3000)) }
	texts := make([]string, 700)
	for i := range texts {
		list := make([]string, 20+rng.IntN(150))
		for k := range list {
			list[k] = word()
		}
		texts[i] = strings.Join(list, " ")
	}
	found, right, pairs := recall(t, variants(rng, texts, word))
	t.Logf("%d pairs: recall %.4f, precision %.4f", pairs, found, right)
	if pairs < 100 || found < 0.99 || right < 0.99 {
		t.Errorf("%d pairs: recall %.4f, precision %.4f", pairs, found, right)
	}
}

// TestRecallOnText is TestRecall on human translations of news into Arabic (NTREX).
func TestRecallOnText(t *testing.T) {
	data := testfiles.Read(t, testfiles.Shared(t, "parallel", "ntrex", "newstest2019-ref.arb.txt"))
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	rng := rand.New(rand.NewPCG(1, 2))
	vocabulary := strings.Fields(strings.Join(lines[:200], " "))
	lines = slices.DeleteFunc(lines, func(s string) bool { return len(strings.Fields(s)) < 8 })
	found, right, pairs := recall(t, variants(rng, lines[:1200], func() string { return vocabulary[rng.IntN(len(vocabulary))] }))
	t.Logf("%d pairs: recall %.4f, precision %.4f", pairs, found, right)
	if pairs < 300 || found < 0.99 || right < 0.99 {
		t.Errorf("%d pairs: recall %.4f, precision %.4f", pairs, found, right)
	}
}

// stopper cancels a run when it has shown so many rows, and counts those that were done
// before.
type stopper struct {
	progress.Reporter
	left, skipped int64
	cancel        func()
}

func (s *stopper) Add(n int64) {
	if s.left -= n; s.left <= 0 {
		s.cancel()
	}
}

func (s *stopper) Skip(n int64) { s.skipped += n }

// TestResume interrupts the first reading and continues it: the rows that were judged are
// not judged again, and the output is that of a run without an interruption.
func TestResume(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var lines []string
	for i, text := range variants(rng, strings.Fields(strings.Repeat("x ", 2000)), func() string { return "y" }) {
		lines = append(lines, encode(t, instruction(fmt.Sprint(i), "", question, text+words30(7*i))))
	}
	in := map[string]string{"instructions": write(t, lines...)}
	whole := durable.Env{Out: filepath.Join(t.TempDir(), "whole"), In: in, Progress: progress.Silent}
	if _, err := Run(t.Context(), onlyDuplicates(), whole); err != nil {
		t.Fatal(err)
	}
	env := durable.Env{Out: filepath.Join(t.TempDir(), "resumed"), In: in}
	ctx, cancel := context.WithCancel(t.Context())
	env.Progress = &stopper{Reporter: progress.Silent, left: 1500, cancel: cancel}
	if _, err := Run(ctx, onlyDuplicates(), env); err == nil {
		t.Fatal("the run was not interrupted")
	}
	again := &stopper{Reporter: progress.Silent, left: 1 << 40}
	env.Progress = again
	if _, err := Run(t.Context(), onlyDuplicates(), env); err != nil {
		t.Fatal(err)
	}
	if again.skipped < 1024 || again.skipped == int64(len(lines)) {
		t.Errorf("%d of %d rows were skipped", again.skipped, len(lines))
	}
	a, err := dataset.ReadManifest(whole.Out)
	if err != nil {
		t.Fatal(err)
	}
	b, err := dataset.ReadManifest(env.Out)
	if err != nil || !slices.Equal(a.Files, b.Files) {
		t.Errorf("other files after an interruption: %v and %v, %v", a.Files, b.Files, err)
	}
}
