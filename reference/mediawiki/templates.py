"""Templates for the test wiki, by language: title to wikitext.

They are our own, and say in a few words what the documentation of the templates of the same
name on Wikipedia says that readers see. The originals need hundreds of modules.
"""

MONTHS = {
    "en": "January February March April May June July August September October November December".split(),
    "ar": "يناير فبراير مارس أبريل مايو يونيو يوليو أغسطس سبتمبر أكتوبر نوفمبر ديسمبر".split(),
}


def month(lang, number):
    cases = "|".join(f"{i}|{i:02d}={name}" for i, name in enumerate(MONTHS[lang], 1))
    return "{{#switch:" + number + "|" + cases + "|" + number + "}}"


def unit(cases, number):
    return "{{#switch:{{{" + str(number) + "|}}}|" + "|".join(f"{k}={v}" for k, v in cases.items()) + "|{{{" + str(number) + "|}}}}}"


EN_UNITS = {"km2": "km²", "sqmi": "sq mi", "C": "°C", "F": "°F", "acre": "acres", "usgal": "US gal"}
AR_UNITS = {"km2": "كم²", "m": "م", "km": "كم", "ha": "هكتار", "ft": "قدم", "mi": "ميل"}


def convert(units):
    """A quantity or a range, with one conversion for the sake of the bracket."""
    single = "{{formatnum:{{{1}}}}} " + unit(units, 2) + " ({{#expr:round({{{1}}} * 1.5) round 0}} x)"
    span = "{{formatnum:{{{1}}}}} {{{2}}} {{formatnum:{{{3}}}}} " + unit(units, 4) + " (x)"
    dash = "{{formatnum:{{{1}}}}}–{{formatnum:{{{3}}}}} " + unit(units, 4) + " (x)"
    single = single.replace("round({{{1}}} * 1.5)", "({{{1}}} * 1.5)")
    return "{{#switch:{{{2|}}}|to|and|or|إلى|و=" + span + "|-|–=" + dash + "|" + single + "}}"


DROPPED = "<!-- nothing to read -->"
EN = {
    "Convert": convert(EN_UNITS),
    "Frac": "{{#if:{{{2|}}}|{{{1}}}/{{{2}}}|1/{{{1}}}}}", "Sfrac": "{{{1}}}/{{{2}}}",
    "Val": "{{{1}}}{{#if:{{{2|}}}|±{{{2}}}}}{{#if:{{{e|}}}|×10<sup>{{{e}}}</sup>}}{{#if:{{{u|{{{ul|}}}}}}| {{{u|{{{ul}}}}}}}}",
    "Lang": "{{{2}}}", "Lang-sq": "Albanian: ''{{{1}}}''", "Lang-aln": "{{{1}}}", "Lang-pt": "Portuguese: ''{{{1}}}''",
    "Lang-ar": "Arabic: {{{1}}}{{#if:{{{translit|}}}|, romanized: ''{{{translit}}}''}}",
    "IPAc-en": "/{{#if:{{{1|}}}|{{{1}}}}}{{{2|}}}{{{3|}}}{{{4|}}}{{{5|}}}{{{6|}}}{{{7|}}}{{{8|}}}{{{9|}}}{{{10|}}}{{{11|}}}{{{12|}}}/",
    "IPA-sq": "[{{{1}}}]", "Respell": "{{{1}}}{{#if:{{{2|}}}|-{{{2}}}}}{{#if:{{{3|}}}|-{{{3}}}}}{{#if:{{{4|}}}|-{{{4}}}}}",
    "Nowrap": "<span style=\"white-space:nowrap\">{{{1}}}</span>", "C.": "c. {{{1}}}", "Eqm": "⇌", "US$": "US${{{1}}}",
    "Quote": "<blockquote>{{{1}}}<br />— {{{2}}}, {{{3}}}</blockquote>", "Nihongo": "{{{1}}} ({{{2}}})",
    "Birth date": month("en", "{{{2}}}") + " {{{3}}}, {{{1}}}",
    "As of": "{{#if:{{{lc|}}}|as|As}} of " + month("en", "{{{2|}}}") + " {{{1}}}",
    "Columns-list": "{{{2|{{{1}}}}}}", "Smaller": "{{{1}}}", "Circa": "c. {{{1}}}", "'": "'", "Sc": "{{{1}}}", "!": "|",
}
AR = {
    "تحويل": convert(AR_UNITS), "حول": convert(AR_UNITS),
    "تاريخ الميلاد": "{{{3}}} " + month("ar", "{{{2}}}") + " {{{1}}}", "تاريخ الوفاة": "{{{3}}} " + month("ar", "{{{2}}}") + " {{{1}}}",
    "تاريخ بداية": month("ar", "{{{2}}}") + " {{{1}}}", "هجري ميلادي": "({{{1}}} هـ / {{{2}}} م)", "ميلادي": "{{{1}}} م",
    "اعتبارا من": "اعتبارًا من {{{1}}}", "لغ-بر": "بالبرتغالية: {{{1}}}", "إنج": "(بالإنجليزية: {{{1}}})", "فر": "(بالفرنسية: {{{1}}})",
    "لغة-أل": "(بالألمانية: {{{1}}})", "وإو": "{{{عر|{{{1}}}}}}", "اقتباس مضمن": "«{{{1}}}»",
    "اقتباس": "<blockquote>{{{1}}}<br />— {{{2}}}، {{{3}}}</blockquote>", "ص": "ﷺ", "رضي الله عنه": "رضي الله عنه",
    "بيت": "<div>{{{1}}} … {{{2}}}</div>", "نسق رقم": "{{formatnum:{{{1}}}}}", "رياضيات": "{{{1}}}",
    "كيم": "{{{1}}}<sub>{{{2}}}</sub>{{{3}}}<sub>{{{4}}}</sub>", "دولار أمريكي": "{{{1}}} دولار أمريكي", "جنيه مصري": "{{{1}}} جنيه مصري",
    "كسر": "{{{1}}}/{{{2}}}", "نسبة": "{{{1}}}٪", "علم": "{{{1}}}", "إحداثيات": "{{{1}}}°{{{2}}}′شمالًا {{{4}}}°{{{5}}}′شرقًا",
    "نقحرة": "{{{2}}}", "نص عريض": "'''{{{1}}}'''", "صغير": "<small>{{{1}}}</small>", "منع التفاف": "{{{1}}}", "أصد": "{{{1}}}",
}
# Those that show notices, navigation or citations, which are no running text.
NOTHING = {
    "en": ["Main", "See also", "Harvnb", "Citation", "Cite book", "Cite web", "Redirect", "Page needed", "Refn", "Efn",
           "Oclc", "Webarchive", "Ca icon", "Anchor", "Citation needed"],
    "ar": ["مراجع", "مفصلة", "ألمانية", "شريط بوابات", "بذرة", "بذرة محافظة الجيزة", "بذرة جغرافيا", "بحاجة لمصدر", "من؟", "رمز علم",
           "وصلة مكسورة", "استشهاد ويب", "مرجع كتاب", "Cite web", "Cite book", "Webarchive", "قالب مجهول"],
}


def pages(lang):
    out = {"en": EN, "ar": AR}[lang] | {name: DROPPED for name in NOTHING[lang]}
    return {f"Template:{name}": text for name, text in out.items()}
