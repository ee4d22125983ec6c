package translate

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/pipeline"
)

// fakeTranslator stands for a model: it spells every word backwards in Arabic
// letters, so that structure shows and numbers survive.
type fakeTranslator struct {
	asked []string
	fail  int // fail at this call, once
	calls int
}

func (f *fakeTranslator) Name() string             { return "fake" }
func (f *fakeTranslator) CountTokens(s string) int { return len(strings.Fields(s)) }

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
	if f.calls++; f.calls == f.fail {
		return nil, errors.New("the model broke")
	}
	f.asked = append(f.asked, texts...)
	out := make([]Translation, len(texts))
	for i, t := range texts {
		out[i] = Translation{Text: fakeWord(t), Score: -0.5}
	}
	return out, nil
}

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
	io := pipeline.IO{Out: out, In: map[string]string{"instructions": in}}
	m, err := Run(context.Background(), o, f, io)
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
	var got []pipeline.Instruction
	for r, err := range pipeline.Rows[pipeline.Instruction](context.Background(), out) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	want := fakeWord("Which is a fruit?") + "\n1. " + fakeWord("A date") + "\n2. " + fakeWord("A stone")
	if got[0].Messages[0].Content != want {
		t.Errorf("message %q, want %q", got[0].Messages[0].Content, want)
	}
	if got[0].MessagesEN[0].Content != "Which is a fruit?\n1. A date\n2. A stone" || got[0].Language != "arb_Arab" || got[0].Translator != "fake" {
		t.Errorf("row %+v", got[0])
	}
	if len(got[0].Segments) == 0 || got[0].Segments[0].Score != -0.5 {
		t.Errorf("segments %+v", got[0].Segments)
	}
	// Done: nothing is asked again.
	f.asked = nil
	if _, err := Run(context.Background(), o, f, io); err != nil || len(f.asked) > 0 {
		t.Errorf("second run: %v, asked %q", err, f.asked)
	}
	o.Beams = 3
	if _, err := Run(context.Background(), o, f, io); err == nil || !strings.Contains(err.Error(), "beams") {
		t.Errorf("changed options: %v", err)
	}
}

// TestNothingIsPaidTwice: after a failure the sentences already translated are
// not asked for again.
func TestNothingIsPaidTwice(t *testing.T) {
	in, out := input(t), filepath.Join(t.TempDir(), "out")
	io := pipeline.IO{Out: out, In: map[string]string{"instructions": in}}
	f := &fakeTranslator{fail: 1}
	if _, err := Run(context.Background(), Defaults(), f, io); err == nil {
		t.Fatal("the failure was not reported")
	}
	if _, err := Run(context.Background(), Defaults(), f, io); err != nil {
		t.Fatal(err)
	}
	sorted := slices.Sorted(slices.Values(f.asked))
	if len(slices.Compact(slices.Clone(sorted))) != len(sorted) {
		t.Errorf("asked twice: %q", sorted)
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
		{"Hello there", "Hello there", Translation{}, []string{FlagCopied, FlagScript}},
		{"A long enough sentence.", "نعم", Translation{}, []string{FlagRatio}},
		{"Hi", " ", Translation{HitMax: true, Cut: 2, Unknown: 1}, []string{FlagCut, FlagHitMax, FlagUnknown, FlagEmpty}},
		{"Go", strings.Repeat("ذهب الولد إلى البيت ", 4), Translation{}, []string{FlagRepeated}},
		{"Go", "اذهب <unk>", Translation{}, []string{FlagScript, FlagUnkInText}},
	} {
		if got := o.check(c.source, c.target, c.tr); !slices.Equal(got, c.want) {
			t.Errorf("%q → %q: %v, want %v", c.source, c.target, got, c.want)
		}
	}
	o.ArabicPunctuation = true
	if got := o.finish("نعم, لماذا? a, b"); got != "نعم، لماذا؟ a, b" {
		t.Errorf("punctuation: %q", got)
	}
}

func TestLines(t *testing.T) {
	out, segs, err := Lines(context.Background(), Defaults(), &fakeTranslator{}, []string{"A date. A stone fell down.", "", "12"})
	if err != nil {
		t.Fatal(err)
	}
	if out[0] != fakeWord("A date. A stone fell down.") || out[1] != "" || out[2] != "12" || len(segs[0]) == 0 {
		t.Errorf("%q %v", out, segs)
	}
}

func TestValidate(t *testing.T) {
	for _, change := range []func(*Options){
		func(o *Options) { o.To = o.From }, func(o *Options) { o.Beams = 0 }, func(o *Options) { o.MaxTokens = 1 },
		func(o *Options) { o.RejectFlags = []string{"nonsense"} },
	} {
		o := Defaults()
		change(&o)
		if o.Validate() == nil {
			t.Errorf("accepted: %+v", o)
		}
	}
}
