package segment

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// longestFormula bounds, in bytes, a formula between single dollar signs.
const longestFormula = 400

// formula adds a formula in dollar signs that begins at i. Prices are no formulas.
func (f *finder) formula(i int) int {
	if strings.HasPrefix(f.line[i:], "$$") {
		if end := f.after(i+2, "$$"); end > i+2 {
			return f.add(i, end+2, Content)
		}
		return i + 2
	}
	if m := field.FindString(f.near(min(i+1, len(f.line)))); m != "" {
		return f.add(i, i+1+len(m), Content) // ${name}
	}
	before, _ := utf8.DecodeLastRuneInString(f.line[:i])
	end := strings.IndexByte(f.line[i+1:min(len(f.line), i+longestFormula)], '$')
	if end < 0 || i > 0 && wordRune(before) {
		return i
	}
	end += i + 1
	after, _ := utf8.DecodeRuneInString(f.line[end+1:])
	if unicode.IsDigit(after) || strings.HasPrefix(f.line[end+1:], "<<") || !isFormula(f.line[i+1:end]) {
		return i
	}
	return f.add(i, end+1, Content)
}

var (
	inBraces  = regexp.MustCompile(`\\[A-Za-z]+|\{[^{}]*\}`)
	proseWord = regexp.MustCompile(`[A-Za-z]{4,}|` +
		`(?:^|\s)(?:a|an|and|are|at|but|by|for|he|if|in|is|it|of|on|or|per|she|so|than|the|to)(?:\s|$)`)
	mathSign    = regexp.MustCompile(`[\\^_={}<>+/|*()-]`)
	symbolAlone = regexp.MustCompile(`^[A-Za-z]'*$|^\d+(?:\.\d+)?$`)
)

// isFormula reports whether the text between two dollar signs is a formula, and not what
// stands between two prices. As in pandoc, a formula has no blank inside its signs.
func isFormula(s string) bool {
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	switch {
	case s == "", unicode.IsSpace(first), unicode.IsSpace(last), strings.Contains(s, "<<"):
		return false
	case strings.ContainsRune("=+-*/,<>([{&", last), strings.ContainsRune("=*/,.;:)]}&", first):
		return false
	case symbolAlone.MatchString(s):
		return true
	}
	return mathSign.MatchString(s) && !proseWord.MatchString(inBraces.ReplaceAllString(s, ""))
}

var result = regexp.MustCompile(`^\$?(?:\d[\d,]*(?:\.\d+)?|\.\d+)%?`)

// sum adds a calculator note with the sum before it and the result after it:
// 48/2 = <<48/2=24>>24.
func (f *finder) sum(note, end int) int {
	end += len(strings.TrimRight(result.FindString(f.near(end)), ","))
	floor := 0
	if n := len(f.spans); n > 0 {
		floor = f.spans[n-1].End
	}
	start, depth := note, 0
	for at := note; at > floor; at-- {
		c := f.line[at-1]
		switch {
		case c == ')':
			depth++
		case c == '(':
			depth--
		case strings.IndexByte(" 0123456789+-*/=$%x", c) >= 0, strings.IndexByte(".,", c) >= 0 && digit(f.line, at):
		case operator(f.line[:at]) > 1:
			at -= operator(f.line[:at]) - 1
		default:
			depth = -1
		}
		if depth < 0 || c == 'x' && !(operatorSide(f.line, at-2) && operatorSide(f.line, at)) {
			break
		}
		if depth == 0 && (digit(f.line, at-1) || c == '$' || c == '(' || c == '.') {
			start = at - 1
		}
	}
	// The rest of a sum with words in it, or of a number, stays outside.
	before := strings.TrimRight(f.line[floor:start], " ")
	if operator(before) > 0 || before != "" && len(before) == start-floor && wordByte(before[len(before)-1]) {
		start = note
		if note > floor && f.line[note-1] == '$' {
			start--
		}
	}
	return f.add(start, end, Content)
}

// operator returns the length of the arithmetic sign that s ends in, 0 for none.
func operator(s string) int {
	r, n := utf8.DecodeLastRuneInString(s)
	if strings.ContainsRune("+-*/=×÷–−·⋅", r) {
		return n
	}
	return 0
}

func digit(s string, i int) bool { return i >= 0 && i < len(s) && s[i] >= '0' && s[i] <= '9' }

func wordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf
}

// operatorSide reports whether what is at i may stand beside the sign x.
func operatorSide(s string, i int) bool { return i >= 0 && i < len(s) && (s[i] == ' ' || digit(s, i)) }
