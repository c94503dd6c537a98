"""Small models for the tests of generation: one with known logits, and real ones with random weights."""

import torch
from torch import nn

from hanmo.models.gpt2 import GPT2Config, gpt2
from hanmo.models.llama import LlamaConfig, llama
from hanmo.nn.outputs import CausalLMOutput


class _Count:
    def __init__(self):
        self.length = 0


class Counter(nn.Module):
    """After token i comes i + 1, with logit 5; all others have 0."""

    def __init__(self, vocab_size=10, max_len=20):
        super().__init__()
        self.config = GPT2Config(vocab_size=vocab_size, max_len=max_len, d_model=2, n_layers=1, n_heads=1)
        self.weight = nn.Parameter(torch.zeros(1))

    def new_cache(self, batch, max_len=None):
        return _Count()

    def forward(self, input_ids, past_key_values=None, logits_to_keep=0, **_):
        keep = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        following = (input_ids[:, keep] + 1) % self.config.vocab_size
        return CausalLMOutput(logits=5.0 * nn.functional.one_hot(following, self.config.vocab_size).float())


def wild(model, seed):
    """Random weights large enough that different contexts give different tokens."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(
                1 + 0.3 * noise if name.endswith("norm.weight") else noise * (0.5 if parameter.dim() == 1 else 0.25)
            )
    return model.eval()


def small_gpt2(seed=0, **changes):
    values = {"vocab_size": 61, "max_len": 64, "d_model": 40, "n_layers": 3, "n_heads": 5, "d_ff": 72}
    return wild(gpt2(GPT2Config(**(values | changes))), seed)


def small_llama(seed=0, **changes):
    values = {
        "vocab_size": 67, "max_len": 64, "d_model": 48, "n_layers": 2, "n_heads": 6, "n_kv_heads": 3, "d_head": 10, "d_ff": 76
    }  # fmt: skip
    return wild(llama(LlamaConfig(**(values | changes))), seed)


def greedy_without_cache(model, prompt, n):
    """The plain road: the whole sequence anew for every token."""
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(n):
            ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]
