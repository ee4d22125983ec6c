package wikitext

import (
	"strings"
	"testing"
)

type textCase struct{ in, want string }

func check(t *testing.T, w *Wiki, cases []textCase) {
	t.Helper()
	for _, c := range cases {
		if got := w.Text(c.in); got != c.want {
			t.Errorf("%q:\n got %q\nwant %q", c.in, got, c.want)
		}
	}
}

// TestScripts: raised and lowered text keeps its meaning, also behind NFKC.
func TestScripts(t *testing.T) {
	check(t, english(t), []textCase{
		{"10<sup>18</sup> and 10<sup>−3</sup> and 2<sup>n</sup>", "10^18 and 10^−3 and 2^n"},
		{"H<sub>2</sub>O, SO<sub>4</sub><sup>2−</sup>, CO{{sub|2}}", "H₂O, SO₄²⁻, CO₂"},
		{"5&nbsp;km<sup>2</sup>, m/s<sup>2</sup>", "5 km², m/s²"},
		{"the 19<sup>th</sup> and XVI<sup>e</sup> and 1{{sup|st}}", "the 19th and XVIe and 1st"},
		{"v<sub>max</sub>, e<sup>−x+1</sup>, x<sub>1</sub>, (a+b)<sup>2</sup>", "v_max, e^(−x+1), x₁, (a+b)^2"},
		{"<sup>14</sup>C, 101<sub>2</sub>", "¹⁴C, 101_2"},
		{"E=mc{{sup|2}}, 10{{e|5}}, {{val|1.5|e=8|u=km}}", "E=mc², 10×10^5, 1.5×10^8 km"},
		{"a<sup>unclosed and <sub>b", "aunclosed and b"},
	})
}

func TestFormulas(t *testing.T) {
	check(t, english(t), []textCase{
		{`Area <math>\pi r^{2}</math>, <chem>H2O</chem>.`, `Area \(\pi r^{2}\), \(\ce{H2O}\).`},
		{"so\n:<math display=\"block\">a\n= b</math>\nholds", "so\n\\(a = b\\)\n\nholds"},
		{"{{math|''x''<sup>2</sup> < ''a''<sub>i</sub>}} for {{mvar|n}}", `\(x^{2} < a_{i}\) for \(n\)`},
		{"<math>[[a]] {{b}} ''c'' <ref></math>", `\([[a]] {{b}} ''c'' <ref>\)`},
	})
}

func TestLists(t *testing.T) {
	check(t, english(t), []textCase{
		{"x:\n* a\n** b\n*** c\n* d", "x:\n- a\n  - b\n    - c\n- d"},
		{"# a\n## b\n## c\n# d\n#: more\n# e", "1. a\n  1. b\n  2. c\n2. d\n  more\n3. e"},
		{"# a\n# b\n\ntext\n# c", "1. a\n2. b\n\ntext\n1. c"},
		{"; Term\n: its definition\n; Other : at once\n;Alone\ntext", "Term: its definition\nOther: at once\nAlone\n\ntext"},
		{"<ul><li>one</li><li>two</li></ul>", "- one\n- two"},
		{"a\n{{plainlist|\n* b\n* c\n}}\n{{ubl|d|e}}\n{{hlist|f|g}}", "a\n- b\n- c\n- d\n- e\n\nf, g"},
		{"<poem>one\ntwo ''three''\n\nfour</poem>", "one\ntwo three\n\nfour"},
		{"one\ntwo\n\nthree<br>four", "one two\n\nthree\nfour"},
	})
}

func TestTables(t *testing.T) {
	check(t, english(t), []textCase{
		{"{| class=\"wikitable\"\n|+ Cities\n! Name !! People\n|-\n| [[Cairo]] || 9{{nbsp}}million\n|-\n| style=\"x\" | Giza\n| 4\n|}",
			"Cities\n\n- Name: Cairo; People: 9 million\n- Name: Giza; People: 4"},
		{"{| class=wikitable\n! Height\n| 5 m\n|-\n! Weight\n| 7 kg\n|}", "- Height: 5 m\n- Weight: 7 kg"},
		{"{| class=wikitable\n! Year !! A !! B\n|-\n| rowspan=2 | 1990 || x || y\n|-\n| colspan=2 | z\n|}",
			"- Year: 1990; A: x; B: y\n- Year: 1990; A: z"},
		{"{| class=\"infobox\"\n| a || b\n|}Text", "Text"},
		{"{|\n| Some text\nof two lines || in\ncolumns\n|}", "Some text of two lines\n\nin columns"},
		{"{| class=wikitable\n! A\n! B\n|-\n| 1\n|\n{| class=wikitable\n| in || side\n|}\n|}", "- A: 1; B: in; side"},
		{"before\n{| class=wikitable\n| never || closed\n== Next ==\nafter", "before\n\n- never; closed\n\n== Next ==\nafter"},
		{"| stray\n|- x\n|}\ntext", "stray\n\ntext"},
	})
	page := english(t).Parse("", "{| class=wikitable\n! A !! B\n"+strings.Repeat("|-\n| a || b\n", 200)+"|}")
	if rows := strings.Count(page.Root.Text, "A: a"); rows != maxRows-1 || page.Rows != 200-rows {
		t.Errorf("%d rows, %d left out", rows, page.Rows)
	}
}

// TestRepairs: what dropped templates leave behind.
func TestRepairs(t *testing.T) {
	check(t, english(t), []textCase{
		{"Albania ({{x}}; {{zz|z}}), a country", "Albania, a country"},
		{"Albania ({{x}}; officially A) is", "Albania (officially A) is"},
		{"Albania (Albanian: {{x}}; officially A) is", "Albania (officially A) is"},
		{"Albania (A; Greek: {{x}}) is", "Albania (A) is"},
		{"He, {{x}}, ran {{zz}}.", "He, ran."},
		{"a {{x}} b{{x}}c {{x}}", "a bc"},
		{"call f() or f( ) and [ ] x", "call f() or f() and x"},
		{"(equivalent to ${{Inflation|US|5|1950}} in {{Inflation/year|US}}) It cost $5 (about ${{Inflation|US|5|1950}} today).", "It cost $5."},
		{"Text.<ref>x</ref>, and <ref name=a/>; more {{x}}...", "Text., and; more..."},
		{"{{x}}, then", "then"},
		{"the Jews (<ref>a</ref>), and (<ref>b</ref>; c)", "the Jews, and (; c)"},
		{"A colon: {{x}}", "A colon:"},
	})
}

func TestLinks(t *testing.T) {
	check(t, english(t), []textCase{
		{"[[wikt:foo|foo]] [[:de:Bar|Bar]] [[:fr:Baz]] [[de:Gone]][[ar:س]] [[s:Book]]", "foo Bar fr:Baz s:Book"},
		{"[[File:a.jpg|thumb|x [[y]] z]]b [[Media:a.ogg|sound]]", "b"},
		{"[[a|b|c]] [[d]]s [[e#f|]] [[#g]]", "b|c ds e#f #g"},
		{"[http://x.org/{{zz}} label] [//z.org z] [not a link] [http://a", "label z [not a link] [http://a"},
	})
}

func TestTags(t *testing.T) {
	check(t, english(t), []textCase{
		{"An #include <stdio.h> and a <b\nclass=\"x\">bold</b> <unknown>", "An #include <stdio.h> and a bold <unknown>"},
		{"a<ref name=\"x\">never closed, b<ref>c</ref> d", "anever closed, b d"},
		{"x<span style=\"display: none\">y</span>z </div> w", "xz\n\nw"},
		{"__NOTOC__a __init__ b__لاتحرير_قسم__", "a __init__ b"},
		{"l'''amour'' fou et '''gras'''", "l'amour fou et gras"},
		{"<nowiki>{{x}}</nowiki> &lt;b&gt; &#91;&#x5B;x &bogus; A&B", "{{x}} <b> [[x &bogus; A&B"},
		{"Code:\n<syntaxhighlight lang=\"c\">\nif (a[[1]]) {{\n  b;\n}}\n</syntaxhighlight>\nends", "Code:\nif (a[[1]]) {{\n  b;\n}}\n\nends"},
		{"{1, 2} and {{{p|q}}} and }} ]] {{", "{1, 2} and q and"},
	})
	root := english(t).Parse("", "== I ==<!-- c -->\nx\n==J\n=== K ==\ny").Root
	if len(root.Children) != 2 || root.Children[0].Text != "x ==J" || root.Children[1].Title != "= K" {
		t.Errorf("headings: %+v", root.Children)
	}
}

func TestTemplates(t *testing.T) {
	check(t, english(t), []textCase{
		{"{{convert|5|ft|9|in|cm}}, {{convert|12345|km|mi|0}}, {{convert|3|to|5|kg}}, {{cvt|20|ft|m|adj=on}}, {{convert|5+1/2|mi}}",
			"5 ft 9 in, 12,345 km, 3 to 5 kg, 20-ft, 5 1/2 mi"},
		{"{{formatnum:1234567.891}} {{formatnum:1,234|R}} {{lc:ABC}} {{ucfirst:abc}}", "1,234,567.891 1,234 abc Abc"},
		{"{{#if: x | yes | no }} {{#if:|yes|no}} {{#ifeq:a|a|same|other}} {{#switch: b | a = 1 | b = 2 | #default = 3 }}", "yes no same 2"},
		{"{{birth date|1950|1|2}} {{birth date|df=yes|1950|01|02}} {{start date|1999|5}} {{date|1 May 2000}}",
			"January 2, 1950 2 January 1950 May 1999 1 May 2000"},
		{"{{lang-grc|λόγος|lógos}} {{langx|ar|قلم|translit=qalam|lit=pen}}",
			"Ancient Greek: λόγος, romanized: lógos Arabic: قلم, romanized: qalam, lit. 'pen'"},
		{"{{coord|36|42|N|3|13|E}} {{coord|36.7|-3.2}} {{coord|1|2|display=title}}", "36°42′N 3°13′E 36.7°N 3.2°W"},
		{"{{IPAc-en|uk|æ|l|ˈ|b|eɪ}} {{respell|al|BAY}} {{angbr|a}}", "UK: /ælˈbeɪ/ al-BAY ⟨a⟩"},
		{"CO<sub>2,</sub> 10<sup>18.</sup>", "CO₂, 10^18."},
		{"{{chem|H|2|O}} {{chem|SO|4|2-}} {{chem2|C6H12O6}} {{chem|C|n|H|2n+2}}", "H₂O SO₄²⁻ C₆H₁₂O₆ C_nH_(2n+2)"},
		{"{{frac|3|1|2}} {{sfrac|1|2}} {{c.|1050}} {{circa|1050|1060}} {{reign|1|2}}", "3 1/2 1/2 c. 1050 c. 1050 – c. 1060 r. 1–2"},
		{"{{quote|Words.|Author|Book}}", "Words.\n— Author, Book"},
		{"{{As of|2020|5|lc=y}} {{age|1950|6|1|2000|1|1}} {{USD|5}} {{GBP|7}}", "as of May 2020 49 $5 £7"},
		{"{{ill|Name|de|Fremd}} {{nihongo|Mount|山|yama}} {{HMS|Victory|1765}} {{marriage|Ann|1990|2000|end=div.}}",
			"Name Mount (山, yama) HMS Victory Ann (m. 1990; div. 2000)"},
		{"{{cite web|url=x}}{{Citation needed|date=x}}{{geography-stub}}{{Use dmy dates}}x", "x"},
		{"a {{template:Nowrap|b}} {{ nowrap\n| 1 = c }} {{nowrap|x=y}} d", "a b c d"},
	})
	page := english(t).Parse("Alif", "{{Unknown box}}\n'''{{PAGENAME}}''' has {{Odd thing|x}} and {{odd_thing}}.\n\n{{disambiguation}}")
	if page.Root.Text != "Alif has and." || !page.Disambiguation {
		t.Errorf("%+v", page)
	}
	if len(page.Dropped) != 1 || page.Dropped[0].Count != 2 || page.Dropped[0].Name != "odd thing" ||
		!strings.Contains(page.Dropped[0].Example, "has {{odd thing}} and") {
		t.Errorf("dropped: %+v", page.Dropped)
	}
}

func TestArabic(t *testing.T) {
	check(t, New(Options{Language: "ar"}), []textCase{
		{"طوله {{تحويل|828|متر|قدم}} ومساحته {{تحويل|100|km2|sqmi}}", "طوله 828 متر ومساحته 100 كم²"},
		{"ولد {{تاريخ الميلاد والعمر|1950|1|2}} وعددهم {{صيغةعدد:1234567}}", "ولد 2 يناير 1950 وعددهم 1٬234٬567"},
		{"نيويورك {{إنج|New York City}} مدينة", "نيويورك (بالإنجليزية: New York City) مدينة"},
		{"{{وإو|عر=الاسم|تر=Name|لغ=en}} و{{وإو|آخر|Other}}", "الاسم وآخر"},
		{"قال {{ص}}: {{اقتباس مضمن|كلمة}} {{قرآن|آية|سورة|2}}", "قال ﷺ: «كلمة» ﴿آية﴾ (سورة: 2)"},
		{"{{بيت|صدر البيت|عجز البيت}}", "صدر البيت … عجز البيت"},
		{"عام {{هجري|132}} ({{مجهول}}؛ {{مجهول}})، وبعده {{مجهول}}، ثم", "عام 132 هـ، وبعده، ثم"},
		{"[[ملف:a.jpg|تصغير]]نص{{مصدر|تاريخ=2020}} [[تصنيف:أ]]{{بذرة جغرافيا}}__لا_فهرس__", "نص"},
		{"{{إحداثيات|30|2|N|31|14|E}}", "30°2′شمالًا 31°14′شرقًا"},
		{"{{lang-fr|Alger}} {{convert|5|mi|km}} {{as of|2020}}", "بالفرنسية: Alger 5 ميل اعتبارًا من 2020"},
	})
}

// TestUserData: a file replaces single entries.
func TestUserData(t *testing.T) {
	data, err := ReadData([]byte("templates:\n  \"<{1}[-{2}]>\": odd, convert\n  \"@drop\": \"gone *\"\n" +
		"headings: [Leftovers]\nunits: {m: metres}\n"))
	if err != nil {
		t.Fatal(err)
	}
	w := New(Options{Data: data})
	check(t, w, []textCase{{"{{odd|1}} {{odd|1|2}} {{convert|3|m}} {{gone with it}}{{cvt|4|m}}", "<1> <1-2> <3-m> 4 metres"}})
	if english(t).Text("{{cvt|4|m}}") != "4 m" || len(data.Headings()) != 1 {
		t.Error("the data of others changed")
	}
	for _, bad := range []string{"templates: {\"{1\": x}", "templates: {\"@no\": x}", "templates: {\"a]\": x}", "months: [x]", "nonsense",
		"templates: {\"a\": x, \"b\": x}"} {
		if _, err := ReadData([]byte(bad)); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestFold(t *testing.T) {
	for _, same := range [][]string{
		{"انظر أيضًا", "أنظر ايضا", "انظر أيضاً", "انـظر أيضا:", "إنظر  ايضاَ"},
		{"المراجع", "مراجع", "المَراجِع"}, {"المصادر والمراجع", "مصادر ومراجع"}, {"See also", "SEE ALSO.", "See Also"},
		{"Références", "references"},
	} {
		for _, s := range same[1:] {
			if Fold(s) != Fold(same[0]) {
				t.Errorf("%q folds to %q, %q to %q", s, Fold(s), same[0], Fold(same[0]))
			}
		}
	}
	if Fold("علم") == Fold("العلوم") || Fold("الله") == Fold("له") {
		t.Error("different words are equal")
	}
}

func TestLanguage(t *testing.T) {
	for _, c := range [][3]string{{"arwiki", "", "ar"}, {"zh_min_nanwiki", "", "zh-min-nan"}, {"x", "https://fa.wikipedia.org/wiki/A", "fa"},
		{"", "http://127.0.0.1:1/", ""}, {"commonswiki", "https://commons.wikimedia.org/", ""}} {
		if got := Language(c[0], c[1]); got != c[2] {
			t.Errorf("%v: %q", c, got)
		}
	}
}
