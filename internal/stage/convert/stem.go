package convert

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What is asked for behind a question, a key of wordings.yaml. An item without one asks by
// itself.
const (
	askGap    = "gap"   // a text with a gap
	askOpen   = "open"  // the beginning of a sentence
	askCause  = "cause" // COPA's two
	askEffect = "effect"
	askEnding = "ending" // HellaSwag's
	askGoal   = "goal"   // PIQA's
	askThing  = "thing"  // PIQA's goals that only name something
)

// sentence gives a text a capital at its beginning and the mark at its end,
// where they are missing.
func sentence(s, mark string) string {
	s = capital(strings.TrimSpace(s))
	if s == "" || closed(s) {
		return s
	}
	return s + mark
}

func capital(s string) string {
	if s != "" && s[0] >= 'a' && s[0] <= 'z' {
		return string(s[0]-'a'+'A') + s[1:]
	}
	return s
}

// closed reports whether a text ends with a full stop, a question mark or an exclamation
// mark, before closing quotation marks and brackets.
func closed(s string) bool {
	s = strings.TrimRight(s, `"'”’»)]`)
	return s != "" && strings.ContainsAny(s[len(s)-1:], ".?!") || strings.HasSuffix(s, "…")
}

// stem words what options are to be chosen for: a question, a text with a gap,
// or the beginning of a sentence, which an option completes and to which no mark is added.
func stem(s string) (question, ask string) {
	s = tidy(s)
	switch {
	case s == "":
		return "", ""
	case strings.Contains(s, "____"):
		return s, askGap
	case closed(s) || strings.HasSuffix(s, ":") || askedBefore(s):
		return s, ""
	case isQuestion(s):
		return s + "?", ""
	}
	return unfinished(s), askOpen
}

// unfinished marks that a text goes on. A dash at its end says the same.
func unfinished(s string) string {
	return strings.TrimRight(s, " -–—") + " …"
}

var (
	// asks matches the beginning of a question. When, where, why and how must be followed by
	// a verb or a measure: "when water freezes, it" and "how to open a jar" ask nothing.
	asks = regexp.MustCompile(`(?i)^(?:(?:and|but|so|then|in|on|at|for|to|from|by|with|of|through|during|under|after|before)\s+)?` +
		`(?:(?:which|who|whose|whom)\s+\S+|` +
		`(?:when|where|why|how|what)\s+(?:is|are|was|were|do|does|did|can|could|will|would|should|shall|has|have|had|might|may|must)\s|` +
		`how\s+(?:many|much|long|far|often|old|fast|big|large|tall|high|deep)\s|` +
		`what\s+(?:kind|type|sort|percent|percentage|part|color|colour|number|year|time|causes?|happens?|makes?|best|most)\s)`)
	// open matches the end of a sentence that something must follow.
	open = regexp.MustCompile(`(?i)\b(?:is|are|was|were|be|been|being|can|could|should|would|will|must|may|might|` +
		`do|does|did|has|have|had|to|by|of|for|with|from|in|on|at|as|than|that|which|and|or|the|an?|because|` +
		`into|about|like|called|known|you|they|he|she|we|if|when|not|its|their|your)$|[,;–—-]$|\(n\)$`)
	// endsInVerb matches a question that is whole although a verb ends it: "how many legs does
	// it have".
	endsInVerb = regexp.MustCompile(`(?i)\b(?:do|does|did|can|could|will|would|should)\s.*\b(?:have|do|be)$`)
	ends       = regexp.MustCompile(`[.?!]["'”’)]*\s+|\n`)
)

// isQuestion reports whether the last sentence of a text is a question that only lacks its
// mark. A sentence that an option completes is none.
func isQuestion(s string) bool {
	last := s
	if at := ends.FindAllStringIndex(s, -1); at != nil {
		last = s[at[len(at)-1][1]:]
	}
	return asks.MatchString(last) && (!open.MatchString(last) || endsInVerb.MatchString(last))
}

// askedBefore reports whether a text has asked its question and ends with what the question
// is about, such as a formula or a list.
func askedBefore(s string) bool {
	at := strings.LastIndexByte(s, '?')
	return at >= 0 && strings.ContainsAny(s[at:], "=>•→^") && !open.MatchString(strings.TrimRight(s, "->= "))
}

// begun matches a goal that its solutions complete: "To clean a sink,".
var begun = regexp.MustCompile(`^(?:To|In order to|When|While|If|After|Before|As|Once)\s`)

// goal words a goal that two solutions are to be compared for.
func goal(s string) (question, ask string) {
	s = capital(tidy(s))
	switch {
	case s == "":
		return "", ""
	case strings.Contains(s, "____"):
		return s, askGap
	case strings.HasSuffix(s, "?"):
		return s, ""
	case isQuestion(strings.TrimSuffix(s, ".")): // "How do you prepare a steak."
		return strings.TrimSuffix(s, ".") + "?", ""
	case len(strings.Fields(s)) < 3:
		return sentence(strings.TrimRight(s, ": "), "."), askThing
	case closed(s):
		return s, askGoal
	case open.MatchString(s) || begun.MatchString(s):
		return unfinished(s), askOpen
	case strings.HasSuffix(s, ":"):
		s = strings.TrimRight(s, ": ")
	}
	return s + ".", askGoal
}

// words returns a text's letters and digits in lower case: what must stay of it when blanks
// and marks are cleaned.
func words(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

// oneSentence reports whether a text is a single sentence of at most n words.
func oneSentence(s string, n int) bool {
	if r, _ := utf8.DecodeRuneInString(s); !unicode.IsUpper(r) && !unicode.IsDigit(r) && !strings.ContainsRune(`"“'`, r) {
		return false
	}
	return closed(s) && !strings.Contains(s, "\n") && len(strings.Fields(s)) <= n && !ends.MatchString(s)
}
