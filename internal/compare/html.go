package compare

import (
	_ "embed"
	"fmt"

	"barka/internal/htmlpage"
)

//go:embed compare.html
var compareHTML string

var comparePage = htmlpage.New(compareHTML)

// shown is what the page holds.
type shown struct {
	*Comparison
	Flips     []Flip
	AllFlips  int
	Published *Published
	Pairs     []Pair
	Sections  []section
	Headline  Difference
}

// section is a table of differences with bars, whose axis goes from -Scale to
// Scale points.
type section struct {
	Title, About string
	Lines        []line
	Scale        float64
}

// line is a row of a section. Total marks a row that sums up others.
type line struct {
	Difference
	Total bool
}

// HTML returns the comparison as a page, with some of the flips and optionally
// with published figures beside the measured ones.
func (c *Comparison) HTML(flips []Flip, withPublished bool) (string, error) {
	s := shown{Comparison: c, Flips: flips, AllFlips: c.All.OnlyA + c.All.OnlyB, Headline: c.All}
	if p, ok := PublishedFor(c.Leaderboard); ok && withPublished {
		s.Published, s.Pairs = &p, c.Beside(p)
	}
	if c.Average.Questions > 0 {
		s.Headline = c.Average
	}
	if lines := c.Lines(); len(lines) > 0 {
		s.Sections = append(s.Sections, newSection(c.Leaderboard.Title(), lines))
	}
	s.Sections = append(s.Sections, newSection("Tasks", append(c.Tasks[:len(c.Tasks):len(c.Tasks)], c.All)))
	return htmlpage.Render(comparePage, s)
}

func newSection(title string, ds []Difference) section {
	s := section{Title: title, Scale: 1}
	for _, d := range ds {
		s.Scale = max(s.Scale, -d.LowPoints(), d.HighPoints())
		s.Lines = append(s.Lines, line{d, d.Task == average || d.Task == allQuestions})
	}
	s.About = fmt.Sprintf("The bars go from −%.0f to +%.0f points: the change, with its 95 %% interval.", s.Scale, s.Scale)
	return s
}

// Change is B-A in points.
func (d Difference) Change() float64 { return 100 * (d.B - d.A) }

// Short is the task without its suite, and without its number of shots if that
// is 0.
func (d Difference) Short() string { return htmlpage.ShortTask(d.Task) }

// Short is the task as Difference.Short writes it.
func (f Flip) Short() string { return htmlpage.ShortTask(f.Task) }

// LowPoints is Low in points.
func (d Difference) LowPoints() float64 { return 100 * d.Low }

// HighPoints is High in points.
func (d Difference) HighPoints() float64 { return 100 * d.High }

// Direction is the change's class in the style sheet, empty if the interval
// contains zero.
func (d Difference) Direction() string {
	switch {
	case d.Low > 0:
		return "up"
	case d.High < 0:
		return "down"
	}
	return ""
}

// Gain is the published difference.
func (p Pair) Gain() float64 { return p.Tuned - p.Base }

// Total reports whether the row is the average.
func (p Pair) Total() bool { return p.Name == average }
