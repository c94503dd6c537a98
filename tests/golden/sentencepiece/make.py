"""Makes the models beside it and what SentencePiece itself says of some texts. Not run by the tests.

    pip install sentencepiece==0.2.3 && python tests/golden/sentencepiece/make.py

The models are trained on the README files as they were then; making them anew gives other ones.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import sentencepiece

HERE = Path(__file__).parent
TEXTS = [
    "Hello world, the model is trained.",
    "翰墨：从原始文本到自己的语言模型。",
    "Train 一个 model，在 laptop 上 (no network)!",
    "👩‍👩‍👧‍👦 family 🇨🇳 flag 𠮷 rare 😀😀",
    "  two  spaces   before,  between and after  ",
    "tabs\tand\nlines\r\n\n end",
    "ＦＵＬＬ　ｗｉｄｔｈ，ﬁ ligature",
    "Crème brûlée, Ünïcödé, e\u0301 combined",
    "1,000, and 12, then 3,14 and 2,",
    "``quoted'' 'single' `code`",
    "</s> <s> <pad> <unk> [CLS] [SEP] <mask> <extra_id_0>",
    "a\u2581b \u2581\u2581 c",
    "x",
    " ",
    "",
    "的的的 aaaa 哈哈哈哈 ......",
    "Ελληνικά العربية हिन्दी русский",
]
COMMON: dict[str, Any] = {
    "hard_vocab_limit": False, "character_coverage": 0.98, "num_threads": 1, "max_sentence_length": 20000,
    "self_test_sample_size": 0,
}  # fmt: skip
MODELS: dict[str, dict[str, Any]] = {
    "t5": {"model_type": "unigram", "vocab_size": 420, "pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1},
    "albert": {
        "model_type": "unigram", "vocab_size": 420, "pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1,
        "control_symbols": "[CLS],[SEP],[MASK]",
    },
    "xlnet": {
        "model_type": "unigram", "vocab_size": 420, "unk_id": 0, "bos_id": 1, "eos_id": 2,
        "control_symbols": "<cls>,<sep>,<pad>,<mask>,<eod>", "user_defined_symbols": "<eop>",
    },
    "xlmr": {"model_type": "unigram", "vocab_size": 420, "unk_id": 0, "bos_id": 1, "eos_id": 2},
    "llama": {
        "model_type": "bpe", "vocab_size": 680, "unk_id": 0, "bos_id": 1, "eos_id": 2, "byte_fallback": True,
        "split_digits": True, "normalization_rule_name": "identity", "remove_extra_whitespaces": False,
    },
}  # fmt: skip


def rules() -> str:
    """A small table of the kind that nmt_nfkc is a large one of: full width to ASCII, blanks to spaces, ligatures."""
    table = {chr(code + 0xFEE0): chr(code) for code in range(0x21, 0x7F)}
    table |= dict.fromkeys("\t\n\r\u3000\xa0", " ") | {"ﬁ": "fi", "e\u0301": "é"}
    return "".join(
        f"{' '.join(f'{ord(c):X}' for c in key)}\t{' '.join(f'{ord(c):X}' for c in value)}\n"
        for key, value in table.items()
    )


def main() -> None:
    root = HERE.parents[2]
    expected: dict[str, Any] = {"texts": TEXTS}
    with tempfile.TemporaryDirectory() as work:
        corpus, table = Path(work) / "corpus.txt", Path(work) / "rules.tsv"
        corpus.write_text("".join((root / name).read_text() for name in ("README.md", "README.zh-CN.md")) * 3)
        table.write_text(rules())
        for name, settings in MODELS.items():
            more = {} if "normalization_rule_name" in settings else {"normalization_rule_tsv": str(table)}
            sentencepiece.SentencePieceTrainer.train(
                input=str(corpus), model_prefix=str(Path(work) / name), **COMMON, **more, **settings
            )
            data = (Path(work) / f"{name}.model").read_bytes().replace(f"{work}/".encode(), b"/" * len(f"{work}/"))
            (HERE / f"{name}.model").write_bytes(data)
            processor = sentencepiece.SentencePieceProcessor(model_proto=data)
            ids: Any = processor.encode(TEXTS)
            expected[name] = {"ids": ids, "decoded": [processor.decode(row) for row in ids]}
    (HERE / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, indent=0) + "\n")


if __name__ == "__main__":
    main()
