package recipe

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/generate"
	"barka/internal/llm"
	"barka/internal/stage/translate"
)

const good = `
name: test
models: {generator: {model: g}, translator: t, base: b}
wiki: {dump: x.xml}
synth: {temperature: 0.5}
translate:
mix:
train: {rank: 8}
eval: {data: d}
`

func TestParse(t *testing.T) {
	r, err := Parse([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	// Settings that are not given have their defaults, also in empty blocks.
	if r.Synth.Temperature != 0.5 || r.Synth.TopP != 0.95 || r.Train.Rank != 8 || r.Train.LR != 1e-4 ||
		r.Translate == nil || r.Translate.Beam != 5 || r.Filter != nil || !r.Eval.Base {
		t.Errorf("%+v", r)
	}
}

// TestChatInRecipes: the settings of train's chat template, and an invalid date.
func TestChatInRecipes(t *testing.T) {
	train := func(block string) []byte { return []byte(strings.Replace(good, "{rank: 8}", block, 1)) }
	r, err := Parse(train("{chat_format: chatml, chat_date: 2026-11-26, thinking: true}"))
	if err != nil || r.Train.ChatFormat != "chatml" || r.Train.ChatDate != "2026-11-26" || !r.Train.Thinking {
		t.Errorf("%+v, %v", r.Train, err)
	}
	for block, want := range map[string]string{"{chat_date: yesterday}": "train: chat date",
		"{chat_format: alpaca}": "chat format \"alpaca\" is not one of"} {
		if _, err := Parse(train(block)); !badinput.Is(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", block, err, want)
		}
	}
}

// TestDecodingInRecipes: every setting of beam search, also with the value zero, and the
// earlier name of beam.
func TestDecodingInRecipes(t *testing.T) {
	d := translate.DefaultDecoding()
	with := func(change func(d *translate.Decoding)) translate.Decoding {
		d := d
		change(&d)
		return d
	}
	for block, want := range map[string]translate.Decoding{
		"":                    d,
		"{beam: 3}":           with(func(d *translate.Decoding) { d.Beam = 3 }),
		"{beams: 3}":          with(func(d *translate.Decoding) { d.Beam = 3 }),
		"{length_penalty: 0}": with(func(d *translate.Decoding) { d.LengthPenalty = 0 }),
		"{length_penalty: -0.5, max_length: 3, no_repeat_ngram: 4, early_stopping: never}": with(func(d *translate.Decoding) {
			d.LengthPenalty, d.MaxLength, d.NoRepeatNGram, d.EarlyStopping = -0.5, 3, 4, generate.StopNever
		}),
		"{early_stopping: true}":    with(func(d *translate.Decoding) { d.EarlyStopping = generate.StopFull }),
		`{early_stopping: "false"}`: d,
		"{vocabulary: all}":         d,
		"{vocabulary: screened}":    with(func(d *translate.Decoding) { d.Vocabulary = "screened" }),
		"{vocabulary: restricted}":  with(func(d *translate.Decoding) { d.Vocabulary = "restricted" }),
		"{early_stopping: ctranslate2, patience: 1.5, min_length: 4, max_length_ratio: 2.5, repetition_penalty: 1.2}": with(
			func(d *translate.Decoding) {
				d.EarlyStopping, d.Patience, d.MinLength = generate.StopCTranslate2, 1.5, 4
				d.MaxLengthRatio, d.RepetitionPenalty = 2.5, 1.2
			}),
		"{beam: 1, temperature: 0.7, top_k: 20, top_p: 0.9, min_p: 0.1}": with(func(d *translate.Decoding) {
			d.Beam, d.Temperature, d.TopK, d.TopP, d.MinP = 1, 0.7, 20, 0.9, 0.1
		}),
	} {
		r, err := Parse([]byte(strings.Replace(good, "translate:", "translate: "+block, 1)))
		if err != nil {
			t.Errorf("%s: %v", block, err)
		} else if r.Translate.Decoding != want {
			t.Errorf("%s: %+v, want %+v", block, r.Translate.Decoding, want)
		}
	}
}

// TestExponents: all forms of YAML's numbers, also those that the parser returns as text.
func TestExponents(t *testing.T) {
	for text, want := range map[string]float64{"2e-4": 2e-4, "2E-4": 2e-4, "2.0e-4": 2e-4, "0.0002": 2e-4, "1e+1": 10} {
		r, err := Parse([]byte(strings.Replace(good, "{rank: 8}", "{lr: "+text+"}", 1)))
		if err != nil || r.Train.LR != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestConvertBlocks(t *testing.T) {
	r, err := Parse([]byte(strings.Replace(good, "translate:",
		"convert:\n  gsm8k: {data: g}\n  hard: {benchmark: arc-challenge, data: h, answer: text}\ntranslate:", 1)))
	if err != nil {
		t.Fatal(err)
	}
	g, h := r.Convert["gsm8k"], r.Convert["hard"]
	if g.Benchmark != "gsm8k" || g.Dataset != "gsm8k" || g.Split != "train" || g.Answer != "label" ||
		h.Benchmark != "arc-challenge" || h.Dataset != "hard" || h.Answer != "text" {
		t.Errorf("%+v, %+v", g, h)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	for _, c := range []struct{ change, to, want string }{
		{"rank: 8", "rnak: 8", `line 8: unknown key "train.rnak"; did you mean rank?`},
		{"wiki:", "wikki:", "did you mean wiki?"},
		{"temperature: 0.5", "temperature: warm", `line 5: synth.temperature is "warm", expected a number`},
		{"temperature: 0.5", "turns: 2.5", "line 5: synth.turns is 2.5, expected a whole number"},
		{"temperature: 0.5", "independent: yes", `line 5: synth.independent is "yes", expected true or false`},
		{"temperature: 0.5", "temperature:", "synth.temperature has no value, expected a number"},
		{"temperature: 0.5", "model: x", "line 5: synth.model is not set here; set models.generator.model"},
		{"temperature: 0.5", "model_digest: x", "synth.model_digest is computed"},
		{"{rank: 8}", "{targets: q_proj}", `train.targets is "q_proj", expected a list; write [q_proj]`},
		{"{rank: 8}", "{targets: [q_proj, 1]}", `train.targets[1] is 1, expected text; write "1" in quotes`},
		{"{rank: 8}", "{dtype: fp16}", `line 8: train.dtype: dtype "fp16": expected f32, bf16 or int8`},
		{"name: test", "name: 2024", `name is 2024, expected text; write "2024" in quotes`},
		{"name: test", "name: test\ndtype: float16", `line 3: dtype: dtype "float16"`},
		{"name: test", "name: test\nlanguage: arabic", `line 3: language is "arabic", expected an NLLB code`},
		{"name: test", "name: test\nseed: 1e30", `seed is "1e30", expected a whole number`},
		{"name: test", "name: test\ninputs: {mix: {main: x}}", "line 3: inputs.mix: the name main is taken"},
		{"temperature: 0.5", "temperature: -1", "temperature"},
		{"name: test", "", "name is missing"},
		{"translator: t, ", "", "add models: translator"},
		{"mix:\n", "", "add a mix block"},
		{"{dump: x.xml}", "{}", "dump"},
		{"{dump: x.xml}", "{dump: x.xml}\ninputs: {passages: p}", "line 5: inputs.passages has no effect beside a wiki block"},
		{"{model: g}", "{model: g, key_variable: K}", "line 3: models.generator: key_variable, requests_per_minute and " +
			"tokens_per_minute are only for an endpoint"},
		{"{rank: 8}", "{rank: 8, rank: 9}", "rank"},
		{"{rank: 8}", "8", "line 8: train is 8, expected settings of its own"},
		{"name: test", "name: [", "YAML"},
		{"eval: {data: d}", "eval: {data: d, revisions: {OALL/ACVA: main}}", "no effect beside data"},
		{"eval: {data: d}", "eval: {revisions: {OALL/ACVA: a b}}", "revision \"a b\" is neither a name nor a commit"},
		{"translate:", "translate: {max_length: 0}", "max_length is 0, expected at least 3"},
		{"translate:", "translate: {max_length: 2}", "max_length is 2, expected at least 3"},
		{"translate:", "translate: {beam: 0}", "beam is 0"},
		{"translate:", "translate: {beams: 0}", "beam is 0"},
		{"translate:", "translate: {beam: 4, beams: 4}", "beam is given twice"},
		{"translate:", "translate: {no_repeat_ngram: -1}", "no_repeat_ngram is -1"},
		{"translate:", "translate: {early_stopping: maybe}", `early_stopping is "maybe", expected false, true, never or ctranslate2`},
		{"translate:", "translate: {patience: 2}", "patience is 2, which has an effect only with early_stopping ctranslate2"},
		{"translate:", "translate: {early_stopping: ctranslate2, patience: 0}", "patience is 0, expected at least one hypothesis of 5 beams"},
		{"translate:", "translate: {min_length: 512}", "min_length is 512, expected 0 (off) or less than max_length, 512"},
		{"translate:", "translate: {max_length_ratio: -1}", "max_length_ratio is -1, expected 0 (off) or a positive number"},
		{"translate:", "translate: {repetition_penalty: 0.9}", "repetition_penalty is 0.9, expected at least 1"},
		{"translate:", "translate: {temperature: 0.7}", "needs beam 1; beam is 5"},
		{"translate:", "translate: {top_k: 5}", "have an effect only with a temperature above 0"},
		{"translate:", "translate: {beam: 1, temperature: 0.7, top_p: 0}", "top_p is 0, expected a number above 0"},
		{"translate:", "translate: {beam: 1, temperature: 0.7, min_p: 2}", "min-p is 2"},
		{"translate:", "translate: {lenght_penalty: 1}", "did you mean length_penalty?"},
		{"translate:", "filter: {preset: sead}\ntranslate:", `line 6: filter: preset is "sead", expected default, fineweb2 or seed`},
		{"translate:", "convert: {alpaca: {}}\ntranslate:", "alpaca: data is missing"},
		{"translate:", "convert: {boolq: {source: x}}\ntranslate:", "convert.boolq.source is computed; leave it out"},
		{"translate:", "convert: {boolq: {model: x}}\ntranslate:", "set models.generator.model"},
		{"models: {generator: {model: g}, ", "convert: {boolq: {justify: true}}\nmodels: {", "convert has no model for justify and rewrite"},
		{"translate:", "convert: {gsm8k: {justify: true}}\ntranslate:", "which gsm8k does not have"},
		{"translate:", "convert: {boolq: {few_shot: 2}}\ntranslate:", "few_shot is 2, expected a share from 0 to 1"},
		{"translate:", "convert: {bolq: {data: x}}\ntranslate:", "those known: alpaca"},
		{"translate:", "convert: {boolq: {dta: x}}\ntranslate:", `unknown key "convert.boolq.dta"; did you mean data?`},
		{"translate:", "convert: {../x: {benchmark: boolq, data: x}}\ntranslate:", "small letters"},
	} {
		_, err := Parse([]byte(strings.Replace(good, c.change, c.to, 1)))
		if err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q for %q: %v, expected %q", c.to, c.change, err, c.want)
		}
	}
}

// TestAllMistakesTogether: all mistakes are listed in the order of their lines, also
// several of one block, without those that only follow from others.
func TestAllMistakesTogether(t *testing.T) {
	_, err := Parse([]byte(`name: test
dtype: fp16
models:
  base: b
  tranlator: t
synth:
  turns: 99
  top_p: 3
  temperature: warm
translate:
  to: fra_Latn
  beams: 0
mix:
train:
  rank: 0
  alpha: -1
  lrr: 1
`))
	if err == nil {
		t.Fatal("accepted")
	}
	for i, w := range []string{"mistakes", "line 2: dtype", `line 5: unknown key "models.tranlator"; did you mean translator?`,
		"line 7: synth: turns is 99", "line 8: synth: temperature 0.5 and top_p 3",
		`line 9: synth.temperature is "warm"`, "line 11: translate.to is not set here; set language", "line 12: " +
			"translate: beam is 0", "line 15: train: rank is 0", "line 16: train: alpha is -1",
		`line 17: unknown key "train.lrr"; did you mean lr?`} {
		lines := strings.Split(err.Error(), "\n")
		if i >= len(lines) || !strings.Contains(lines[i], w) {
			t.Errorf("line %d of the error is not %q:\n%v", i, w, err)
			break
		}
	}
}

// TestAnchors: keys that an alias adds have the values of its anchor, and the lines of the
// place of use.
func TestAnchors(t *testing.T) {
	text := strings.Replace(good, "train: {rank: 8}", "train: &t {rank: 8}\nfilter: {<<: *t}", 1)
	if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), `line 9: unknown key "filter.rank"`) {
		t.Errorf("%v", err)
	}
}

// TestShippedRecipes: every recipe in the repository is valid.
func TestShippedRecipes(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "recipes", "*.yaml"))
	if err != nil || len(files) < 4 {
		t.Fatalf("%d recipes, %v", len(files), err)
	}
	for _, f := range append(files, filepath.Join("..", "..", "testdata", "chain", "recipe.yaml")) {
		if _, err := Load(f); err != nil {
			t.Errorf("%v", err)
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"# ", "barka ", "token", "memory"} {
			if f := filepath.Base(f); f != "recipe.yaml" && !strings.Contains(strings.ToLower(string(text)), want) {
				t.Errorf("%s: the header does not speak of %q", f, want)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Add("a: {b: [1, {c: d}]}\n---\n")
	f.Add("name: &x y\nwiki: *x")
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := Parse([]byte(s)); err != nil && !badinput.Is(err) {
			t.Fatal(err)
		}
	})
}

func TestRecipesAreUTF8(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.yaml")
	if err := os.WriteFile(path, []byte("seed: 1\nname: a\xff\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !badinput.Is(err) || !strings.Contains(err.Error(), "r.yaml: line 2: not UTF-8: byte 0xff at offset 7") {
		t.Errorf("error %v", err)
	}
}

// TestEndpoints: endpoints of a list take the settings that they lack from the generator, a
// judge has its own, and mistakes are named.
func TestEndpoints(t *testing.T) {
	const rest = "name: n\nwiki: {dump: d}\nsynth: {best_of: 4, pairs: true}\nmodels:\n"
	r, err := Parse([]byte(rest + `
  generator:
    model: m
    key_variable: KEY
    concurrency: 16
    price_in: 0.5
    endpoints:
      - {endpoint: "http://a.test/v1"}
      - {endpoint: "http://b.test/v1", model: m-q4, concurrency: 2, tokens_per_minute: 900, price_in: 1, price_out: 2}
  judge: {model: j, endpoint: "http://c.test/v1", requests_per_minute: 60}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []llm.Server{
		{Endpoint: "http://a.test/v1", KeyVariable: "KEY", Concurrency: 16, PriceIn: 0.5},
		{Endpoint: "http://b.test/v1", Model: "m-q4", KeyVariable: "KEY", Concurrency: 2, TokensPerMinute: 900, PriceIn: 1, PriceOut: 2},
	}
	if got := r.Models.Generator.servers(); !slices.Equal(got, want) {
		t.Errorf("endpoints %+v, want %+v", got, want)
	}
	if got := r.Models.Judge.servers(); len(got) != 1 || got[0].KeyVariable != "" || got[0].Concurrency != 8 ||
		got[0].RequestsPerMinute != 60 {
		t.Errorf("the judge's endpoint %+v", got)
	}
	if o := r.synthOptions(); o.Concurrency != 18 || o.Judge != "j" || o.BestOf != 4 {
		t.Errorf("options %+v", o)
	}
	if names := r.LocalModels(); len(names) > 0 {
		t.Errorf("local models %v", names)
	}
	for text, want := range map[string]string{
		"  generator: {model: m, endpoint: \"http://a.test\", endpoints: [{endpoint: \"http://b.test\"}]}\n": "has both endpoint and endpoints",
		"  generator: {model: m, endpoints: [{model: x}]}\n":                                                 "one of them has no endpoint",
		"  generator: {model: m, endpoints: [{endpont: x}]}\n":                                               "did you mean endpoint?",
		"  generator: {model: m}\n  judge: {endpoint: \"http://a.test\"}\n":                                  "has an endpoint but no model",
		"  generator: {model: m}\n  judge: {model: j, tokens_per_minute: 5}\n":                               "only for an endpoint",
		"  generator: {model: m, endpoint: \"http://a.test\", price_out: -1}\n":                              "price_out -1",
	} {
		if _, err := Parse([]byte(rest + text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}
