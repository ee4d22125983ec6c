package wikitext

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"barka/internal/badinput"
	"barka/internal/yamltext"
)

//go:embed languages
var embedded embed.FS

// language is what the data have about a language; languages/en.yaml describes the
// fields.
type language struct {
	Templates      map[string]string            `yaml:"templates"`
	Units          map[string]string            `yaml:"units"`
	Months         []string                     `yaml:"months"`
	Dates          map[string]string            `yaml:"dates"`
	Words          map[string]string            `yaml:"words"`
	Thousands      string                       `yaml:"thousands"`
	Decimal        string                       `yaml:"decimal"`
	Functions      map[string]string            `yaml:"functions"`
	Prefixes       []string                     `yaml:"prefixes"`
	Namespaces     []string                     `yaml:"namespaces"`
	Headings       []string                     `yaml:"headings"`
	Disambiguation []string                     `yaml:"disambiguation"`
	Names          map[string]string            `yaml:"names"`
	Signs          map[string]map[string]string `yaml:"signs"`

	rules          map[string]*rule // by name; a name that ends in * is a prefix
	disambiguation map[string]bool
	prefixes       []string
}

// rule is how a template is rendered.
type rule struct {
	mark    byte // it is dropped and leaves this
	build   builder
	text    pattern
	formula bool // its arguments are parts of a formula
}

// builder renders a template that a pattern cannot.
type builder func(a *arguments, name string) string

// Data are a user's additions to the data of all languages.
type Data struct{ added *language }

// ReadData reads a file in the format of languages/en.yaml.
func ReadData(text []byte) (*Data, error) {
	d := &Data{added: (&language{}).clone()}
	return d, d.added.add(text)
}

// Headings are the headings of sections to leave out that a file adds.
func (d *Data) Headings() []string { return d.added.Headings }

// languageOf returns the data of a language: those of English, in front of them those
// of the language, and in front of both those of the user.
func languageOf(code string, user *Data) *language {
	load := loaded[code]
	if load == nil {
		load = loaded["en"]
	}
	lang, err := load()
	if err != nil {
		panic(err) // of files in the program, which a test reads
	}
	if user == nil {
		return lang
	}
	merged := lang.clone()
	merged.merge(user.added)
	return merged
}

// loaded reads the embedded data of each language once.
var loaded = func() map[string]func() (*language, error) {
	all := map[string]func() (*language, error){}
	files, _ := embedded.ReadDir("languages")
	for _, f := range files {
		code := strings.TrimSuffix(f.Name(), ".yaml")
		all[code] = sync.OnceValues(func() (*language, error) {
			lang := (&language{}).clone()
			for _, name := range slices.Compact([]string{"en", code}) {
				data, err := embedded.ReadFile("languages/" + name + ".yaml")
				if err == nil {
					err = lang.add(data)
				}
				if err != nil {
					return nil, fmt.Errorf("languages/%s.yaml: %w", name, err)
				}
			}
			return lang, nil
		})
	}
	return all
}()

func (l *language) clone() *language {
	c := *l
	for _, m := range []*map[string]string{&c.Units, &c.Dates, &c.Words, &c.Functions, &c.Names} {
		if *m = maps.Clone(*m); *m == nil {
			*m = map[string]string{}
		}
	}
	if c.Signs = maps.Clone(c.Signs); c.Signs == nil {
		c.Signs = map[string]map[string]string{}
	}
	if c.rules = maps.Clone(c.rules); c.rules == nil {
		c.rules = map[string]*rule{}
	}
	if c.disambiguation = maps.Clone(c.disambiguation); c.disambiguation == nil {
		c.disambiguation = map[string]bool{}
	}
	c.prefixes = slices.Clone(c.prefixes)
	c.Namespaces, c.Headings = slices.Clone(c.Namespaces), slices.Clone(c.Headings)
	return &c
}

// add puts the data of a file in front of those that are there.
func (l *language) add(data []byte) error {
	var more language
	if err := yamltext.Unmarshal(data, &more); err != nil {
		return badinput.Errorf("templates: %w", err)
	}
	if n := len(more.Months); n != 0 && n != 12 {
		return badinput.Errorf("templates: months: expected 12, found %d", n)
	}
	if err := more.compile(); err != nil {
		return err
	}
	l.merge(&more)
	return nil
}

// merge puts compiled data in front of those that are there.
func (l *language) merge(more *language) {
	maps.Copy(l.rules, more.rules)
	maps.Copy(l.Units, more.Units)
	maps.Copy(l.Dates, more.Dates)
	maps.Copy(l.Words, more.Words)
	maps.Copy(l.Functions, more.Functions)
	maps.Copy(l.Names, more.Names)
	maps.Copy(l.Signs, more.Signs)
	maps.Copy(l.disambiguation, more.disambiguation)
	if len(more.Months) > 0 {
		l.Months = more.Months
	}
	l.Thousands = cmp.Or(more.Thousands, l.Thousands)
	l.Decimal = cmp.Or(more.Decimal, l.Decimal)
	l.Namespaces = append(l.Namespaces, more.Namespaces...)
	l.Headings = append(l.Headings, more.Headings...)
	l.prefixes = append(l.prefixes, more.prefixes...)
}

// compile reads the renderings of templates. A whole name counts more than the
// beginning of one.
func (l *language) compile() error {
	whole, begin := map[string]*rule{}, map[string]*rule{}
	for text, names := range l.Templates {
		r, err := newRule(text)
		if err != nil {
			return badinput.Errorf("templates: %q: %w", text, err)
		}
		for name := range strings.SplitSeq(names, ",") {
			name = namespace(name)
			into := whole
			if strings.HasSuffix(name, "*") {
				into = begin
			}
			for _, name := range spellings(name) {
				if other := into[name]; other != nil && other != r {
					return badinput.Errorf("templates: %q stands behind two texts, one of them %q", name, text)
				}
				into[name] = r
			}
		}
	}
	l.rules = begin
	maps.Copy(l.rules, whole)
	l.disambiguation = map[string]bool{}
	for _, name := range l.Disambiguation {
		l.disambiguation[namespace(name)] = true
	}
	for _, name := range l.Prefixes {
		l.prefixes = append(l.prefixes, namespace(name))
	}
	return nil
}

// spellings are the keys of a name: "main*" is main and all that begins with it and a
// blank or a hyphen.
func spellings(name string) []string {
	base, wild := strings.CutSuffix(name, "*")
	switch {
	case name == "":
		return nil
	case wild && base != "" && !strings.HasSuffix(name, " *") && !strings.HasSuffix(base, "-") && !strings.HasSuffix(base, "/"):
		return []string{base, base + " *", base + "-*"}
	}
	return []string{name}
}

// newRule reads the rendering of a template: @NAME is a builder or a mark, all else
// a pattern.
func newRule(text string) (*rule, error) {
	name, builtin := strings.CutPrefix(text, "@")
	if !builtin {
		p, err := parsePattern(text)
		return &rule{text: p, formula: strings.HasPrefix(text, `\\(`)}, err
	}
	switch name {
	case "drop":
		return &rule{mark: dropMark}, nil
	case "reference":
		return &rule{mark: refMark}, nil
	case "clause":
		return &rule{mark: clauseMark}, nil
	}
	if b := builders[name]; b != nil {
		return &rule{build: b}, nil
	}
	return nil, fmt.Errorf("no such rendering; expected one of @drop, @reference, @clause, @%s, or a text",
		strings.Join(slices.Sorted(maps.Keys(builders)), ", @"))
}

// rule finds the rendering of a template: by its name, by its beginning up to a
// blank or hyphen, or by its end behind one.
func (l *language) rule(key []byte) *rule {
	if r := l.rules[string(key)]; r != nil {
		return r
	}
	var prefix [maxName + 2]byte
	for i, c := range key {
		if c != ' ' && c != '-' && c != ':' && c != '/' {
			continue
		}
		copy(prefix[:], key[:i+1])
		prefix[i+1] = '*'
		if r := l.rules[string(prefix[:i+2])]; r != nil {
			return r
		}
	}
	if i := bytes.LastIndexAny(key, "- "); i > 0 { // {{geography-stub}}
		return l.rules["*"+string(key[i:])]
	}
	return nil
}

// SkippedHeadings are the headings of sections without text of their own, in all
// languages of the data.
func SkippedHeadings() []string {
	var all []string
	for _, code := range slices.Sorted(maps.Keys(loaded)) {
		if lang, err := loaded[code](); err == nil { // a test holds that there is none
			all = append(all, lang.Headings...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// languageCodes are those of Wikipedia's languages: the prefixes of links to the
// same page in another language.
var languageCodes = func() map[string]bool {
	codes := map[string]bool{}
	for _, code := range strings.Fields(`aa ab ace ady af als alt am ami an ang anp ar arc ary arz as ast atj av avk awa ay az azb ba ban bar
		bat-smg bbc bcl bdr be be-tarask be-x-old bew bg bh bi bjn blk bm bn bo bpy br bs btm bug bxr ca cbk-zam cdo ce ceb ch cho chr chy ckb
		co cr crh cs csb cu cv cy da dag de dga din diq dsb dtp dty dv dz ee el eml en eo es et eu ext fa fat ff fi fiu-vro fj fo fon fr frp
		frr fur fy ga gag gan gcr gd gl glk gn gom gor got gpe gsw gu guc gur guw gv ha hak haw he hi hif ho hr hsb ht hu hy hyw hz ia iba id
		ie ig igl ii ik ilo inh io is it iu ja jam jbo jv ka kaa kab kbd kbp kcg kg kge ki kj kk kl km kn knc ko koi kr krc ks ksh ku kus kv
		kw ky la lad lb lbe lez lfn lg li lij lld lmo ln lo lrc lt ltg lv lzh mad mai map-bms mdf mg mh mhr mi min mk ml mn mni mnw mo mos mr
		mrj ms mt mus mwl my myv mzn na nah nan nap nds nds-nl ne new ng nia nl nn no nov nqo nr nrm nso nup nv ny oc olo om or os pa pag pam
		pap pcd pcm pdc pfl pi pih pl pms pnb pnt ps pt pwn qu rm rmy rn ro roa-rup roa-tara rsk ru rue rup rw sa sah sat sc scn sco sd se sg
		sgs sh shi shn shy si simple sk skr sl sm smn sn so sq sr srn ss st stq su sv sw szl szy ta tay tcy tdd te tet tg th ti tig tk tl tly
		tn to tpi tr trv ts tt tum tw ty tyv udm ug uk ur uz ve vec vep vi vls vo vro wa war wo wuu xal xh xmf yi yo yue za zea zgh zh
		zh-classical zh-min-nan zh-yue zu`) {
		codes[code] = true
	}
	return codes
}()

// redirects are the words that begin a redirect page.
var redirects = map[string]bool{"redirect": true, "تحويل": true, "redirection": true, "weiterleitung": true, "redirección": true,
	"redireccion": true, "rinvia": true, "redirecionamento": true, "перенаправление": true, "перенапр": true, "转向": true, "重定向": true,
	"転送": true, "리다이렉트": true, "넘겨주기": true, "تغییر_مسیر": true, "تغییرمسیر": true, "رجوع_مکرر": true, "yönlendirme": true,
	"przekieruj": true, "doorverwijzing": true, "omdirigering": true, "uudelleenohjaus": true, "ohjaus": true, "alih": true,
	"הפניה": true, "đổi": true, "अनुप्रेषित": true, "ការបញ្ជូនបន្ត": true, "патш": true, "redirixir": true, "omstilling": true,
	"omdiriger": true, "přesměruj": true, "átirányítás": true, "redirecionamiento": true, "преусмери": true, "пренасочување": true}
