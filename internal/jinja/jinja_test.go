package jinja

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestRefusedByName: what Jinja has and this package has not is an error that
// names it and its line.
func TestRefusedByName(t *testing.T) {
	for source, want := range map[string]string{
		"\n{% include 'x' %}":             "line 2: {% include %} is not supported",
		"{% extends 'x' %}":               "{% extends %} is not supported",
		"{% import 'x' as y %}":           "{% import %}",
		"{% block a %}{% endblock %}":     "{% block %}",
		"{% autoescape true %}":           "{% autoescape %}",
		"{% do x.append(1) %}":            "{% do %}",
		"{{ a\n|xmlattr }}":               "line 2: the filter xmlattr is not supported",
		"{{ a | e }}":                     "the filter e is not supported",
		"{{ a is filter }}":               "the test filter is not supported",
		"{{ a[1, 2] }}":                   "several subscripts",
		"{{ 99999999999999999999 }}":      "too large",
		strings.Repeat("{% if x %}", 200): "nested more than",
		"{{ " + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "}}": "nested more than",
		strings.Repeat("x", maxSource+1):                                   "at most",
	} {
		_, err := Parse(source)
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, expected %q", source, err, want)
		}
	}
	for source, want := range map[string]string{
		"{{ x.__class__ }}":        `"__class__" is not accessible`,
		"{{ 'x'.center(3) }}":      "the method center of a text is not supported",
		"\n{{ [].append(1) }}":     "line 2: the method append changes a list",
		"{{ 'a'|safe + '<' }}":     "+ beside |safe",
		"{{ strftime_now('%Q') }}": "%Q is not supported",
		"{{ namespace }}":          "a function cannot be printed",
		"{{ [1]|map('upper') }}":   "a generator cannot be printed",
		"{{ {}.keys() }}":          "use |list",
		"{% set x %}{% generation %}{% endgeneration %}{% endset %}": "inside a macro",
	} {
		tpl, err := Parse(source)
		if err == nil {
			_, err = tpl.Render(map[string]Value{"x": Text{}}, goldenDay)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", source, err, want)
		}
	}
}

// TestBounds: templates that would run or grow without end stop with a
// sentence, soon.
func TestBounds(t *testing.T) {
	for source, want := range map[string]string{
		"{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}":                             "steps",
		"{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}":              "bytes",
		"{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}":              "steps",
		"{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}":              "steps",
		"{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}":   "steps",
		"{% set ns = namespace(s=[1]) %}{% for i in range(200) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s }}":        "nested",
		"{% set ns = namespace(s=[1]) %}{% for i in range(200) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s|tojson }}": "nested",
		"{% set a = namespace(s=1, t=1) %}{% for i in range(200) %}{% set a.s = [a.s] %}{% set a.t = [a.t] %}{% endfor " +
			"%}{{ a.s == a.t }}": "nested",
		"{% set s = (c ~ 'x') * 100000 %}{% for i in range(100000) %}{{ s[i] }}{% endfor %}":               "steps",
		"{% set s = (c ~ 'x') * 100000 %}{% for i in range(1000) %}{% set t = s.split('x') %}{% endfor %}": "steps",
		"{{ 'x' * 1000000000 }}":                                                  "bytes",
		"{{ [1] * 1000000000 }}":                                                  "bytes",
		"{{ ('a' * 1000000).replace('a', 'b' * 1000) }}":                          "bytes",
		"{{ ('a' * 1000000).replace('', 'b' * 1000) }}":                           "bytes",
		"{{ (['a'] * 100000)|join('b' * 10000) }}":                                "steps",
		"{{ ('\n' * 1000000)|indent(1000, blank=true) }}":                         "bytes",
		"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}":                         "deep",
		"{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}":                 "deep",
		"{{ range(1000000) }}":                                                    "more than 100000",
		"{{ 10 ** 1000000000 }}":                                                  "too large",
		"{{ 9223372036854775807 + 1 }}":                                           "too large",
		"{% for i in range(100000) %}{{ 'xxxxxxxxxxxxxxxx' * 1000 }}{% endfor %}": "",
	} {
		start := time.Now()
		tpl, err := Parse(source)
		if err == nil {
			_, err = tpl.Render(map[string]Value{"c": NewText("c", 1)}, goldenDay)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", source, err, want)
		}
		if d := time.Since(start); d > 20*time.Second {
			t.Errorf("%s: took %v", source, d)
		}
	}
}

// TestOrigins: what operations on strings give is of those who wrote it.
func TestOrigins(t *testing.T) {
	vars := map[string]Value{"c": NewText("  <eos> a,b\n", 1), "e": NewText("", 2), "d": NewDict().Set("k", NewText("<x>", 3))}
	for source, want := range map[string]string{
		"<s>{{ c }}</s>":                                      "0:<s> 1:  <eos> a,b\n 0:</s>",
		"<s>{{ c|trim }}</s>":                                 "0:<s> 1:<eos> a,b 0:</s>",
		"{{ '<' + c.strip() ~ '>' }}":                         "0:< 1:<eos> a,b 0:>",
		"{{ c.split(',')[-1].strip() + '.' }}":                "1:b 0:.",
		"{{ c[2:7] }}{{ c[2] }}":                              "1:<eos><",
		"{{ c.replace(',', '<eos>')|trim }}":                  "1:<eos> a 0:<eos> 1:b",
		"{{ c|trim|upper }}":                                  "1:<EOS> A,B",
		"[{{ e }}]":                                           "0:[ 2: 0:]",
		"[{{ e|trim }}]":                                      "0:[ 2: 0:]",
		"{{ d|tojson }}":                                      `0:{"k": " 3:<x> 0:"}`,
		"{{ d }}":                                             "0:{'k':  3:'<x>' 0:}",
		"{{ ['a', c|trim]|join('|') }}":                       "0:a| 1:<eos> a,b",
		"{% set x %}<{{ c|trim }}>{% endset %}{{ x }}":        "0:< 1:<eos> a,b 0:>",
		"{% macro m(x) %}({{ x }}){% endmacro %}{{ m(d.k) }}": "0:( 3:<x> 0:)",
		"{{ '%s!' % d.k }}{{ '{}?'.format(d.k) }}":            "3:<x> 0:! 3:<x> 0:?",
		"{{ d.k|indent(2, true) }}":                           "0:   3:<x>",
		"{{ c|reverse|trim }}":                                "1:b,a >soe<",
		"{% for x in d.k %}{{ x }}{% endfor %}":               "3:<x>",
	} {
		tpl, err := Parse(source)
		if err != nil {
			t.Fatal(err)
		}
		out, err := tpl.Render(vars, goldenDay)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		var got []string
		out.Text.Runs(func(a, b int, o Origin) { got = append(got, string(rune('0'+o))+":"+out.Text.String()[a:b]) })
		if strings.Join(got, " ") != want {
			t.Errorf("%s:\n got %q\nwant %q", source, strings.Join(got, " "), want)
		}
	}
}

// FuzzTemplate: any template is refused or rendered, soon and without a panic,
// and the origins of the result cover it.
func FuzzTemplate(f *testing.F) {
	_, published := readPublished(f)
	for i, p := range published {
		if i%10 == 0 && len(p.Template) < 4000 {
			f.Add(p.Template, "text")
		}
	}
	f.Add("{{ c[::-1].split('a', 1)|join(c)|tojson(indent=2) }}", "añ<eos>")
	f.Add("{%- for x in c recursive -%}{{ loop(x) }}{%- endfor +%}", "ab")
	f.Add("{{ '%s' % c }}{{ c.format(c) }}{{ c|int(base=16) }}{{ c|title|capitalize }}", "{0} ß")
	f.Fuzz(func(t *testing.T, source, content string) {
		tpl, err := Parse(source)
		if err != nil {
			return
		}
		messages := NewList(NewDict().Set("role", Text{s: "user"}).Set("content", NewText(content, 1)))
		out, err := tpl.Render(map[string]Value{"messages": messages, "c": NewText(content, 1), "n": int64(len(content))}, goldenDay)
		if err != nil {
			return
		}
		at := 0
		out.Text.Runs(func(a, b int, _ Origin) {
			if a != at || b < a {
				t.Fatalf("a run [%d, %d) follows %d", a, b, at)
			}
			at = b
		})
		if at != len(out.Text.String()) {
			t.Fatalf("runs end at %d of %d", at, len(out.Text.String()))
		}
	})
}
