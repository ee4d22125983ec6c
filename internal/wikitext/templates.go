package wikitext

import (
	"strconv"
	"strings"
)

// arguments are a template's, rendered when asked for.
type arguments struct {
	p          *parser
	depth      int
	positional [][2]int
	named      map[string][2]int
	texts      map[[2]int]string // of those rendered so far
}

// get renders the n-th positional argument, from 1.
func (a *arguments) get(n int) string {
	if r, ok := a.named[strconv.Itoa(n)]; ok {
		return a.text(r)
	}
	if n < 1 || n > len(a.positional) {
		return ""
	}
	return a.text(a.positional[n-1])
}

func (a *arguments) name(key string) string {
	if r, ok := a.named[key]; ok {
		return a.text(r)
	}
	return ""
}

// text renders an argument once: rendered twice at each level, nested templates
// would take 2^depth steps.
func (a *arguments) text(r [2]int) string {
	text, ok := a.texts[r]
	if !ok {
		var b strings.Builder
		a.p.render(&b, r[0], r[1], a.depth)
		text = strings.TrimSpace(b.String())
		a.texts[r] = text
	}
	return text
}

// template writes what a template stands for: words, or nothing.
func (p *parser) template(b *strings.Builder, lo, hi, depth int) {
	parts := p.split(lo, hi)
	name := strings.ToLower(strings.TrimSpace(strings.ReplaceAll(p.s[parts[0][0]:parts[0][1]], "_", " ")))
	if len(name) > 60 {
		return
	}
	a := &arguments{p: p, depth: depth, named: map[string][2]int{}, texts: map[[2]int]string{}}
	for _, r := range parts[1:] {
		key, _, ok := strings.Cut(p.s[r[0]:r[1]], "=")
		if ok && !strings.ContainsAny(key, "[{<\"") && len(key) < 40 {
			a.named[strings.ToLower(strings.TrimSpace(key))] = [2]int{r[0] + len(key) + 1, r[1]}
			continue
		}
		a.positional = append(a.positional, r)
	}
	if f, ok := templates[name]; ok {
		b.WriteString(f(a))
		return
	}
	if strings.HasPrefix(name, "lang-") { // {{lang-ar|text}}
		b.WriteString(a.get(1))
	}
}

func first(a *arguments) string   { return a.get(1) }
func second(a *arguments) string  { return a.get(2) }
func literal(s string) renderer   { return func(*arguments) string { return s } }
func lastArg(a *arguments) string { return a.get(len(a.positional)) }

type renderer func(*arguments) string

// templates are those that stand for words of the running text; all others
// are dropped: infoboxes, navigation, citations, notices.
var templates map[string]renderer

func init() {
	templates = map[string]renderer{
		"lang": second, "transl": lastArg, "transliteration": lastArg, "langx": second, "script": second, "nihongo": first,
		"nowrap": first, "nobr": first, "nobreak": first, "small": first, "big": first, "smaller": first,
		"larger": first, "em": first, "strong": first,
		"abbr": first, "tooltip": first, "sup": func(a *arguments) string { return a.get(1) }, "sub": first,
		"center": first, "resize": lastArg,
		"quote": first, "blockquote": quote, "cquote": first, "quotation": quote, "quote box": quote, "centered": first,
		"circa": circa, "c.": circa, "ca": circa, "fl.": func(a *arguments) string {
			return join("fl. ",
				a.get(1))
		}, "floruit": func(a *arguments) string { return join("fl. ", a.get(1)) },
		"as of": asOf, "convert": convert, "cvt": convert, "val": value, "formatnum": first, "nts": first, "number": first,
		"frac": frac, "fraction": frac, "sfrac": frac, "1/2": literal("½"), "half": literal("½"),
		"birth date": date, "birth date and age": date, "death date": date, "death date and age": date,
		"start date": date, "end date": date, "date": first, "start date and age": date,
		"-": literal("–"), "ndash": literal("–"), "mdash": literal("—"), "en dash": literal("–"),
		"em dash": literal("—"), "snd": literal(" – "), "spnd": literal(" – "), "spaced ndash": literal(" – "),
		"nbsp": literal(" "), "space": literal(" "), "thinsp": literal(" "), "!": literal("|"), "=": literal("="),
		"'": literal("'"), "'s": literal("'s"), "·": literal(" · "), "•": literal(" • "), "dot": literal(" · "),
		"flag": first, "flagu": first, "country": first, "flagcountry": first, "ill": first,
		"interlanguage link": first, "link": first, "illm": first,
		"w": first, "wikt": lastArg, "linktext": first, "mono": first, "code": first, "kbd": first, "var": first,
		"math": first, "mvar": first, "tmath": first, "overline": first,
		"pound": func(a *arguments) string {
			return "£" +
				a.get(1)
		}, "us$": func(a *arguments) string {
			return "US$" +
				a.get(1)
		}, "usd": func(a *arguments) string { return "$" + a.get(1) },
		"gbp": func(a *arguments) string { return "£" + a.get(1) }, "euro": func(a *arguments) string {
			return "€" +
				a.get(1)
		}, "eur": func(a *arguments) string {
			return "€" +
				a.get(1)
		}, "inr": func(a *arguments) string { return "₹" + a.get(1) },
		"bce":        func(a *arguments) string { return join(a.get(1), " BCE") },
		"ce":         func(a *arguments) string { return join(a.get(1), " CE") },
		"ad":         func(a *arguments) string { return join("AD ", a.get(1)) },
		"percentage": first, "okina": literal("ʻ"), "ayin": literal("ʿ"), "hamza": literal("ʾ"), "sic": first,
		"not a typo": first, "typo": first, "as written": first,
		"plainlist": first, "unbulleted list": list, "ubl": list, "hlist": list, "flatlist": first,
		"flat list": first, "bulleted list": list,
		"chem": chemical, "chem2": first, "co2": literal("CO2"), "music": literal(""), "poemquote": quote,
		"poem": first, "cuneiform": lastArg, "coptic": first, "hebrew": first, "rtl-lang": second, "arabic": first, "unicode": first,
	}
}

func join(a, b string) string {
	if a == "" || b == "" {
		return ""
	}
	return a + b
}

func quote(a *arguments) string {
	for _, key := range []string{"text", "quote"} {
		if s := a.name(key); s != "" {
			return s
		}
	}
	return a.get(1)
}

func circa(a *arguments) string {
	switch from, to := a.get(1), a.get(2); {
	case from == "":
		return "c. "
	case to == "":
		return "c. " + from
	default:
		return "c. " + from + " – c. " + to
	}
}

func asOf(a *arguments) string {
	text := "As of "
	if a.name("lc") != "" || a.name("since") != "" {
		text = "as of "
	}
	year, month, day := a.get(1), a.get(2), a.get(3)
	if alt := a.name("alt"); alt != "" {
		return alt
	}
	return text + strings.TrimSpace(strings.Join([]string{day, monthName(month), year}, " "))
}

var months = []string{"January", "February", "March", "April", "May", "June", "July", "August", "September",
	"October", "November", "December"}

func monthName(s string) string {
	if n, err := strconv.Atoi(s); err == nil && n >= 1 && n <= 12 {
		return months[n-1]
	}
	return s
}

func date(a *arguments) string {
	year, month, day := a.get(1), monthName(a.get(2)), a.get(3)
	return strings.Join(strings.Fields(day+" "+month+" "+year), " ")
}

// units names the commonest units of {{convert}}; others stay as written.
var units = map[string]string{
	"km2": "km²", "sqkm": "km²", "sqmi": "sq mi", "m2": "m²", "ha": "ha", "acre": "acres", "mi": "mi", "km": "km",
	"m": "m", "ft": "ft", "in": "in", "cm": "cm", "mm": "mm",
	"kg": "kg", "lb": "lb", "g": "g", "t": "t", "c": "°C", "f": "°F", "°c": "°C", "°f": "°F", "km/h": "km/h",
	"mph": "mph", "l": "L", "usgal": "US gal", "nmi": "nmi", "m3": "m³", "km3": "km³", "yd": "yd", "oz": "oz", "cuft": "cu ft",
}

func unit(s string) string {
	if u, ok := units[strings.ToLower(s)]; ok {
		return u
	}
	return s
}

// convert writes the quantity as given, without the conversion.
func convert(a *arguments) string {
	n := a.get(1)
	if n == "" {
		return ""
	}
	switch sep := a.get(2); sep {
	case "-", "–", "to", "and", "x", "by", "or", "×", "±", "+":
		if sep == "-" {
			sep = "–"
		}
		if len(sep) > 1 && sep != "–" && sep != "×" && sep != "±" {
			sep = " " + sep + " "
		}
		return n + sep + a.get(3) + " " + unit(a.get(4))
	}
	return strings.TrimSpace(n + " " + unit(a.get(2)))
}

func value(a *arguments) string {
	s := a.get(1)
	if e := a.name("e"); e != "" {
		s += "×10^" + e
	}
	if u := a.name("ul") + a.name("u"); u != "" {
		s += " " + u
	}
	return s
}

func frac(a *arguments) string {
	switch len(a.positional) {
	case 1:
		return "1/" + a.get(1)
	case 2:
		return a.get(1) + "/" + a.get(2)
	case 3:
		return a.get(1) + " " + a.get(2) + "/" + a.get(3)
	}
	return ""
}

func list(a *arguments) string {
	var items []string
	for i := range a.positional {
		if s := a.get(i + 1); s != "" {
			items = append(items, s)
		}
	}
	return strings.Join(items, ", ")
}

func chemical(a *arguments) string {
	var b strings.Builder
	for i := range a.positional {
		b.WriteString(a.get(i + 1))
	}
	return b.String()
}
