// Package modeltext takes off what chat models put around a text that they were asked for:
// thoughts, announcements, labels and quotation marks.
package modeltext

import (
	"regexp"
	"strings"
)

var (
	// thought is what a reasoning model writes before its text. Some chat templates write its
	// opening tag themselves.
	thought = regexp.MustCompile(`(?is)^\s*(?:<think(?:ing)?>)?.*?</think(?:ing)?>`)
	// unfinished is a thought without an end: there is no text behind it.
	unfinished = regexp.MustCompile(`(?is)^\s*<think(?:ing)?>.*`)
)

// WithoutThoughts removes what a reasoning model wrote before its text.
func WithoutThoughts(s string) string {
	return unfinished.ReplaceAllString(thought.ReplaceAllString(s, ""), "")
}

// Clean removes thoughts, then what matches one of the forms at the beginning, and
// quotation marks around the whole text, until nothing changes. The forms begin with ^.
func Clean(s string, forms ...*regexp.Regexp) string {
	return clean(s, true, forms)
}

// CleanQuoted is Clean, but quotation marks around the whole text belong to it.
func CleanQuoted(s string, forms ...*regexp.Regexp) string {
	return clean(s, false, forms)
}

func clean(s string, quotes bool, forms []*regexp.Regexp) string {
	s = WithoutThoughts(s)
	for {
		before := s
		s = strings.TrimSpace(s)
		for _, form := range forms {
			s = strings.TrimSpace(form.ReplaceAllString(s, ""))
		}
		if quotes {
			s = strings.TrimSpace(Unquoted(s))
		}
		if s == before {
			return s
		}
	}
}

// Unquoted takes quotation marks off that enclose the whole text.
func Unquoted(s string) string {
	for _, marks := range [][2]string{{`"`, `"`}, {"«", "»"}, {"“", "”"}} {
		inner, begins := strings.CutPrefix(s, marks[0])
		inner, ends := strings.CutSuffix(inner, marks[1])
		if begins && ends && !strings.Contains(inner, marks[0]) && !strings.Contains(inner, marks[1]) {
			return inner
		}
	}
	return s
}
