package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/golden"
)

// chatTemplates holds a template of each chat format.
var chatTemplates = map[string]string{
	"chatml": "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}" +
		"{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}" +
		"{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
	"llama3": "{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + " +
		"message['content'] | trim + '<|eot_id|>' }}{% endfor %}" +
		"{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
}

// chatModel copies a reference checkpoint and adds a tokenizer whose tokens are single
// bytes (GPT-2's before any merge) and the special tokens of the chat formats.
func chatModel(t *testing.T, name, format string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(golden.Dir(name))); err != nil {
		t.Fatal(err)
	}
	vocab := map[string]int{}
	next := rune(256) // bytes that print as themselves do; the others from 256 on
	for b := range 256 {
		r := rune(b)
		if b < '!' || b > '~' && b < 0xa1 || b == 0xad {
			r, next = next, next+1
		}
		vocab[string(r)] = b
	}
	type object = map[string]any
	var added []object
	for i, s := range []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>",
		"<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"} {
		added = append(added, object{"id": 256 + i, "content": s, "special": true, "normalized": false,
			"single_word": false, "lstrip": false, "rstrip": false})
	}
	level := object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}
	write(t, filepath.Join(dir, "tokenizer.json"), object{"version": "1.0", "added_tokens": added,
		"normalizer": nil, "pre_tokenizer": level, "decoder": level,
		"post_processor": nil, "model": object{"type": "BPE", "vocab": vocab, "merges": []string{}}})
	write(t, filepath.Join(dir, "tokenizer_config.json"), object{"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>",
		"bos_token": "<|begin_of_text|>", "chat_template": chatTemplates[format]})
	return dir
}

func write(t *testing.T, path string, v any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestEveryDecoder trains each architecture in a chat format and merges the adapter. It
// then generates, scores and evaluates with the adapter and with the merged model.
func TestEveryDecoder(t *testing.T) {
	for name, format := range map[string]string{"llama": "llama3", "llama-tied": "llama3", "mistral": "chatml",
		"qwen2": "chatml", "qwen2-window": "chatml", "gptneox": "chatml", "gptneox-sequential": "chatml"} {
		t.Run(name, func(t *testing.T) {
			model, root := chatModel(t, name, format), t.TempDir()
			data := filepath.Join(root, "data.jsonl")
			rows := `{"messages":[{"role":"user","content":"Hot?"},{"role":"assistant","content":"نعم"}]}` + "\n" +
				`{"conversations":[{"from":"human","value":"Cold?"},{"from":"gpt","value":"no"}]}` + "\n"
			if err := os.WriteFile(data, []byte(rows), 0o644); err != nil {
				t.Fatal(err)
			}
			adapter, merged := filepath.Join(root, "adapter"), filepath.Join(root, "merged")
			var s struct {
				First float64 `json:"first_loss"`
				Final float64 `json:"final_loss"`
			}
			out := ok(t, "", "train", "--model", model, "--data", data, "--out", adapter, "--rank", "4", "--alpha", "8",
				"--lr", "0.01", "--epochs", "20", "--batch", "2", "--warmup-ratio", "0", "--dropout", "0.05", "--json")
			if json.Unmarshal([]byte(out), &s) != nil || !(s.Final < 0.8*s.First) {
				t.Errorf("loss did not fall: %s", out)
			}
			ok(t, "", "merge", "--model", model, "--adapter", adapter, "--out", merged)

			request := `{"context":"Hot?","continuations":["نعم","no"]}` + "\n"
			score := func(args ...string) (r scoreReply) {
				if err := json.Unmarshal([]byte(ok(t, request, append([]string{"score"}, args...)...)), &r); err != nil {
					t.Fatal(err)
				}
				return r
			}
			plain, with, without := score("--model", model), score("--model", model, "--adapter", adapter), score("--model", merged)
			for i := range with.LogProbs {
				if math.Abs(with.LogProbs[i]-without.LogProbs[i]) > 1e-4*math.Abs(with.LogProbs[i]) || with.LogProbs[i] == plain.LogProbs[i] {
					t.Errorf("continuation %d: %g, with the adapter %g, merged %g", i, plain.LogProbs[i], with.LogProbs[i], without.LogProbs[i])
				}
			}
			say := func(args ...string) string {
				return strings.TrimSpace(ok(t, "", append([]string{"generate", "--prompt", "Cold?", "--max-tokens", "8"}, args...)...))
			}
			if a, b := say("--model", model, "--adapter", adapter), say("--model", merged); a != b {
				t.Errorf("with the adapter %q, merged %q", a, b)
			}
			evaluatedThreeWays(t, model, adapter, merged, "../../testdata/chain/data/benchmarks", 1e-4)
		})
	}
}

// TestChatTemplate: the text of a message cannot forge control tokens, --chat-format works
// for a model without a template, and a training run is bound to the template that it began
// with.
func TestChatTemplate(t *testing.T) {
	model, root := chatModel(t, "qwen2", "chatml"), t.TempDir()
	bare := chatModel(t, "qwen2", "none")
	prompt := func(args ...string) (n int) {
		var r struct {
			Prompt int `json:"prompt_tokens"`
		}
		if err := json.Unmarshal([]byte(ok(t, "", append([]string{"generate", "--max-tokens", "1", "--json"}, args...)...)), &r); err != nil {
			t.Fatal(err)
		}
		return r.Prompt
	}
	// A token is a byte or a control token.
	opened := len("user\n") + len("assistant\n") + 3 + len("\n")
	if n := prompt("--model", bare, "--chat-format", "chatml", "--prompt", "<|im_end|>"); n != opened+len("<|im_end|>") {
		t.Errorf("%d tokens, expected those of <|im_end|> as text", n)
	}
	system := 2 + len("system\nYou are a helpful assistant.\n")
	if n := prompt("--model", model, "--prompt", "Hot?"); n != system+opened+len("Hot?") {
		t.Errorf("%d tokens with the default system message", n)
	}
	data := filepath.Join(root, "data.jsonl")
	row := `{"messages":[{"role":"user","content":"Hot?"},{"role":"assistant","content":"no<|im_end|>"}]}` + "\n"
	if err := os.WriteFile(data, []byte(row), 0o644); err != nil {
		t.Fatal(err)
	}
	train := func(model string, args ...string) []string {
		return append([]string{"train", "--model", model, "--data", data,
			"--out", filepath.Join(root, "out"), "--rank", "2", "--batch", "1"}, args...)
	}
	var s struct {
		Data struct {
			Trained int `json:"trained_tokens"`
		}
	}
	out := ok(t, "", train(bare, "--chat-format", "chatml", "--json")...)
	if json.Unmarshal([]byte(out), &s) != nil || s.Data.Trained != len("no<|im_end|>")+1 {
		t.Errorf("trains on other tokens than the answer and one <|im_end|>: %s", out)
	}
	for want, args := range map[string][]string{
		"option chat_format was \"chatml\" and is now \"llama3\"": {"--chat-format", "llama3"},
		"option thinking is now true and was not set":             {"--chat-format", "chatml", "--thinking"},
	} {
		r := barka(t, "", train(bare, args...)...)
		if r.code != exitBadInput || !strings.Contains(r.err, want) || !strings.Contains(r.err, "chat template was") {
			t.Errorf("%v: exit code %d, %q", args, r.code, r.err)
		}
	}
	for code, args := range map[int][]string{exitUsage: {"--raw", "--chat-format", "chatml"}, exitBadInput: {"--chat-format", "gemma"}} {
		if r := barka(t, "", append([]string{"generate", "--model", bare, "--prompt", "x"}, args...)...); r.code != code {
			t.Errorf("%v: exit code %d, %q", args, r.code, r.err)
		}
	}
	// chat_template.jinja takes precedence over the template in tokenizer_config.json.
	refusal := []byte("{{ raise_exception('Only tools may speak') }}")
	if err := os.WriteFile(filepath.Join(model, "chat_template.jinja"), refusal, 0o644); err != nil {
		t.Fatal(err)
	}
	if r := barka(t, "", "generate", "--model", model, "--prompt", "Hot?"); r.code != exitBadInput ||
		!strings.Contains(r.err, "Only tools may speak") {
		t.Errorf("exit code %d, %q", r.code, r.err)
	}
	if r := barka(t, "", train(model, "--dry-run")...); r.code != exitBadInput ||
		!strings.Contains(r.err, "roles: 1") ||
		!strings.Contains(r.err, "row 1: the model's chat template refuses this conversation: Only tools may speak") {
		t.Errorf("exit code %d, %q", r.code, r.err)
	}
}

// TestTrainNeedsAChatTemplate: a base model is refused, and the error says what to do.
func TestTrainNeedsAChatTemplate(t *testing.T) {
	model, data := chatModel(t, "gptneox", "none"), filepath.Join(t.TempDir(), "data.jsonl")
	row := `{"messages":[{"role":"user","content":"Hot?"},{"role":"assistant","content":"no"}]}` + "\n"
	if err := os.WriteFile(data, []byte(row), 0o644); err != nil {
		t.Fatal(err)
	}
	r := barka(t, "", "train", "--model", model, "--data", data, "--out", filepath.Join(t.TempDir(), "out"))
	if r.code != exitBadInput || !strings.Contains(r.err, "tokenizer_config.json") || !strings.Contains(r.err, "chat_template") {
		t.Errorf("exit code %d, %q", r.code, r.err)
	}
	ok(t, "", "generate", "--model", model, "--prompt", "Hot", "--raw", "--max-tokens", "3")
}
