package translate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/generate"
)

// fakeTranslator stands for a model: it spells every word backwards in Arabic
// letters, so that structure shows and numbers survive.
type fakeTranslator struct {
	asked []string
	fail  int // fail at this call, once
	calls int

	failAt int                // fail once, at the call with this text; 0 is no text
	cancel context.CancelFunc // called when it fails
	always *Translation       // of every text
	short  bool               // leave the last text out
}

func (f *fakeTranslator) Name() string              { return "fake" }
func (f *fakeTranslator) CountTokens(s string) int  { return len(strings.Fields(s)) }
func (f *fakeTranslator) RoundTrip(s string) string { return s }

var arabic = []rune("ابتثجحخدذرزسشصضطظعغفقكلمنهوي")

func fakeWord(w string) string {
	var b strings.Builder
	for _, r := range w {
		switch {
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z':
			b.WriteRune(arabic[int(r|32)-'a'])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func (f *fakeTranslator) Translate(_ context.Context, texts []string, onDone func()) ([]Translation, error) {
	f.calls++
	broken := f.failAt > 0 && len(f.asked)+len(texts) >= f.failAt
	if broken {
		f.failAt = 0
	}
	if broken || f.calls == f.fail {
		if f.cancel != nil {
			f.cancel()
		}
		return nil, errors.New("the model broke")
	}
	f.asked = append(f.asked, texts...)
	out := make([]Translation, len(texts))
	for i, t := range texts {
		if out[i] = (Translation{Text: fakeWord(t), Score: -0.5}); f.always != nil {
			out[i] = *f.always
		}
	}
	if f.short {
		out = out[:len(out)-1]
	}
	return out, nil
}

func with(t Translator) Tools { return Tools{Translator: t} }

const rows = `{"id":"1","dataset":"x","language":"eng_Latn","messages":[{"role":"user","content":"Which is a fruit?\n1. A date\n2. A stone"},{"role":"assistant","content":"1. A date. It is sweet, and 12 of them make a meal."}]}
{"id":"2","dataset":"x","language":"eng_Latn","messages":[{"role":"user","content":"Which is a fruit?"},{"role":"assistant","content":"A date"}]}
{"id":"3","dataset":"x","language":"eng_Latn","messages":[{"role":"user","content":" "},{"role":"assistant","content":"A date"}]}
`

func input(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in.jsonl")
	if err := os.WriteFile(path, []byte(rows), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRun(t *testing.T) {
	in, out := input(t), filepath.Join(t.TempDir(), "out")
	f := &fakeTranslator{}
	o := Defaults()
	env := durable.Env{Out: out, In: map[string]string{"instructions": in}}
	m, err := Run(context.Background(), o, with(f), env)
	if err != nil {
		t.Fatal(err)
	}
	if m.Rows != 2 || m.Counts["rejected_empty_message"] != 1 {
		t.Errorf("manifest: %d rows, counts %v", m.Rows, m.Counts)
	}
	// Every sentence was asked for once, though two occur twice.
	sorted := slices.Sorted(slices.Values(f.asked))
	if len(slices.Compact(slices.Clone(sorted))) != len(sorted) {
		t.Errorf("asked twice: %q", sorted)
	}
	var got []dataset.Instruction
	for r, err := range dataset.Rows[dataset.Instruction](context.Background(), out) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	want := fakeWord("Which is a fruit?") + "\n1. " + fakeWord("A date") + "\n2. " + fakeWord("A stone")
	if got[0].Messages[0].Content != want {
		t.Errorf("message %q, want %q", got[0].Messages[0].Content, want)
	}
	if got[0].MessagesEN[0].Content != "Which is a fruit?\n1. A date\n2. A stone" || got[0].Language != "arb_Arab" ||
		got[0].Translator != "fake" {
		t.Errorf("row %+v", got[0])
	}
	if len(got[0].Segments) == 0 || got[0].Segments[0].Score != -0.5 {
		t.Errorf("segments %+v", got[0].Segments)
	}
	short := o
	short.From, short.To = "en", "ar"
	other := filepath.Join(t.TempDir(), "out")
	if _, err := Run(context.Background(), short, with(&fakeTranslator{}), durable.Env{Out: other, In: env.In}); err != nil {
		t.Fatal(err)
	}
	for r, err := range dataset.Rows[dataset.Instruction](context.Background(), other) {
		if err != nil || r.Language != "arb_Arab" {
			t.Errorf("from en to ar: language %s, %v", r.Language, err)
		}
	}
	// Done: nothing is asked again.
	f.asked = nil
	if _, err := Run(context.Background(), o, with(f), env); err != nil || len(f.asked) > 0 {
		t.Errorf("second run: %v, asked %q", err, f.asked)
	}
	o.Beam = 3
	if _, err := Run(context.Background(), o, with(f), env); err == nil || !strings.Contains(err.Error(), "option beam was 5 and is now 3") {
		t.Errorf("changed options: %v", err)
	}
}

// TestNothingIsPaidTwice: after a failure the sentences already translated are
// not asked for again.
func TestNothingIsPaidTwice(t *testing.T) {
	in, out := input(t), filepath.Join(t.TempDir(), "out")
	env := durable.Env{Out: out, In: map[string]string{"instructions": in}}
	f := &fakeTranslator{fail: 1}
	if _, err := Run(context.Background(), Defaults(), with(f), env); err == nil {
		t.Fatal("the failure was not reported")
	}
	if _, err := Run(context.Background(), Defaults(), with(f), env); err != nil {
		t.Fatal(err)
	}
	sorted := slices.Sorted(slices.Values(f.asked))
	if len(slices.Compact(slices.Clone(sorted))) != len(sorted) {
		t.Errorf("asked twice: %q", sorted)
	}
}

// TestInterruptedAnywhere breaks the work off at different sentences: what was translated is
// not asked for again, and the rows are those of an undisturbed run.
func TestInterruptedAnywhere(t *testing.T) {
	var lines []string
	for i := range 150 {
		lines = append(lines,
			fmt.Sprintf(`{"id":"%d","messages":[{"role":"user","content":"How many of the %d stones are red?"},`+
				`{"role":"assistant","content":"About %d of them. The rest is grey."}]}`, i, i, i/2))
	}
	in := filepath.Join(t.TempDir(), "in.jsonl")
	if err := os.WriteFile(in, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(f *fakeTranslator, ctx context.Context, out string) error {
		_, err := Run(ctx, Defaults(), with(f), durable.Env{Out: out, In: map[string]string{"instructions": in}})
		return err
	}
	whole := filepath.Join(t.TempDir(), "out")
	undisturbed := &fakeTranslator{}
	if err := run(undisturbed, context.Background(), whole); err != nil || undisturbed.calls < 3 {
		t.Fatalf("%v after %d calls, expected several", err, undisturbed.calls)
	}
	want := text(t, whole)
	for at := 1; at <= len(undisturbed.asked); at += 29 {
		out := filepath.Join(t.TempDir(), "out")
		ctx, cancel := context.WithCancel(context.Background())
		f := &fakeTranslator{failAt: at, cancel: cancel}
		if err := run(f, ctx, out); err == nil {
			t.Fatalf("broken off at sentence %d: no error", at)
		}
		if err := run(f, context.Background(), out); err != nil {
			t.Fatal(err)
		}
		if text(t, out) != want {
			t.Errorf("broken off at sentence %d: other rows", at)
		}
		if len(f.asked) != len(undisturbed.asked) {
			t.Errorf("broken off at sentence %d: %d sentences asked for, undisturbed %d", at, len(f.asked), len(undisturbed.asked))
		}
	}
}

// text is the rows of a directory, printed.
func text(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	for r, err := range dataset.Rows[dataset.Instruction](context.Background(), dir) {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&b, r)
	}
	return b.String()
}

// TestRejections: a flag that is a reason drops the record, with what the
// model cut; the others only mark the sentence.
func TestRejections(t *testing.T) {
	for _, c := range []struct {
		reject []string
		tr     Translation
		count  string
		rows   int64
	}{
		{[]string{FlagCut}, Translation{Text: "نعم", Cut: 3}, "rejected_source_cut", 0},
		{nil, Translation{Text: "نعم", Cut: 3}, "", 2},
		{[]string{FlagHitMax, FlagUnknown}, Translation{Text: "نعم", Unknown: 1}, "rejected_unknown_tokens", 0},
		{nil, Translation{Text: " "}, "rejected_empty_translation", 0},
	} {
		o := Defaults()
		o.Whole, o.RejectFlags = true, c.reject
		out := filepath.Join(t.TempDir(), "out")
		m, err := Run(context.Background(), o, with(&fakeTranslator{always: &c.tr}),
			durable.Env{Out: out, In: map[string]string{"instructions": input(t)}})
		if err != nil {
			t.Fatal(err)
		}
		segments, cut := 2*m.Rows, int64(0)
		if c.tr.Cut > 0 {
			cut = segments
		}
		if m.Counts["segments"] != segments || m.Counts["flagged_source_cut"] != cut || len(m.Notes) > 0 != (cut > 0) {
			t.Errorf("%v %+v: counts %v, notes %q", c.reject, c.tr, m.Counts, m.Notes)
		}
		if m.Rows != c.rows || c.count != "" && m.Counts[c.count] != 2 || m.Counts["rejected_empty_message"] != 1 {
			t.Errorf("%v %+v: %d rows, counts %v", c.reject, c.tr, m.Rows, m.Counts)
		}
	}
}

// TestShortOfTranslations: a model that answers less than it was asked is an
// error, not a shift of sentences.
func TestShortOfTranslations(t *testing.T) {
	f := &fakeTranslator{short: true}
	if _, err := Run(context.Background(), Defaults(), with(f),
		durable.Env{Out: filepath.Join(t.TempDir(), "out"),
			In: map[string]string{"instructions": input(t)}}); err == nil || !strings.Contains(err.Error(), "translations of") {
		t.Errorf("%v", err)
	}
	if _, _, err := Lines(context.Background(), Defaults(), with(f), []string{"One stone.", "Two stones here."}); err == nil {
		t.Error("lines: no error")
	}
}

// TestPlanIsWhatRunAsksFor: each different sentence, with its tokens.
func TestPlanIsWhatRunAsksFor(t *testing.T) {
	f := &fakeTranslator{}
	e, err := Plan(context.Background(), Defaults(), with(f), input(t), 0)
	if err != nil || f.calls != 0 {
		t.Fatalf("%v, %d calls", err, f.calls)
	}
	if _, err := Run(context.Background(), Defaults(), with(f),
		durable.Env{Out: filepath.Join(t.TempDir(), "out"), In: map[string]string{"instructions": input(t)}}); err != nil {
		t.Fatal(err)
	}
	tokens := 0
	for _, s := range f.asked {
		tokens += f.CountTokens(s)
	}
	if e.Rows != 3 || e.Distinct != len(f.asked) || e.Tokens != int64(tokens) || e.Segments <= e.Distinct {
		t.Errorf("planned %+v, asked for %d sentences of %d words", e, len(f.asked), tokens)
	}
}

// TestWrongKind: rows that are not instructions are an error, not an empty
// dataset.
func TestWrongKind(t *testing.T) {
	for text, holds := range map[string]string{
		`{"id":"1","dataset":"x","title":"Dates","text":"Dates are sweet."}`: "holds passages",
		`{"full_prompt":"Is it sweet?","gold":["yes"],"choices":["yes"]}`:    "holds rows of an evaluation",
	} {
		in := filepath.Join(t.TempDir(), "in.jsonl")
		if err := os.WriteFile(in, []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(t.TempDir(), "out")
		_, planned := Plan(context.Background(), Defaults(), with(&fakeTranslator{}), in, 0)
		_, ran := Run(context.Background(), Defaults(), with(&fakeTranslator{}), durable.Env{Out: out, In: map[string]string{"instructions": in}})
		for _, err := range []error{planned, ran} {
			if err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), holds) ||
				!strings.Contains(err.Error(), "expected instructions") {
				t.Errorf("%s: %v", text, err)
			}
		}
		if found, _ := filepath.Glob(out + "*"); len(found) > 0 {
			t.Errorf("left behind: %v", found)
		}
	}
}

// TestDigitsOfEveryScript: the same number is the same in any digits.
func TestDigitsOfEveryScript(t *testing.T) {
	for _, s := range []string{"in 1907", "في ١٩٠٧", "در ۱۹۰۷", "१९०७", "𝟏𝟗𝟎𝟕", "𝟭𝟵𝟬𝟳"} {
		if got := digits(s); !slices.Equal(got, []string{"1907"}) {
			t.Errorf("%s: %q", s, got)
		}
	}
}

func TestFlags(t *testing.T) {
	o := Defaults()
	for _, c := range []struct {
		source, target string
		tr             Translation
		want           []string
	}{
		{"He has 12 apples.", "لديه ١٢ تفاحة.", Translation{}, nil},
		{"He has 12 apples.", "لديه تفاح.", Translation{}, []string{FlagDigits}},
		{"It cost 300,000 in the 1930s, the 19th century.", "كلف 300 ألف في ثلاثينيات القرن التاسع عشر.", Translation{}, nil},
		{"It cost 30,000 in the 1930s.", "كلف 300 ألف في ثلاثينيات القرن.", Translation{}, []string{FlagDigits}},
		{"He waited for twelve hours.", "انتظر لمدة 12 ساعة.", Translation{}, nil},
		{"Hello there", "Hello there", Translation{}, []string{FlagCopied, FlagScript}},
		{"Google and Amazon did the same.", "فعلت Google وAmazon الشيء ذاته.", Translation{}, nil},
		{"Ask the people in Amazon for more.", "اسأل people in Amazon.", Translation{}, []string{FlagScript}},
		{"She took her own life.", "إنتحرت.", Translation{}, nil},
		{"A long enough sentence.", "نعم", Translation{}, []string{FlagRatio}},
		{"Hi", " ", Translation{HitMax: true, Cut: 2, Unknown: 1}, []string{FlagCut, FlagHitMax, FlagUnknown, FlagEmpty}},
		{"Go", strings.Repeat("ذهب الولد إلى البيت ", 4), Translation{}, []string{FlagRepeated}},
		{"Go home.", "في البيت في البيت في البيت", Translation{}, []string{FlagRepeated}},
		{"No, no, no, no!", "لا لا لا لا!", Translation{}, nil},
		{"Read on.", "اقرأ يححححححظ.", Translation{}, []string{FlagRepeated}},
		{"Read on.", "اقرأ اكتُُُُُجد.", Translation{}, []string{FlagRepeated}},
		{"Read on.", "اقرأ الخطورورورورج.", Translation{}, []string{FlagRepeated}},
		{"They came one by one.", "جاؤوا واحدا واحدا.", Translation{}, nil},
		{"Go", "اذهب <unk>", Translation{}, []string{FlagScript, FlagUnkInText}},
	} {
		if got := o.check(c.source, c.target, c.tr); !slices.Equal(got, c.want) {
			t.Errorf("%q → %q: %v, want %v", c.source, c.target, got, c.want)
		}
	}
	// What is right, or cannot be told.
	for _, c := range []struct{ to, source, target string }{
		{"arb_Arab", "It costs 1,000 dollars.", "سعره 1000 دولار."},
		{"arb_Arab", "Rooms 100,200 are free.", "الغرفتان ١٠٠، ٢٠٠ شاغرتان."},
		{"arb_Arab", "In 3.5 years.", "في ٣٫٥ سنوات."},
		{"fra_Latn", "Paris", "Paris"},
		{"zho_Hans", "He went to the old market to buy apples.", "他去老市场买苹果。"},
		{"arb_Arab", "go go go go go go go go go go", "اذهب اذهب اذهب اذهب اذهب اذهب اذهب اذهب اذهب اذهب"},
	} {
		o := Defaults()
		o.To = c.to
		if got := o.check(c.source, c.target, Translation{}); len(got) > 0 {
			t.Errorf("%q → %q: %v", c.source, c.target, got)
		}
	}
	for _, c := range []struct{ to, source, target, want string }{
		{"arb_Arab", "It costs 1,000 dollars.", "سعره 100 دولار.", FlagDigits},
		{"arb_Arab", "It has 2 doors and 2 keys.", "له 2 من الأبواب والمفاتيح.", FlagDigits},
		{"fra_Latn", "He went to the market.", "He went to the market.", FlagCopied},
		{"zho_Hans", "He went to the old market to buy apples.", "他去。", FlagRatio},
		{"tha_Thai", "Laughter", strings.Repeat("ฮา", 30), FlagRepeated},
	} {
		o := Defaults()
		o.To = c.to
		if got := o.check(c.source, c.target, Translation{}); !slices.Contains(got, c.want) {
			t.Errorf("%q → %q: %v, want %s", c.source, c.target, got, c.want)
		}
	}
	low := Defaults()
	low.MinScore = -1
	if got := low.check("Hello there", "مرحبا", Translation{Score: -1.5}); !slices.Equal(got, []string{FlagScore}) {
		t.Errorf("a low score: %v", got)
	}
	o.To = "ar" // M2M-100's code
	if got := o.check("Hello there", "Hello there", Translation{}); !slices.Contains(got, FlagScript) {
		t.Errorf("to ar: %v", got)
	}
	o.ArabicPunctuation = true
	if got := o.finish("نعم, لماذا? a, b"); got != "نعم، لماذا؟ a, b" {
		t.Errorf("punctuation: %q", got)
	}
}

// TestProfiles: what a check finds drops a row, or warns, by the profile.
func TestProfiles(t *testing.T) {
	for _, c := range []struct {
		checks string
		tr     Translation
		rows   int64
	}{
		{ChecksOff, Translation{Text: "hello"}, 2}, {ChecksDefault, Translation{Text: "hello"}, 0}, {ChecksStrict, Translation{Text: "hello"}, 0},
		{ChecksDefault, Translation{Text: "نعم", Unknown: 1}, 1}, {ChecksStrict, Translation{Text: "نعم", Unknown: 1}, 0},
	} {
		o := Defaults()
		o.Checks = c.checks
		m, err := Run(t.Context(), o, with(&fakeTranslator{always: &c.tr}),
			durable.Env{Out: filepath.Join(t.TempDir(), "out"), In: map[string]string{"instructions": input(t)}})
		if err != nil || m.Rows != c.rows {
			t.Errorf("%s, %+v: %d rows, %v, %v", c.checks, c.tr, m.Rows, m.Counts, err)
		}
	}
}

func TestLines(t *testing.T) {
	out, segs, err := Lines(context.Background(), Defaults(), with(&fakeTranslator{}), []string{"A date. A stone fell down.", "", "12"})
	if err != nil {
		t.Fatal(err)
	}
	if out[0] != fakeWord("A date. A stone fell down.") || out[1] != "" || out[2] != "12" || len(segs[0]) == 0 {
		t.Errorf("%q %v", out, segs)
	}
}

func TestValidate(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"from":            func(o *Options) { o.To = o.From },
		"beam":            func(o *Options) { o.Beam = 0 },
		"max_tokens":      func(o *Options) { o.MaxTokens = 1 },
		"reject_flags":    func(o *Options) { o.RejectFlags = []string{"nonsense"} },
		"max_length":      func(o *Options) { o.MaxLength = 2 },
		"length_penalty":  func(o *Options) { o.LengthPenalty = math.NaN() },
		"no_repeat_ngram": func(o *Options) { o.NoRepeatNGram = -1 },
		"checks":          func(o *Options) { o.Checks = "some" },
		"min_score":       func(o *Options) { o.MinScore = 1 },
	} {
		o := Defaults()
		change(&o)
		if err := o.Validate(); err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	o := Defaults()
	o.LengthPenalty, o.MaxLength = 0, 3
	if err := o.Validate(); err != nil {
		t.Error(err)
	}
}

// TestDecodingIsIdentity: rows made with other settings of beam search are not
// mixed with those of a directory, begun or finished.
func TestDecodingIsIdentity(t *testing.T) {
	in := input(t)
	for _, state := range []string{"begun", "made"} {
		out := filepath.Join(t.TempDir(), "out")
		f := &fakeTranslator{}
		if state == "begun" {
			f.fail = 1
		}
		run := func(o Options) error {
			_, err := Run(context.Background(), o, with(f), durable.Env{Out: out, In: map[string]string{"instructions": in}})
			return err
		}
		if err := run(Defaults()); (err != nil) != (state == "begun") {
			t.Fatal(err)
		}
		for want, change := range map[string]func(*Options){
			"option beam was 5 and is now 4":                 func(o *Options) { o.Beam = 4 },
			"option length_penalty was 1 and is now 0":       func(o *Options) { o.LengthPenalty = 0 },
			"option max_length was 512 and is now 200":       func(o *Options) { o.MaxLength = 200 },
			"option no_repeat_ngram was 0 and is now 3":      func(o *Options) { o.NoRepeatNGram = 3 },
			`option early_stopping was false and is now "ne`: func(o *Options) { o.EarlyStopping = generate.StopNever },
			"option early_stopping was false and is now tru": func(o *Options) { o.EarlyStopping = generate.StopFull },
		} {
			o := Defaults()
			change(&o)
			if err := run(o); err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), want) ||
				!strings.Contains(err.Error(), "was "+state) {
				t.Errorf("%s: %v, expected %q", state, err, want)
			}
		}
		if err := run(Defaults()); err != nil {
			t.Errorf("%s: the same settings: %v", state, err)
		}
	}
}

// TestEarlierVersion: a directory of the version that did not keep the
// settings of beam search is refused with the reason, begun or finished.
func TestEarlierVersion(t *testing.T) {
	in := input(t)
	earlier := durable.Identity{Stage: "translate", Version: 1, Inputs: map[string]string{"instructions": in}, Options: map[string]any{
		"model": "fake", "from": "eng_Latn", "to": "arb_Arab", "beams": 5, "max_tokens": 128, "whole": false,
		"arabic_punctuation": false, "reject_flags": []string{FlagCut}}}
	for _, finish := range []bool{false, true} {
		out := filepath.Join(t.TempDir(), "out")
		r, err := durable.Begin(out, earlier, false)
		if err != nil {
			t.Fatal(err)
		}
		if finish {
			if _, err := durable.NewWriter[dataset.Instruction](r); err != nil {
				t.Fatal(err)
			}
			if err := r.Finish(durable.Final{}); err != nil {
				t.Fatal(err)
			}
		}
		r.Close()
		run := func(restart bool) error {
			_, err := Run(context.Background(), Defaults(), with(&fakeTranslator{}), durable.Env{Out: out, In: earlier.Inputs, Restart: restart})
			return err
		}
		if err := run(false); err == nil || !badinput.Is(err) ||
			!strings.Contains(err.Error(), fmt.Sprintf("stage version was 1 and is now %d (%s)", version, changed)) ||
			!strings.Contains(err.Error(), "--restart") {
			t.Errorf("finished %v: %v", finish, err)
		}
		if err := run(true); err != nil {
			t.Errorf("finished %v, restarted: %v", finish, err)
		}
	}
}
