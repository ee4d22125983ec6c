"""Trains the models of `barka demo` from scratch, for minutes on one core.

    python reference/demo/train.py student
    python reference/demo/train.py generator
    python reference/demo/train.py translator

The student learns to read: it answers questions by a text, in English. The generator starts from the student and learns
to ask as well. It needs torch, transformers and tokenizers of reference/requirements.txt, and the
tokenizers of vocabulary.py. It prints the loss, and at the end how many replies about towns whose names the model has not
seen are right. Without --out it writes over the committed models.
"""

import argparse
import pathlib
import random
import sys

import torch
from transformers import LlamaConfig, LlamaForCausalLM, M2M100Config, M2M100ForConditionalGeneration, PreTrainedTokenizerFast

import corpus
from vocabulary import MODELS
from world import ARTICLES

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
from descent import descend  # noqa: E402

IGNORE = -100
STEPS = {"student": (2500, 1500), "generator": (800, 500), "translator": (1000, 1000)}  # of the schedule, and done
CHAT = "<s><|user|>{}<|end|><|assistant|>"


def pad(rows, value):
    width = max(map(len, rows))
    return torch.tensor([r + [value] * (width - len(r)) for r in rows])


class Texts:
    """Tokens of prompts and answers, in batches of similar length."""

    def __init__(self, name):
        self.tok = PreTrainedTokenizerFast.from_pretrained(MODELS / name)

    def ids(self, text):
        return self.tok(text, add_special_tokens=False)["input_ids"]

    def example(self, prompt, answer, chat):
        head = CHAT.format(prompt) if chat else "<s>" + prompt
        return self.ids(head), self.ids(answer) + self.ids("<|end|>" if chat else "</s>")

    def batches(self, rng, draw, size, prompt_weight):
        """Batches of a causal model: the loss of a prompt's tokens has a smaller weight."""
        while True:
            drawn = (draw(rng) for _ in range(8 * size))
            rows = sorted((self.example(p, right[0], chat) for p, right, chat in drawn), key=lambda r: len(r[0]))
            groups = [rows[i:i + size] for i in range(0, len(rows), size)]
            rng.shuffle(groups)
            for group in groups:
                yield (pad([p + a for p, a in group], 0),
                       pad([[prompt_weight] * len(p) + [1.0] * len(a) for p, a in group], 0.0))


def llama(name, layers, width, ffn, heads):
    tok = Texts(name).tok
    size = len(tok)
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=size, hidden_size=width, intermediate_size=ffn, num_hidden_layers=layers, num_attention_heads=heads,
        num_key_value_heads=heads, max_position_embeddings=512, rope_theta=10000.0, initializer_range=0.05, tie_word_embeddings=True,
        bos_token_id=tok.convert_tokens_to_ids("<s>"), pad_token_id=tok.convert_tokens_to_ids("<pad>"),
        eos_token_id=[tok.convert_tokens_to_ids(t) for t in ("</s>", "<|end|>")], attn_implementation="sdpa"))


def causal_loss(model, batch):
    ids, weights = batch
    logits = model(input_ids=ids).logits[:, :-1]
    loss = torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), ids[:, 1:].reshape(-1), reduction="none")
    weights = weights[:, 1:].reshape(-1)
    return (loss * weights).sum() / weights.sum()


def train(model, args, rate, batches, loss_of, check):
    for step in descend(model, args.steps, rate, lambda: loss_of(model, next(batches)), args.stop):
        if step % 500 == 0 or step in (args.steps, args.stop):
            check(100)
            model.save_pretrained(args.out)  # in float32 until the end


@torch.no_grad()
def exact(model, texts, draw, number, show=3):
    """Counts greedy replies that are right to the word. Names are of the class ARTICLES, which training has not."""
    model.eval()
    rng, right, classes = random.Random(99), 0, corpus.TRAINING
    corpus.TRAINING = ARTICLES
    for _ in range(number):
        head, replies, chat = draw(rng)
        prompt, _ = texts.example(head, "", chat)
        out = model.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long), max_new_tokens=40,
                             do_sample=False)[0][len(prompt):]
        got = texts.tok.decode(out, skip_special_tokens=True)
        right += got in replies
        if got not in replies and show:
            show -= 1
            print("  got ", got, "\n  want", *replies[:2])
    corpus.TRAINING = classes
    print(f"  {right} of {number} right", flush=True)


def generator(args):
    texts, model = Texts("generator"), LlamaForCausalLM.from_pretrained(args.start, dtype=torch.float32)
    draw = lambda rng: (*corpus.generator(rng), True)  # noqa: E731
    train(model, args, 1e-3, texts.batches(random.Random(7), draw, 24, 0.1), causal_loss,
          lambda n: exact(model, texts, draw, n))
    return model


def student(args):
    texts, model = Texts("student"), llama("student", 3, 128, 320, 4)
    only = lambda rng: (corpus.chosen(rng, c := corpus.ordered(rng, corpus.TRAINING), 0, True), [c.right[0]], False)  # noqa: E731
    draw = lambda rng: ((row := corpus.student(rng))[0], [row[1]], row[2])  # noqa: E731
    train(model, args, 2e-3, texts.batches(random.Random(8), draw, 32, 0.1), causal_loss,
          lambda n: exact(model, texts, only, n))
    draw_arabic(model, texts.tok)
    return model


@torch.no_grad()
def draw_arabic(model, tok):
    """Draws the embeddings of Arabic tokens, none of which was in the training texts, with the spread of the English ones.

    Training has moved them all the same way, because it lowers the logits of whatever never follows.
    """
    vocab = tok.get_vocab()
    arabic = sorted(i for t, i in vocab.items() if any("\u0600" <= c < "\u0700" for c in t))  # a vocabulary has no order
    english = sorted(i for t, i in vocab.items() if t[0] == "▁" and t[1:].isascii() and t[1:].isalpha())
    table = model.get_input_embeddings().weight
    table[arabic] = torch.randn(len(arabic), table.shape[1]) * table[english].std()


def translator(args):
    texts = Texts("translator")
    tok = texts.tok
    arabic, end, mark = (tok.convert_tokens_to_ids(t) for t in ("arb_Arab", "</s>", "<pad>"))
    model = M2M100ForConditionalGeneration(M2M100Config(
        vocab_size=len(tok), d_model=96, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
        encoder_ffn_dim=256, decoder_ffn_dim=256, max_position_embeddings=512, scale_embedding=True, activation_function="relu",
        decoder_start_token_id=end, bos_token_id=tok.convert_tokens_to_ids("<s>"), pad_token_id=mark, eos_token_id=end, dropout=0.05,
        attention_dropout=0.0, encoder_layerdrop=0.0, decoder_layerdrop=0.0, init_std=0.05, attn_implementation="eager"))
    model.generation_config.max_length = 100

    def batches(rng, size=64):
        while True:
            pairs = [corpus.translator(rng) for _ in range(size)]
            source = pad([tok(a)["input_ids"] for a, _ in pairs], mark)
            labels = pad([[arabic] + texts.ids(b) + [end] for _, b in pairs], IGNORE)
            yield {"input_ids": source, "attention_mask": (source != mark).long(), "labels": labels}

    @torch.no_grad()
    def check(number, show=3):
        model.eval()
        rng, right, classes = random.Random(99), 0, corpus.TRAINING
        corpus.TRAINING = ARTICLES
        for _ in range(number):
            a, b = corpus.translator(rng)
            out = model.generate(**tok(a, return_tensors="pt", return_token_type_ids=False), num_beams=5, forced_bos_token_id=arabic)
            got = tok.decode(out[0], skip_special_tokens=True)
            right += got == b
            if got != b and show:
                show -= 1
                print("  got ", got, "\n  want", b)
        corpus.TRAINING = classes
        print(f"  {right} of {number} right", flush=True)

    train(model, args, 3e-3, batches(random.Random(9)), lambda m, b: m(**b).loss, check)
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=["student", "generator", "translator"])
    parser.add_argument("--steps", type=int, help=f"steps of the schedule (default: the first of {STEPS})")
    parser.add_argument("--stop", type=int, help="end at this step of the schedule (default: the second)")
    parser.add_argument("--start", type=pathlib.Path, default=MODELS / "student",
                        help="the model that the generator starts from (default: the student)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=pathlib.Path, help="directory of the model (default: the committed one)")
    args = parser.parse_args()
    args.out = args.out or MODELS / args.model
    if args.steps is None:
        args.steps, stop = STEPS[args.model]
        args.stop = args.stop or stop
    args.stop = args.stop or args.steps
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    model = {"generator": generator, "translator": translator, "student": student}[args.model](args)
    model.to(torch.bfloat16).save_pretrained(args.out)
    print(args.model, sum(p.numel() for p in model.parameters()), "parameters")


if __name__ == "__main__":
    main()
