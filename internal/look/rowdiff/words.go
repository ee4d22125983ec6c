package rowdiff

import (
	"strings"
	"unicode"
)

// Piece is a stretch of words that both texts have, or only one of them.
type Piece struct {
	Text     string
	Old, New bool // in which text it is
}

// largest bounds the cells of the table of a comparison, about 4 MB. Longer texts are
// compared as a whole between their common beginning and end.
const largest = 1 << 20

// Words compares two texts word by word. The pieces of Old are the first text, and those
// of New are the second one.
func Words(a, b string) []Piece {
	x, y := split(a), split(b)
	head := 0
	for head < len(x) && head < len(y) && x[head] == y[head] {
		head++
	}
	tail := 0
	for tail < len(x)-head && tail < len(y)-head && x[len(x)-1-tail] == y[len(y)-1-tail] {
		tail++
	}
	var p pieces
	p.add(x[:head], true, true)
	p.middle(x[head:len(x)-tail], y[head:len(y)-tail])
	p.add(x[len(x)-tail:], true, true)
	return p
}

// split cuts a text into words and what is between them.
func split(s string) (out []string) {
	start, space := 0, false
	for i, r := range s {
		if is := unicode.IsSpace(r); i > start && (is != space || r == '\n') {
			out = append(out, s[start:i])
			start, space = i, is
		} else {
			space = is
		}
	}
	if start < len(s) {
		out = append(out, s[start:])
	}
	return out
}

type pieces []Piece

func (p *pieces) add(words []string, old, new bool) {
	if len(words) == 0 {
		return
	}
	text := strings.Join(words, "")
	if n := len(*p); n > 0 && (*p)[n-1].Old == old && (*p)[n-1].New == new {
		(*p)[n-1].Text += text
		return
	}
	*p = append(*p, Piece{text, old, new})
}

// middle compares by the longest common subsequence of words.
func (p *pieces) middle(x, y []string) {
	if (len(x)+1)*(len(y)+1) > largest {
		p.add(x, true, false)
		p.add(y, false, true)
		return
	}
	width := len(y) + 1
	common := make([]int32, (len(x)+1)*width) // words of the longest common subsequence of x[i:], y[j:]
	for i := len(x) - 1; i >= 0; i-- {
		for j := len(y) - 1; j >= 0; j-- {
			if x[i] == y[j] {
				common[i*width+j] = common[(i+1)*width+j+1] + 1
			} else {
				common[i*width+j] = max(common[(i+1)*width+j], common[i*width+j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(x) && j < len(y) {
		switch {
		case x[i] == y[j]:
			p.add(x[i:i+1], true, true)
			i, j = i+1, j+1
		case common[(i+1)*width+j] >= common[i*width+j+1]:
			p.add(x[i:i+1], true, false)
			i++
		default:
			p.add(y[j:j+1], false, true)
			j++
		}
	}
	p.add(x[i:], true, false)
	p.add(y[j:], false, true)
}
