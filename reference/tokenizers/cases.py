"""Texts that tokenizers disagree on, drawn with a seed, and the record of what the reference makes of them."""

import gzip
import json
import random
import unicodedata

FRAGMENTS = [
    # Arabic: plain, with diacritics, with tatweel, presentation forms, digits, punctuation, bidirectional controls.
    "العربية", "كَتَبَ الطَّالِبُ الدَّرْسَ", "مُحَمَّدٌ", "كـــتـــاب", "ﻣﺮﺣﺒﺎ", "ﷺ", "ﷲ", "ﻻ", "١٢٣٤", "۱۲۳",
    "،؛؟", "\u200fنص\u200e", "لا\u200cإله",
    "إِنَّ", "ٱلرَّحْمَٰنِ", "آ", "ا\u0653", "أ", "ا\u0654", "پچژگ", "ٰ", "\u0640", "۞", "﴿آية﴾",
    # Other scripts, emoji, combining sequences in both normal forms.
    "日本語テキスト", "한국어", "ᄒ\u1161\u11ab", "ไทยภาษา", "Привет", "ελληνικά", "हिन्दी", "עִבְרִית", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "😀", "👩‍👩‍👧‍👦", "🇪🇬", "👍🏽", "❤️",
    "café", "cafe\u0301", "Å", "A\u030a", "ﬁ", "ſ", "'ſ", "½", "²", "Ⅷ", "①", "㍿", "ａｂｃ", "ﾊﾟ", "ǅ", "İ", "ß",
    "e\u0301\u0323", "\u0344", "\u1e9b\u0323",
    # Spaces, line ends, control characters, things that normalisers drop or map.
    " ", "  ", "   ", "        ", "\t", "\t\t", "\n", "\n\n", "\r\n", "\r", "\v", "\f", "\x00", "\x01", "\x1b",
    "\x7f", "\x85", "\xa0", "\xad",
    "\u2003", "\u2028", "\u2029", "\u3000", "\ufeff", "\ufffd", "\u200b", "\u200d", "\ue000", "\U0010ffff",
    "\u0378", "▁", "▁▁", " ▁ ", "\u1680",
    # English contractions in both cases, digits, code, punctuation.
    "don't", "I'M", "we'LL they'Re", "'s", "'", "''", "1", "42", "1234567", "3.14", "1,000", "a1b2",
    "for (i = 0; i < n; i++) {", "\tif x == 1:", "</div>",
    "foo_bar", "CamelCase", "https://example.org/?q=1&r=2", "...", "!!!", "-", "--", "_", "#", "$5", "°C", "€",
    "\\n", "\"quoted\"", "(a)", "[b]", "x²+y",
    # Strings of special tokens, whole, broken, adjacent, padded.
    "<s>", "</s>", "<pad>", "<unk>", "<bos>", "<eos>", "<mask>", "<start_of_turn>", "<end_of_turn>",
    "<|endoftext|>", "<|im_start|>", "<|im_end|>",
    "<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "eng_Latn", "arb_Arab",
    "<start_of_", "turn>", "<<s>>", "< s >", " <mask> ",
    "<0x0A>", "<0xE2>", "<h1>", "[@BOS@]", "SINGLE", "xSINGLE", "SINGLEs", "LEFT", "RIGHT", "NORM", "norm", "é́",
]


def corpus(path):
    return path.read_text(encoding="utf-8").splitlines()


def draw(rng, lines):
    """One text: a line, a mix of fragments, random characters, or an edited line."""
    kind = rng.random()
    if kind < 0.25:
        return rng.choice(lines)
    if kind < 0.6:
        sep = rng.choice(["", "", " ", " ", "\n", "  "])
        return sep.join(rng.choice(FRAGMENTS) for _ in range(rng.randint(1, 9)))
    if kind < 0.7:
        return "".join(character(rng) for _ in range(rng.randint(1, 12)))
    if kind < 0.75:
        return rng.choice(FRAGMENTS) * rng.randint(2, 40)
    text = rng.choice(lines)
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(0, len(text))
        text = text[:at] + rng.choice(FRAGMENTS) + text[at + rng.randint(0, 3):]
    if kind > 0.95:
        text = unicodedata.normalize(rng.choice(["NFC", "NFD", "NFKC", "NFKD"]), text)
    return text


def character(rng):
    while True:
        top = rng.choice([0x80, 0x250, 0x700, 0x3000, 0x10000, 0x20000, 0x110000])
        c = rng.randrange(top)
        # Unassigned code points differ between the Unicode versions of the two sides.
        if not 0xD800 <= c < 0xE000 and unicodedata.category(chr(c)) != "Cn":
            return chr(c)


def texts(count, seed, lines):
    rng = random.Random(seed)
    fixed = ["", *FRAGMENTS][: max(0, count // 3)]
    return fixed + [draw(rng, lines) for _ in range(count - len(fixed))]


def record(tok, count, seed, lines):
    """What tokenizers gives: ids without and with special tokens, ids with special strings as text, and texts back."""
    for text in texts(count, seed, lines):
        ids = tok.encode(text, add_special_tokens=False).ids
        row = {"text": text, "ids": ids, "special": tok.encode(text).ids}
        tok.encode_special_tokens = True
        row["plain"] = tok.encode(text, add_special_tokens=False).ids
        tok.encode_special_tokens = False
        for key in ("special", "plain"):
            if row[key] == ids:
                del row[key]
        yield decoded(tok, row, ids)
    rng = random.Random(seed + 1)
    size = tok.get_vocab_size()
    for _ in range(count // 5):
        ids = [rng.randrange(rng.choice([size, min(size, 300)])) for _ in range(rng.randint(1, 14))]
        yield decoded(tok, {"ids": ids}, ids)


def decoded(tok, row, ids):
    row["decoded"] = tok.decode(ids, skip_special_tokens=False)
    skip = tok.decode(ids, skip_special_tokens=True)
    if skip != row["decoded"]:
        row["decoded_skip"] = skip
    return row


def write(path, provenance, rows):
    lines = [json.dumps(provenance)] + [json.dumps(row, separators=(",", ":")) for row in rows]
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), 9, mtime=0))
    return len(lines) - 1
