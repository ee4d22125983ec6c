package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPreviewWarnsOfTwoBOS: a chat template that writes BOS twice, which barka train --preview
// shows, is also warned about, with the number of rows. The model's own template is not.
func TestPreviewWarnsOfTwoBOS(t *testing.T) {
	model := filepath.Join(inputs(t), "models", "gemma2")
	data := filepath.Join(t.TempDir(), "data.jsonl")
	row := `{"messages": [{"role": "user", "content": "Coffee?"}, {"role": "assistant", "content": "Yes."}]}` + "\n"
	if err := os.WriteFile(data, []byte(row+strings.Replace(row, "Coffee", "Tea", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	preview := func() result {
		r := barka(t, "", "train", "--model", model, "--data", data, "--out", filepath.Join(t.TempDir(), "out"), "--preview")
		if r.code != exitDone || !strings.Contains(r.out, "⟦Yes.<end_of_turn>⟧") {
			t.Fatalf("exit code %d: %s%s", r.code, r.out, r.err)
		}
		return r
	}
	if r := preview(); strings.Contains(r.err, "BOS") {
		t.Errorf("the model's own template: %s", r.err)
	}
	path := filepath.Join(model, "tokenizer_config.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	config["chat_template"] = "{{ bos_token }}" + config["chat_template"].(string)
	if text, err = json.Marshal(config); err == nil {
		err = os.WriteFile(path, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if r := preview(); !strings.Contains(r.err, "2 rows begin with two BOS tokens") || !strings.Contains(r.out, "<bos><bos>") {
		t.Errorf("%s%s", r.out, r.err)
	}
}
