package chattranslator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/llm"
)

// named is a client that answers nothing.
type named string

func (n named) Name() string { return string(n) }
func (named) Complete(context.Context, llm.Request) (llm.Response, error) {
	return llm.Response{}, errors.New("not to be asked")
}

func translator(t *testing.T, client llm.Client, change func(o *Options)) *Translator {
	t.Helper()
	o := Defaults()
	o.From, o.To = "eng_Latn", "arb_Arab"
	if change != nil {
		change(&o)
	}
	tr, err := New(client, o)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// TestPrompts: the prompt of each family, as its source publishes it.
func TestPrompts(t *testing.T) {
	const text = "May the force be with you"
	user := func(s string) []chat.Message { return []chat.Message{{Role: "user", Content: s}} }
	for _, c := range []struct {
		model, to, family string
		messages          []chat.Message
		raw               string
	}{
		{"google/translategemma-4b-it", "arb_Arab", "translategemma", user("You are a professional English (en) to Arabic (ar) translator. " +
			"Your goal is to accurately convey the meaning and nuances of the original English text while adhering to Arabic grammar, " +
			"vocabulary, and cultural sensitivities.\nProduce only the Arabic translation, without any additional explanations or " +
			"commentary. Please translate the following English text into Arabic:\n\n\n" + text), ""},
		{"xiaomi-research/GemmaX2-28-2B-v0.2", "arb_Arab", "gemmax2", nil,
			"Translate this from English to Arabic:\nEnglish: " + text + "\nArabic:"},
		{"utter-project/EuroLLM-9B-Instruct", "por_Latn", "eurollm", append([]chat.Message{{Role: "system"}},
			user("Translate the following English source text to Portuguese:\nEnglish: "+text+"\nPortuguese: ")...), ""},
		{"ByteDance-Seed/Seed-X-PPO-7B", "zho_Hans", "seed-x", nil, "Translate the following English sentence into Chinese:\n" + text + " <zh>"},
		{"tencent/Hunyuan-MT-7B", "arb_Arab", "hunyuan-mt",
			user("Translate the following segment into Arabic, without additional explanation.\n\n" + text), ""},
		{"HY-MT1.5-1.8B", "zho_Hans", "hunyuan-mt", user("把下面的文本翻译成中文，不要额外解释。\n\n" + text), ""},
		{"Qwen3-8B", "arz_Arab", "plain", user("Translate the following English text into Egyptian Arabic. Keep numbers, names of files, " +
			"code and marks such as #1# as they are. Write the translation only, without notes.\n\n" + text), ""},
	} {
		tr := translator(t, named(c.model), func(o *Options) { o.To = c.to })
		r, err := tr.request(text)
		if err != nil || tr.Family().Name != c.family || r.Prompt != c.raw || !reflect.DeepEqual(r.Messages, c.messages) {
			t.Errorf("%s: %v\n got %s %q %q\nwant %s %q %q", c.model, err, tr.Family().Name, r.Messages, r.Prompt, c.family, c.messages, c.raw)
		}
		if !tr.Family().Verified || tr.Family().Source == "" {
			t.Errorf("%s: no source of its format", c.family)
		}
	}
	own := translator(t, named("translategemma-4b"), func(o *Options) { o.OwnTemplate = true })
	if r, err := own.request(text); err != nil || !reflect.DeepEqual(r.Messages, user(text)) {
		t.Errorf("a template that takes languages: %q (%v)", r.Messages, err)
	}
}

// TestExamplesAndTerms: examples precede the text as turns or as prompts with answers;
// terms are shown only if the text has them.
func TestExamplesAndTerms(t *testing.T) {
	with := func(o *Options) {
		o.Examples = []Term{{"Good morning.", "صباح الخير."}}
		o.Glossary = []Term{{"force", "القوة"}, {"Force India", "فورس إنديا"}, {"oil", "نفط"}}
	}
	r, err := translator(t, named("m"), with).request("Boil the force, Force India!")
	if err != nil || len(r.Messages) != 3 || r.Messages[1] != (chat.Message{Role: "assistant", Content: "صباح الخير."}) ||
		strings.Contains(r.Messages[0].Content, "القوة") ||
		!strings.HasPrefix(r.Messages[2].Content, "Translate these terms as given:\n- force: القوة\n- Force India: فورس إنديا\n\nTranslate the") {
		t.Errorf("%q (%v)", r.Messages, err)
	}
	r, err = translator(t, named("gemmax2"), with).request("Oil.")
	want := "Translate this from English to Arabic:\nEnglish: Good morning.\nArabic: صباح الخير.\n\n" +
		"Translate these terms as given:\n- oil: نفط\n\nTranslate this from English to Arabic:\nEnglish: Oil.\nArabic:"
	if err != nil || r.Prompt != want || len(r.Stop) != 1 {
		t.Errorf("%q (%v), want %q", r.Prompt, err, want)
	}
	r, err = translator(t, named("hy-mt2"), with).request("The force.")
	if want := "参考下面的翻译：\nforce 翻译成 القوة\n\nTranslate the"; err != nil || !strings.HasPrefix(r.Messages[2].Content, want) {
		t.Errorf("%q (%v), want %q", r.Messages[2].Content, err, want)
	}
	o := Defaults()
	o.From, o.To, o.OwnTemplate, o.Glossary = "en", "ar", true, []Term{{"a", "b"}}
	if _, err := New(named("translategemma"), o); !badinput.Is(err) || !strings.Contains(err.Error(), "no glossary") {
		t.Errorf("a glossary for a template without one: %v", err)
	}
}

// TestIdentity: what changes a request changes the identity.
func TestIdentity(t *testing.T) {
	seen := map[string]int{}
	for i, change := range []func(o *Options){nil, func(o *Options) { o.To = "fra_Latn" }, func(o *Options) { o.Family = "eurollm" },
		func(o *Options) { o.Examples = []Term{{"a", "b"}} }, func(o *Options) { o.Glossary = []Term{{"a", "b"}} },
		func(o *Options) { o.Temperature = 0.5 }, func(o *Options) { o.TopP = 0.5 }, func(o *Options) { o.MaxTokens = 9 }} {
		id, err := translator(t, named("m"), change).Identity()
		if before, ok := seen[string(id)]; ok || err != nil {
			t.Errorf("options %d and %d: %s (%v)", before, i, id, err)
		}
		seen[string(id)] = i
	}
}

func TestFamilies(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.yaml")
	write := func(text string) string {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	f, err := OpenFamily(write("name: mine\nuser: \"{{.From}}>{{.ToCode}}: {{.Text}}\"\n"), "x")
	if err != nil || f.Name != "mine" || f.Verified {
		t.Errorf("%+v, %v", f, err)
	}
	for text, want := range map[string]string{
		"name: x":                                "user is missing",
		"name: x\nuser: hello":                   "{{.Text}} exactly once",
		"name: x\nuser: \"{{.Text}}{{.Wrong}}\"": "Wrong",
		"name: x\nuser: \"{{.Text\"":             "user:",
		"name: x\nuser: [":                       "mine.yaml",
		"name: x\nuser: \"{{.Text}}\"\nglossary: \"{{range .Terms}}{{.X}}{{end}}\"": "glossary",
	} {
		if _, err := OpenFamily(write(text), "x"); !badinput.Is(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, expected %q", text, err, want)
		}
	}
	if _, err := OpenFamily("gemmma", "x"); !badinput.Is(err) || !strings.Contains(err.Error(), "translategemma") {
		t.Error(err)
	}
}

func TestLanguageOf(t *testing.T) {
	for code, want := range map[string]Language{"arb_Arab": {"Arabic", "", "ar"}, "ar": {"Arabic", "", "ar"},
		"arz_Arab": {"Egyptian Arabic", "", "arz"}, "zho_Hans": {"Chinese", "", "zh"},
		"apc_Arab": {"North Levantine Arabic", "", "apc"}, "eng_Latn": {"English", "", "en"}} {
		got, err := LanguageOf(code)
		if err != nil || got.Name != want.Name || got.Code != want.Code || got.Chinese == "" {
			t.Errorf("%s: %+v (%v), want %+v", code, got, err, want)
		}
	}
	for _, code := range []string{"", "und", "xx_Yyyy_zz", "no such"} {
		if l, err := LanguageOf(code); !badinput.Is(err) {
			t.Errorf("%q: %+v, %v", code, l, err)
		}
	}
}

// server answers each request by its last line.
func server(t *testing.T, answer func(w http.ResponseWriter, prompt string)) llm.Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Messages []chat.Message
			Prompt   string
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		prompt := body.Prompt
		if r.URL.Path == "/v1/chat/completions" {
			prompt = body.Messages[len(body.Messages)-1].Content
		} else if r.URL.Path != "/v1/completions" {
			t.Errorf("path %s", r.URL.Path)
		}
		answer(w, prompt)
	}))
	t.Cleanup(s.Close)
	p, err := llm.NewPool("m", []llm.Server{{Endpoint: s.URL + "/v1", Concurrency: 3, PriceIn: 1, PriceOut: 2}},
		llm.Options{Retries: 2, Sleep: func(context.Context, time.Duration) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func says(w http.ResponseWriter, text, finish string) {
	json.NewEncoder(w).Encode(map[string]any{
		"choices": []any{map[string]any{"message": chat.Message{Role: "assistant", Content: text}, "text": text, "finish_reason": finish}},
		"usage":   map[string]int{"prompt_tokens": 10, "completion_tokens": 5},
	})
}

// TestTranslate: answers keep the order of the texts, failures of single requests are
// results with reasons, and what was paid is counted.
func TestTranslate(t *testing.T) {
	var busy, most atomic.Int32
	var once sync.Map
	client := server(t, func(w http.ResponseWriter, prompt string) {
		n := busy.Add(1)
		defer busy.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(2 * time.Millisecond)
		text := prompt[strings.LastIndex(prompt, "\n")+1:]
		_, again := once.LoadOrStore(text, true)
		switch {
		case text == "filtered":
			w.WriteHeader(400)
			fmt.Fprint(w, `{"error":{"message":"content_filter"}}`)
		case text == "down":
			w.WriteHeader(500)
		case text == "hiccup" && !again:
			w.WriteHeader(503)
		case text == "long":
			w.WriteHeader(400)
			fmt.Fprint(w, `{"error":{"message":"This model's maximum context length is 10 tokens"}}`)
		case text == "cut":
			says(w, "half", "length")
		case text == "sorry":
			says(w, "I'm sorry, I can't translate this.", "stop")
		case text == "nothing":
			says(w, "<think>hm</think>", "stop")
		default:
			says(w, "<think>easy</think>Here is the translation:\n\n\"«"+text+"» ok\"", "stop")
		}
	})
	texts := []string{"filtered", "down", "hiccup", "long", "cut", "sorry", "nothing", " "}
	want := []Result{{Reason: "request_filtered"}, {Reason: "request_unanswered", Failed: true}, {Text: "«hiccup» ok"}, {Reason: "too_long"},
		{Text: "half", Reason: "finish_length"}, {Text: "I'm sorry, I can't translate this.", Reason: "refusal"}, {Reason: "empty"}, {Text: " "}}
	for i := range 40 {
		texts, want = append(texts, fmt.Sprint("text ", i)), append(want, Result{Text: fmt.Sprintf("«text %d» ok", i)})
	}
	tr := translator(t, client, func(o *Options) { o.Concurrency = 6 })
	seen := 0
	got, err := tr.Translate(t.Context(), texts, func(int, Result) error { seen++; return nil })
	if err != nil || seen != len(texts) {
		t.Fatalf("%d results, %v", seen, err)
	}
	calls := 0
	for i, r := range got {
		if r.PromptTokens > 0 {
			calls++
		}
		if r.Text != want[i].Text || r.Reason != want[i].Reason || r.Failed != want[i].Failed {
			t.Errorf("%q: %+v, want %+v", texts[i], r, want[i])
		}
	}
	if s := tr.Spent(); s.Calls != int64(calls) || calls != 44 || s.PromptTokens != 440 || s.CompletionTokens != 220 ||
		s.Cost < 879e-6 || s.Cost > 881e-6 {
		t.Errorf("%+v for %d calls", s, calls)
	}
	other, err := tr.Into("fra_Latn")
	if err != nil || other.to.Name != "French" || other.Spent() != tr.Spent() {
		t.Errorf("into French: %+v, %v", other, err)
	}
	if m := most.Load(); m < 2 || m > 3 {
		t.Errorf("%d requests at once, expected 2 to 3, the endpoint's places", m)
	}
}

// TestTranslateStops: an error that concerns all requests, an error of the caller, and the
// context's end stop the translation.
func TestTranslateStops(t *testing.T) {
	texts := make([]string, 100)
	for i := range texts {
		texts[i] = fmt.Sprint(i)
	}
	var asked atomic.Int32
	refuses := server(t, func(w http.ResponseWriter, prompt string) { asked.Add(1); w.WriteHeader(401) })
	if _, err := translator(t, refuses, nil).Translate(t.Context(), texts, nil); !badinput.Is(err) || asked.Load() > 20 {
		t.Errorf("%v after %d requests", err, asked.Load())
	}
	fine := server(t, func(w http.ResponseWriter, prompt string) { says(w, "ok", "stop") })
	full, n := errors.New("the disk is full"), 0
	_, err := translator(t, fine, nil).Translate(t.Context(), texts, func(int, Result) error {
		if n++; n > 5 {
			return full
		}
		return nil
	})
	if !errors.Is(err, full) || n > 30 {
		t.Errorf("%v after %d results", err, n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = translator(t, fine, nil).Translate(ctx, texts, func(int, Result) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestRawOverHTTP: a family without a chat template uses the completions API.
func TestRawOverHTTP(t *testing.T) {
	client := server(t, func(w http.ResponseWriter, prompt string) {
		if prompt != "Translate this from English to Arabic:\nEnglish: Yes.\nArabic:" {
			t.Errorf("prompt %q", prompt)
		}
		says(w, " نعم.", "stop")
	})
	got, err := translator(t, client, func(o *Options) { o.Family = "gemmax2" }).Translate(t.Context(), []string{"Yes."}, nil)
	if err != nil || got[0].Text != "نعم." {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestOwnTerms: a text's own terms count as those of the glossary, which come first.
func TestOwnTerms(t *testing.T) {
	tr := translator(t, named("Qwen3-8B"), func(o *Options) { o.Glossary = []Term{{"tea", "شاي"}} })
	own := []Term{{"Coffee", "قهوة"}, {"Tea", "شاي أخضر"}, {"Milk", "حليب"}}
	r, err := tr.request("Some tea and some coffee.", own...)
	if err != nil {
		t.Fatal(err)
	}
	if p := r.Messages[0].Content; !strings.Contains(p, "- tea: شاي\n- Coffee: قهوة\n") ||
		strings.Contains(p, "Milk") || strings.Contains(p, "أخضر") {
		t.Errorf("prompt %q", p)
	}
	r, err = translator(t, named("Qwen3-8B"), nil).request("Some tea.", own[0])
	if err != nil || strings.Contains(r.Messages[0].Content, "terms") {
		t.Errorf("a text without the term: %q, %v", r.Messages[0].Content, err)
	}
}
