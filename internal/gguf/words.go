package gguf

// words is how a byte-level tokenizer cuts a text into words and encodes them.
type words struct {
	steps []map[string]any // pre-tokenizers of tokenizer.json
	// ignoreMerges encodes a word that is a token as that token, whatever the merges.
	ignoreMerges bool
	// begins puts the first token before a text, unless the file says otherwise.
	begins bool
	// composed brings the text into Unicode's form NFC first.
	composed bool
}

// The patterns of published tokenizers, as their tokenizer.json has them.
const (
	contractions = `(?i:'s|'t|'re|'ve|'m|'ll|'d)`
	blanks       = `|\s*[\r\n]+|\s+(?!\S)|\s+`
	llama3Words  = contractions + `|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*` + blanks
	qwen2Words   = contractions + `|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*` + blanks
	qwen35Words  = contractions + `|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*` + blanks

	// Words of small letters after any capitals, and words of capitals.
	upper       = `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`
	lower       = `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`
	small       = `[^\r\n\p{L}\p{N}]?` + upper + `*` + lower + `+`
	capital     = `[^\r\n\p{L}\p{N}]?` + upper + `+` + lower + `*`
	signs       = `| ?[^\s\p{L}\p{N}]+[\r\n/]*`
	tekkenWords = small + `|` + capital + `|\p{N}` + signs + blanks
	gpt4oWords  = small + contractions + `?|` + capital + contractions + `?|\p{N}{1,3}` + signs + blanks

	// DeepSeek's, after numbers and Chinese and Japanese characters have been set apart.
	hanWords      = `[一-龥぀-ゟ゠-ヿ]+`
	deepseekWords = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|" +
		" ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"
)

// wordsOf has the ways of cutting a text into words by the names that llama.cpp gives them
// (tokenizer.ggml.pre), for the architectures that are read.
var wordsOf = func() map[string]words {
	gpt2 := words{steps: []map[string]any{byteLevel(true)}}
	llama3 := words{steps: split(llama3Words), ignoreMerges: true, begins: true}
	qwen2 := words{steps: split(qwen2Words), composed: true}
	return map[string]words{
		"gpt-2": gpt2, "default": gpt2,
		"smollm":    {steps: []map[string]any{{"type": "Digits", "individual_digits": true}, byteLevel(true)}},
		"llama-bpe": llama3, "llama3": llama3, "llama-v3": llama3, "falcon3": llama3, "pixtral": llama3, "midm-2.0": llama3,
		"smaug-bpe":     {steps: split(llama3Words)},
		"tekken":        {steps: split(tekkenWords), ignoreMerges: true, begins: true},
		"gpt-4o":        {steps: split(gpt4oWords)},
		"kanana2":       {steps: split(gpt4oWords)},
		"qwen2":         qwen2,
		"qwen35":        {steps: split(qwen35Words), composed: true},
		"hunyuan":       {steps: split(qwen2Words)},
		"hunyuan-dense": {steps: split(`\p{N}{1,3}`, hanWords, deepseekWords)},
	}
}()

// split cuts at the matches of each pattern in turn, and leaves the spelling of bytes to the
// last step.
func split(patterns ...string) (steps []map[string]any) {
	for _, p := range patterns {
		steps = append(steps, map[string]any{"type": "Split", "pattern": map[string]any{"Regex": p}, "behavior": "Isolated", "invert": false})
	}
	return append(steps, byteLevel(false))
}
