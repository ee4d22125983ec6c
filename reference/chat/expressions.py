"""Small templates as transformers' Jinja renders them, for the tests of internal/jinja.

usage: expressions.py

Writes internal/jinja/testdata/expressions.json: what each template gives, or null where it fails.
"""

import json

import render

VARIABLES = {
    "s": "Hello, World", "ar": "السَّلام عليكم", "pad": " \t x y \n", "n": 7, "f": 2.5, "none": None, "yes": True,
    "l": [3, 1, 2], "words": ["b", "A", "c"], "d": {"b": 1, "a": {"x": [1, 2]}, "items": 3}, "e": [], "big": 1e22, "neg": -7,
    "rows": [{"role": "user", "n": 1}, {"role": "system", "n": 2}, {"role": "user"}],
    "q": "it's \"q\" \\ \n é \u200f \x07 <b>&",
}

EXPRESSIONS = """
s ~ n ~ f ~ none ~ yes|string ~ l ~ d ~ big
n / 2, n // 2, neg // 2, neg % 3, n % -3, 2 ** 3, 2 ** -1, f % 2, -n, +f, 7.0 // 2, -7.5 % 2
1 + 2 * 3 - 4 // 2, 1 ~ 2 * 3, (1 + 2) ~ 3
1 < 2 < 3, 1 < 3 < 2, 1 == 1.0, true == 1, 'a' < 'b', [1] < [1, 2], none == none, 'a' in 'cat', 3 not in l, 'b' in d
not yes and yes or n
n if yes, n if not yes, 1 if false else 2
s[0], s[-1], s[100], s[1:4], s[::-1], s[:-3], s[-5:], s[::2], s[5:2], s[3:0:-1], ar[0:2], ar[-1]
l[0], l[-1], l[5], l[::-1], l[1:], l[:-1], l[::2], l[-2::-1], l[2:0:-1]
e[0] is defined, e[0] is undefined, missing is defined, missing is none, d.missing is defined, none is none
missing, d.missing, d['missing'], none.x
missing.x
d.missing.y
d.b, d['b'], d.a.x[1], d['items']
d|length, l|length, s|length, ar|length, missing|length
none|length
s|upper, s|lower, s|title, s|capitalize, 'ǆ ß ﬁ ΑΣ'|upper, 'ΑΣ İ'|lower, 'they\\'re bill\\'s-x (y)'|title, \
s.title(), "they're".title(), 'ß'.capitalize()
pad|trim, pad.strip(), pad.lstrip(), pad.rstrip(), 'xxaxx'.strip('x'), 'abcab'.lstrip('ab'), s.strip('Hd'), pad|trim('\\n ')
s.split(','), s.split(), ' a  b '.split(' '), 'a b c d'.split(' ', 2), 'a  b  c '.split(none, 1), \
'a,b,c'.rsplit(',', 1), pad.split(), ''.split(), ''.split(','), 'x</think>y</think>z'.split('</think>')[-1]
s.startswith('He'), s.endswith('x'), s.startswith(('x', 'H')), s.find('o'), s.find('zz'), s.rfind('o'), \
s.count('l'), s.index('W'), ar.find('ع')
s.index('zz')
s.replace('l', 'L'), s.replace('l', 'L', 1), 'aaa'.replace('', '-'), s|replace('o', '0'), 'aaa'|replace('a', 'b', 2), n|replace('7', '8')
', '.join(words), words|join, words|join(', '), l|join('-'), rows|join('|', attribute='role')
'a\\nb\\r\\nc\\n'.splitlines(), 'a\\nb'.splitlines(true), 'abc'.removeprefix('a'), 'abc'.removesuffix('c'), \
'a-b-c'.partition('-'), 'a-b-c'.rpartition('-'), 'abc'.partition('x')
'12'.isdigit(), 'a1'.isalnum(), ' '.isspace(), ''.isalpha(), 'Ab'.isupper(), 'AB'.isupper(), 'ab1'.islower(), 'é'.isascii()
l|sort, words|sort, words|sort(case_sensitive=true), words|sort(reverse=true), rows[:2]|sort(attribute='n', \
reverse=true)|map(attribute='n')|list
l|first, l|last, e|first, s|first, s|last, l|min, l|max, e|max, words|max, l|sum, rows[:2]|sum(attribute='n')
l|reverse|list, s|reverse, ['a', 'b', 'A', 'a']|unique|list, d|dictsort, {'B': 1, 'a': 2}|dictsort, {'B': 2, 'a': 1}|dictsort(by='value')
rows|map(attribute='role')|list, rows|map(attribute='n', default=0)|list, words|map('upper')|list, \
rows|selectattr('role', 'equalto', 'user')|list, rows|rejectattr('role', 'eq', 'user')|map(attribute='n')|list
rows|selectattr('n')|list|length, rows|selectattr('n', 'defined')|list|length, l|select('odd')|list, \
l|reject('gt', 1)|list, l|select('in', [1, 2])|list, none|selectattr('x')|list
'yes' if rows|selectattr('role', 'equalto', 'nobody') else 'no'
missing|default('x'), none|default('x'), none|default('x', true), ''|d('x', boolean=true), ''|d('x')
'12'|int, '1.9'|int, 'x'|int, 'x'|int(-1), '0x1f'|int(base=16), f|int, ' 3 '|int, '2.5'|float, 'x'|float, \
n|float, neg|abs, -2.5|abs, 2.5|round, 3.5|round, yes|int
l|list, s|list|length, d|list, 'ab'|list, d.items()|list, d.keys()|list, d.values()|list, d|items|list
d|tojson, l|tojson, q|tojson, none|tojson, f|tojson, big|tojson, {}|tojson, []|tojson, {1: yes}|tojson, \
ar|tojson, ar|tojson(ensure_ascii=true), '😀'|tojson(ensure_ascii=true)
d|tojson(indent=2), l|tojson(indent=1), {'b': 1, 'a': []}|tojson(sort_keys=true, separators=(',', ':')), {'a': {}}|tojson(indent=4)
missing|tojson
'a\\nb\\n\\nc'|indent, 'a\\nb\\n'|indent(2), 'a\\nb'|indent(2, true), 'a\\n\\nb'|indent(2, blank=true), 'a\\nb'|indent('> ')
'%s=%d%%' % ('x', 3), '%s' % s, '%r' % s, '{} {} {{}}'.format(1, 'b'), '{1}{0}'.format('a', 'b'), \
'{x}'.format(x=n), '%s and %s'|format('a', 2)
'%s %s' % ('x',)
q, [q], {'k': q}, (1,), (), [none, true, 1.0, 'x'], [1e16, 1e-5, 123456789.125]
s is string, l is string, d is mapping, l is mapping, l is iterable, s is iterable, n is iterable, \
l is sequence, d is sequence, n is sequence, missing is iterable, missing is sequence, n is number, \
yes is number, yes is boolean, n is integer, yes is integer, f is float, d.items() is sequence
n is odd, n is even, n is divisibleby 7, n is divisibleby(2), yes is true, n is true, false is false, \
n is not none, none is not none, s is lower, 'A' is upper, 1 is eq 1, 1 is in [1], n is sameas none, \
none is sameas none, raise_exception is callable
'a' 'b' "c", '\\x41\\u0627\\n\\t\\'\\"\\q\\\\', "it's"
[1, 2] + [3], 'ab' * 2, [0] * 3, 2 * 'x', 'x' * -1, (1,) + (2,)
'a' + 1
1 + none
missing + 'x'
{'a': 1, 'b': [2]}.b[0], {'a': 1}.get('a'), {'a': 1}.get('z'), {'a': 1}.get('z', 0), dict(a=1, b=2), dict([('x', 1)]), d.copy()['b']
range(3)|list, range(1, 7, 2)|list, range(3, 0, -1)|list, range(0)|list, range(5)[1], range(3)|length, 2 in range(3)
range(10000000)
l.append(1)
d.pop('b')
d.update({'x': 1})
1 / 0
''.join(l)
1 < 'a'
namespace(a=1).a, namespace({'b': 2}).b, namespace().c is defined
strftime_now('%d %b %Y'), strftime_now('%Y-%m-%d'), strftime_now('%B %-d, %Y'), strftime_now('%A %j %H:%M'), strftime_now('%y%m%d%%')
raise_exception('no')
n|nofilter
n is notest
n is defined and n > 3, not n is defined, n is defined or x, (n is defined) == true
-n|abs, -1|abs, (2**3)|string
1_000, 0x1F, 0b101, 0o17, 1e3, 1.5e-3
true and none, 0 or '', none or 'x'
[1, 2, 3][1:][0], 'abc'[1:][0], (l|sort)[0], rows[0].role.upper()[0]
s|upper|lower|length + 1
"a" if none is none else "b"
none ~ none
not 1 in l
s is defined | string
'x'.y is defined, 'x'['y'] is defined, 5 .x is defined
d['b'] + 1 ~ 'x'
""".strip().split("\n")

TEMPLATES = [
    "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}"
    "{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.previtem }}{{ loop.nextitem }};{% endfor %}",
    "{% for x in l if x > 1 %}{{ loop.index }}:{{ x }} {% else %}none{% endfor %}",
    "{% for x in e %}x{% else %}none{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k in d %}{{ k }}{% endfor %}{% for c in 'añ' %}<{{ c }}>{% endfor %}",
    "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% if x == 2 %}{% break %}{% endif %}{% endfor %}",
    "{% set x = 1 %}{% for i in l %}{{ x }}{% set x = i %}{{ x }}{% endfor %}{{ x }}",
    "{% set ns = namespace(x=1) %}{% for i in l %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}",
    "{% set x.y = 1 %}",
    "{% set d.z = 1 %}",
    "{% if yes %}{% set z = 5 %}{% endif %}{{ z }}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set c = 1, 2 %}{{ c }}",
    "{% set block %} text {{ n }} {% endset %}[{{ block }}]{% set up | upper | trim %} up {% endset %}[{{ up }}]",
    "{% set x = 1 %}{% set y %}{% set x = 2 %}{{ x }}{% endset %}{{ x }}{{ y }}",
    "{% macro m(a, b=2, c='z') %}{{ a }}{{ b }}{{ c }}{{ n }}{% endmacro %}{{ m(1) }}|{{ m(1, c=3) }}|{{ m() }}|{{ m(1, 2, 3) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}",
    "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}",
    "{% macro f() %}{{ late }}{% endmacro %}{% set late = 'ok' %}{{ f() }}",
    "{% macro f(x) %}{% if x > 0 %}{{ x }}{{ f(x - 1) }}{% endif %}{% endmacro %}{{ f(3) }}",
    "{% macro box(t) %}[{{ t }}:{{ caller('z') }}]{% endmacro %}{% call(v) box('a') %}{{ v }}{{ n }}{% endcall %}",
    "{% macro m() %}x{% set n = 1 %}{{ n }}{% endmacro %}{{ m() }}{{ n }}{{ m()|length }}{{ m() is string }}",
    "{% filter upper %}a{{ s }}{% endfilter %}",
    "{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}{{ a }}",
    "{% for r in [[1, [2, 3]], [4, []]] recursive %}{{ r if r is number else loop(r) }};{% endfor %}",
    "{% for a in [1, 1, 2] %}{{ loop.changed(a) }}{{ loop.cycle('x', 'y') }}{% endfor %}",
    "a\n{% if yes %}\n  b\n{% endif %}\nc\n",
    "a \n  {%- if yes -%}  \n b {%- endif %}  \n c\n\n",
    "  {% if yes %}  \n x\n  {%+ if yes %}y{% endif %}\n{% endif +%}\nz",
    "{# c #}\n  {# d #}\nx {# e #} y{#- f -#}  z",
    "{{ 1 }}\n  {{ 2 -}}  \n{{- 3 }}\n",
    "{% raw %}{{ x }}{% y %}{% endraw %}\n{%- raw -%}  {# a #}  {%- endraw -%}  b",
    "x\r\ny\rz\n\n",
    "  {% set a = 1 %}\n  {{ a }}\n  {% for i in l %}\n    {{ i }}\n  {% endfor %}\n",
    "{{ '{{' }}{{ {'a': {'b': 1}}['a']['b'] }}{{ {'a': 1}|tojson }}",
    "{{ 'a}}b' }}{% if '%}' %}x{% endif %}",
    "{% generation %}a{% set g = 1 %}{{ n }}{% endgeneration %}{{ g }}",
    "{% for m in rows %}{% if loop.first and m.role != 'system' %}S{% endif %}"
    "{{ m['role'] }}{{ m.n if m.n is defined else '?' }}{{ '' if loop.last else ',' }}{% endfor %}",
    "{% if n == 1 %}a{% elif n == 7 %}b{% else %}c{% endif %}{% if not e %}empty{% endif %}{% if missing %}x{% endif %}",
    "{{ rows|tojson(indent=2) }}\n{{ d }}",
    "{% for a, b in [(1, 2), (3, 4)] %}{{ a }}{{ b }}{% endfor %}{% for a, b in [(1, 2, 3)] %}{% endfor %}",
    "{{ (s|upper)(1) }}", "{% if %}{% endif %}", "{{ }}", "{{ 1 2 }}", "{% for x in %}{% endfor %}",
    "{% endif %}", "{% if a %}", "{{ 'x }}", "{{ (1 }}", "{{ 1) }}", "{% set 1 = 2 %}", "{% break %}",
]


def result(template):
    try:
        texts, _ = render.chat.render_jinja_template([[]], chat_template=template, **VARIABLES)
        return texts[0]
    except Exception:
        return None


def main():
    templates = ["{{ (" + e + ")|string }}" if "," not in e else "{{ [" + e + "]|string }}" for e in EXPRESSIONS]
    rows = [{"template": t, "text": result(t)} for t in templates + TEMPLATES]
    out = render.OUT / "expressions.json"
    out.write_text(json.dumps({"script": "reference/chat/expressions.py", "variables": VARIABLES, "rows": rows},
                              ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    print(len(rows), "templates,", sum(r["text"] is None for r in rows), "fail")
    for r in rows:
        if r["text"] is None:
            print("  ", r["template"])


if __name__ == "__main__":
    main()
