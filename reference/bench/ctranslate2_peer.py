"""CTranslate2's beam search with the sources, beams and lengths of `barka bench translate`.

The checkpoint has no tokenizer, so the numbers of its ids are used as tokens. The rest of the conversion is the library's own.
The end token is forbidden until the last position, so that every output has its full length.
"""

import measure

parser = measure.arguments(__doc__, ["translate"], ["int8", "float32", "bfloat16"])
parser.add_argument("--convert", action="store_true", help="convert the checkpoint, and measure nothing")
args, inputs = measure.parse(parser)

import ctranslate2  # noqa: E402
from ctranslate2_ids import Converter  # noqa: E402


def converted():
    """The directory of the converted model, made on the first call."""
    out = args.model / f"ctranslate2-{args.dtype}"
    if not (out / "model.bin").exists():
        Converter(str(args.model)).convert(str(out), quantization=args.dtype, force=True)
    return out


def translate(model):
    words = [[str(i) for i in ids] for ids in inputs["sources"]]
    n, beams = inputs["tokens"], inputs["beams"]  # the library counts the forced token too
    for batch in inputs["batches"]:
        def run():
            results = model.translate_batch(words[:batch], target_prefix=[[str(inputs["forced"])]] * batch,
                                            beam_size=beams, length_penalty=0, return_scores=True, min_decoding_length=n + 1,
                                            max_decoding_length=n + 1, max_batch_size=batch)
            for r in results:
                if len(r.hypotheses[0]) != n + 1:
                    raise SystemExit(f"{len(r.hypotheses[0])} tokens with the forced one, expected {n + 1}")
            return sum(r.scores[0] for r in results)
        yield measure.timed("translate", f"beam {beams}, {batch} sentences", "tokens/s", batch * n, args.repeat, run)


if __name__ == "__main__":
    path = converted()
    if not args.convert:
        measure.write(list(translate(ctranslate2.Translator(str(path), device="cpu", compute_type=args.dtype,
                                                            inter_threads=1, intra_threads=args.threads))))
