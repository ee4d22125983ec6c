package translate

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"barka/internal/testfiles"
)

// TestChecksOfHumanTranslations: the checks flag at most one in a hundred sentences that people
// translated. They flag nearly all in which a digit is another one, and those of another source.
func TestChecksOfHumanTranslations(t *testing.T) {
	o := Defaults()
	digit := regexp.MustCompile(`[0-9]`)
	for name, pairs := range testfiles.Parallel(t) {
		flags, flagged := map[string]int{}, 0
		altered, found, shuffled, strange := 0, 0, 0, 0
		for i, p := range pairs {
			got := o.check(p[0], p[1], Translation{})
			for _, f := range got {
				flags[f]++
			}
			if len(got) > 0 {
				flagged++
				continue
			}
			if places := digit.FindAllStringIndex(p[1], -1); len(places) > 0 {
				at := places[i%len(places)][0]
				wrong := p[1][:at] + string('0'+(p[1][at]-'0'+1)%10) + p[1][at+1:]
				altered++
				if slices.Contains(o.check(p[0], wrong, Translation{}), FlagDigits) {
					found++
				}
			}
			if other := pairs[(i+7)%len(pairs)][1]; strings.ContainsAny(p[0], "0123456789") {
				shuffled++
				if len(o.check(p[0], other, Translation{})) > 0 {
					strange++
				}
			}
		}
		t.Logf("%s: %d of %d flagged, %v; %d of %d altered digits found; %d of %d with another's translation flagged",
			name, flagged, len(pairs), flags, found, altered, strange, shuffled)
		if 100*flagged > len(pairs) {
			t.Errorf("%s: %d of %d human translations are flagged", name, flagged, len(pairs))
		}
		if 1000*found < 995*altered || 100*strange < 95*shuffled {
			t.Errorf("%s: %d of %d altered digits, %d of %d exchanged translations found", name, found, altered, strange, shuffled)
		}
	}
}
