"""Changed copies of training texts: what each operation does, in Chinese and English."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hanmo.core.errors import DataError, ModelError
from hanmo.models.bert import BertConfig, bert
from hanmo.models.directory import write_model
from hanmo.tasks.augment import augment, known_words
from hanmo.tasks.augment_settings import AugmentSettings
from hanmo.tasks.augment_words import Homophones, cut_words
from hanmo.tasks.text_examples import TextExample
from hanmo.text.homophones import syllable
from hanmo.tokenizers.words import train_words
from hanmo.vectors.word_vectors import WordVectors

TEXTS = [
    "The room was lovely, the view fine.",
    "房间很干净，服务很热情。",
    "a dull and noisy film",
    "这家酒店的床很舒服",
]


def examples(texts: list[str]) -> list[TextExample]:
    return [TextExample(text, None, str(number % 2), f"f:{number + 1}") for number, text in enumerate(texts)]


def made(texts: list[str] = TEXTS, *, seed: int = 0, knows: Any = lambda word: True, **settings: Any) -> Any:
    values = {"frequent": 1.0} | settings
    return augment(examples(texts), AugmentSettings.model_validate(values), seed=seed, knows=knows, device="cpu")


@given(st.text(max_size=40))
def test_words_make_up_the_text_again(text: str) -> None:
    words = cut_words(text)
    assert all(words.words)
    assert "".join(words.text().split()) == "".join(text.split())


@pytest.mark.parametrize("text", TEXTS)
def test_nothing_is_lost_by_cutting(text: str) -> None:
    assert cut_words(text).text() == text


def test_swap() -> None:
    found = made(operations=("swap",), copies=3)
    assert found.counts == {"copies by swap": 12}
    for copy, (name, before, after) in zip(found.examples, found.changes, strict=True):
        assert name == "swap"
        assert after == copy.text != before
        assert Counter(cut_words(after).words).total() == Counter(cut_words(before).words).total()
        assert sorted("".join(after.split())) == sorted("".join(before.split()))
    assert [copy.label for copy in found.examples] == [label for label in "0101" for _ in range(3)]
    assert found.examples[0].where == "f:1 (swap)"


def test_delete() -> None:
    found = made(operations=("delete",), share=0.3)
    for _, before, after in found.changes:
        kept, all_words = cut_words(after).words, cut_words(before).words
        assert len(all_words) - len(kept) == max(1, round(0.3 * len(all_words)))
        rest = iter(all_words)
        assert all(word in rest for word in kept)  # in their order
    with pytest.raises(DataError, match="can change none of the 1 training texts"):
        made(["好"], operations=("delete",))


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two directions: words of the same one are synonyms."""
    groups = [["lovely", "pretty", "Lovely", "!"], ["film", "movie", "电影"], ["房间", "客房"], ["dull", "boring"]]
    names = [word for group in groups for word in group]
    matrix = np.zeros((len(names), len(groups)), dtype=np.float32)
    place = 0
    for direction, group in enumerate(groups):
        for number, _ in enumerate(group):
            matrix[place, direction] = 1
            matrix[place, (direction + 1) % len(groups)] = 0.1 * number
            place += 1
    path = tmp_path_factory.mktemp("vectors") / "toy.txt"
    WordVectors(names, matrix).save(path)
    return path


def test_synonyms(vectors: Path) -> None:
    found = made(operations=("synonym",), vectors=str(vectors), share=0.5)
    assert [after for _, _, after in found.changes] == [
        "The room was pretty, the view fine.", "客房很干净，服务很热情。", *[after for _, _, after in found.changes[2:]],
    ]  # fmt: skip
    assert set(cut_words(found.changes[2][2]).words) <= {"a", "boring", "and", "noisy", "movie"}
    assert found.counts == {"copies by synonym": 3, "copies that could not be made": 1}
    capital = made(["Film of the year"], operations=("synonym",), vectors=str(vectors))
    assert capital.examples[0].text == "Movie of the year"
    known = made(operations=("synonym",), vectors=str(vectors), share=0.5, knows=lambda word: word == "客房")
    assert [example.where for example in known.examples] == ["f:2 (synonym)"]
    with pytest.raises(DataError, match="can change none"):
        made(operations=("synonym",), vectors=str(vectors), min_cosine=0.999)


def test_insertion(vectors: Path) -> None:
    found = made(operations=("insert",), vectors=str(vectors), copies=4)
    assert {name for name, _, _ in found.changes} == {"insert"}
    for _, before, after in found.changes:
        more = Counter(cut_words(after).words) - Counter(cut_words(before).words)
        assert set(more) <= {"pretty", "客房", "boring", "movie"}
        assert more.total() == 1


def test_frequent_words_stay(vectors: Path) -> None:
    texts = ["film film film room", "dull view"]
    found = made(texts, operations=("synonym",), vectors=str(vectors), frequent=0.4)
    assert [example.text for example in found.examples] == ["boring view"]


def test_homophones() -> None:
    texts = ["这个事例很好", "使用示例", "他有实力", "势力范围", "very good"]
    found = made(texts, operations=("homophone",), copies=5, share=0.4)
    for _, before, after in found.changes:
        assert before != after
        assert [syllable(c) or c for c in before] == [syllable(c) or c for c in after]
    assert set("".join(after for _, _, after in found.changes)) <= set("".join(texts))
    assert found.counts["copies that could not be made"] >= 5  # the English ones
    whole, weights = Homophones({"事例": 1, "示例": 3, "实力": 2, "好": 5}).choices("势力")
    assert dict(zip(whole, weights, strict=True)) == {"事例": 1, "示例": 3, "实力": 2}
    assert Homophones({"是": 4, "他": 1}).choices("事情") == (["是情"], [4.0])
    assert Homophones({"是": 4}).choices("龘龘") == ([], [])


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A masked model that always reads 好 and `nice`."""
    tokenizer = train_words([*TEXTS, "nice 好 坏"], 200)
    torch.manual_seed(0)
    shape = {"vocab_size": tokenizer.vocab_size, "d_model": 16, "n_layers": 1, "n_heads": 2, "max_len": 12}
    model: Any = bert(BertConfig.model_validate(shape), "BertForMaskedLM")
    with torch.no_grad():
        for word in ("nice", "好"):
            model.head.tokens.bias[tokenizer.token_id(word)] = 50
    path = tmp_path_factory.mktemp("masked") / "bert"
    write_model(path, model)
    tokenizer.save(path)
    return path


def test_masked_words(masked: Path) -> None:
    found = made(operations=("masked-lm",), checkpoint=str(masked), copies=2)
    assert found.counts == {"copies by masked-lm": 8}
    for _, before, after in found.changes:
        old, new = cut_words(before), after
        assert any(
            new.lower() == old.replaced({place: "nice" if word.isascii() else "好" * len(word)}).text().lower()
            for place, word in enumerate(old.words)
        ), after
    again = made(operations=("masked-lm",), checkpoint=str(masked), copies=2)
    assert again.examples == found.examples
    # what the model to be trained does not know is put back
    with pytest.raises(DataError, match="can change none"):
        made(
            operations=("masked-lm",),
            checkpoint=str(masked),
            knows=lambda word: word not in ("nice", "Nice", "好", "好好"),
        )


def test_masked_words_of_long_texts(masked: Path) -> None:
    text = " ".join(["a dull and noisy film", "the room was lovely"] * 5)
    found = made([text], operations=("masked-lm",), checkpoint=str(masked), copies=8, share=0.02)
    assert all(len(after.split()) == 45 and after.split().count("nice") == 1 for _, _, after in found.changes)
    assert len({after.split().index("nice") for _, _, after in found.changes}) > 3


def test_a_model_that_fills_no_masks(masked: Path, tmp_path: Path) -> None:
    from hanmo.tokenizers.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(masked)
    shape = {"vocab_size": tokenizer.vocab_size, "d_model": 16, "n_layers": 1, "n_heads": 2, "max_len": 12}
    write_model(tmp_path / "other", bert(BertConfig.model_validate(shape), "BertForTokenClassification"))
    tokenizer.save(tmp_path / "other")
    with pytest.raises(ModelError, match="fills in no masks"):
        made(operations=("masked-lm",), checkpoint=str(tmp_path / "other"))


def test_the_seed_decides(vectors: Path) -> None:
    settings: dict[str, Any] = {"operations": ("swap", "delete", "insert"), "vectors": str(vectors), "copies": 3}
    assert made(**settings) == made(**settings)
    assert made(**settings) != made(**settings, seed=1)
    # a copy depends on its own text alone
    first = made(TEXTS[:2], **settings)
    assert first.examples == made(**settings).examples[: len(first.examples)]


def test_one_side_of_a_pair() -> None:
    pair = TextExample("one two three", "four five six", 0.5, "f:1")
    settings = AugmentSettings(operations=("swap",), copies=16)
    found = augment([pair], settings, seed=0, knows=lambda word: True)
    changed = {(copy.text != pair.text, copy.pair != pair.pair) for copy in found.examples}
    assert changed == {(True, False), (False, True)}
    assert all(copy.label == 0.5 for copy in found.examples)


def test_known_words() -> None:
    knows = known_words(train_words(["房 间 room"], 20))
    assert [knows(word) for word in ("房间", "room", "Room", "view", "房屋")] == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"operations": ["synonym"]}, "synonym need word vectors"),
        ({"operations": ["swap"], "vectors": "x"}, "vectors are of no use"),
        ({"operations": ["masked-lm"]}, "belong together"),
        ({"checkpoint": "x"}, "belong together"),
        ({"operations": ["swap", "swap"]}, "named twice"),
        ({"operations": ["shuffle"]}, "Input should be"),
        ({"copies": 2}, "without operations no copies are made"),
        ({"operations": ["swap"], "copies": 0}, "greater than or equal to 1"),
        ({"operations": ["swap"], "share": 0.9}, "less than or equal to 0.5"),
        ({"mixup_alpha": 0.5}, "has no meaning without mixup"),
        ({"mixup": "words", "mixup_alpha": 0}, "greater than 0"),
    ],
)
def test_impossible_settings(values: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        AugmentSettings.model_validate(values)
