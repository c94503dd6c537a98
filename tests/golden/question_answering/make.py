"""Makes what `transformers.pipeline("question-answering")` says of the texts in tests/tiny_reader.py. Not run by the tests:
that pipeline was taken out of transformers 5.

    pip install "transformers==4.57.3" && python tests/golden/question_answering/make.py
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import transformers

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent))
from tiny_reader import PAIRS, write_reader  # noqa: E402 (its folder is named above)

OPTIONS: list[dict[str, Any]] = [
    {},
    {"top_k": 3},
    {"handle_impossible_answer": True},
    {"top_k": 5, "handle_impossible_answer": True, "max_answer_len": 4},
    {"max_answer_len": 1},
    {"max_answer_len": 40, "top_k": 2},
]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        pipe = transformers.pipeline("question-answering", str(write_reader(Path(folder))), device="cpu")
        answers = [
            {"options": options, "answers": [pipe(question=q, context=c, **options) for q, c in PAIRS]}
            for options in OPTIONS
        ]
    content = {"transformers": transformers.__version__, "runs": answers}
    (HERE / "expected.json").write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
