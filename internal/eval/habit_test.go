package eval

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// stuckModel prefers the first choice of every question, by its tokens.
type stuckModel struct{ *hashModel }

func (m stuckModel) Score(ctx context.Context, reqs []Request, done func(int, Score) error) error {
	for i, r := range reqs {
		sum := 0.0
		for _, token := range r.Continuation {
			sum += float64(token)
		}
		if err := done(i, Score{LogProb: -sum}); err != nil {
			return err
		}
	}
	return nil
}

// TestSameAnswersAreTold: a model with the same answer to everything is noted in the
// Markdown, the JSON and the page.
func TestSameAnswersAreTold(t *testing.T) {
	o := fixtureOptions(t, "acva:Algeria,acva:Arabic_Calligraphy")
	o.DataDir = "../../testdata/chain/data/benchmarks"
	out, err := Run(t.Context(), stuckModel{newHashModel()}, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	same := out.Leaderboard.SameAnswers()
	if len(same) != 1 || !strings.Contains(same[0], "acva: in 2 of 2 tasks") {
		t.Fatalf("%q; %+v", same, out.Leaderboard.Tasks)
	}
	for _, path := range []string{out.LeaderboardMD, out.LeaderboardHTML} {
		if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), same[0]) {
			t.Errorf("%s: %v, lacks %q", path, err, same[0])
		}
	}
	var extra struct {
		Same  []string `json:"same_answers"`
		Tasks map[string]struct {
			Given struct {
				Text         string
				Share, Right float64
			} `json:"given_most"`
		}
	}
	text, err := os.ReadFile(out.LeaderboardJSON)
	if err != nil || json.Unmarshal(text, &extra) != nil || len(extra.Same) != 1 || extra.Same[0] != same[0] {
		t.Errorf("%v: %s", err, text)
	}
	if given := extra.Tasks["community|acva:Algeria|0"].Given; given.Share != 1 || given.Text == "" {
		t.Errorf("%+v", given)
	}
}
