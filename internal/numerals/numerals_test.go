package numerals

import (
	"slices"
	"testing"
)

func TestOf(t *testing.T) {
	for _, c := range []struct {
		text          string
		digits, words []string
	}{
		{"12 eggs, 1,250.5 and ٣٫٥; 007 and 00", []string{"12", "1250", "5", "3", "5", "007", "00"}, nil},
		{"300 ألف نسمة, 5 آلاف, 2 million", []string{"300000", "5000", "2000000"}, nil},
		{"القرن التاسع عشر", nil, []string{"19"}},
		{"الذكرى الخمسين", nil, []string{"50"}},
		{"ثلاثينيات القرن العشرين", nil, []string{"30", "20"}},
		{"في الثّالث و العشرين من أغسطس", nil, []string{"23"}},
		{"مائة وخمسة وثلاثون", nil, []string{"135"}},
		{"ألف وتسعمائة وثلاثة", nil, []string{"1903"}},
		{"أحد عشر واثنا عشر وستة عشر", nil, []string{"11", "12", "16"}},
		{"خمسة وستة", nil, []string{"5", "6"}},
		{"Fifty-eight percent of one hundred and twenty", nil, []string{"58", "120"}},
		{"a nine-year-old, two three", nil, []string{"9", "2", "3"}},
		{"two thousand three hundred", nil, []string{"2300"}},
		{"thirteen and the fourth", nil, []string{"13", "4"}},
		{"ستنزل السبت, someone, often", nil, nil},
	} {
		got := Of(c.text)
		if !slices.Equal(got.Digits, c.digits) || !slices.Equal(got.Words, c.words) {
			t.Errorf("%q: digits %q, words %q; expected %q, %q", c.text, got.Digits, got.Words, c.digits, c.words)
		}
	}
}

func TestExplains(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"more than 300,000 people", "أكثر من 300 ألف نسمة", true},
		{"more than 300,000 people", "أكثر من 300 نسمة", false},
		{"30,000 pupils", "300 ألف تلميذ", false},
		{"in the 1930s", "في ثلاثينيات القرن العشرين", true},
		{"in 1930", "في ثلاثينيات القرن العشرين", false},
		{"in the 1930s", "في أربعينيات القرن العشرين", false},
		{"19th century", "القرن التاسع عشر", true},
		{"19th century", "القرن الثامن عشر", false},
		{"for twelve hours", "لمدة 12 ساعة", true},
		{"for hours", "لمدة 12 ساعة", false},
		{"3 apples and 3 pears", "ثلاث تفاحات وثلاث إجاصات", true},
		{"3 apples and 3 pears", "ثلاث تفاحات وإجاصات", false},
		{"He has 12 of 15", "لديه 15 من 12", true},
		{"$9 million", "9000000 دولار", true},
		{"the score is 0", "الدرجة 000000", false},
		{"16 - 3 = 13", "16 - 3 = 12", false},
	} {
		if got := Explains(Of(c.a), Of(c.b)); got != c.same {
			t.Errorf("%q and %q: %v, expected %v (%+v, %+v)", c.a, c.b, got, c.same, Of(c.a), Of(c.b))
		}
	}
}
