package nearest

import "testing"

func TestName(t *testing.T) {
	known := []string{"max_tokens", "min_p", "top_k", "top_p", "repetition_penalty"}
	for name, want := range map[string]string{
		"max_token": "max_tokens", "maxtokens": "max_tokens", "top_q": "top_k", "repetion_penalti": "repetition_penalty",
		"top_p": "top_p", "temperature": "", "": "", "xyz": "",
	} {
		if got := Name(name, known); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	if Name("a", nil) != "" {
		t.Error("a name out of nothing")
	}
}

func TestEdits(t *testing.T) {
	for _, c := range []struct {
		a, b string
		n    int
	}{{"", "", 0}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"rnak", "rank", 2}} {
		if n, back := edits(c.a, c.b), edits(c.b, c.a); n != c.n || back != c.n {
			t.Errorf("%q and %q: %d and %d, want %d", c.a, c.b, n, back, c.n)
		}
	}
}
