package tokenizer

import (
	"regexp"
	"strings"
	"unicode"
)

// normalizer rewrites text before it is split.
type normalizer interface{ normalize(s string) string }

type normalizerFunc func(string) string

func (f normalizerFunc) normalize(s string) string { return f(s) }

// normalizers are applied in order.
type normalizers []normalizer

func (ns normalizers) normalize(s string) string {
	for _, n := range ns {
		s = n.normalize(s)
	}
	return s
}

// prepend puts a string before every text that is not empty.
type prepend string

func (p prepend) normalize(s string) string {
	if s == "" {
		return s
	}
	return string(p) + s
}

// replace substitutes a string or a pattern.
type replace struct {
	old     string
	pattern *regexp.Regexp
	with    string
}

func (r replace) normalize(s string) string {
	if s == "" {
		return s // even if the pattern matches the empty string, as in the reference
	}
	if r.pattern != nil {
		return r.pattern.ReplaceAllLiteralString(s, r.with)
	}
	return strings.ReplaceAll(s, r.old, r.with)
}

// strip trims white space.
type strip struct{ left, right bool }

func (t strip) normalize(s string) string {
	if t.left {
		s = strings.TrimLeftFunc(s, unicode.IsSpace)
	}
	if t.right {
		s = strings.TrimRightFunc(s, unicode.IsSpace)
	}
	return s
}

// lowercase maps character by character. Only İ becomes two characters.
func lowercase(s string) string { return strings.ToLower(strings.ReplaceAll(s, "İ", "i\u0307")) }
