package eval

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"barka/internal/chat"
	"barka/internal/eval/evaltest"
	"barka/internal/eval/lighteval"
	"barka/internal/eval/record"
	"barka/internal/testfiles"
	"barka/internal/tokenizer"
)

// The digests in this file are those of published result files of the reference. With real
// tokenizers they verify prompts with examples and with a chat template, token boundaries,
// sorting, splits and padding.

func loadTokenizer(t *testing.T, name, eos string) evaltest.Tokenizer {
	t.Helper()
	path, ok := testfiles.FindShared(t, "tokenizers", name, "tokenizer.json")
	if !ok {
		path = testfiles.Shared(t, "tokenizers", name, "tokenizer.json.gz")
	}
	tok, err := tokenizer.Parse(testfiles.Read(t, path))
	if err != nil {
		t.Fatal(err)
	}
	id, ok := tok.ID(eos)
	if !ok {
		t.Fatalf("%s has no token %s", name, eos)
	}
	return evaltest.Tokenizer{Tokenizer: tok, End: id}
}

// gemmaChat renders messages with Gemma's template.
type gemmaChat struct{ *hashModel }

func (gemmaChat) ApplyChatTemplate(messages []chat.Message) (string, error) {
	var b strings.Builder
	b.WriteString("<bos>")
	for _, m := range messages {
		role := strings.Replace(m.Role, "assistant", "model", 1)
		b.WriteString("<start_of_turn>" + role + "\n" + strings.TrimSpace(m.Content) + "<end_of_turn>\n")
	}
	return b.String() + "<start_of_turn>model\n", nil
}

// summary is an entry of summary_tasks or summary_general.
type summary struct {
	Hashes    hashes
	Truncated int
	Unshort   int `json:"non_truncated"`
	Padded    int
	Unpadded  int     `json:"non_padded"`
	Effective float64 `json:"effective_few_shots"`
	Fewer     int     `json:"num_truncated_few_shots"`
}

type hashes struct {
	Examples string `json:"hash_examples"`
	Prompts  string `json:"hash_full_prompts"`
	Inputs   string `json:"hash_input_tokens"`
	Conts    string `json:"hash_cont_tokens"`
}

// publishedRun prepares tasks with the settings of a published run and returns the
// summaries of the tasks and of all tasks together. The answers are fake, because no
// summary depends on them.
func publishedRun(t *testing.T, m Model, o Options) (perTask map[string]summary, all summary) {
	t.Helper()
	e, err := prepare(t.Context(), m, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := failed(e.run.LeftOut, len(o.Tasks)); err != nil {
		t.Fatal(err)
	}
	for _, r := range e.run.Tasks {
		for i := range r.Questions {
			r.Questions[i].Answer = new(record.Answer)
		}
	}
	path, err := lighteval.NewReport(e.run).WriteResults(t.TempDir(), time.Unix(0, 0), time.Unix(0, 0), "now")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Tasks map[string]summary `json:"summary_tasks"`
		All   summary            `json:"summary_general"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	return file.Tasks, file.All
}

// TestPublishedTokens compares with two runs of google/gemma-2-2b-it on the 58 ACVA tasks:
// of 21 August 2024 (batches of 32), and of 5 September 2024 with the chat template
// (batches of 16).
func TestPublishedTokens(t *testing.T) {
	m := newHashModel()
	m.tokenizer = loadTokenizer(t, "gemma2", "<eos>")
	o := fixtureOptions(t, "acva")
	o.DataDir = convertedData(t)
	for _, c := range []struct {
		chat  bool
		batch int
		all   hashes
		yemen hashes
	}{
		{false, 32, hashes{"a3d21325abaff962", "a3d21325abaff962", "81e9dea5bd78d82e", "ab8e1b072076e2a5"},
			hashes{"18e9bcccbb4ced7a", "18e9bcccbb4ced7a", "5b4c0f057d734182", "902a9e68c677e49c"}},
		{true, 16, hashes{"a3d21325abaff962", "bad8c7dd4c02caa9", "df99407a8f4f67c4", "31b2f0ea9c97c49d"},
			hashes{"18e9bcccbb4ced7a", "0d5578573a4a3b05", "1cc97c076cee4208", "3a2bb9d917264afe"}},
	} {
		o.BatchSize, o.UseChatTemplate = c.batch, c.chat
		got, all := publishedRun(t, gemmaChat{m}, o)
		if want := (summary{Hashes: c.all, Unshort: 8710, Padded: 14987, Unpadded: 2433}); all != want {
			t.Errorf("chat template %v, all tasks: %+v, published %+v", c.chat, all, want)
		}
		if y := got["community|acva:Yemen|0"]; y.Hashes != c.yemen || y.Padded != 17 || y.Unpadded != 3 {
			t.Errorf("chat template %v, Yemen: %+v", c.chat, y)
		}
	}
}

// TestPublishedFewShots compares prompts with examples, and the number of examples that fit
// into 2,048 tokens, with runs of EleutherAI/pythia-70m of 9 and 12 July 2024.
func TestPublishedFewShots(t *testing.T) {
	m := newHashModel()
	m.tokenizer, m.maxLength = loadTokenizer(t, "gpt-neox", "<|endoftext|>"), 2048
	published := []struct {
		task      string
		k         int
		prompts   string
		effective float64
		fewer     int
	}{
		{"abstract_algebra", 1, "1e3c8af2c9f8986c", 1, 0},
		{"anatomy", 1, "36ae7f64fb80f9a1", 1, 0},
		{"astronomy", 1, "75117e87b0b16e79", 1, 0},
		{"business_ethics", 1, "e968124a7d6f3479", 1, 0},
		{"abstract_algebra", 5, "7dae76e9c966c8ee", 5, 0},
		{"anatomy", 5, "96b301d0d23a23b2", 5, 0},
		{"astronomy", 5, "18aab550cbf246fb", 5, 0},
		{"business_ethics", 5, "0b6d539453c08221", 5, 0},
		{"high_school_computer_science", 5, "503becb3ca3fa1fd", 4.69, 31},
		{"high_school_european_history", 5, "87a2b1b5bd581c69", 4.945454545454545, 5},
		{"high_school_geography", 5, "f4585f814c7f4de2", 5, 0},
		{"high_school_statistics", 5, "4375b93018e97c76", 4.99537037037037, 1},
		{"high_school_world_history", 5, "746184e8b08a1f37", 4.962025316455696, 3},
		{"professional_law", 5, "4f56cdb1ed351fd3", 3.4237288135593222, 1534},
		{"professional_medicine", 5, "97ab989d8507b2e3", 4.988970588235294, 3},
		{"security_studies", 5, "ceffe04eccc4da84", 2.816326530612245, 245},
	}
	var list []string
	for _, p := range published {
		list = append(list, fmt.Sprintf("community|arabic_mmlu:%s|%d|1", p.task, p.k))
	}
	o := fixtureOptions(t, strings.Join(list, ","))
	o.DataDir = convertedData(t)
	got, _ := publishedRun(t, m, o)
	for _, p := range published {
		s := got[fmt.Sprintf("community|arabic_mmlu:%s|%d", p.task, p.k)]
		if s.Hashes.Prompts != p.prompts || s.Effective != p.effective || s.Fewer != p.fewer {
			t.Errorf("%s with %d examples: prompts %s, %v of them fit, fewer in %d; published %s, %v, %d",
				p.task, p.k, s.Hashes.Prompts, s.Effective, s.Fewer, p.prompts, p.effective, p.fewer)
		}
	}
}
