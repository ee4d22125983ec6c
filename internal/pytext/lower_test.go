package pytext

import "testing"

// TestLower: the expected texts were printed by CPython 3.11.
func TestLower(t *testing.T) {
	for _, c := range [][2]string{
		{"", ""},
		{"ABC", "abc"},
		{"ΟΔΟΣ", "οδος"},
		{"ΟΔΟΣ ΟΔΟΣ", "οδος οδος"},
		{"Σ", "σ"},
		{"ΑΣ.", "ας."},
		{"ΑΣ.Β", "ασ.β"},
		{"ΑΣ'", "ας'"},
		{"Α'Σ", "α'ς"},
		{"1Σ", "1σ"},
		{"Α1Σ", "α1σ"},
		{"ΑΣ́", "ας́"},
		{"ΑΣ́Β", "ασ́β"},
		{"İstanbul", "i̇stanbul"},
		{"ISPARTA", "isparta"},
		{"ẞ", "ß"},
		{"ǅ", "ǆ"},
		{"Ⅳ", "ⅳ"},
		{"مرحبا", "مرحبا"},
		{"ΑΣ‍Β", "ασ‍β"},
		{"ʰΣ", "ʰσ"},
		{"ΑΣ·Β", "ασ·β"},
		{"ΑΣ:", "ας:"},
	} {
		if got := Lower(c[0]); got != c[1] {
			t.Errorf("Lower(%q) is %q, want %q", c[0], got, c[1])
		}
	}
}
