package langid

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"barka/internal/testfiles"
)

// TestGolden compares with reference/langid, which computes the same in Python.
func TestGolden(t *testing.T) {
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		Text, Language string
		Probability    float64
	}
	if err := json.Unmarshal(data, &rows); err != nil || len(rows) < 40 {
		t.Fatal(len(rows), err)
	}
	for _, r := range rows {
		g := Identify(r.Text)
		if strings.Count(r.Text, "ا") == 300 {
			continue // longer than a word may be: cut, where the reference does not
		}
		if g.Language != r.Language || math.Abs(g.Probability-r.Probability) > 1e-3 {
			t.Errorf("%.60q: %s %.5f, reference %s %.5f", r.Text, g.Language, g.Probability, r.Language, r.Probability)
		}
		if p, ok := g.Of(g.Language); !ok || p != g.Probability {
			t.Errorf("%.60q: Of %v %v", r.Text, p, ok)
		}
	}
}

// TestCache: words that are known from other texts count as they do in an empty cache.
func TestCache(t *testing.T) {
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct{ Text string }
	if err := json.Unmarshal(data, &rows); err != nil {
		t.Fatal(err)
	}
	for _, table := range model() {
		full := &cache{}
		for range 2 {
			for _, r := range rows {
				var alone, after counter
				a, b := alone.addKnown(table, &cache{}, r.Text), after.addKnown(table, full, r.Text)
				alone.flush()
				after.flush()
				if a != b || alone != after {
					t.Fatalf("%s, %.60q: %v, in an empty cache %v", table.script, r.Text, after, alone)
				}
			}
		}
	}
}

// TestDialects: Egyptian, Levantine, Gulf, Iraqi, Sudanese and Maghrebi Arabic are Arabic.
func TestDialects(t *testing.T) {
	for _, s := range []string{
		"إزيك يا باشا، عامل إيه النهارده؟ أنا مش عارف أعمل إيه في الموضوع ده خالص",
		"شو عم تعمل هلق؟ بدي روح عالسوق جيب شوية خضرة ورجع بكير",
		"وش تسوي الحين؟ أبي أروح السوق أشتري كم غرض وبرجع بدري إن شاء الله",
		"شلونك عيني؟ شكو ماكو؟ هسه أجي يمكم ونروح سوية للبيت",
		"لاباس عليك؟ واش كاين شي جديد؟ غادي نمشي للسوق باش نشري الخضرة ديال الغدا",
		"كيفاش راك؟ ماعلاباليش وقتاش نرجع للدار، كي نخلص نعيطلك",
		"شنوة أحوالك؟ نحب نمشي للبحر توة ومن بعد نرجعو للدار",
		"يا زول كيف حالك؟ داير أمشي السوق عشان أشتري حاجات للبيت",
		"بكام الكيلو ده؟ غالي أوي يا عم، مفيش حاجة أرخص من كده؟",
	} {
		if g := Identify(s); g.Language != "arb_Arab" || g.Probability < 0.5 {
			t.Errorf("%s: %s %.2f", s, g.Language, g.Probability)
		}
	}
}

// TestOtherScripts: a script without a model is all that is known of a text.
func TestOtherScripts(t *testing.T) {
	for text, want := range map[string]string{"": "", "123 !": "", "Привет, мир": "und_Cyrl", "שלום עולם": "und_Hebr", "你好世界": "und_Hani",
		"Привет hello": "und_Cyrl", "hello مرحبا بالعالم": "arb_Arab"} {
		if g := Identify(text); g.Language != want {
			t.Errorf("%q: %q, want %q", text, g.Language, want)
		}
	}
	if _, ok := Identify("hello").Of("rus_Cyrl"); ok {
		t.Error("a language without a model is known")
	}
	if p, ok := Identify("Привет").Of("arb_Arab"); !ok || p != 0 {
		t.Errorf("Russian is Arabic with %v", p)
	}
}

// TestHeldOut measures human translations that the model was not trained on.
func TestHeldOut(t *testing.T) {
	for file, want := range map[string]string{"newstest2019-ref.arb.txt": "arb_Arab", "newstest2019-src.eng.txt": "eng_Latn"} {
		path := testfiles.Shared(t, "parallel", "ntrex", file)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines, wrong := strings.Split(strings.TrimSpace(string(data)), "\n"), 0
		for _, line := range lines {
			if g := Identify(line); g.Language != want {
				wrong++
				t.Logf("%s %.2f: %s", g.Language, g.Probability, line)
			}
		}
		if 200*wrong > len(lines) {
			t.Errorf("%s: %d of %d lines are taken for another language", file, wrong, len(lines))
		}
	}
}

func BenchmarkIdentify(b *testing.B) {
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		b.Fatal(err)
	}
	var rows []struct{ Text, Language string }
	if err := json.Unmarshal(data, &rows); err != nil {
		b.Fatal(err)
	}
	for _, language := range []string{"arb_Arab", "eng_Latn"} {
		var text string
		for _, r := range rows {
			if r.Language == language && len(r.Text) > len(text) && len(r.Text) < 590 {
				text = r.Text
			}
		}
		b.Run(language, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				Identify(text)
			}
		})
	}
}
