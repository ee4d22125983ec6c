"""Writes the section of docs/real-models.md about what training gains, from the results of gain.py."""

import datetime
import textwrap

import document
import gain_data

MODELS = {"smollm2": "SmolLM2-135M-Instruct", "gemma3": "Gemma 3 270M"}
NAMES = {"base": "before", "shots": "before, three examples in the prompt", "barka": "barka", "peft": "peft"}
TITLE = "## What training gains"
SHOWN = 3  # samples of each kind


def command(path, words):
    """A command without the directory of the run."""
    return "barka " + " ".join(str(w).removeprefix(f"{path.work}/") for w in words)


def table(head, rows):
    first, *others = head
    return [f"| {' | '.join(head)} |", "|---|" + "---:|" * len(others), *(f"| {' | '.join(map(str, r))} |" for r in rows), ""]


def runs(found):
    rows = []
    for model, steps in found.items():
        ours, theirs = steps["barka"], steps["peft"]
        rows.append([MODELS[model], steps["data"]["rows"], ours["steps"], f"{ours['tokens']:,}", f"{ours['trained_tokens']:,}",
                     f"{ours['processor_seconds']:.0f}", f"{theirs['processor_seconds']:.0f}"])
    return table(["model", "rows", "steps", "tokens", "trained tokens", "barka, processor s", "peft, processor s"], rows)


def losses(found):
    rows = []
    for model, steps in found.items():
        ours = {"base": steps["start"]["loss"], "barka": steps["barka"]["loss"], "peft": steps["peft"]["loss"]}
        for name, loss in ours.items():
            theirs = steps["losses"][name]
            rows.append([MODELS[model], NAMES[name], f"{loss:.4f}", f"{theirs['all']:.4f}",
                         *(f"{theirs[kind]:.3f}" for kind in gain_data.KINDS)])
    return table(["model", "adapter of", "loss by barka", "by transformers", *gain_data.KINDS], rows)


def translations(found):
    rows = []
    for model, steps in found.items():
        for name, scores in steps["translations"].items():
            rows.append([MODELS[model], NAMES[name], *(f"{scores[kind]:.2f}" for kind in gain_data.TRANSLATIONS)])
    return table(["model", "adapter of", *(f"chrF {kind}" for kind in gain_data.TRANSLATIONS)], rows)


def benchmarks(found):
    rows = []
    for model, steps in found.items():
        for r in steps["benchmarks"]:
            rows.append([f"{MODELS[model]}, {r['name']}", r["questions"], f"{100 * r['a']:.2f}", f"{100 * r['b']:.2f}",
                         f"{100 * r['change']:+.2f}", f"{100 * r['low']:.2f} … {100 * r['high']:.2f}", f"{r['p_mcnemar']:.3f}"])
    return table(["model and tasks", "questions", "before", "after", "change", "95 % interval", "p McNemar"], rows)


def samples(path):
    """The first translations of each kind, word for word."""
    import peers
    asked = peers.jsonl(path / "asked.jsonl")
    return [[i for i, a in enumerate(asked) if a["kind"] == kind][:SHOWN] for kind in gain_data.TRANSLATIONS], asked


def shown(work, found):
    out = []
    for model, steps in found.items():
        out += [f"### {MODELS[model]}: translations of held-out sentences", ""]
        kinds, asked = samples(work / "gain" / model)
        for number, i in enumerate([i for kind in kinds for i in kind], 1):
            answers = " ".join(f"**{NAMES[name]}:** {document.escape(document.short(s['texts'][i], 160))}"
                               for name, s in steps["translations"].items() if name != "shots")
            words = f"{document.escape(asked[i]['request'])} **reference:** {document.escape(asked[i]['answer'])} {answers}"
            out.append(document.item(number, words))
        out.append("")
    return out


def paragraph(text):
    return [*textwrap.wrap(text, document.LINE, break_long_words=False, break_on_hyphens=False), ""]


def section(work, found):
    """The lines of the section."""
    data = next(iter(found.values()))["data"]
    return [
        TITLE, "",
        *paragraph(
            "Instructions are made of half of the documents of NTREX (CC BY-SA 4.0) and TICO-19 (CC0): translate to Arabic, translate "
            f"to English, continue an Arabic sentence. {data['pairs'][0]:,} pairs of sentences may train; {data['pairs'][1]:,} of the "
            "other documents are held out. No sentence that trains is in a benchmark. barka and peft train the same rows in the same "
            "order from the same adapter, in bfloat16 with an adapter in float32."),
        "    reference/real/gain.sh WORK DATA --doc docs/real-models.md", "", "writes this section. The runs of barka are", "",
        *(f"    {line}" for command in dict.fromkeys(steps["barka"]["command"] for steps in found.values())
          for line in command.replace(" --restart", " \\\n  --restart").split("\n")), "",
        *paragraph(
            f"{document.machine()}, shared with other programs; {datetime.date.today()}. Processor seconds are those of whole "
            "processes: barka's has the validation, peft's the import of torch. They are no measure of speed, which "
            "[performance.md](performance.md) has from a quiet machine."),
        *runs(found),
        *paragraph("Steps and adapter of peft beside barka's; the largest difference is that of loss and gradient norm, relative:"),
        *(f"- {MODELS[model]}: {steps['peft']['verdict'].split(', allowed')[0]}" for model, steps in found.items()), "",
        *paragraph(
            f"Loss on {data['held']} held-out instructions, in nats per trained token. transformers computes it too, and for each kind "
            "of instruction:"),
        *losses(found),
        *paragraph(
            f"chrF of greedy translations of {gain_data.TRANSLATED} held-out sentences into each language, the first line of each "
            "answer. `barka bleu` and sacrebleu give the same figures."),
        *translations(found),
        *paragraph("Benchmarks before and after barka's training, the leaderboard's acc_norm, by `barka compare`:"),
        *benchmarks(found), *shown(work, found)]


def kept(text):
    """The section in a page and what was written by hand below it, up to the rows of the stages; or nothing."""
    if TITLE not in text:
        return ""
    return text[text.index(TITLE):text.index("\n## Rows\n") + 1]


def write(file, work, found):
    """Replaces the section in the page. Sections between it and the rows are left as they are."""
    text = file.read_text(encoding="utf-8")
    old = kept(text)
    by_hand = old[old.index("\n## ") + 1:] if "\n## " in old else ""
    made = "\n".join(section(work, found)) + "\n" + by_hand
    text = text.replace(old, "") if old else text
    file.write_text(text.replace("\n## Rows\n", "\n" + made + "## Rows\n", 1), encoding="utf-8")
