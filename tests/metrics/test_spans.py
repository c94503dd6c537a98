"""Tags to entities in all schemes, and span F1 by its three rules; vectors of seqeval and its issues."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.scheme import IOB1, IOB2, IOBES

from hanmo.core.errors import ConfigError, DataError
from hanmo.metrics import Entity, entities, illegal_tags, span_examples, span_scores
from hanmo.metrics.tag_schemes import spell

SAME = {  # 王小明 在 北京 上海 银行 工作, written five ways
    "IOB1": ["I-人", "I-人", "I-人", "O", "I-地", "I-地", "B-地", "I-地", "I-机构", "I-机构", "O"],
    "IOB2": ["B-人", "I-人", "I-人", "O", "B-地", "I-地", "B-地", "I-地", "B-机构", "I-机构", "O"],
    "BIOES": ["B-人", "I-人", "E-人", "O", "B-地", "E-地", "B-地", "E-地", "B-机构", "E-机构", "O"],
    "BMES": ["B-人", "M-人", "E-人", "O", "B-地", "E-地", "B-地", "E-地", "B-机构", "E-机构", "O"],
    "BILOU": ["B-人", "I-人", "L-人", "O", "B-地", "L-地", "B-地", "L-地", "B-机构", "L-机构", "O"],
}


@pytest.mark.parametrize("scheme", SAME)
def test_every_scheme_spells_the_same(scheme):
    expected = [Entity("人", 0, 3), Entity("地", 4, 6), Entity("地", 6, 8), Entity("机构", 8, 10)]
    assert entities(SAME[scheme], scheme) == expected
    assert illegal_tags(SAME[scheme], scheme) == []


@pytest.mark.parametrize(
    ("scheme", "tags", "where"),
    [
        ("IOB1", ["B-PER", "O"], [0]),
        ("IOB1", ["I-PER", "B-LOC"], [1]),
        ("IOB1", ["I-PER", "B-PER", "I-LOC"], []),
        ("IOB2", ["O", "I-PER", "O"], [1]),
        ("IOB2", ["B-PER", "I-LOC"], [1]),
        ("BIOES", ["B-PER", "O"], [1]),
        ("BIOES", ["B-PER", "I-PER"], [2]),
        ("BIOES", ["E-PER", "S-LOC", "I-PER"], [0, 2, 3]),
        ("BMES", ["B", "M", "E", "S"], []),
        ("BMES", ["B", "S", "M"], [1, 2, 3]),
        ("BILOU", ["U-PER", "B-PER", "L-LOC"], [2]),
        ("IOB2", [], []),
    ],
)
def test_illegal_tags(scheme, tags, where):
    assert illegal_tags(tags, scheme) == where


def test_one_word_and_bare_tags():
    assert entities(["S", "B", "E"], "BMES") == [Entity("_", 0, 1), Entity("_", 1, 3)]
    assert entities(["U-A", "S-A"][:1], "BILOU") == [Entity("A", 0, 1)]
    assert entities([], "IOB2") == []


def test_readme_of_seqeval():
    right = [["O", "O", "O", "B-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
    ours = [["O", "O", "B-MISC", "I-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
    scores = span_scores(ours, right, scheme="IOB2")
    assert scores.f1 == 0.5
    assert scores.per_type["MISC"].f1 == 0.0
    assert scores.per_type["PER"].f1 == 1.0
    assert scores.macro_f1 == 0.5
    assert scores.sentence_accuracy == 0.5
    assert scores.tag_accuracy == pytest.approx(8 / 10)
    assert scores.name == "span F1 (strict, IOB2)"


@pytest.mark.parametrize(
    ("right", "ours", "rule", "expected"),
    [
        ("B-NP I-NP", "I-NP I-NP", "seqeval-default", (1.0, 1.0, 1.0)),  # seqeval#23
        ("B-NP I-NP", "I-NP I-NP", "conlleval", (1.0, 1.0, 1.0)),
        ("B-NP I-NP", "I-NP I-NP", "strict", (0.0, 0.0, 0.0)),
        ("B-PER I-PER O B-LOC", "B-PER I-LOC O B-LOC", "seqeval-default", (1 / 3, 1 / 2, 0.4)),
        ("B-PER I-PER O B-LOC", "B-PER I-LOC O B-LOC", "conlleval", (1 / 3, 1 / 2, 0.4)),
        ("B-PER I-PER O B-LOC", "B-PER I-LOC O B-LOC", "strict", (0.5, 0.5, 0.5)),
    ],
)
def test_rules_differ(right, ours, rule, expected):
    scores = span_scores([ours.split()], [right.split()], scheme="IOB2", rule=rule)
    assert (scores.precision, scores.recall, scores.f1) == pytest.approx(expected)
    assert scores.n_illegal_predicted == 1
    assert scores.n_illegal_references == 0


def test_bioes_and_bilou_agree():
    """seqeval#71: the same entities, 8 of 10 found among 12 predicted, score the same in either scheme."""
    right = [["S-LOC", "O", "B-LOC", "I-LOC", "E-LOC"]] * 5  # 10 entities
    ours = [["S-LOC", "O", "B-LOC", "I-LOC", "E-LOC"]] * 4 + [["B-LOC", "E-LOC", "S-LOC", "S-LOC", "S-LOC"]]

    bilou = str.maketrans({"E": "L", "S": "U"})
    for scheme, given_ours, given_right in [
        ("BIOES", ours, right),
        ("BMES", *[[[t.replace("I-", "M-") for t in s] for s in side] for side in (ours, right)]),
        ("BILOU", *[[[t[0].translate(bilou) + t[1:] for t in s] for s in side] for side in (ours, right)]),
    ]:
        scores = span_scores(given_ours, given_right, scheme=scheme)
        assert (scores.precision, scores.recall, scores.f1) == pytest.approx((2 / 3, 0.8, 8 / 11)), scheme


TAGS = {
    "IOB1": (["O", "I-人", "B-人", "I-LOC", "B-LOC"], IOB1),
    "IOB2": (["O", "I-人", "B-人", "I-LOC", "B-LOC"], IOB2),
    "BIOES": (["O", "B-人", "I-人", "E-人", "S-人", "B-LOC", "I-LOC", "E-LOC", "S-LOC"], IOBES),
}


@pytest.mark.parametrize("scheme", TAGS)
@settings(max_examples=40)
@given(data=st.data())
def test_any_tags_score_as_seqeval_does(scheme, data):
    tags, oracle = TAGS[scheme]
    pair = st.tuples(st.sampled_from(tags), st.sampled_from(tags))
    sentences = data.draw(st.lists(st.lists(pair, min_size=1, max_size=8), min_size=1, max_size=4))
    ours = [[a for a, _ in sentence] for sentence in sentences]
    right = [[b for _, b in sentence] for sentence in sentences]
    strict = span_scores(ours, right, scheme=scheme)
    options: dict[str, Any] = {"zero_division": 0}
    if any(entities(tags, scheme) for tags in [*ours, *right]):  # seqeval divides by nothing otherwise
        found = [
            f(right, ours, mode="strict", scheme=oracle, **options) for f in (precision_score, recall_score, f1_score)
        ]
        assert (strict.precision, strict.recall, strict.f1) == pytest.approx(tuple(found))
    loose = span_scores(ours, right, scheme=scheme, rule="seqeval-default")
    assert loose.f1 == pytest.approx(f1_score(right, ours, **options))
    assert span_examples(ours, right, scheme=scheme).value == pytest.approx(strict.f1)
    for sentence in ours:  # legal sentences read alike by both rules
        if scheme != "IOB1" and not illegal_tags(sentence, scheme):
            assert span_scores([sentence], [sentence], scheme=scheme, rule="seqeval-default").support == len(
                entities(sentence, scheme)
            )


def test_no_spans_at_all():
    scores = span_scores([["O"]], [["O"]], scheme="IOB2")
    assert (scores.f1, scores.support, scores.per_type, scores.macro_f1) == (0.0, 0, {}, 0.0)


@pytest.mark.parametrize(
    ("ours", "right", "options", "error", "message"),
    [
        ([["O"]], [["O"], ["O"]], {}, DataError, "1 predictions for 2"),
        ([["O"]], [["O", "O"]], {}, DataError, r"predictions\[0\]: 1 predicted tags for 2 words"),
        ([], [], {}, DataError, "nothing to score"),
        (["O"], ["O"], {}, DataError, "sentence 0: a text where a list"),
        ([["O", "X-PER"]], [["O", "O"]], {}, DataError, r"predictions\[0\]\[1\]: 'X-PER' is not a tag of IOB2"),
        ([["O"]], [["E-PER"]], {}, DataError, r"references\[0\]\[0\]: 'E-PER' is not a tag"),
        ([["B-"]], [["O"]], {}, DataError, "is not a tag"),
        ([["O-PER"]], [["O"]], {}, DataError, "is not a tag"),
        ([["BPER"]], [["O"]], {}, DataError, "is not a tag"),
        ([[3]], [["O"]], {}, DataError, "3 is not a tag"),
        ([["O"]], [["O"]], {"scheme": "IOE1"}, ConfigError, "unknown scheme"),
        ([["O"]], [["O"]], {"rule": "loose"}, ConfigError, "unknown rule"),
        ([["O"]], [["O"]], {"rule": "conlleval", "scheme": "BMES"}, ConfigError, "conlleval does not know BMES"),
    ],
)
def test_bad_input_is_named(ours, right, options, error, message):
    with pytest.raises(error, match=message):
        span_scores(ours, right, **{"scheme": "IOB2", **options})


def _columns(text: str) -> list[list[str]]:
    sentences: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.startswith("-DOCSTART-") or not line.strip():
            sentences.append([])
        else:
            sentences[-1].append(line.split()[-1])
    return [sentence for sentence in sentences if sentence]


def test_conll2003_is_iob1(data_root):
    """The published tags obey IOB1, not IOB2; read in the wrong scheme nearly all entities are lost."""
    tags = _columns(gzip.decompress((data_root / "conll2003_ner" / "eng.testb.gz").read_bytes()).decode())
    scores = span_scores(tags, tags, scheme="IOB1")
    assert len(tags) == 3453
    assert scores.support == 5648
    assert scores.f1 == 1.0
    assert scores.n_illegal_references == 0
    assert sum(bool(illegal_tags(sentence, "IOB2")) for sentence in tags) > 2000


def test_resume_ner_is_bmes(data_root):
    tags = _columns((data_root / "resume_ner_zh" / "test.char.bmes").read_text(encoding="utf-8"))
    scores = span_scores(tags, tags, scheme="BMES")
    assert scores.n_illegal_references == 0
    assert scores.f1 == 1.0
    spoiled = [["O" if tag.startswith("E-") else tag for tag in sentence] for sentence in tags]
    assert span_scores(spoiled, tags, scheme="BMES").f1 < 0.2


@pytest.mark.parametrize("scheme", SAME)
def test_spelling_is_the_inverse(scheme):
    assert spell(entities(SAME[scheme], scheme), len(SAME[scheme]), scheme) == SAME[scheme]
    assert spell([Entity("_", 1, 2)], 2, scheme)[1] in ("I", "B", "S", "U")


@given(st.lists(st.tuples(st.sampled_from("AB"), st.integers(1, 3), st.integers(0, 1)), max_size=6))
def test_spelling_any_spans(parts):
    spans, place = [], 0
    for kind, length, gap in parts:
        place += gap
        spans.append(Entity(kind, place, place + length))
        place += length
    for scheme in SAME:
        tags = spell(spans, place, scheme)
        assert entities(tags, scheme) == spans
        assert illegal_tags(tags, scheme) == []


def test_spelling_refuses():
    for spans in ([Entity("A", 0, 2), Entity("A", 1, 3)], [Entity("A", 2, 2)], [Entity("A", 2, 4)]):
        with pytest.raises(DataError, match="empty, outside of 3 words, or overlaps"):
            spell(spans, 3, "IOB2")
    with pytest.raises(ConfigError, match="unknown scheme"):
        spell([], 1, "BIO")
