package translate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/segment"
	"barka/internal/translationmemory"
)

// scripted translates by a function; the zero value returns each text as it is.
type scripted struct {
	translate func(string) string
	roundTrip func(string) string
	asked     []string
}

func (*scripted) Name() string             { return "scripted" }
func (*scripted) CountTokens(s string) int { return len(strings.Fields(s)) }

func (s *scripted) RoundTrip(text string) string {
	if s.roundTrip != nil {
		return s.roundTrip(text)
	}
	return text
}

func (s *scripted) Translate(_ context.Context, texts []string, _ func()) ([]Translation, error) {
	out := make([]Translation, len(texts))
	for i, text := range texts {
		s.asked = append(s.asked, text)
		if out[i] = (Translation{Text: text, Score: -0.25}); s.translate != nil {
			out[i].Text = s.translate(text)
		}
	}
	return out, nil
}

// TestIdentity: of any text, a translator that returns what it is given changes no byte.
func TestIdentity(t *testing.T) {
	parts := []string{"a", "The cat sat. ", "Is it? ", "`x. y`", "`", "$x^2$", "$5 ", "= $<<1+1=2>>2 ", "**b**", "*",
		"[1] ", "#1# ", "#2", "#", "[t](u) ", "<b>",
		"</b>", "<", "{n}", "%d ", "https://a.org/x. ", "me@a.org ", "a_b ", "___ ", "|", "| a | b |",
		"\n", "\n\n", "\t", "```\n", "~~~\n", "    x = 1;\n",
		"1. ", "(A) ", "A. ", "- ", "# ", "> ", "قهوة ", "«", "»", "\u202b", "\u202c", "\x00", "\xff",
		"é ", "5 kg ", "B", " ", "\r\n", "\\(x\\) ", "\\"}
	rng := rand.New(rand.NewPCG(1, 2))
	var lines []string
	for range 1000 {
		var b strings.Builder
		for range 1 + rng.IntN(24) {
			b.WriteString(parts[rng.IntN(len(parts))])
		}
		lines = append(lines, b.String())
	}
	none := func(string) string { return "" }
	for name, tr := range map[string]*scripted{"placeholders": {}, "none survives": {roundTrip: none},
		"all lost": {translate: func(s string) string { return strings.NewReplacer("#1#", "", "#2#", "").Replace(s) }}} {
		got, segments, err := Lines(t.Context(), Defaults(), with(tr), lines)
		if err != nil {
			t.Fatal(err)
		}
		pieces := 0
		for i := range lines {
			for _, s := range segments[i] {
				if s.Kind == "" || s.Rung == "" || s.Source != s.Target && name != "all lost" {
					t.Fatalf("%s: %q: %+v", name, lines[i], s)
				}
				if s.Rung == RungPieces {
					pieces++
				}
			}
			if got[i] != lines[i] && name != "all lost" {
				t.Fatalf("%s: %q became %q", name, lines[i], got[i])
			}
		}
		// With placeholders, those next to text such as #2 alone are in pieces.
		if pieces == 0 || name == "placeholders" && pieces > len(lines)/2 {
			t.Errorf("%s: %d segments in pieces", name, pieces)
		}
	}
}

// TestLadder: a sentence whose spans do not all come back once is translated in pieces, and
// has the reason.
func TestLadder(t *testing.T) {
	const source, pieces = "Use `x` with **care** now.", "استخدم `x` مع **العناية** الآن."
	words := map[string]string{"Use": "استخدم", "with": "مع", "care": "العناية", "now.": "الآن."}
	for _, c := range []struct {
		name, becomes, want, rung string
		flags                     []string
	}{
		{"kept", "استخدم #1# مع #2# العناية #3# الآن.", "استخدم `x` مع **العناية** الآن.", RungWhole, nil},
		{"another order, digits and spaces", "مع # ٢ #العناية#٣# استخدم # 1 #.", "مع **العناية** استخدم `x`.", RungWhole, nil},
		{"lost", "استخدم #2#العناية#3# الآن.", pieces, RungPieces, []string{FlagSpanLost}},
		{"doubled", "#1# #1# #2#ن#3#", pieces, RungPieces, []string{FlagSpanDoubled}},
		{"invented", "#1# #2#ن#3# #4#", pieces, RungPieces, []string{FlagSpanInvented}},
		{"crossed", "#1# #3#ن#2#", pieces, RungPieces, []string{FlagSpanCrossed}},
	} {
		tr := &scripted{translate: func(s string) string {
			if strings.Contains(s, "#1#") {
				return c.becomes
			}
			return words[s]
		}}
		got, segments, err := Lines(t.Context(), Defaults(), with(tr), []string{source})
		if err != nil {
			t.Fatal(err)
		}
		s := segments[0][0]
		var spans []string
		for _, f := range s.Retried {
			if strings.HasPrefix(f, "span_") {
				spans = append(spans, f)
			}
		}
		if len(segments[0]) != 1 || got[0] != c.want || s.Rung != c.rung || !slices.Equal(spans, c.flags) ||
			s.Score != -0.25 || s.Kind != "sentence" {
			t.Errorf("%s: %q, %+v; asked %q", c.name, got[0], s, tr.asked)
		}
		if want := "Use #1# with #2#care#3# now."; tr.asked[0] != want {
			t.Errorf("%s: asked for %q, want %q", c.name, tr.asked[0], want)
		}
	}
}

// choosy is a Streamer whose outputs are given for each request.
type choosy struct {
	scripted
	outputs map[Request]Translation
	got     []Request
}

func (c *choosy) Stream(ctx context.Context, next Next, done func(int, Translation) error) error {
	for i := 0; ; i++ {
		r, ok := next(ctx, true)
		if !ok {
			return nil
		}
		c.got = append(c.got, r)
		tr, ok := c.outputs[r]
		if !ok {
			tr = Translation{Text: "نعم", Score: -3}
		}
		if err := done(i, tr); err != nil {
			return err
		}
	}
}

// TestEveryRung: a sentence is translated by the first way that passes the checks, in their
// order; the row has the way, its score and what was wrong before, and is dropped if no way
// passes.
func TestEveryRung(t *testing.T) {
	const source = "He bought 12 apples in the old market, and then he sold 7 of them to the woman."
	const left, right = "He bought 12 apples in the old market,", "and then he sold 7 of them to the woman."
	const good = "اشترى ١٢ تفاحة من السوق القديم ثم باع ٧ منها للمرأة."
	const lost = "اشترى تفاحا من السوق القديم ثم باعه للمرأة في المساء."
	loop := strings.Repeat("ثم باع ثم باع ", 12)
	best := func(text string, others ...string) Translation {
		tr := Translation{Text: text, Score: -0.5}
		for i, other := range others {
			tr.Alternatives = append(tr.Alternatives, Alternative{Text: other, Score: -0.75 - float32(i)})
		}
		return tr
	}
	whole, strict := Request{Text: source}, Request{Text: source, NoRepeatNGram: noRepeatNGram}
	cut := map[Request]Translation{whole: best(lost), {Text: left}: best("اشترى ١٢ تفاحة من السوق القديم،"),
		{Text: right}: best("ثم باع ٧ منها للمرأة.")}
	for _, c := range []struct {
		name       string
		outputs    map[Request]Translation
		second     string // what the second translator says; "" for none
		rung       string
		target     string
		score      float32
		retried    []string
		dropped    string
		asked      int
		translator string
	}{
		{"the best", map[Request]Translation{whole: best(good, lost)}, good, RungWhole, good, -0.5, nil, "", 1, ""},
		{"another hypothesis", map[Request]Translation{whole: best(lost, loop, good)}, good, RungNBest, good, -1.75,
			[]string{FlagDigits}, "", 1, ""},
		{"no repetition", map[Request]Translation{whole: best(loop, loop), strict: best(good)}, good, RungNoRepeat, good, -0.5,
			[]string{FlagRepeated, FlagDigits}, "", 2, ""},
		{"pieces", cut, good, RungPieces, "اشترى ١٢ تفاحة من السوق القديم، ثم باع ٧ منها للمرأة.", -0.5, []string{FlagDigits}, "", 3, ""},
		{"the second translator", map[Request]Translation{whole: best(lost)}, good, RungSecond, good, -0.25,
			[]string{FlagDigits, FlagRatio}, "", 3, "scripted"},
		{"none", map[Request]Translation{whole: best(lost)}, "", "", "", 0, nil, FlagDigits, 3, ""},
		{"none of two", map[Request]Translation{whole: best(lost)}, lost, "", "", 0, nil, FlagDigits, 3, ""},
	} {
		in, out := filepath.Join(t.TempDir(), "in.jsonl"), filepath.Join(t.TempDir(), "out")
		row := fmt.Sprintf(`{"id":"1","messages":[{"role":"user","content":%q}]}`, source)
		if err := os.WriteFile(in, []byte(row), 0o644); err != nil {
			t.Fatal(err)
		}
		first := &choosy{outputs: c.outputs}
		tools := Tools{Translator: first}
		if c.second != "" {
			tools.Second = &scripted{translate: func(string) string { return c.second }}
		}
		m, err := Run(t.Context(), Defaults(), tools, durable.Env{Out: out, In: map[string]string{"instructions": in}})
		if err != nil {
			t.Fatal(err)
		}
		if len(first.got) != c.asked {
			t.Errorf("%s: asked for %+v", c.name, first.got)
		}
		if c.dropped != "" {
			if m.Rows != 0 || m.Counts["rejected_"+c.dropped] != 1 {
				t.Errorf("%s: %d rows, %v", c.name, m.Rows, m.Counts)
			}
			continue
		}
		for r, err := range dataset.Rows[dataset.Instruction](t.Context(), out) {
			if err != nil || len(r.Segments) != 1 {
				t.Fatalf("%s: %+v, %v", c.name, r, err)
			}
			s := r.Segments[0]
			if s.Rung != c.rung || s.Target != c.target || r.Messages[0].Content != c.target || s.Score != c.score || len(s.Flags) > 0 ||
				!slices.Equal(s.Retried, c.retried) || s.Translator != c.translator {
				t.Errorf("%s: %+v", c.name, s)
			}
		}
		if c.rung != RungWhole && m.Counts["rung_"+c.rung] != 1 {
			t.Errorf("%s: %v", c.name, m.Counts)
		}
	}
}

// TestIgnoredActs: an output that ignores much of its source is replaced in the strict profile, and
// warns in the default one.
func TestIgnoredActs(t *testing.T) {
	const source = "He bought 12 apples in the market."
	outputs := map[Request]Translation{{Text: source}: {Text: "اشترى ١٢ تفاحة كبيرة.", Score: -0.5, Ignored: 0.4, Alternatives: []Alternative{
		{Text: "اشترى ١٢ من السوق.", Score: -0.6, Ignored: 0.3}, {Text: "اشترى ١٢ تفاحة من السوق.", Score: -0.75, Ignored: 0.05}}}}
	for checks, want := range map[string]struct {
		rung    string
		ignored float32
		flags   []string
		retried []string
	}{ChecksDefault: {RungWhole, 0.4, []string{FlagIgnored}, nil}, ChecksStrict: {RungNBest, 0.05, nil, []string{FlagIgnored}}} {
		o := Defaults()
		o.Checks = checks
		_, segments, err := Lines(t.Context(), o, Tools{Translator: &choosy{outputs: outputs}}, []string{source})
		if err != nil {
			t.Fatal(err)
		}
		if s := segments[0][0]; s.Rung != want.rung || s.Ignored != want.ignored || !slices.Equal(s.Flags, want.flags) ||
			!slices.Equal(s.Retried, want.retried) {
			t.Errorf("%s: %+v", checks, s)
		}
	}
}

// TestNumReturn: the segments of a dataset have the other outputs with their scores, also if one
// of those is the translation. What a memory has makes no difference.
func TestNumReturn(t *testing.T) {
	const source = "He bought 12 apples in the market."
	outputs := map[Request]Translation{{Text: source}: {Text: "اشترى تفاحا من السوق القديم.", Score: -0.5, Alternatives: []Alternative{
		{Text: "اشترى ١٢ تفاحة من السوق.", Score: -0.75}, {Text: "اشترى اثنتي عشرة تفاحة.", Score: -1, HitMax: true},
		{Text: "شراء", Score: -2}}}}
	in := filepath.Join(t.TempDir(), "in.jsonl")
	row := fmt.Sprintf(`{"id":"1","messages":[{"role":"user","content":%q}]}`, source)
	if err := os.WriteFile(in, []byte(row), 0o644); err != nil {
		t.Fatal(err)
	}
	memory, err := translationmemory.Open(filepath.Join(t.TempDir(), "memory.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	o := Defaults()
	o.ModelDigest = "weights"
	for _, c := range []struct{ num, asked int }{{1, 1}, {3, 1}, {3, 0}} {
		o.NumReturn = c.num
		m := &choosy{outputs: outputs}
		tools := Tools{Translator: m, Memory: memory}
		out := filepath.Join(t.TempDir(), "out")
		if _, err := Run(t.Context(), o, tools, durable.Env{Out: out, In: map[string]string{"instructions": in}}); err != nil {
			t.Fatal(err)
		}
		var want []Alternative
		if c.num == 3 {
			want = []Alternative{{Text: "اشترى تفاحا من السوق القديم.", Score: -0.5},
				{Text: "اشترى اثنتي عشرة تفاحة.", Score: -1, HitMax: true}}
		}
		for r, err := range dataset.Rows[dataset.Instruction](t.Context(), out) {
			if err != nil || len(r.Segments) != 1 || r.Segments[0].Rung != RungNBest || r.Segments[0].Score != -0.75 ||
				!slices.Equal(r.Segments[0].Alternatives, want) {
				t.Errorf("%d: %+v, %v", c.num, r.Segments, err)
			}
		}
		if len(m.got) != c.asked {
			t.Errorf("%d: asked %+v", c.num, m.got)
		}
	}
}

// TestSecondFor: the second translator gets the kinds of segments that are named first, and the
// translator gets those of them that fail their checks.
func TestSecondFor(t *testing.T) {
	first := &scripted{translate: func(string) string { return "الأول 12" }}
	by := &scripted{translate: func(s string) string {
		if s == "The 12 old stones" {
			return "الثاني"
		}
		return "الثاني 12"
	}}
	o := Defaults()
	o.SecondFor = []string{string(segment.Heading), string(segment.Item)}
	lines := []string{"# The 12 stones", "# The 12 old stones", "All 12 are here.", "- The 12 stones there"}
	got, segments, err := Lines(t.Context(), o, Tools{Translator: first, Second: by}, lines)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"# الثاني 12", "# الأول 12", "الأول 12", "- الثاني 12"}
	rungs := []string{RungSecond, RungWhole, RungWhole, RungSecond}
	for i := range lines {
		if got[i] != want[i] || segments[i][0].Rung != rungs[i] || (segments[i][0].Translator != "") != (rungs[i] == RungSecond) {
			t.Errorf("%q: %q, %+v", lines[i], got[i], segments[i])
		}
	}
	if len(first.asked) != 2 || len(by.asked) != 3 {
		t.Errorf("asked %q and %q", first.asked, by.asked)
	}
	if _, err := Run(t.Context(), o, with(first), durable.Env{Out: filepath.Join(t.TempDir(), "out"),
		In: map[string]string{"instructions": input(t)}}); err == nil || !strings.Contains(err.Error(), "no second translator") {
		t.Errorf("without a second translator: %v", err)
	}
}

// TestRungs: a dataset counts the segments that were translated in pieces and their
// reasons, and its identity has the placeholder.
func TestRungs(t *testing.T) {
	in := filepath.Join(t.TempDir(), "in.jsonl")
	row := `{"id":"1","messages":[{"role":"user","content":"Use ` + "`x`" + ` now. It is good."},` +
		`{"role":"assistant","content":"Yes, it is."}]}`
	if err := os.WriteFile(in, []byte(row), 0o644); err != nil {
		t.Fatal(err)
	}
	for want, tr := range map[string]*scripted{
		"#1#":  {translate: func(s string) string { return strings.ReplaceAll(s, "#1#", "") }},
		"@1@":  {roundTrip: func(s string) string { return strings.NewReplacer("#", "", "<", "").Replace(s) }},
		"none": {roundTrip: func(string) string { return "" }},
	} {
		out := filepath.Join(t.TempDir(), "out")
		o := Defaults()
		o.Checks = ChecksOff
		m, err := Run(t.Context(), o, with(tr), durable.Env{Out: out, In: map[string]string{"instructions": in}})
		if err != nil {
			t.Fatal(err)
		}
		options := string(m.Options)
		if !strings.Contains(options, `"placeholder":"`+want+`"`) {
			t.Errorf("%s: options %s", want, options)
		}
		pieces, lost := int64(1), int64(0)
		if want == "#1#" {
			lost = 1
		} else if want == "@1@" {
			pieces = 0
		}
		if m.Counts["rung_pieces"] != pieces || m.Counts["retried_span_lost"] != lost {
			t.Errorf("%s: %v", want, m.Counts)
		}
		for r, err := range dataset.Rows[dataset.Instruction](t.Context(), out) {
			if err != nil || !strings.Contains(r.Messages[0].Content, "`x`") || r.Segments[1].Kind != string(segment.Sentence) {
				t.Errorf("%s: %+v, %v", want, r, err)
			}
		}
	}
}

// guided is a Model that writes the term of each text before it.
type guided struct {
	scripted
	got []Request
}

func (g *guided) TranslateWith(_ context.Context, requests []Request) ([]Translation, error) {
	g.got = append(g.got, requests...)
	out := make([]Translation, len(requests))
	for i, r := range requests {
		out[i] = Translation{Text: fakeWord(r.Text)}
		if r.Term.Source != "" {
			out[i].Text = strings.ReplaceAll(fakeWord(r.Text), fakeWord(strings.ToLower(r.Term.Source)), r.Term.Target)
		}
	}
	return out, nil
}

// TestTitles: the second translator gets the title of a row's page in the target language with the
// texts that have it, and no other row's.
func TestTitles(t *testing.T) {
	in := filepath.Join(t.TempDir(), "in.jsonl")
	row := `{"id":"%s","title":"%s","target_title":"%s","target_language":"%s",` +
		`"messages":[{"role":"user","content":"What is mercury here?"},{"role":"assistant","content":"It is far."}]}` + "\n"
	text := fmt.Sprintf(row, "1", "Mercury (planet)", "عطارد (كوكب)", "ar") + fmt.Sprintf(row, "2", "Mercury (element)", "زئبق", "ar") +
		fmt.Sprintf(row, "3", "Mercury (element)", "mercure", "fr") + fmt.Sprintf(row, "4", "Mercury (planet)", "عطارد (كوكب)", "ar")
	if err := os.WriteFile(in, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	o := Defaults()
	o.SecondFor = []string{"sentence"}
	by := &guided{}
	out := filepath.Join(t.TempDir(), "out")
	if _, err := Run(t.Context(), o, Tools{Translator: &scripted{}, Second: by}, durable.Env{Out: out,
		In: map[string]string{"instructions": in}}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"1": "عطارد", "2": "زئبق", "3": fakeWord("mercury"), "4": "عطارد"}
	for r, err := range dataset.Rows[dataset.Instruction](t.Context(), out) {
		if err != nil || !strings.Contains(r.Messages[0].Content, want[r.ID]) || r.Messages[1].Content != fakeWord("It is far.") {
			t.Errorf("%+v, %v", r, err)
		}
	}
	if len(by.got) != 4 { // the first sentence with two terms and without one, and the second
		t.Errorf("%+v", by.got)
	}
}
