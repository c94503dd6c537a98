"""Forward pass of every family beside `transformers` with its SDPA attention, same weights, same batch, fp32.

    python benchmarks/forward.py [--repeats 9] [--only bert,t5] [--batch 4] [--length 128]

A model of 4 layers and width 256 is made by `transformers`, stored, and read here; both run in this process, in turn.
The ratio is of medians: above 1 means that hanmo is the faster. Figure of the project: no family slower.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers

sys.path.insert(0, str(Path(__file__).parent))
from machine_line import machine_line

from hanmo.models.directory import read_model

SEED = 0
V, D, L, H = 4096, 256, 4, 4


def _encoder(kind: type, **more: Any) -> Any:
    return kind(
        vocab_size=V, hidden_size=D, num_hidden_layers=L, num_attention_heads=H, intermediate_size=4 * D,
        max_position_embeddings=600, **more,
    )  # fmt: skip


def _decoder(kind: type, **more: Any) -> Any:
    return kind(
        vocab_size=V, hidden_size=D, num_hidden_layers=L, num_attention_heads=H, num_key_value_heads=2,
        intermediate_size=704, max_position_embeddings=1024, **more,
    )  # fmt: skip


def _t5(kind: type) -> Any:
    return kind(
        vocab_size=V, d_model=D, d_kv=D // H, d_ff=1024, num_layers=L, num_heads=H, feed_forward_proj="gated-gelu"
    )


def _marian() -> Any:
    return transformers.MarianConfig(
        vocab_size=V, d_model=D, encoder_layers=L, decoder_layers=L, encoder_attention_heads=H,
        decoder_attention_heads=H, encoder_ffn_dim=1024, decoder_ffn_dim=1024, max_position_embeddings=1024,
        pad_token_id=0, eos_token_id=1, decoder_start_token_id=0, forced_eos_token_id=None,
    )  # fmt: skip


def _clip() -> Any:
    text = {
        "vocab_size": V, "hidden_size": D, "num_hidden_layers": L, "num_attention_heads": H, "intermediate_size": 4 * D,
        "max_position_embeddings": 600, "eos_token_id": V - 1, "bos_token_id": 0, "pad_token_id": 1,
    }  # fmt: skip
    vision = {
        "hidden_size": D, "num_hidden_layers": L, "num_attention_heads": H, "intermediate_size": 4 * D,
        "image_size": 96, "patch_size": 16,
    }  # fmt: skip
    return transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=128)


def _xlnet() -> Any:
    return transformers.XLNetConfig(vocab_size=V, d_model=D, n_layer=L, n_head=H, d_inner=4 * D)


CASES: dict[str, tuple[str, Callable[[], Any]]] = {
    "bert": ("BertForMaskedLM", lambda: _encoder(transformers.BertConfig)),
    "albert": ("AlbertForMaskedLM", lambda: _encoder(transformers.AlbertConfig, embedding_size=128)),
    "roberta": ("RobertaForMaskedLM", lambda: _encoder(transformers.RobertaConfig)),
    "xlnet": ("XLNetLMHeadModel", _xlnet),
    "gpt2": (
        "GPT2LMHeadModel",
        lambda: transformers.GPT2Config(vocab_size=V, n_embd=D, n_layer=L, n_head=H, n_positions=1024),
    ),
    "llama": ("LlamaForCausalLM", lambda: _decoder(transformers.LlamaConfig)),
    "mistral": ("MistralForCausalLM", lambda: _decoder(transformers.MistralConfig, sliding_window=64)),
    "qwen2": ("Qwen2ForCausalLM", lambda: _decoder(transformers.Qwen2Config)),
    "qwen3": ("Qwen3ForCausalLM", lambda: _decoder(transformers.Qwen3Config, head_dim=D // H)),
    "t5": ("T5ForConditionalGeneration", lambda: _t5(transformers.T5Config)),
    "mt5": ("MT5ForConditionalGeneration", lambda: _t5(transformers.MT5Config)),
    "marian": ("MarianMTModel", _marian),
    "clip": ("CLIPModel", _clip),
}


def batch_of(name: str, rows: int, length: int) -> dict[str, torch.Tensor]:
    """The same input for both."""
    torch.manual_seed(SEED)
    ids = torch.randint(5, V - 1, (rows, length))
    batch = {"input_ids": ids}
    if name in ("t5", "mt5", "marian"):
        batch["decoder_input_ids"] = torch.randint(5, V - 1, (rows, length))
    if name == "clip":
        ids[:, -1] = V - 1
        batch["pixel_values"] = torch.randn(rows, 3, 96, 96)
    return batch


def measure(name: str, arguments: argparse.Namespace) -> float:
    """Print the line of one family; the ratio."""
    kind, config = CASES[name]
    torch.manual_seed(SEED)
    rival = getattr(transformers, kind)._from_config(
        config(), attn_implementation="eager" if name == "xlnet" else "sdpa"
    )
    rival.eval()
    with tempfile.TemporaryDirectory() as folder:
        rival.save_pretrained(folder)
        ours = read_model(folder)
    batch = batch_of(name, arguments.batch, arguments.length)
    runs: dict[str, Callable[[], Any]] = {"hanmo": lambda: ours(**batch), "transformers": lambda: rival(**batch)}
    key = "logits_per_text" if name == "clip" else "logits"
    with torch.inference_mode():
        difference = float((runs["hanmo"]()[key] - runs["transformers"]()[key]).abs().max())
        seconds: dict[str, list[float]] = {label: [] for label in runs}
        order = list(runs)
        for _ in range(arguments.repeats):
            order.append(order.pop(0))
            for label in order:
                start = time.perf_counter()
                runs[label]()
                seconds[label].append(time.perf_counter() - start)
    median = {label: statistics.median(times) * 1e3 for label, times in seconds.items()}
    ratio = median["transformers"] / median["hanmo"]
    print(
        f"{name:10s} hanmo {median['hanmo']:7.1f} ms  transformers {median['transformers']:7.1f} ms  "
        f"ratio {ratio:5.2f}  largest difference {difference:.1e}",
        flush=True,
    )
    return ratio


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--only", default=",".join(CASES))
    arguments = parser.parse_args()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    print(machine_line(SEED, "transformers"))
    print(f"# {L} layers, width {D}, {arguments.batch} x {arguments.length} tokens, fp32, {arguments.repeats} rounds")
    ratios = {name: measure(name, arguments) for name in arguments.only.split(",")}
    slowest = min(ratios, key=lambda name: ratios[name])
    print(f"lowest ratio: {slowest}, {ratios[slowest]:.2f}")


if __name__ == "__main__":
    main()
