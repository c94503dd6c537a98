"""Maps of words: what is chosen, and that it is drawn."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from hanmo.core.errors import ConfigError, DataError
from hanmo.stories.word_map import draw_map
from hanmo.vectors import WordVectors

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def vectors() -> WordVectors:
    rng = np.random.default_rng(0)
    centres = np.repeat(np.eye(3, 8) * 4, 20, axis=0)
    words = [f"{kind}{i}" for kind in ("水果", "动物", "word") for i in "甲乙丙丁戊己庚辛壬癸子丑寅卯辰巳午未申酉"]
    return WordVectors([*words, "，", "7"], np.vstack((centres + rng.standard_normal((60, 8)), np.eye(2, 8) * 4)))


def test_groups_around_words(vectors: WordVectors, tmp_path: Path) -> None:
    drawn = draw_map(vectors, tmp_path / "m.svg", near=["水果甲", "动物甲"], n=30)
    assert list(drawn.groups) == ["水果甲", "动物甲"]
    assert all(word.startswith("水果") for word in drawn.groups["水果甲"])
    assert "，" not in drawn.words  # as near as any fruit, but a mark
    root = ElementTree.parse(tmp_path / "m.svg").getroot()
    assert root.tag == f"{SVG}svg"
    titles = [title.text or "" for title in root.iter(f"{SVG}title")]
    assert "水果甲" in {title.split("\n")[0] for title in titles}
    assert sum(1 for _ in root.iter(f"{SVG}circle")) == 30 + 2  # and the legend


def test_frequent_words_in_clusters(vectors: WordVectors, tmp_path: Path) -> None:
    drawn = draw_map(vectors, tmp_path / "m.html", n=40, lang="zh", method="pca")
    assert drawn.words == vectors.words[:40]
    page = (tmp_path / "m.html").read_text(encoding="utf-8")
    assert "词语地图" in page
    assert page.startswith("<!DOCTYPE html>")
    draw_map(vectors, tmp_path / "again.html", n=40, lang="zh", method="pca")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_given_words(vectors: WordVectors, tmp_path: Path) -> None:
    assert draw_map(vectors, tmp_path / "m.svg", words=["水果甲", "动物乙", "word丙"]).words == (
        "水果甲",
        "动物乙",
        "word丙",
    )


def test_markup_in_words_is_text(tmp_path: Path) -> None:
    words = ["<script>alert(1)</script>", "a&b", '"']
    draw_map(WordVectors(words, np.eye(3)), tmp_path / "m.svg", words=words, title="<b>")
    root = ElementTree.parse(tmp_path / "m.svg").getroot()
    assert not list(root.iter(f"{SVG}script"))


def test_refused(vectors: WordVectors, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="between 3 and"):
        draw_map(vectors, tmp_path / "m.svg", n=2)
    with pytest.raises(DataError, match="three words, there are 2"):
        draw_map(vectors, tmp_path / "m.svg", words=["水果甲", "动物乙"])
    with pytest.raises(DataError, match="'没有', '也没有'"):
        draw_map(vectors, tmp_path / "m.svg", near=["没有", "也没有"])
