"""Figures of texts: form, rhyme, copies."""

from __future__ import annotations

import pytest

from hanmo.core.errors import DataError
from hanmo.evaluation.written_texts import rhymes, text_figures, verse_lines

QUATRAIN = "白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。"
FREE = "白日依山尽，黄河入海流。\n黄河入海流，更上一层山。"


def test_rhymes() -> None:
    assert verse_lines(QUATRAIN) == ["白日依山尽", "黄河入海流", "欲穷千里目", "更上一层楼"]
    assert rhymes("床前明月光，疑是地上霜。\n举头望明月，低头思故乡。") is True
    assert rhymes("春眠不觉晓，处处闻啼鸟。\n夜来风雨声，花落知多少。") is True
    assert rhymes("好雨知时节，当春乃发生。\n随风潜入夜，润物细无声。") is True
    assert rhymes("远上寒山石径斜，白云生处有人家。\n停车坐爱枫林晚，霜叶红于二月花。") is True
    assert rhymes("一一，二知。\n三三，四机。") is False
    assert rhymes(QUATRAIN) is True
    assert rhymes(FREE) is False
    assert rhymes("白日依山尽，黄河入海流。") is None


def test_figures() -> None:
    found = text_figures([QUATRAIN[6:], FREE[6:]], prompts=["白日依山尽，"] * 2, form="5x4", known_lines={"黄河入海流"})
    assert found["form"] == 0.5
    assert found["copied_lines"] == pytest.approx(3 / 6)
    assert 0 < found["distinct_1"] < found["distinct_2"] < 1
    assert text_figures(["a b c d", ""], form="[a-d ]+")["form"] == 0.5
    with pytest.raises(DataError):
        text_figures(["", ""])
