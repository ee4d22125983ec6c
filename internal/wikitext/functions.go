package wikitext

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// function is a parser function, or a variable of the page.
type function struct {
	variable bool // needs no argument
	render   func(a *arguments) string
}

// functions are those that need nothing but the page itself. Others (#invoke, dates
// of today, numbers of the wiki) are dropped.
var functions map[string]function

func init() {
	first := func(f func(string) string) function {
		return function{render: func(a *arguments) string { return f(a.get(1)) }}
	}
	title := func(a *arguments) string { return a.p.title }
	functions = map[string]function{
		"lc": first(strings.ToLower), "uc": first(strings.ToUpper),
		"lcfirst": first(func(s string) string { return firstLetter(s, unicode.ToLower) }),
		"ucfirst": first(func(s string) string { return firstLetter(s, unicode.ToUpper) }),
		"formatnum": {render: func(a *arguments) string {
			if option := a.get(2); strings.EqualFold(option, "R") || strings.EqualFold(option, "NOSEP") {
				return a.get(1)
			}
			return a.p.number(a.get(1))
		}},
		"#if":      {render: func(a *arguments) string { return choose(a, a.get(1) != "", 2) }},
		"#ifeq":    {render: func(a *arguments) string { return choose(a, a.get(1) == a.get(2), 3) }},
		"#iferror": {render: func(a *arguments) string { return a.get(1) }},
		"#switch":  {render: switched},
		"#tag":     {render: func(a *arguments) string { return tagged(a) }},
		"pagename": {variable: true, render: title}, "fullpagename": {variable: true, render: title},
		"basepagename": {variable: true, render: title}, "subpagename": {variable: true, render: title},
		"!": {variable: true, render: func(*arguments) string { return "|" }},
		"=": {variable: true, render: func(*arguments) string { return "=" }},
	}
	for _, name := range []string{"defaultsort", "displaytitle", "#coordinates"} { // show nothing
		functions[name] = function{render: func(*arguments) string { return "" }}
	}
}

func firstLetter(s string, change func(rune) rune) string {
	r, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return s
	}
	return string(change(r)) + s[size:]
}

// choose returns the n-th argument if yes, else the one behind it.
func choose(a *arguments, yes bool, n int) string {
	if !yes {
		n++
	}
	return a.get(n)
}

// switched is #switch: the value behind the first case that is equal.
func switched(a *arguments) string {
	value, falling := a.get(1), false
	other := ""
	for i := 1; i < len(a.list); i++ {
		arg := a.list[i]
		eq := a.p.equals(arg.stretch)
		if eq < 0 {
			text := a.text(&a.list[i])
			falling = falling || text == value
			if i == len(a.list)-1 {
				return text // the last one without a sign is for all others
			}
			continue
		}
		key := strings.TrimSpace(a.p.plain(stretch{arg.lo, eq}))
		a.list[i].lo = eq + 1
		switch {
		case falling || key == value:
			return a.text(&a.list[i])
		case key == "#default":
			other = a.text(&a.list[i])
		}
	}
	return other
}

// tagged is #tag: an element with its content.
func tagged(a *arguments) string {
	switch name := strings.ToLower(a.get(1)); elements[name] {
	case reference, dropped, nothing:
		return ""
	case formula:
		return `\(` + a.get(2) + `\)`
	}
	return a.get(2)
}

// number writes digits in the groups of the language: 1,234,567.89. Other text stays.
func (p *parser) number(s string) string {
	lang := p.w.lang
	whole, fraction, decimal := strings.Cut(s, ".")
	negative := strings.HasPrefix(whole, "-")
	whole = strings.TrimPrefix(whole, "-")
	if whole == "" || strings.Trim(whole, "0123456789") != "" || strings.Trim(fraction, "0123456789") != "" {
		return s
	}
	var b strings.Builder
	if negative {
		b.WriteString("−")
	}
	for i := range len(whole) {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteString(lang.Thousands)
		}
		b.WriteByte(whole[i])
	}
	if decimal {
		b.WriteString(lang.Decimal + fraction)
	}
	return b.String()
}
