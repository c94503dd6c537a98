"""ARPA files, in and out, whole and broken."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hanmo.core.errors import DataError, FormatError, ModelError
from hanmo.core.progress import set_quiet
from hanmo.ngrams import NgramModel, load, train


def test_a_small_file_by_hand(small_arpa: Path) -> None:
    model = load(small_arpa)
    assert model.info.n_grams == (6, 5, 2)
    assert model.words[:3] == ("<unk>", "<s>", "</s>")

    def logs(text: str) -> list[float]:
        return [log for _, log in model.token_logs(text)]

    assert logs("你好 world") == pytest.approx([-0.3, -0.1, -0.05])
    # b(<s> 你好) · p(there | 你好); a 2-gram without a weight; b(there) · p(</s>)
    assert logs("你好 there") == pytest.approx([-0.3, -0.2 - 0.6, 0.3 - 0.9])
    assert logs("there world") == pytest.approx([-0.5 - 1.1, -1.25, -0.2])
    assert logs("never 你好") == pytest.approx([-0.5 - 1.5, -0.7, -0.25 - 0.9])
    assert model.score("never 你好").n_unknown == 1


def test_round_trip(arpa: Path, model: NgramModel, sentences: list[str], tmp_path: Path) -> None:
    again = load(arpa)
    assert again.info.n_grams == model.info.n_grams
    np.testing.assert_allclose(again.log10(sentences), model.log10(sentences), atol=2e-8)
    again.write_arpa(tmp_path / "again.arpa.gz")
    assert sorted(gzip.decompress((tmp_path / "again.arpa.gz").read_bytes()).split(b"\n")) == sorted(
        arpa.read_bytes().split(b"\n")
    )
    packed = load(tmp_path / "again.arpa.gz")
    assert (packed.log10(sentences) == again.log10(sentences)).all()


def test_characters_and_order_one(chinese: list[str], tmp_path: Path) -> None:
    for order in (1, 3):
        model = train([*chinese, "a b"], order=order, unit="character")
        model.write_arpa(tmp_path / "zh.arpa")
        again = load(tmp_path / "zh.arpa", unit="character")
        np.testing.assert_allclose(again.log10(chinese), model.log10(chinese), atol=1e-7)


def test_pruned_models_are_whole(sentences: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = train(sentences, order=4, prune=(0, 0, 1))
    model.write_arpa(tmp_path / "pruned.arpa")
    set_quiet(False)
    again = load(tmp_path / "pruned.arpa")
    assert "missing" not in capsys.readouterr().err
    np.testing.assert_allclose(again.log10(sentences), model.log10(sentences), atol=2e-8)


def test_no_unknown_word(small_arpa: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = small_arpa.read_text(encoding="utf-8").replace("-1.5\t<unk>\n", "").replace("ngram 1=6", "ngram 1=5")
    small_arpa.write_text(text, encoding="utf-8")
    set_quiet(False)
    model = load(small_arpa)
    assert "<unk> is not among the 1-grams" in capsys.readouterr().err
    assert model.token_logs("never")[0][1] == pytest.approx(-100.5)
    small_arpa.write_text(
        text.replace("ngram 1=5", "ngram 1=6").replace("\n-99", "\n-2.5\t<UNK>\n-99"), encoding="utf-8"
    )
    assert load(small_arpa).token_logs("never")[0][1] == pytest.approx(-3.0)


def test_beginnings_and_ends_that_are_left_out(small_arpa: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As SRILM prunes: the 2-gram that a 3-gram begins with is not there."""
    before = load(small_arpa)
    text = (
        small_arpa.read_text(encoding="utf-8").replace("-0.3\t<s> 你好\t-0.2\n", "").replace("ngram 2=5", "ngram 2=4")
    )
    small_arpa.write_text(text, encoding="utf-8")
    set_quiet(False)
    model = load(small_arpa)
    assert "1 n-grams that longer ones begin or end with are missing" in capsys.readouterr().err
    assert [log for _, log in model.token_logs("你好 world")] == pytest.approx([-0.5 - 0.7, -0.1, -0.05])
    assert [log for _, log in model.token_logs("你好 there")] == pytest.approx([-1.2, -0.6, -0.6])
    assert before.info.n_grams == model.info.n_grams


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("\\data\\", "data", 1, "not an ARPA file"),
        ("ngram 1=6\n", "", 2, "expected 'ngram 1=COUNT'"),
        ("ngram 2=5", "ngram 2=five", 3, "expected 'ngram 2=COUNT'"),
        ("ngram 2=5", "ngram 2=999999999999", 14, "more than there is room for"),
        ("ngram 1=6", "ngram 1=5", 12, "expected the section"),
        ("ngram 1=6", "ngram 1=7", 14, "says 7 1-grams, but there are 6"),
        ("ngram 2=5", "ngram 2=4", 19, "expected the section"),
        ("ngram 3=2", "ngram 3=3", 25, "says 3 3-grams, but there are 2"),
        ("\\1-grams:", "\\2-grams:", 6, "expected the section"),
        ("\\2-grams:", "-1\t你好 你好", 14, "expected the section"),
        ("-0.6\t你好 there", "-0.6\t你好", 17, "log10 p and 2 words"),
        ("-0.6\t你好 there", "-0.6\t你好 there -1 -1", 17, "log10 p and 2 words"),
        ("-0.1\t<s> 你好 world", "-0.1\t<s> 你好 world\t-1", 22, "log10 p and 3 words; found"),
        ("-0.6\t你好 there", "nan\t你好 there", 17, "is no number"),
        ("-0.6\t你好 there", "-inf\t你好 there", 17, "is no number"),
        ("-0.6\t你好 there", "-0.6x\t你好 there", 17, "is no number"),
        ("-0.6\t你好 there", "-1e\t你好 there", 17, "is no number"),
        ("-0.6\t你好 there", "-0.6\t你好 there\t1e999", 17, "is no number"),
        ("-0.6\t你好 there", "0.6\t你好 there", 17, "above 0"),
        ("-1.1\tthere", "1.1\tthere", 12, "above 0"),
        ("-0.6\t你好 there", "-200\t你好 there", 17, "lowest that is held"),
        ("-0.6\t你好 there", "-0.6\t你好 three", 17, "'three' is not among the 1-grams"),
        ("-0.6\t你好 there", "-0.6\t你好 world", 17, "twice, first in line 16"),
        ("-0.8\tworld", "-0.8\t你好", 11, "'你好' is twice"),
        ("-99\t<s>", "-99\t<b>", 7, "<s> is not among the 1-grams"),
        ("-0.9\t</s>", "-0.9\t</b>", 7, "</s> is not among the 1-grams"),
        ("\n\\end\\\n", "\n", None, "expected \\end\\"),
        ("\n\\3-grams:", "\n\\4-grams:", 21, "expected the section"),
    ],
)
def test_broken_files(small_arpa: Path, old: str, new: str, line: int | None, words: str) -> None:
    text = small_arpa.read_text(encoding="utf-8")
    assert old in text
    small_arpa.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(FormatError) as caught:
        load(small_arpa)
    assert words in str(caught.value)
    place = f"{small_arpa}:" if line is None else f"{small_arpa}:{line}: "
    assert str(caught.value).startswith(place)


def test_words_that_are_no_text(small_arpa: Path) -> None:
    data = small_arpa.read_bytes()
    small_arpa.write_bytes(data.replace(b"\tthere\t", b"\tth\xffre\t"))
    with pytest.raises(FormatError, match=r":12: a word is not UTF-8"):
        load(small_arpa)


@pytest.mark.parametrize("share", [0, 0.02, 0.2, 0.5, 0.7, 0.98])
def test_truncated_files(arpa: Path, tmp_path: Path, share: float) -> None:
    data, path = arpa.read_bytes(), tmp_path / "cut.arpa"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(FormatError, match=r"cut\.arpa:\d+: "):
        load(path)
    packed = tmp_path / "cut.arpa.gz"
    packed.write_bytes(gzip.compress(data)[: int(share * 10_000) + 2])
    with pytest.raises(FormatError, match=r"damaged \.gz|not an ARPA"):
        load(packed)


def test_other_files(tmp_path: Path) -> None:
    path = tmp_path / "x.arpa"
    path.write_bytes(bytes(range(256)) * 10)
    with pytest.raises(FormatError, match="not an ARPA file"):
        load(path)
    with pytest.raises(ModelError, match="no such"):
        load(tmp_path / "none.arpa")


def test_words_that_no_reader_would_find_are_not_written(tmp_path: Path) -> None:
    """A model that was made before words were checked."""
    model = train(["我 住 在 New_York 。"], order=2, unit="word")
    letters = np.frombuffer(model.lexicon.letters.tobytes().replace(b"_", b" "), np.uint8)
    old = replace(model, lexicon=replace(model.lexicon, letters=letters))
    with pytest.raises(DataError, match=r"'New York' has white space in it"):
        old.write_arpa(tmp_path / "x.arpa")
    assert list(tmp_path.iterdir()) == []


def test_carriage_returns(small_arpa: Path) -> None:
    expected = load(small_arpa).score("你好 world").log10
    small_arpa.write_bytes(small_arpa.read_bytes().replace(b"\n", b"\r\n"))
    assert load(small_arpa).score("你好 world").log10 == expected


def test_test_arpa_of_kenlm(data_root: Path) -> None:
    """The values of kenlm's model_test.cc, which an independent scorer reproduced."""
    model = load(data_root / "arpa_samples" / "test.arpa")
    logs = [log for _, log in model.token_logs("looking on a little")]
    assert logs == pytest.approx([-0.4846522, -0.3488368, -0.01552657, -0.003061223, -3.381675], abs=1e-6)
    found = model.score("looking on a little")
    assert found.log10 == pytest.approx(-4.233752, abs=1e-6)
    assert found.perplexity == pytest.approx(7.026684, abs=1e-6)
    assert load(data_root / "arpa_samples" / "test_nounk.arpa").token_logs("never")[0][1] < -100


TEXTS = [
    "looking on a little",
    "also would consider higher looking loin",
    "never heard of",
    "on a little more loin also would consider beyond",
    "in biarritz watching considering looking . on a little more loin foo bar , unknown however",
]


@pytest.mark.parametrize("name", ["test.arpa", "test_nounk.arpa"])
def test_against_kenlm(data_root: Path, name: str, tmp_path: Path) -> None:
    kenlm = pytest.importorskip("kenlm", reason="kenlm is not installed: no oracle for ARPA files")
    path = data_root / "arpa_samples" / name
    theirs, ours = kenlm.Model(str(path)), load(path)
    ours.write_arpa(tmp_path / "ours.arpa")
    through_ours = kenlm.Model(str(tmp_path / "ours.arpa"))
    for text in TEXTS:
        expected = [log for log, _, _ in theirs.full_scores(text)]
        assert [log for _, log in ours.token_logs(text)] == pytest.approx(expected, abs=2e-5)
        assert [log for log, _, _ in through_ours.full_scores(text)] == pytest.approx(expected, abs=2e-5)


def test_kenlm_reads_ours(
    arpa: Path, model: NgramModel, sentences: list[str], chinese: list[str], tmp_path: Path
) -> None:
    kenlm = pytest.importorskip("kenlm", reason="kenlm is not installed: no oracle for ARPA files")
    theirs = kenlm.Model(str(arpa))
    texts = [*sentences, "w1 never w2 w299 w298 w1"]
    np.testing.assert_allclose(model.log10(texts), [theirs.score(text) for text in texts], atol=1e-4)
    characters = train(chinese, order=4)
    characters.write_arpa(tmp_path / "zh.arpa")
    theirs = kenlm.Model(str(tmp_path / "zh.arpa"))
    expected = [theirs.score(" ".join(text)) for text in chinese]
    np.testing.assert_allclose(characters.log10(chinese), expected, atol=1e-4)
