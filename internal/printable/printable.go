// Package printable prepares text for people. Text from servers, files and models
// is made safe for a terminal: it must neither move the cursor nor disguise
// itself. Sizes are written with units.
package printable

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text returns s with every character that a terminal acts upon written as an
// escape. These are control characters except tab and line feed, C1 controls,
// line and paragraph separators, bytes that are not UTF-8, and the embeddings,
// overrides and isolates of bidirectional text, which reorder the text around
// them. Two kinds stay: the marks and joiners of Arabic text (U+200C to U+200F,
// U+061C), and a first-strong isolate that ends on the same line, which our own
// messages put around words of either direction. Text without such characters is
// returned unchanged.
func Text(s string) string {
	if !strings.ContainsFunc(s, acts) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	end := -1 // of the isolate around i
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == isolate && i > end:
			next := i + n + max(strings.IndexFunc(s[i+n:], func(r rune) bool { return acts(r) || r == '\n' }), 0)
			if strings.HasPrefix(s[next:], endOfIsolate) {
				end = next
				b.WriteRune(r)
				break
			}
			fmt.Fprintf(&b, `\u%04x`, r)
		case i == end:
			b.WriteRune(r)
		case n == 1 && (r == utf8.RuneError || acts(r)):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case acts(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// isolate and endOfIsolate enclose text that takes its direction from its first
// strong character.
const (
	isolate      = '\u2068'
	endOfIsolate = "\u2069"
)

// acts reports whether a terminal acts upon a character instead of showing it.
func acts(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case unicode.IsControl(r), r == '\u2028', r == '\u2029':
		return true
	}
	return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// escapes matches the terminal's control sequences: CSI and OSC of ECMA-48.
var escapes = regexp.MustCompile(`\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)`)

// credentials matches the user and password in an address.
var credentials = regexp.MustCompile(`://[^/?#@\s"]*@`)

// Line returns text from a server as one line of at most limit characters, for
// messages, logs and rows. Control and direction characters and the credentials
// of addresses are removed. Each secret, plain or escaped as in an address, is
// replaced by [secret].
func Line(s string, limit int, secrets ...string) string {
	s = Without(strings.ToValidUTF8(s, ""), secrets...)
	s = escapes.ReplaceAllString(s, " ")
	s = credentials.ReplaceAllString(s, "://")
	s = strings.Map(func(r rune) rune {
		if acts(r) || r == '\n' || r == '\t' || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, s)
	runes := []rune(strings.Join(strings.Fields(s), " "))
	if len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return string(runes)
}

// shortest is the length of the shortest secret. Local servers accept keys such as
// "x" or "EMPTY", which are not secret and occur in any text.
const shortest = 6

// Without returns s with each secret of six characters or more replaced by
// [secret].
func Without(s string, secrets ...string) string {
	for _, secret := range secrets {
		if len(secret) < shortest {
			continue
		}
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
			s = strings.ReplaceAll(s, form, "[secret]")
		}
	}
	return s
}

// Address returns an address, from a person or a server, without the parts that
// may be secret: user and password, query and fragment. The address need not be
// valid.
func Address(s string) string {
	scheme, rest, found := strings.Cut(s, "://")
	if !found {
		scheme, rest = "", s
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i] + "…"
	}
	host, path, slash := strings.Cut(rest, "/")
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = "…" + host[i:]
	}
	// A password may contain a slash. If the part before the first slash is not a
	// plain host, everything before the last @ is hidden.
	if i := strings.LastIndexByte(path, '@'); i >= 0 && strings.Contains(host, ":") {
		host, path = "…", path[i:]
	}
	if found {
		scheme += "://"
	}
	if slash {
		host += "/"
	}
	return scheme + host + path
}
