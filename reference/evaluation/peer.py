"""Runs lighteval 0.3.0 on the files that `barka eval --data` reads.

    python peer.py --model DIR --data DIR --tasks LIST --out DIR [--dtype float32] [--batch 4] ...

It calls lighteval's own main function. Only the code that reads the hub is replaced
(hub.py), and names that it needs of older versions of torch and transformers are restored.
"""

import argparse
import functools
import os
import sys
import tempfile
import types
import typing

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", CUDA_VISIBLE_DEVICES="", HF_DATASETS_DISABLE_PROGRESS_BARS="1")

import torch.utils.data.distributed  # noqa: E402
import transformers  # noqa: E402

import hub  # noqa: E402

# lighteval 0.3.0 builds its BERTScore, which fetches a model, when it is imported.
sys.modules["lighteval.metrics.imports.bert_scorer"] = types.SimpleNamespace(BERTScorer=lambda **_: None)
# A name of torch 2.2 that it takes from there.
torch.utils.data.distributed.T_co = typing.TypeVar("T_co", covariant=True)
# transformers' default attention leaves out Gemma-2's soft cap; its versions of 2024 took this one for it.
transformers.AutoModelForCausalLM.from_pretrained = functools.partial(
    transformers.AutoModelForCausalLM.from_pretrained, attn_implementation="eager"
)


def arguments():
    p = argparse.ArgumentParser()
    for name in ("model", "data", "tasks", "out"):
        p.add_argument("--" + name, required=True)
    p.add_argument("--dtype", default="float32")
    p.add_argument("--batch", type=int, default=4)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--max-samples", type=int)
    p.add_argument("--chat", action="store_true")
    return p.parse_args()


def run(a, load):
    """The function behind run_evals_accelerate.py, with its arguments."""
    import lighteval.tasks.lighteval_task as task
    from lighteval import main_accelerate

    import arabic

    task.load_dataset = load
    main_accelerate.main(argparse.Namespace(
        model_args=f"pretrained={a.model}", model_dtype=a.dtype, multichoice_continuations_start_space=False,
        no_multichoice_continuations_start_space=False, inference_server_address=None, inference_server_auth=None,
        endpoint_model_name=None, base_model=None, delta_weights=False, adapter_weights=False, reuse_existing=False,
        tasks=a.tasks, custom_tasks=arabic, output_dir=a.out, override_batch_size=a.batch, max_samples=a.max_samples,
        use_chat_template=a.chat, system_prompt=None, job_id="", num_fewshot_seeds=1, cache_dir=None,
        dataset_loading_processes=1, results_org=None, push_results_to_hub=False, push_details_to_hub=False,
        public_run=False,
    ))  # fmt: skip


def main():
    a = arguments()
    torch.set_num_threads(a.threads)
    with tempfile.TemporaryDirectory() as cache:
        run(a, hub.Hub(a.data, cache).load)


main()
