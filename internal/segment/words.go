package segment

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// longestToken bounds, in bytes, the tokens that are looked at as words; addresses may be
// of any length.
const longestToken = 256

var (
	address = regexp.MustCompile(`^(?i:https?: ?// ?|ftp://|www\.)[^\s<>"»«` + "`" + `]+`)
	email   = regexp.MustCompile(`^(?:mailto:)?[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+`)
	path    = regexp.MustCompile(`^(?:(?:~|\.{1,2})/[\w.\-/]+|[A-Za-z]:[/\\][\w.\-/\\]+|/[A-Za-z_.][\w.-]*(?:/[\w.-]*)+)`)
	file    = regexp.MustCompile(`^[\w\-]+(?:[./\\][\w\-]+)*\.(?i:py|ipynb|js|ts|tsx|jsx|go|rs|cpp|hpp|java|rb|php|sh|bat|txt|md|csv|tsv|` +
		`jsonl?|ya?ml|toml|xml|html?|css|sql|pdf|docx?|xlsx?|pptx?|` +
		`png|jpe?g|gif|svg|mp[34]|wav|zip|tar|gz|exe|dll|ini|cfg|conf|log|parquet|` +
		`safetensors|gguf)\b`)
	domain     = regexp.MustCompile(`^(?:[a-z0-9-]+\.)+(?:com|org|net|edu|gov|io|dev|ai)\b(?:/[^\s<>"»«]*)?`)
	identifier = regexp.MustCompile(`^(?:__\w+__|[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+|[A-Za-z_][\w.]*\(\)|--[a-z][a-z0-9-]+|` +
		`[A-Za-z]{1,3}[_^]\{[^{}]{1,20}\})`)
	choice = regexp.MustCompile(`(?i)^(?:(?:correct |right |best )?(?:answer|option|choice)(?: is:?|:)?) ` +
		`\(?([A-H])\)?(?:[.,;:!?]|\s*$|\s+(?:is|and|or|because)\b)`)
	letter = regexp.MustCompile(`^\([A-Z]\)`)
)

// word adds what is recognised by its first word: addresses, file names, identifiers, the
// letter of an answer. It returns i if there is nothing.
func (f *finder) word(i int) int {
	if !f.begins(i) {
		return i
	}
	if i >= f.tokenEnd {
		f.tokenEnd = len(f.line)
		if n := strings.IndexAny(f.line[i:], " \t\n\r<>\"`|"); n >= 0 {
			f.tokenEnd = i + n
		}
	}
	if address.MatchString(f.line[i:min(len(f.line), i+16)]) {
		return f.add(i, i+len(unpunctuated(address.FindString(f.line[i:]))), Content)
	}
	if m := letter.FindString(f.near(i)); m != "" && i > 0 {
		return f.add(i, i+len(m), Content)
	}
	if m := choice.FindStringSubmatchIndex(f.near(i)); m != nil && f.line[i+m[2]] < 'a' {
		return f.add(i+m[2], i+m[3], Content)
	}
	token := f.line[i:f.tokenEnd]
	if len(token) > longestToken || !strings.ContainsAny(token, `@./\_(-`) {
		return i
	}
	for _, pattern := range []*regexp.Regexp{email, path, file, domain, identifier} {
		m := unpunctuated(pattern.FindString(token))
		if m == "" {
			continue
		}
		if next, _ := utf8.DecodeRuneInString(token[len(m):]); len(m) < len(token) && (wordRune(next) || next == '_') {
			continue
		}
		return f.add(i, i+len(m), Content)
	}
	return i
}

// begins reports whether a word may begin at i.
func (f *finder) begins(i int) bool {
	if i == 0 {
		return true
	}
	switch f.line[i-1] {
	case ' ', '\t', '(', '[', '{', '"', '\'', '*', '|', '>', ',', ';', ':':
		return f.line[i] != f.line[i-1]
	}
	return strings.HasSuffix(f.line[:i], "«") || strings.HasSuffix(f.line[:i], "“")
}

// unpunctuated returns an address without the punctuation of the sentence after it, and
// without a closing bracket that it does not open.
func unpunctuated(s string) string {
	for s != "" {
		switch c := s[len(s)-1]; {
		case strings.IndexByte(".,;:!?'*_~", c) >= 0:
		case c == ')' && strings.Count(s, "(") < strings.Count(s, ")"):
		case c == ']' && strings.Count(s, "[") < strings.Count(s, "]"):
		case c == '}' && strings.Count(s, "{") < strings.Count(s, "}"):
		default:
			return s
		}
		s = s[:len(s)-1]
	}
	return s
}
