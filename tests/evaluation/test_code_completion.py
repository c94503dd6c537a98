"""The next line of functions: which lines are asked for, and who knows them."""

from __future__ import annotations

import pytest

from hanmo.core.errors import DataError
from hanmo.evaluation.code_completion import Line, completion_figures, find_lines, ngram_lines
from hanmo.tokenizers.bpe import train_bpe

SOURCE = '''import os


def one(x):
    """Text
    of two lines."""
    # a comment

    return x + 1  # 加一


def two(): return 2


class C:
    async def three(self):
        y = """
        a string
        """
        await self.y
'''


def test_which_lines() -> None:
    lines = [line for seed in range(20) for line in find_lines([SOURCE, "def broken(", "x = 1"], 9, seed)]
    asked = {line.line for line in lines}
    assert asked == {"return x + 1  # 加一", "def two(): return 2", "await self.y"}
    for line in lines:
        whole = f"{line.before}\n{line.line}{line.behind}"
        assert [part.strip() for part in whole.split("\n")] == [part.strip() for part in SOURCE.split("\n")]
    assert len(find_lines([SOURCE], 2)) == 2
    with pytest.raises(DataError, match="no function"):
        find_lines(["x = 1"], 3)


def test_figures() -> None:
    lines = find_lines([SOURCE], 3)
    assert completion_figures(lines, lambda line: line.line)["exact_match"] == 1.0
    wrong = completion_figures(lines, lambda line: line.line + " ")
    assert wrong["exact_match"] == 0.0
    assert 0.9 < wrong["edit_similarity"] < 1.0
    assert completion_figures(lines, lambda line: "")["edit_similarity"] == 0.0


def test_ngrams_know_what_they_have_seen() -> None:
    source = "def f(a):\n    total = sum(a)\n    return total\n" * 30
    tokenizer = train_bpe([source], 300)
    predict = ngram_lines(tokenizer, [source])
    assert predict(Line("def f(a):\n    total = sum(a)", "return total", "")) == "return total"
