package chattranslator

import (
	"cmp"
	"strings"

	"barka/internal/badinput"
	"barka/internal/tokenizer"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// Language is a language as prompts name it.
type Language struct {
	Name    string // in English
	Chinese string // its name in Chinese
	Code    string // ISO 639-1 if there is one, else ISO 639-3
}

// others are the languages of NLLB without a name in CLDR, by their names in ISO 639-3.
var others = map[string]string{
	"acm": "Mesopotamian Arabic", "acq": "Taizzi-Adeni Arabic", "ajp": "South Levantine Arabic", "apc": "North Levantine Arabic",
	"azb": "South Azerbaijani", "cjk": "Chokwe", "fuv": "Nigerian Fulfulde", "hne": "Chhattisgarhi", "kbp": "Kabiye",
	"pbt": "Southern Pashto", "prs": "Dari", "quy": "Ayacucho Quechua", "taq": "Tamasheq",
}

// LanguageOf returns the language of a code of NLLB, M2M-100 or BCP 47.
func LanguageOf(code string) (Language, error) {
	tag, err := language.All.Parse(strings.ReplaceAll(tokenizer.NLLBCode(code), "_", "-"))
	base, confidence := tag.Base()
	if err != nil || confidence < language.High {
		return Language{}, badinput.Errorf("language %q is not known; expected a code such as arb_Arab or ar", code)
	}
	// The base names the language without script and region: Arabic, not Arabic (Arabic).
	plain := language.Make(base.String())
	l := Language{Name: display.English.Languages().Name(plain), Chinese: display.Chinese.Languages().Name(plain), Code: base.String()}
	l.Name = cmp.Or(l.Name, others[l.Code])
	l.Chinese = cmp.Or(l.Chinese, l.Name)
	if l.Name == "" {
		return Language{}, badinput.Errorf("language %q has no name in English; expected a code such as arb_Arab or ar", code)
	}
	return l, nil
}
