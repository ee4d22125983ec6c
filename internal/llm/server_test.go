package llm

import (
	"strings"
	"testing"
)

func TestParseServer(t *testing.T) {
	base := Server{Concurrency: 8, KeyVariable: "KEY", PriceIn: 2}
	got, err := ParseServer("http://a.test/v1,model=m:27b,concurrency=64,requests-per-minute=60,tokens-per-minute=900,price-out=0.5", base)
	want := Server{Endpoint: "http://a.test/v1", Model: "m:27b", KeyVariable: "KEY", Concurrency: 64,
		RequestsPerMinute: 60, TokensPerMinute: 900,
		PriceIn: 2, PriceOut: 0.5}
	if err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if got, err = ParseServer("http://a.test/v1", base); err != nil || got.Endpoint != "http://a.test/v1" || got.Concurrency != 8 {
		t.Errorf("%+v, %v", got, err)
	}
	for text, want := range map[string]string{
		"http://a.test,concurency=3":       "did you mean concurrency?",
		"http://a.test,":                   "",
		"http://a.test,,":                  "there is no setting",
		"http://a.test,concurrency":        "has no value",
		"http://a.test,concurrency=-1":     "expected a whole number",
		"http://a.test,price-in=NaN":       "expected a number",
		"http://a.test,price-in=1e300":     "expected a number",
		"http://u:secret@a.test,price-in=": "has no value",
	} {
		_, err := ParseServer(text, base)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows a password: %v", err)
		}
	}
}
