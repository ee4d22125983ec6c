package report

import (
	"encoding/json"

	"barka/internal/dataset"

	"golang.org/x/text/language"
)

// tongue is a language as HTML marks it.
type tongue struct {
	Code string // as the run names it, an NLLB code such as arb_Arab
	Tag  string // BCP 47; empty when the language is not known
	Dir  string // ltr, rtl, or auto when the script is not known
}

// rightToLeft are the scripts in use that are written so.
var rightToLeft = map[string]bool{"Adlm": true, "Arab": true, "Hebr": true, "Mand": true, "Nkoo": true, "Rohg": true,
	"Samr": true, "Syrc": true, "Thaa": true}

// tongueOf reads a language code: NLLB's, or any of BCP 47.
func tongueOf(code string) tongue {
	t := tongue{Code: code, Dir: "auto"}
	tag, err := language.All.Parse(code)
	if code == "" || err != nil {
		return t
	}
	t.Tag, t.Dir = tag.String(), "ltr"
	if script, _ := tag.Script(); rightToLeft[script.String()] {
		t.Dir = "rtl"
	}
	return t
}

// translated takes the languages out of a translation's manifest; they are
// empty for other stages.
func translated(m *dataset.Manifest) (from, to string) {
	var o struct{ From, To string }
	if m.Stage == "translate" && json.Unmarshal(m.Options, &o) == nil {
		return o.From, o.To
	}
	return "", ""
}
