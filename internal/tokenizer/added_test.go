package tokenizer

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"barka/internal/badinput"
)

// TestMatcher: the longest token at the first place where one begins is found,
// as comparing all of them finds it.
func TestMatcher(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	word := func(n int) string {
		var b strings.Builder
		for range 1 + r.IntN(n) {
			b.WriteByte("abé\xc3"[r.IntN(5)])
		}
		return b.String()
	}
	for range 2000 {
		var m matcher
		var all []addedToken
		for id := range int32(1 + r.IntN(12)) {
			all = append(all, addedToken{ID: id, Content: word(5), Special: r.IntN(2) == 0})
			m.add(all[id])
		}
		m.ready()
		text := word(30)
		at, got := m.next(text, 0)
		want, wantAt := (*addedToken)(nil), len(text)
		for i := 0; i < len(text) && want == nil; i++ {
			for j := range all {
				if strings.HasPrefix(text[i:], all[j].Content) && (want == nil || len(all[j].Content) > len(want.Content)) {
					want, wantAt = &all[j], i
				}
			}
		}
		if at != wantAt || (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Fatalf("%+v in %q: %v at %d, want %v at %d", all, text, got, at, want, wantAt)
		}
	}
}

// TestManyAddedTokens: with 200,000 added tokens that share a prefix, a text of nothing
// but prefixes is read in time linear in its length.
func TestManyAddedTokens(t *testing.T) {
	tokens := make([]addedToken, 200_000)
	for i := range tokens {
		tokens[i] = addedToken{ID: int32(i), Content: fmt.Sprintf("<|token %06d|>", i), Special: true}
	}
	start := time.Now()
	a := newAddedTokens(tokens, nil)
	for _, c := range []struct {
		text string
		want int
	}{{strings.Repeat("<|token 0999", 20_000), 0}, {strings.Repeat("<", 200_000),
		0}, {strings.Repeat("<|token 199999|>", 10_000), 10_000}} {
		n := 0
		a.raw.split(c.text, nil, func(_ string, _ int, id int32) {
			if id >= 0 {
				n++
			}
		})
		if n != c.want {
			t.Errorf("%d tokens in %.20q…, want %d", n, c.text, c.want)
		}
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("%s", took)
	}
	long, err := json.Marshal([]addedToken{{Content: strings.Repeat("a", maxAdded+1)}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Parse([]byte(`{"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"added_tokens":` + string(long) + `}`))
	if !badinput.Is(err) || !strings.Contains(err.Error(), "expected at most 4096") {
		t.Errorf("a token of %d bytes: %v", maxAdded+1, err)
	}
}
