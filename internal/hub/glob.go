package hub

import (
	"regexp"
	"strings"

	"barka/internal/badinput"
)

// Glob compiles a pattern of file names with *, ? and [sets]. With
// acrossDirectories, * matches slashes too, as in the --include patterns of the
// Python tools. Otherwise only ** does, as in dataset cards.
func Glob(pattern string, acrossDirectories bool) (*regexp.Regexp, error) {
	star, one := "[^/]*", "[^/]"
	if acrossDirectories {
		star, one = ".*", "."
	}
	var b strings.Builder
	b.WriteString(`(?s)^`)
	for i := 0; i < len(pattern); i++ {
		switch ch := pattern[i]; ch {
		case '*':
			switch {
			case strings.HasPrefix(pattern[i:], "**/"):
				b.WriteString("(?:.*/)?")
				i += 2
			case strings.HasPrefix(pattern[i:], "**"):
				b.WriteString(".*")
				i++
			default:
				b.WriteString(star)
			}
		case '?':
			b.WriteString(one)
		case '[':
			end := strings.IndexByte(pattern[i+1:], ']')
			if end <= 0 {
				b.WriteString(`\[`)
				break
			}
			set := pattern[i+1 : i+1+end]
			i += 1 + end
			not := ""
			if set[0] == '!' || set[0] == '^' {
				not, set = "^", set[1:]
			}
			b.WriteString("[" + not + strings.NewReplacer(`\`, `\\`, `[`, `\[`, `^`, `\^`).Replace(set) + "]")
		default:
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		}
	}
	b.WriteByte('$')
	re, err := regexp.Compile(b.String())
	if err != nil {
		return nil, badinput.Errorf("pattern %q: expected a file name with *, ? or [a-z]", pattern)
	}
	return re, nil
}
