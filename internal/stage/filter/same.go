package filter

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"barka/internal/prose"
)

// option is a line of a question that states an option, or of an answer that
// names one: its number or letter with a mark, or a dash, and the text.
var option = regexp.MustCompile(`^(?:(?:\d{1,2}|[A-J])[.)]|-)[ \t]+(.*\S)`)

// optionOf is the text of the option on a line, "" if there is none.
func optionOf(line string) string {
	if m := option.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
		return m[1]
	}
	return ""
}

// options returns the texts of the lines with options at the end of a message.
// Such lines before them belong to the text that is to be read.
func options(s string) []string {
	var out []string
	for _, line := range slices.Backward(strings.Split(strings.TrimSpace(s), "\n")) {
		text := optionOf(line)
		if text == "" {
			break
		}
		out = append(out, text)
	}
	return out
}

// names reports whether a line of the answer is one of the options.
func names(answer string, options []string) bool {
	for line := range strings.Lines(answer) {
		if slices.Contains(options, cmp.Or(optionOf(line), strings.TrimSpace(line))) {
			return true
		}
	}
	return false
}

// sameOptions compares a translated question and its answer with their source:
// as many options, and an answer that is one of them word for word. A source
// without options, or whose answer names none, is left alone.
func sameOptions(r *examined) finding {
	if !r.o.SameOptions {
		return skip(off)
	}
	if !r.translated() {
		return skip(noSource)
	}
	for i := range r.Messages {
		if r.Messages[i].Role != "assistant" {
			continue
		}
		source := options(r.MessagesEN[i-1].Content)
		if len(source) < 2 || !names(r.MessagesEN[i].Content, source) {
			continue
		}
		target := options(r.Messages[i-1].Content)
		if len(target) != len(source) {
			return finding{value: 1, message: i, dropped: true,
				what: fmt.Sprintf("%d options, its source has %d", len(target), len(source))}
		}
		if !names(r.Messages[i].Content, target) {
			return finding{value: 1, message: i + 1, dropped: true, what: "names none of the options word for word"}
		}
	}
	return finding{}
}

// sameResult compares the last number of a translated answer with its
// source's: the result of a worked sum.
func sameResult(r *examined) finding {
	if !r.o.SameResult {
		return skip(off)
	}
	if !r.translated() {
		return skip(noSource)
	}
	for i, m := range r.Messages {
		if m.Role != "assistant" {
			continue
		}
		if source, target := result(r.MessagesEN[i].Content), result(m.Content); source != target {
			return finding{value: 1, message: i + 1, dropped: true, what: fmt.Sprintf("ends in %q, its source in %q", target, source)}
		}
	}
	return finding{}
}

// result is the last number of a text in ASCII digits, without the marks
// between thousands: 1,080.5 and ١٬٠٨٠٫٥ are both 1080.5.
func result(s string) string {
	var last, cur []rune
	mark := rune(0) // a point or comma that a digit may follow
	for _, r := range s + " " {
		d, digit := prose.Digit(r)
		switch {
		case digit:
			if mark == '.' || mark == '٫' {
				cur = append(cur, '.')
			}
			cur, mark = append(cur, '0'+d), 0
			last = cur
		case len(cur) > 0 && mark == 0 && strings.ContainsRune(".,٫٬", r):
			mark = r
		default:
			cur, mark = nil, 0
		}
	}
	return string(last)
}
