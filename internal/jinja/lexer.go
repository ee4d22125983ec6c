package jinja

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"barka/internal/pytext"
)

type kind int

const (
	data kind = iota
	blockBegin
	blockEnd
	variableBegin
	variableEnd
	name
	text
	integer
	float
	operator
	end
)

type token struct {
	kind  kind
	value string
	line  int
}

func (t token) String() string {
	switch t.kind {
	case end:
		return "the end of the template"
	case blockEnd:
		return "the end of the block"
	case variableEnd:
		return "the end of the expression"
	case text:
		return fmt.Sprintf("the string %q", t.value)
	}
	return fmt.Sprintf("%q", t.value)
}

// lexer splits a template into tokens as Jinja does with trim_blocks and
// lstrip_blocks: it removes the newline after a block, and the white space before a
// block that is the first thing on its line.
type lexer struct {
	src       string
	at        int
	line      int
	lineStart bool // the previous tag ended a line
	tokens    []token
}

// lex returns the tokens, the last of kind end. It panics with an *Error.
func lex(src string) []token {
	src = strings.ReplaceAll(strings.ReplaceAll(src, "\r\n", "\n"), "\r", "\n")
	l := &lexer{src: strings.TrimSuffix(src, "\n"), line: 1, lineStart: true}
	for l.at < len(l.src) {
		l.root()
	}
	l.emit(end, "")
	return l.tokens
}

func (l *lexer) emit(k kind, value string) { l.tokens = append(l.tokens, token{k, value, l.line}) }

// advance consumes n bytes.
func (l *lexer) advance(n int) string {
	s := l.src[l.at : l.at+n]
	l.at += n
	l.line += strings.Count(s, "\n")
	return s
}

// root reads data up to the next tag, and then the tag.
func (l *lexer) root() {
	rest := l.src[l.at:]
	n := opening(rest)
	if n < 0 {
		l.data(rest)
		l.advance(len(rest))
		return
	}
	tag, sign := rest[n:n+2], byte(0)
	if n+2 < len(rest) && (rest[n+2] == '-' || rest[n+2] == '+') {
		sign = rest[n+2]
	}
	l.data(l.before(rest[:n], tag, sign))
	l.advance(n)
	switch {
	case tag == "{#":
		l.comment()
	case tag == "{{":
		l.begin(variableBegin, sign)
		l.expression("}}", variableEnd)
	default:
		if n := rawBegin(l.src[l.at:]); n > 0 {
			l.raw(n)
			return
		}
		l.begin(blockBegin, sign)
		l.expression("%}", blockEnd)
	}
}

// opening finds the next tag.
func opening(s string) int {
	for i := 0; i+1 < len(s); i++ {
		if s[i] == '{' && (s[i+1] == '{' || s[i+1] == '%' || s[i+1] == '#') {
			return i
		}
	}
	return -1
}

func (l *lexer) data(s string) {
	if s != "" {
		l.emit(data, s)
	}
}

// before strips the data before a tag.
func (l *lexer) before(s, tag string, sign byte) string {
	switch {
	case sign == '-':
		return strings.TrimRightFunc(s, pytext.IsSpace)
	case sign == '+' || tag == "{{":
		return s
	}
	line := strings.LastIndexByte(s, '\n') + 1
	if (line > 0 || l.lineStart) && strings.TrimLeftFunc(s[line:], pytext.IsSpace) == "" {
		return s[:line]
	}
	return s
}

func (l *lexer) begin(k kind, sign byte) {
	n := 2
	if sign != 0 {
		n = 3
	}
	l.emit(k, l.advance(n))
	l.lineStart = false
}

// closing consumes the end of a tag at the current position, and the white space that
// is removed with it.
func (l *lexer) closing(mark string) bool {
	rest := l.src[l.at:]
	n := 0
	switch {
	case strings.HasPrefix(rest, "-"+mark):
		n = len(rest) - len(strings.TrimLeftFunc(rest[1+len(mark):], pytext.IsSpace))
	case mark != "}}" && strings.HasPrefix(rest, "+"+mark):
		n = 1 + len(mark)
	case strings.HasPrefix(rest, mark):
		n = len(mark)
		if mark != "}}" && strings.HasPrefix(rest[n:], "\n") {
			n++
		}
	default:
		return false
	}
	s := l.advance(n)
	l.lineStart = strings.HasSuffix(s, "\n")
	return true
}

func (l *lexer) comment() {
	line := l.line
	l.advance(2)
	for l.at < len(l.src) {
		if l.closing("#}") {
			return
		}
		l.advance(1)
	}
	fail(line, "a comment is not closed")
}

// rawBegin returns the length of {% raw %} at the start of s, or 0.
func rawBegin(s string) int {
	rest := strings.TrimPrefix(s, "{%")
	if strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, "+") {
		rest = rest[1:]
	}
	rest, ok := strings.CutPrefix(strings.TrimLeftFunc(rest, pytext.IsSpace), "raw")
	if !ok {
		return 0
	}
	rest = strings.TrimLeftFunc(rest, pytext.IsSpace)
	if after, ok := strings.CutPrefix(rest, "-%}"); ok {
		return len(s) - len(strings.TrimLeftFunc(after, pytext.IsSpace))
	}
	if after, ok := strings.CutPrefix(rest, "%}"); ok {
		return len(s) - len(after)
	}
	return 0
}

// raw reads data up to {% endraw %}.
func (l *lexer) raw(n int) {
	line := l.line
	l.lineStart = strings.HasSuffix(l.advance(n), "\n")
	for from := l.at; ; from += 2 {
		i := strings.Index(l.src[from:], "{%")
		if i < 0 {
			fail(line, "{%% raw %%} is not closed")
		}
		from += i
		rest, sign := l.src[from+2:], byte(0)
		if strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, "+") {
			sign, rest = rest[0], rest[1:]
		}
		rest, ok := strings.CutPrefix(strings.TrimLeftFunc(rest, pytext.IsSpace), "endraw")
		if !ok {
			continue
		}
		rest = strings.TrimLeftFunc(rest, pytext.IsSpace)
		text := l.src[l.at:from]
		mark := len(l.src) - len(rest)
		if !strings.HasPrefix(rest, "%}") && !strings.HasPrefix(rest, "-%}") && !strings.HasPrefix(rest, "+%}") {
			continue
		}
		l.data(l.before(text, "{%", sign))
		l.advance(mark - l.at)
		l.closing("%}")
		return
	}
}

var operators = []string{"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{",
	"}", ">", "<", "=", ".", ":", "|", ",", ";"}

// expression reads the tokens of a tag up to its end. An end inside brackets does not
// count.
func (l *lexer) expression(mark string, k kind) {
	line := l.line
	var open []byte
	for l.at < len(l.src) {
		if len(open) == 0 && l.closing(mark) {
			l.tokens = append(l.tokens, token{k, mark, l.line})
			return
		}
		c := l.src[l.at]
		r, n := utf8.DecodeRuneInString(l.src[l.at:])
		switch {
		case pytext.IsSpace(r):
			l.advance(n)
		case c == '\'' || c == '"':
			l.text(c)
		case c >= '0' && c <= '9':
			l.number()
		case r == '_' || unicode.IsLetter(r):
			l.emit(name, l.advance(wordLength(l.src[l.at:])))
		default:
			open = l.operator(open)
		}
	}
	fail(line, "a tag is not closed by %s", mark)
}

func (l *lexer) operator(open []byte) []byte {
	for _, op := range operators {
		if !strings.HasPrefix(l.src[l.at:], op) {
			continue
		}
		switch op {
		case "(", "[", "{":
			open = append(open, map[string]byte{"(": ')', "[": ']', "{": '}'}[op])
		case ")", "]", "}":
			if len(open) == 0 || open[len(open)-1] != op[0] {
				fail(l.line, "unexpected %q", op)
			}
			open = open[:len(open)-1]
		}
		l.emit(operator, l.advance(len(op)))
		return open
	}
	r, _ := utf8.DecodeRuneInString(l.src[l.at:])
	fail(l.line, "unexpected %q", r)
	return nil
}

func wordLength(s string) int {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.M, r) {
			return i
		}
	}
	return len(s)
}

func (l *lexer) number() {
	s := l.src[l.at:]
	n, k := 0, integer
	digits := func() {
		for n < len(s) && (s[n] >= '0' && s[n] <= '9' || s[n] == '_' && n+1 < len(s) && s[n+1] >= '0' && s[n+1] <= '9') {
			n++
		}
	}
	if len(s) > 2 && s[0] == '0' && strings.ContainsRune("xXoObB", rune(s[1])) {
		for n = 2; n < len(s) && (s[n] == '_' || strings.IndexByte("0123456789abcdefABCDEF", s[n]) >= 0); {
			n++
		}
		l.emit(integer, l.advance(n))
		return
	}
	digits()
	afterDot := len(l.tokens) > 0 && l.tokens[len(l.tokens)-1].value == "." && l.src[l.at-1] == '.'
	if !afterDot && n+1 < len(s) && s[n] == '.' && s[n+1] >= '0' && s[n+1] <= '9' {
		k = float
		n++
		digits()
	}
	if !afterDot && n < len(s) && (s[n] == 'e' || s[n] == 'E') {
		m := n + 1
		if m < len(s) && (s[m] == '+' || s[m] == '-') {
			m++
		}
		if m < len(s) && s[m] >= '0' && s[m] <= '9' {
			k, n = float, m
			digits()
		}
	}
	l.emit(k, l.advance(n))
}

// text reads a string with Python's escapes.
func (l *lexer) text(quote byte) {
	line := l.line
	var b strings.Builder
	i := l.at + 1
	for ; i < len(l.src) && l.src[i] != quote; i++ {
		if l.src[i] != '\\' {
			b.WriteByte(l.src[i])
			continue
		}
		n, s := escape(line, l.src[i:])
		b.WriteString(s)
		i += n - 1
	}
	if i >= len(l.src) {
		fail(line, "a string is not closed")
	}
	l.advance(i + 1 - l.at)
	l.tokens = append(l.tokens, token{text, b.String(), line})
}

var escapes = map[byte]string{'\n': "", '\\': `\`, '\'': "'", '"': `"`, 'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n",
	'r': "\r", 't': "\t", 'v': "\v"}

// escape reads an escape sequence and returns its length and text. An escape that
// Python does not know stands for itself.
func escape(line int, s string) (int, string) {
	if len(s) < 2 {
		fail(line, "a string is not closed")
	}
	c := s[1]
	if out, ok := escapes[c]; ok {
		return 2, out
	}
	if c >= '0' && c <= '7' {
		n := 2
		for n < 4 && n < len(s) && s[n] >= '0' && s[n] <= '7' {
			n++
		}
		v, _ := strconv.ParseUint(s[1:n], 8, 32)
		return n, string(rune(v))
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
	if c == 'N' {
		fail(line, `\N in a string is not supported`)
	}
	if digits == 0 {
		return 1, `\`
	}
	if len(s) < 2+digits {
		fail(line, `\%c in a string needs %d hexadecimal digits`, c, digits)
	}
	v, err := strconv.ParseUint(s[2:2+digits], 16, 32)
	if err != nil || v > unicode.MaxRune || v >= 0xd800 && v < 0xe000 {
		fail(line, `%s in a string is no character`, s[:2+digits])
	}
	return 2 + digits, string(rune(v))
}
