"""The last stages of a story: held-out figures beside baselines, and samples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hanmo.core.files import write_json
from hanmo.core.progress import progress
from hanmo.corpora.documents import read_documents
from hanmo.corpora.shards import open_shards, read_shard_report
from hanmo.stories.result import model_folder

if TYPE_CHECKING:
    from hanmo.stories.recipe import PretrainRecipe
    from hanmo.tasks.language_model import LanguageModel

__all__ = ["evaluate_run", "write_samples"]


def evaluate_run(run: Path, lm: LanguageModel, recipe: PretrainRecipe) -> dict[str, Any]:
    """Bits per byte of the whole held-out split, for the model, `xz -9`, `gzip -9` and an order-0 token model; and for the
    checkpoint as it was, if the recipe has one.

    All see the same bytes: the held-out documents, each ended by the end-of-text mark for the token models
    and by a line feed for the compressors. The model's figure counts the bytes of the documents only, so the marks
    it must predict besides are to its disadvantage, not to its advantage. It reads in windows as long as a block, half a
    window apart, so that a token has at least half a window before it (a compressor has all that came before).
    """
    import numpy as np

    from hanmo.batches.blocks import TokenBlocks
    from hanmo.evaluation.perplexity import evaluate_blocks
    from hanmo.metrics.compression import compressor_bits_per_byte
    from hanmo.metrics.order0 import order0_bits_per_byte
    from hanmo.nn.losses import IGNORED
    from hanmo.stories.decoder_model import open_decoder

    tokenizer = lm.tokenizer
    length, batch_size = recipe.block_len(lm.config.max_len), recipe.batches.batch_size
    train_ids, heldout_ids = open_shards(run / "shards" / "train"), open_shards(run / "shards" / "heldout")
    n_bytes = read_shard_report(run / "shards" / "heldout").n_bytes
    # the end-of-text mark in front gives the first token a context, so every held-out token is scored
    scored = np.concatenate([np.array([tokenizer.eos_id], heldout_ids.dtype), heldout_ids])
    stride = length // 2

    def judge(model: Any, what: str) -> dict[str, float]:
        blocks = TokenBlocks.sequential(scored, block_len=length, batch_size=2 * batch_size, stride=stride)
        with progress(what, total=len(heldout_ids), unit="tokens") as bar:

            def watched() -> Any:
                for block in blocks:
                    yield block
                    bar.advance(int((block["labels"] != IGNORED).sum()))

            return evaluate_blocks(model, watched(), n_bytes=n_bytes)

    heldout = judge(lm.model, "Evaluate")
    text = "\n".join(document.text for document in read_documents(run / "corpus" / "heldout.jsonl.gz")).encode()
    baselines = {
        "xz": compressor_bits_per_byte(text, method="xz"),
        "gzip": compressor_bits_per_byte(text, method="gzip"),
        "order0": order0_bits_per_byte(train_ids, heldout_ids, vocab_size=tokenizer.vocab_size, n_bytes=n_bytes),
    }
    if recipe.model.checkpoint is not None:
        before = open_decoder(recipe.model.checkpoint).model.to(lm.model.head_weight.device)
        baselines["checkpoint"] = judge(before, "Evaluate the checkpoint")["bits_per_byte"]
    return {"heldout": heldout | {"bytes": n_bytes, "window": length, "stride": stride}, "baselines": baselines}


def write_samples(run: Path, recipe: PretrainRecipe) -> None:
    """Let what was written, a model directory or an adapter, continue a few prompts at each temperature; the result is samples.json."""
    from hanmo.evaluation.samples import choose_prompts
    from hanmo.tasks.loading import load

    documents = list(read_documents(run / "corpus" / "heldout.jsonl.gz"))
    prompts = choose_prompts(documents, recipe.samples.n_prompts, recipe.seed)
    lm = load(model_folder(run), device=recipe.device)
    samples = []
    with progress("Write samples", total=len(prompts) * len(recipe.samples.temperatures), unit="texts") as bar:
        for prompt in prompts:
            for temperature in recipe.samples.temperatures:
                text = lm.generate(
                    prompt, max_new_tokens=recipe.samples.max_new_tokens, temperature=temperature, seed=recipe.seed
                )
                samples.append({"temperature": temperature, "prompt": prompt, "text": text, "seed": recipe.seed})
                bar.advance(1)
    write_json(run / "samples.json", samples)
