package backend

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/prose"
	"barka/internal/stage/translate"
)

func TestLikely(t *testing.T) {
	for language, pieces := range map[string]struct{ yes, no string }{
		"arb_Arab": {"كتاب ال ١٢ 12 . ، « » — € 🙂 a km ab َ ـ x2", "the Буква 日本 é straße αβ abc ก"},
		"eng_Latn": {"the internationally é 12 ?", "كتاب Буква ab日"},
		"jpn_Jpan": {"日本 かな カナ ab 。", "한국 كتاب word"},
	} {
		scripts := prose.Scripts(language)
		for _, p := range strings.Fields(pieces.yes) {
			if !likely(p, scripts) {
				t.Errorf("%s: %q is not likely", language, p)
			}
		}
		for _, p := range strings.Fields(pieces.no) {
			if likely(p, scripts) {
				t.Errorf("%s: %q is likely", language, p)
			}
		}
	}
}

// TestRestrictedTranslator: texts that the model knows are translated as with the whole
// vocabulary, and so they are after a screen. A text of Latin words is, too, since a source's own pieces are always there.
func TestRestrictedTranslator(t *testing.T) {
	o := TranslatorOptions{From: "eng_Latn", To: "arb_Arab", Decoding: translate.DefaultDecoding()}
	whole, err := engine(t, 2).OpenTranslator(nllb, o)
	if err != nil {
		t.Fatal(err)
	}
	o.Vocabulary = translate.RestrictedVocabulary
	some, err := engine(t, 2).OpenTranslator(nllb, o)
	if err != nil {
		t.Fatal(err)
	}
	n := some.search.Vocabulary.Len()
	if all := whole.model.Info().Vocab; n < all/4 || n > all*9/10 {
		t.Errorf("the restricted vocabulary has %d of %d tokens", n, all)
	}
	texts := []string{"Coffee is served in small cups.", "Where is coffee served?", "Coffee is made from roasted beans."}
	want, err := whole.Run(context.Background(), texts, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := some.Run(context.Background(), texts, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range texts {
		if !reflect.DeepEqual(got[i].IDs, want[i].IDs) || got[i].Score < want[i].Score {
			t.Errorf("%q: %v (%g), want %v (%g)", texts[i], got[i].IDs, got[i].Score, want[i].IDs, want[i].Score)
		}
	}
	o.Vocabulary = translate.ScreenedVocabulary
	screened, err := engine(t, 2).OpenTranslator(nllb, o)
	if err != nil {
		t.Fatal(err)
	}
	if got, err = screened.Run(context.Background(), texts, nil); err != nil {
		t.Fatal(err)
	}
	for i := range texts {
		if d := got[i].Score - want[i].Score; !reflect.DeepEqual(got[i].IDs, want[i].IDs) || d > 1e-3 || d < -1e-3 {
			t.Errorf("screened, %q: %v (%g), want %v (%g)", texts[i], got[i].IDs, got[i].Score, want[i].IDs, want[i].Score)
		}
	}
	back, err := some.Into("eng_Latn")
	if err != nil || back.search.Vocabulary == some.search.Vocabulary || back.search.Vocabulary.Len() < n/2 {
		t.Errorf("the vocabulary of another target: %+v, %v", back, err)
	}
	o.To, o.Vocabulary = "xyz_Qaaa", translate.RestrictedVocabulary
	if _, err := engine(t, 1).LazyTranslator("nllb", nllb, o); err == nil || !badinput.Is(err) {
		t.Errorf("a language of unknown script: %v", err)
	}
}
