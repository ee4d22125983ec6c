package llm

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

func TestModels(t *testing.T) {
	for answer, want := range map[string][]string{`{"data": [{"id": "a"}, {"id": "b"}]}`: {"a", "b"}, `<html>`: nil, "": nil} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1/models" || r.Method != http.MethodGet {
				t.Errorf("%s %s", r.Method, r.URL.Path)
			}
			if answer == "" {
				http.NotFound(w, r)
			}
			w.Write([]byte(answer))
		}))
		c, err := NewHTTP(Options{BaseURL: s.URL + "/v1", Model: "a"})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.Models(context.Background()); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v", answer, got, err)
		}
		s.Close()
		if answer != "" {
			continue
		}
		if c, err = NewHTTP(Options{BaseURL: s.URL + "/v1", Model: "a"}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Models(context.Background()); err == nil {
			t.Error("a server that is gone answered")
		}
	}
}
