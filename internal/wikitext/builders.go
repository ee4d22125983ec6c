package wikitext

import (
	"cmp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// builders are the renderings that the data name with @.
var builders map[string]builder

func init() {
	builders = map[string]builder{
		"convert": convert, "value": value, "number": func(a *arguments, _ string) string { return a.p.number(a.get(1)) },
		"fraction": fraction, "date": date, "asof": asOf, "age": age, "coordinates": coordinates,
		"language": foreign, "ipa": phonetic, "sign": sign, "chemical": chemical,
		"superscript": func(a *arguments, _ string) string { return a.script(true) },
		"subscript":   func(a *arguments, _ string) string { return a.script(false) },
		"verses":      verses,
	}
}

// visible is text without control bytes.
func visible(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r < ' ' }) < 0 {
		return s
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == hardBreak:
			return ' '
		case r < ' ':
			return -1
		}
		return r
	}, s))
}

// word is a word of the language's data.
func (a *arguments) word(key string) string { return cmp.Or(a.p.w.lang.Words[key], key) }

func (a *arguments) script(up bool) string {
	text := a.get(1)
	at := len(a.p.out)
	a.p.raise(text, up)
	out := string(a.p.out[at:])
	a.p.out = a.p.out[:at]
	return out
}

// between are what stands between two quantities in {{convert}}.
var between = map[string]string{"-": "–", "–": "–", "to": " to ", "and": " and ", "x": " × ", "by": " by ", "or": " or ", "×": " × ",
	"±": " ± ", "+/-": " ± ", "to(-)": " to ", "and(-)": " and ", "xx": " × ", "*": " × ", "إلى": " إلى ", "و": " و ", "أو": " أو "}

// convert writes the quantity as given, without the conversion: "100 km", "5 ft 9 in",
// "3–5 kg". The converted value would need all the units and roundings of the
// template's module.
func convert(a *arguments, _ string) string {
	var b strings.Builder
	gap := " "
	if a.name("adj") == "on" {
		gap = "-"
	}
	for i := 1; i < maxArguments && numeric(visible(a.get(i))); i += 2 {
		b.WriteString(a.p.quantity(visible(a.get(i))))
		next := visible(a.get(i + 1))
		if sep, ok := between[next]; ok {
			b.WriteString(cmp.Or(a.p.w.lang.Words[strings.TrimSpace(sep)], sep))
			continue
		}
		if next != "" {
			b.WriteString(gap + a.p.unit(next))
		}
		if second, unit := visible(a.get(i+2)), visible(a.get(i+3)); !parts[next] || !numeric(second) || unit == "" || numeric(unit) {
			break
		}
		b.WriteByte(' ')
	}
	return b.String()
}

// parts are the units behind which a quantity may have a second part, as 5 ft 9 in.
var parts = map[string]bool{"ft": true, "foot": true, "yd": true, "mi": true, "lb": true, "st": true, "LT": true, "ST": true,
	"h": true, "hr": true, "min": true}

func numeric(s string) bool {
	s = strings.TrimLeft(s, "+-−.~")
	return s != "" && s[0] >= '0' && s[0] <= '9'
}

// quantity writes a number of {{convert}}: 5+1/2 is 5 1/2.
func (p *parser) quantity(s string) string {
	whole, fraction, ok := strings.Cut(s, "+")
	s = p.number(strings.ReplaceAll(whole, ",", ""))
	if rest, negative := strings.CutPrefix(s, "-"); negative {
		s = "−" + rest
	}
	if ok {
		s += " " + fraction
	}
	return s
}

// unit names a unit; what the data do not have stays as written.
func (p *parser) unit(s string) string {
	if u, ok := p.w.lang.Units[s]; ok {
		return u
	}
	if u, ok := p.w.lang.Units[strings.ToLower(s)]; ok {
		return u
	}
	return s
}

// value is {{val}}: a number with its uncertainty, exponent and unit.
func value(a *arguments, _ string) string {
	s := a.p.number(visible(a.get(1)))
	switch second, third := visible(a.get(2)), visible(a.get(3)); {
	case s == "":
	case strings.HasPrefix(second, "("):
		s += second
	case third != "":
		s += " +" + second + " −" + third
	case second != "":
		s += "±" + second
	}
	if e := visible(a.name("e")); e != "" {
		s += "×10^" + strings.Replace(e, "-", "−", 1)
		s = strings.TrimPrefix(s, "×")
	}
	s = visible(cmp.Or(a.name("p"), "")) + s
	if u := cmp.Or(a.name("ul"), a.name("u")); u != "" && s != "" {
		s += " " + a.p.unit(u)
		if per := cmp.Or(a.name("upl"), a.name("up")); per != "" {
			s += "/" + a.p.unit(per)
		}
	}
	return s + visible(a.name("s"))
}

func fraction(a *arguments, _ string) string {
	switch a.count {
	case 1:
		return "1/" + a.get(1)
	case 2:
		return a.get(1) + "/" + a.get(2)
	case 3:
		return a.get(1) + " " + a.get(2) + "/" + a.get(3)
	}
	return ""
}

// date writes year, month and day in the order of the language, or in that of df and
// mf. Text that is a whole date stays.
func date(a *arguments, _ string) string {
	year, month, day := visible(a.get(1)), visible(a.get(2)), visible(a.get(3))
	if month == "" {
		if parts := strings.Split(year, "-"); len(parts) == 3 && len(parts[0]) == 4 { // ISO
			year, month, day = parts[0], parts[1], parts[2]
		} else {
			return year
		}
	}
	lang := a.p.w.lang
	form := lang.Dates["date"]
	switch {
	case yes(a.name("df")):
		form = cmp.Or(lang.Dates["day first"], form)
	case yes(a.name("mf")):
		form = cmp.Or(lang.Dates["month first"], form)
	}
	if day == "" {
		form = lang.Dates["month"]
	}
	return strings.NewReplacer("{year}", year, "{month}", lang.month(month), "{day}", strings.TrimLeft(day, "0")).Replace(form)
}

func yes(s string) bool { return s == "y" || s == "yes" || s == "1" || s == "true" || s == "نعم" }

// month names a month by its number.
func (l *language) month(s string) string {
	if n, err := strconv.Atoi(s); err == nil && n >= 1 && n <= len(l.Months) {
		return l.Months[n-1]
	}
	return s
}

func asOf(a *arguments, _ string) string {
	if alt := a.name("alt"); alt != "" {
		return alt
	}
	word := a.word("As of")
	if yes(a.name("lc")) {
		word = a.word("as of")
	}
	if yes(a.name("since")) {
		word = a.word("Since")
		if yes(a.name("lc")) {
			word = a.word("since")
		}
	}
	if when := date(a, ""); when != "" {
		return word + " " + when
	}
	return ""
}

// age is the number of years between two dates. One up to today changes from day to
// day, and is dropped.
func age(a *arguments, _ string) string {
	var n [6]int
	for i := range n {
		v, err := strconv.Atoi(visible(a.get(i + 1)))
		if err != nil {
			return ""
		}
		n[i] = v
	}
	years := n[3] - n[0]
	if n[4] < n[1] || n[4] == n[1] && n[5] < n[2] {
		years--
	}
	return strconv.Itoa(years)
}

// coordinates writes 36°42′N 3°13′E. Those that stand only beside the title are no
// text.
func coordinates(a *arguments, _ string) string {
	switch display := a.name("display"); {
	case display == "", strings.Contains(display, "inline"), display == "i", display == "it", display == "ti":
	default:
		return ""
	}
	var b strings.Builder
	marks := []string{"°", "′", "″"}
	part := 0
	signed := []string{}
	for i := 1; i <= min(a.count, 8); i++ {
		switch s := visible(a.get(i)); {
		case s == "N" || s == "S" || s == "E" || s == "W" || s == "شمال" || s == "جنوب" || s == "شرق" || s == "غرب":
			b.WriteString(a.word(s))
			if s == "N" || s == "S" || s == "شمال" || s == "جنوب" {
				b.WriteByte(' ')
			}
			part = 0
		case numeric(s) && part < len(marks):
			b.WriteString(s + marks[part])
			signed = append(signed, s)
			part++
		}
	}
	if text := strings.TrimSpace(b.String()); len(signed) != 2 || strings.ContainsAny(text, "NSEW ") {
		return text
	}
	return hemisphere(a, signed[0], "N", "S") + " " + hemisphere(a, signed[1], "E", "W")
}

func hemisphere(a *arguments, degrees, positive, negative string) string {
	if rest, ok := strings.CutPrefix(degrees, "-"); ok {
		return rest + "°" + a.word(negative)
	}
	return degrees + "°" + a.word(positive)
}

// foreign is text in another language with its name: {{lang-ar|…}}, {{langx|ar|…}}.
func foreign(a *arguments, template string) string {
	code, text, rest := "", a.get(1), 2
	if i := strings.IndexByte(template, '-'); i >= 0 {
		code = template[i+1:]
	} else {
		code, text, rest = visible(a.get(1)), a.get(2), 3
	}
	text = cmp.Or(text, a.name("text"))
	if text == "" {
		return ""
	}
	if name := a.p.w.lang.Names[code]; name != "" && a.name("label") == "" {
		text = name + ": " + text
	} else if label := a.name("label"); label != "" && label != "none" {
		text = label + ": " + text
	}
	if t := cmp.Or(a.name("translit"), a.get(rest)); t != "" {
		text += ", " + a.word("romanized:") + " " + t
	}
	if l := cmp.Or(a.name("lit"), a.name("translation"), a.get(rest+1)); l != "" {
		text += ", " + a.word("lit.") + " '" + l + "'"
	}
	return text
}

// phonetic is {{IPAc-en|…}}: sounds between slashes, behind labels.
func phonetic(a *arguments, template string) string {
	var label, sounds strings.Builder
	labels := a.p.w.lang.Signs["pronunciation"]
	for i := range a.list {
		if a.list[i].position == 0 {
			continue
		}
		s := visible(a.text(&a.list[i]))
		if l, ok := labels[strings.ToLower(s)]; ok && sounds.Len() == 0 {
			label.WriteString(l + " ")
			continue
		}
		sounds.WriteString(strings.ReplaceAll(s, "_", " "))
	}
	if sounds.Len() == 0 {
		return ""
	}
	return label.String() + "/" + sounds.String() + "/"
}

// sign is a template whose argument is the name of a sign, as {{music|flat}}.
func sign(a *arguments, template string) string {
	return a.p.w.lang.Signs[template][strings.ToLower(visible(a.get(1)))]
}

// chemical is a formula in parts or in one: digits behind an element are subscripts,
// and a charge at the end of a part is a superscript.
func chemical(a *arguments, _ string) string {
	var b strings.Builder
	for i := range a.list {
		if a.list[i].position == 0 {
			continue
		}
		part := visible(a.text(&a.list[i]))
		first, _ := utf8.DecodeRuneInString(part)
		at := len(a.p.out)
		switch charge := strings.TrimLeft(part, "0123456789"); {
		case charge == "+" || charge == "-" || charge == "−":
			a.p.out = append(append(a.p.out, 'x'), b.String()...)
			a.p.raise(part, true)
			part = string(a.p.out[at+1+b.Len():])
		case b.Len() > 0 && (unicode.IsDigit(first) || unicode.IsLower(first)): // a number of atoms
			a.p.out = append(append(a.p.out, 'x'), b.String()...)
			a.p.raise(part, false)
			part = string(a.p.out[at+1+b.Len():])
		default:
			part = atoms(part)
		}
		a.p.out = a.p.out[:at]
		b.WriteString(part)
	}
	return b.String()
}

// atoms lowers the digits behind letters and brackets, and raises a charge at the end.
func atoms(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r >= '0' && r <= '9' && i > 0:
			b.WriteRune(subscripts[r])
		case (r == '+' || r == '-' || r == '−') && i > 0:
			b.WriteRune(superscripts[r])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// verses writes pairs of half lines, as Arabic poems have them.
func verses(a *arguments, _ string) string {
	var b strings.Builder
	half := ""
	for i := range a.list {
		if a.list[i].position == 0 {
			continue
		}
		text := a.text(&a.list[i])
		if text == "" {
			continue
		}
		if half == "" {
			half = text
			continue
		}
		b.WriteString("\x02P" + half + " … " + text + "\n")
		half = ""
	}
	if half != "" {
		b.WriteString("\x02P" + half + "\n")
	}
	return b.String()
}
