"""Makes the files beside it and what `transformers` says of some texts with them. Not run by the tests.

    pip install sentencepiece==0.2.3 && python tests/golden/marian/make.py

The models are trained on the README files as they were then; making them anew gives other ones.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import sentencepiece
from transformers import MarianTokenizer

HERE = Path(__file__).parent
TEXTS = [
    "Hello world, the model is trained.",
    "A team whose text may not leave the house wants a classifier of its own.",
    "翰墨：从原始文本到自己的语言模型。",
    "文档从来不出你的机器，一台笔记本就够了。",
    "Train 一个 model，在 laptop 上 (no network)!",
    "the 模型 and the 翰墨 的 model",
    "👩‍👩‍👧‍👦 family 🇨🇳 flag 𠮷 rare 😀😀",
    "  two  spaces   before,  between and after  ",
    "tabs\tand\nlines\r\n\n end",
    "ＦＵＬＬ　ｗｉｄｔｈ，ﬁ ligature",
    "Crème brûlée, Ünïcödé, e\u0301 combined",
    ">>zho<< Hello world",
    ">>eng<<你好，world",
    "in the middle >>zho<< of it",
    "1,000 < 2 > 1 << 3",
    "x",
    " ",
    "",
    "的的的 aaaa 哈哈哈哈 ......",
    "Ελληνικά العربية हिन्दी русский",
]


def main() -> None:
    root = HERE.parents[2]
    vocabulary = ["</s>", "<unk>"]
    with tempfile.TemporaryDirectory() as work:
        for side, file, size in (("source", "README.md", 420), ("target", "README.zh-CN.md", 700)):
            text = (root / file).read_text(encoding="utf-8")
            corpus = Path(work) / "corpus.txt"
            corpus.write_text(text * 3, encoding="utf-8")
            sentencepiece.SentencePieceTrainer.train(
                input=str(corpus), model_prefix=f"{work}/{side}", model_type="unigram", vocab_size=size,
                hard_vocab_limit=False, character_coverage=0.98, num_threads=1, max_sentence_length=20000,
                self_test_sample_size=0, normalization_rule_name="identity",
            )  # fmt: skip
            data = Path(f"{work}/{side}.model").read_bytes().replace(f"{work}/".encode(), b"/" * len(f"{work}/"))
            (HERE / f"{side}.spm").write_bytes(data)
            # as marian-vocab makes it: what occurs in the text as it is cut, so not all pieces of the model
            processor = sentencepiece.SentencePieceProcessor(model_proto=data)
            vocabulary += [piece for line in text.splitlines() for piece in processor.encode(line, out_type=str)]
    table = {piece: n for n, piece in enumerate(dict.fromkeys([*vocabulary, ">>zho<<", ">>eng<<", "<pad>"]))}
    (HERE / "vocab.json").write_text(json.dumps(table, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    (HERE / "tokenizer_config.json").write_text('{"source_lang": "en", "target_lang": "zh", "model_max_length": 512}\n')
    rival = MarianTokenizer.from_pretrained(HERE)
    expected: list[dict[str, Any]] = []
    for text in TEXTS:
        ids, targets = rival(text)["input_ids"], rival(text_target=text)["input_ids"]
        decoded = rival.decode(targets, skip_special_tokens=True)
        expected.append({"text": text, "ids": ids, "targets": targets, "decoded": decoded})
    (HERE / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
