"""transformers and peft on the works of `barka bench`: prefill, decode, a LoRA step, and the scoring loop of lighteval.

The code is that of a usual program: generate() with its key/value cache, get_peft_model, AdamW. Gemma 2 runs with eager
attention, because the fused version ignores the soft cap of the scores. Other models run with the library's default.
"""

import measure

parser = measure.arguments(__doc__, ["prefill", "decode", "lora", "choice"], ["bf16", "f32"])
parser.add_argument("--batch", type=int, default=4, help="requests of choice in one forward pass")
args, inputs = measure.parse(parser)

import torch  # noqa: E402
import transformers  # noqa: E402

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def load():
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    config = transformers.AutoConfig.from_pretrained(args.model)
    eager = {"attn_implementation": "eager"} if config.model_type == "gemma2" else {}
    model = transformers.AutoModelForCausalLM.from_pretrained(args.model, config=config, dtype=DTYPES[args.dtype], **eager)
    # No token ends a text, so that every one has its full length.
    model.generation_config = transformers.GenerationConfig(pad_token_id=0, do_sample=False)
    return model.eval()


def generate(model, prompts, tokens):
    """Continues prompts of equal length greedily, without computing log-probabilities."""
    ids = torch.tensor(prompts)
    return model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens)


def continued(model, prompts, tokens):
    """Returns the tokens of generate, and the sum of their log-probabilities from one more pass."""
    ids = generate(model, prompts, tokens)
    with torch.no_grad():
        logits = model(ids[:, :-1], logits_to_keep=tokens).logits.float()
    return torch.log_softmax(logits, -1).gather(2, ids[:, -tokens:, None]).sum().item()


def prefill(model):
    prompt = [inputs["prompt"]]
    run = measure.once(lambda: continued(model, prompt, 1), lambda: generate(model, prompt, 1))
    yield measure.timed("prefill", f"{len(prompt[0])} tokens", "tokens/s", len(prompt[0]), args.repeat, run)


def decode(model):
    n = inputs["tokens"]
    for batch in inputs["batches"]:
        prompts = inputs["prompts"][:batch]
        run = measure.once(lambda: continued(model, prompts, n + 1), lambda: generate(model, prompts, n + 1))
        yield measure.timed("decode", f"batch {batch}", "tokens/s", batch * n, args.repeat, run, less=lambda: generate(model, prompts, 1))


def lora(model):
    from peft import LoraConfig, get_peft_model
    rank = inputs["rank"]
    model = get_peft_model(model,
                           LoraConfig(r=rank, lora_alpha=rank, lora_dropout=0.0, bias="none",
                                      task_type="CAUSAL_LM", target_modules="all-linear")).train()
    params = [p for p in model.parameters() if p.requires_grad]
    opt = torch.optim.AdamW(params, lr=1e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    ids = torch.tensor(inputs["sequences"])
    labels = ids.clone()
    labels[:, :inputs["train_from"]] = -100

    def step():
        loss = model(input_ids=ids, labels=labels, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        opt.zero_grad(set_to_none=True)
        return loss.item()
    yield measure.timed("lora", f"rank {rank}, {ids.shape[0]}×{ids.shape[1]} tokens", "tokens/s", ids.numel(), args.repeat, step)


def choice(model):
    """The scoring loop of the leaderboard's evaluator of May 2024.

    Each choice is a request. Requests are sorted, longest first, and divided into four parts; rows are padded to the longest row
    of the part in the whole benchmark. The log-softmax is computed over all of [batch, length, vocabulary], and then the
    continuation's positions of each row are used. Keys and values are kept, which is the default.
    """
    for work in inputs:
        requests = [(q["context"], c) for q in work["questions"] for c in q["continuations"]]
        requests.sort(key=lambda r: -len(r[0]) - len(r[1]))
        size = len(requests) // 4

        def run():
            total = 0.0
            for start, width in zip(range(0, len(requests), size), work["padded"]):
                rows = requests[start:start + size]
                for at in range(0, len(rows), args.batch):
                    total += sum(p for p, _ in forward(model, rows[at:at + args.batch], width))
            return total
        yield measure.timed("choice", work["name"], "questions/s", len(work["questions"]), args.repeat, run)


def forward(model, requests, width):
    """Returns the log-probability of each continuation, and whether each of its tokens is the most likely one."""
    rows = [(context + continuation)[:-1] for context, continuation in requests]
    width = max(width, *map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    with torch.no_grad():
        logp = torch.log_softmax(model(ids).logits, -1)
    for row, ids, (_, continuation) in zip(logp, rows, requests):
        row, target = row[len(ids) - len(continuation):len(ids)], torch.tensor(continuation)
        yield row.gather(1, target[:, None]).sum().item(), bool((row.argmax(-1) == target).all())


if __name__ == "__main__":
    measure.write(list({"prefill": prefill, "decode": decode, "lora": lora, "choice": choice}[args.work](load())))
