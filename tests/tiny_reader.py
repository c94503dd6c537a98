"""A small BERT that points at answers. Its weights are a formula, so that other programs' answers can be kept."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from hanmo.models.bert import BertConfig, bert
from hanmo.models.directory import write_model
from hanmo.tokenizers.tokenizer import Tokenizer

ENGLISH = "The old teacher, Dr. Zürcher, wrote a letter in 1987. He sent it to İstanbul: the letter arrived, unbelievably, in May."
CHINESE = "老先生清早写信，一共写了三封。👩‍👩‍👧‍👦 信寄到北京大学，五月十二日才到。"
PAIRS = [
    ("Who wrote the letter?", ENGLISH),
    ("When did it arrive?", ENGLISH),
    ("谁写的信？", CHINESE),
    ("信寄到哪里？", CHINESE),
    ("Where to 寄?", "  İstanbul & 北京 " + ENGLISH),
    ("Who?", "Teacher. Letter."),
]
_PIECES = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *".,:?!&，。？：", *"老先生清早写信一二三封寄到北京大学五月十日才谁的哪里",
    "the", "old", "teacher", "dr", "wrote", "a", "letter", "in", "he", "sent", "it", "to", "arrived", "who", "when",
    "where", "did", "may", "zur", "##cher", "is", "##tan", "##bul", "un", "##bel", "##iev", "##ably", "19", "##87",
    "arrive",
]  # fmt: skip


def write_reader(folder: Path, architecture: str = "BertForQuestionAnswering") -> Path:
    """Write its directory."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(_PIECES), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "do_lower_case": true}')
    tokenizer = Tokenizer.load(folder)
    config = BertConfig(vocab_size=tokenizer.vocab_size, d_model=16, n_layers=2, n_heads=2, d_ff=32, max_len=128)
    model = bert(config, architecture)
    with torch.no_grad():
        for number, (name, parameter) in enumerate(sorted(model.named_parameters())):
            places = torch.arange(parameter.numel(), dtype=torch.float64).reshape(parameter.shape)
            wave = torch.sin(places * (1.7 + 0.37 * math.sqrt(number)) + number)
            size = 3.0 if "head" in name else 1.0 if "embedding" in name else 0.1 if "norm" in name else 0.4
            parameter.copy_(wave * size + (1.0 if "norm" in name and name.endswith("weight") else 0.0))
    write_model(folder, model)
    tokenizer.save(folder)
    return folder
