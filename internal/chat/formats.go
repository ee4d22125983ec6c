package chat

import (
	"maps"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/tokenizer"
)

// Formats returns the names of the formats for models without a template.
func Formats() []string { return slices.Sorted(maps.Keys(formats)) }

// needs are the control tokens of each format.
var needs = map[string]string{
	"gemma":    "<bos> <start_of_turn> <end_of_turn>",
	"llama3":   "<|begin_of_text|> <|start_header_id|> <|end_header_id|> <|eot_id|>",
	"llama3.1": "<|begin_of_text|> <|start_header_id|> <|end_header_id|> <|eot_id|>",
	"chatml":   "<|im_start|> <|im_end|>",
}

// source returns a format's template for a tokenizer, which has to have its
// control tokens.
func source(format string, t *tokenizer.Tokenizer) (string, error) {
	for _, s := range strings.Fields(needs[format]) {
		if id, ok := t.ID(s); !ok || !t.IsSpecial(id) {
			return "", badinput.Errorf("the tokenizer has no special token %s, which the chat format %s needs; choose a "+
				"format that it has the tokens of", s, format)
		}
	}
	return formats[format], nil
}

// formats are templates for base models whose tokenizers have the tokens: what
// the instruction-tuned models' own do, without tools.
var formats = map[string]string{
	"gemma": `{{ '<bos>' }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('the gemma format has no system messages') }}{% endif %}
{% for message in messages %}
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('turns must alternate and begin with the user') }}{% endif %}
{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}
{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}
{%- endfor %}
{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}`,

	"llama3": `{{ '<|begin_of_text|>' }}
{%- for message in messages %}
{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}`,

	// llama3.1 always has a system turn that names two dates.
	"llama3.1": `{{ '<|begin_of_text|>' }}
{%- if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] | trim %}{% set messages = messages[1:] %}{% else %}{% set system = '' %}{% endif %}
{{- '<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\nToday Date: ' + strftime_now('%d %b %Y') + '\n\n' + system + '<|eot_id|>' }}
{%- for message in messages %}
{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}`,

	"chatml": `{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`,
}
