"""Every rule with a text just inside and one just outside, in English and in Chinese."""

from __future__ import annotations

import base64
import random
import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.corpora.documents import Document
from hanmo.corpora.quality.judge import judge
from hanmo.corpora.quality.page import ends_sentence
from hanmo.corpora.quality.settings import QualitySettings, Rule
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.files import list_files, read_file
from hanmo.evaluation.report_writer import Writer
from hanmo.text.language import Language, guess_language

ALL: tuple[Rule, ...] = get_args(Rule)
CHINESE = "今天天气很好，我们一起去公园里走一走。"
ENGLISH = "The history of the city is long and well known."


def reason(text: str, lang: Language, *rules: Rule) -> str | None:
    return judge(text, lang, QualitySettings(rules=rules)).reason


def numbered(lang: Language, n: int) -> list[str]:
    """`n` different sentences."""
    rng = random.Random(0)
    if lang == "zh":
        return [
            "".join(rng.choices("山川河流树木花草春夏秋冬东西南北", k=9)) + f"是第{number}个的。" for number in range(n)
        ]
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(rng.choices(letters, k=5)) for _ in range(6 * n)]
    return [f"The {' '.join(words[6 * number : 6 * number + 6])} of {number}." for number in range(n)]


@pytest.mark.parametrize(
    ("text", "lang", "expected"),
    [
        (CHINESE, "zh", None),
        (ENGLISH, "en", None),
        ("好的。", "zh", "too short"),
        ("two words", "en", "too short"),
        ("1,2,3,4;5|6 " * 200 + "some words are in here too", "en", "mostly symbols or digits"),
        ("--- === --- *** " * 100 + CHINESE, "zh", "mostly symbols or digits"),
        (
            "see below for the data\n" + base64.b64encode(random.Random(0).randbytes(3000)).decode(),
            "en",
            "encoded binary data",
        ),
        ("Click here to read more about us today.\n" * 30, "en", "repetitive lines"),
        ((CHINESE + "\n") * 30, "zh", "repetitive lines"),
        ("\n".join(f"{CHINESE}{n}是新的一句\n啊，朋友再见" for n in range(20)), "zh", None),
    ],
)
def test_basic(text: str, lang: Language, expected: str | None) -> None:
    assert reason(text, lang, "basic") == expected


def test_words_are_counted_and_in_chinese_characters() -> None:
    assert reason("of that " * 25, "en", "gopher_quality") is None
    assert reason("of that " * 24 + "of", "en", "gopher_quality") == "too few words (gopher_quality)"
    assert reason("我们的生活，" * 16, "zh", "gopher_quality") is None  # 80 characters
    assert reason("我们的生活，" * 15 + "我们的书", "zh", "gopher_quality") == "too few words (gopher_quality)"
    assert judge("我们的生活，" * 3, "zh", QualitySettings(rules=("gopher_quality",), min_words=9)).reason is None


GOOD: dict[Language, str] = {"en": ENGLISH + "\n", "zh": CHINESE + "\n"}


@pytest.mark.parametrize(
    ("lang", "inside", "outside", "expected"),
    [
        ("en", "a the of " * 10 + "abcd " * 70, "a b of the " * 30, "words too short or too long"),
        ("zh", "我们的，" * 40, "我的，" * 60, "clauses too short or too long"),
        ("zh", ("我" + "们的" * 19 + "，") * 3, "我们的" * 40, "clauses too short or too long"),
        ("en", GOOD["en"] * 6 + "# " * 5, GOOD["en"] * 6 + "# " * 8, "too many hash signs or ellipses"),
        ("zh", GOOD["zh"] * 8 + "……好" * 7, GOOD["zh"] * 8 + "……好" * 12, "too many hash signs or ellipses"),
        ("en", "- of those facts that have been\n" * 9 + ENGLISH, "- of those facts that have been\n" * 12, "mostly bullet points"),
        ("zh", "● 我们在这里的事情\n" * 9 + CHINESE, "● 我们在这里的事情\n" * 12, "mostly bullet points"),
        ("en", GOOD["en"] * 7 + "It has more words and more...\n" * 3, GOOD["en"] * 6 + "It has more words and more...\n" * 3,
         "lines cut off with an ellipsis"),
        ("zh", GOOD["zh"] * 7 + "我们还没有说完的话...\n" * 3, GOOD["zh"] * 6 + "我们还没有说完的话...\n" * 3,
         "lines cut off with an ellipsis"),
        ("en", GOOD["en"] * 8 + "12345 " * 19, GOOD["en"] * 8 + "12345 " * 21, "words without letters"),
        ("zh", "我们的" * 27 + "，12" * 20, "我们的" * 27 + "，12" * 21, "words without letters"),
        ("en", "word " * 60 + "of the", "word " * 60 + "of", "hardly any function words"),
        ("zh", "大学山水，" * 24 + "我们", "大学山水，" * 24 + "", "hardly any function words"),
    ],
)  # fmt: skip
def test_gopher_quality(lang: Language, inside: str, outside: str, expected: str) -> None:
    assert reason(inside, lang, "gopher_quality") is None
    assert reason(outside, lang, "gopher_quality") == f"{expected} (gopher_quality)"


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_lines_and_paragraphs_that_stood_earlier(lang: Language) -> None:
    lines = numbered(lang, 20)
    assert reason("\n".join([*lines, *lines[:2]]), lang, "gopher_repetition") is None
    assert reason("\n".join([*lines, *lines[:10]]), lang, "gopher_repetition") == "duplicate lines (gopher_repetition)"
    paragraphs = ["\n".join(lines[2 * at : 2 * at + 2]) for at in range(10)]
    mixed = "\n\n".join([*paragraphs, *paragraphs[:6]])
    assert reason(mixed, lang, "gopher_repetition") == "duplicate lines (gopher_repetition)"


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_ngrams(lang: Language) -> None:
    lines = numbered(lang, 20)
    phrase = "点击这里" if lang == "zh" else " click here "
    joined = "".join if lang == "zh" else " ".join
    assert reason(joined(lines), lang, "gopher_repetition") is None
    assert reason(joined(line + phrase for line in lines), lang, "gopher_repetition") in {
        "one n-gram over and over (gopher_repetition)"
    }
    assert reason(joined([*lines, *lines[:1]]), lang, "gopher_repetition") is None
    repeated = joined([*lines, *lines[:6]])  # once more in one line, so no line is a duplicate
    assert reason(repeated, lang, "gopher_repetition") == "duplicate n-grams (gopher_repetition)"


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_duplicate_ngrams_agree_with_a_plain_count(lang: Language) -> None:
    from hanmo.corpora.quality.repetition import MAX_DUPLICATE_NGRAMS

    rng, outcomes = random.Random(1), set()
    for trial in range(60):
        alphabet = "的一是在不了有和人这" if lang == "zh" else ["ab", "cde", "f", "ghij", "kl", "mnopq", "rs", "tuv"]
        tokens = [rng.choice(alphabet) + (chr(0x4E00 + rng.randrange(3000)) if lang == "zh" else str(rng.randrange(10**6)))
                  for _ in range(60)]  # fmt: skip
        tokens += tokens[: rng.randrange(20)]
        text = "".join(tokens) if lang == "zh" else " ".join(tokens)
        units = list(text) if lang == "zh" else tokens
        expected = False
        for n, share in MAX_DUPLICATE_NGRAMS.items():
            width, seen, covered = round(n * 1.6) if lang == "zh" else n, set(), set()
            for at in range(len(units) - width + 1):
                gram = tuple(units[at : at + width])
                covered |= set(range(at, at + width)) if gram in seen else set()
                seen.add(gram)
            expected |= sum(len(units[at]) for at in covered) > share * sum(map(len, units))
        outcomes.add(expected)
        assert (reason(text, lang, "gopher_repetition") is not None) == expected, trial
    assert outcomes == {True, False}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("It ended.", True), ('"It ended."', True), ("It ended", False), ("It ended...", False), ("It ended…", False),
        ("结束了。", True), ("“结束了！”", True), ("「結束了？」", True), ("他说……", True), ("“他说……”", True), ("阅读全文…", False),
        ("等等。。。", False), ("首页", False), ("第一，", False), ("", False), ("（完）", False),
    ],
)  # fmt: skip
def test_the_end_of_a_sentence(line: str, expected: bool) -> None:
    assert ends_sentence(line) is expected


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("Read about the new book", "no end of a sentence"),
        ("Not that one.", "short line"),
        ("Please switch on JavaScript to see all of this page.", "line about JavaScript"),
        ("By going on you accept our Privacy Policy and all else.", "policy or licence notice"),
        ("最新消息一览", "no end of a sentence"),
        ("不好。", "short line"),
        ("请在浏览器中启用JavaScript后再访问本页。", "line about JavaScript"),
        ("本网站版权所有，未经许可不得转载。", "policy or licence notice"),
        ("使用本站即表示同意《用户协议》和《隐私政策》。", "policy or licence notice"),
        ("本站文章版權所有，轉載請註明出處。", "policy or licence notice"),
    ],
)
def test_c4_lines(line: str, why: str) -> None:
    lang: Language = "en" if line.isascii() else "zh"
    body = [ENGLISH, "He went to the harbour.", CHINESE][: 2 if lang == "en" else 3] * 2
    verdict = judge("\n".join([*body, line, *body]), lang, QualitySettings(rules=("c4",)))
    assert verdict.reason is None
    assert line not in verdict.text
    assert f"{why} (c4)" in verdict.removed_lines
    assert verdict.text.count(body[0]) == 4


def test_c4_documents() -> None:
    for lang, sentence in (("en", ENGLISH), ("zh", CHINESE)):
        good = "\n".join([sentence] * 3)
        assert reason(good, lang, "c4") is None  # type: ignore[arg-type]
        assert reason("\n".join([sentence] * 2), lang, "c4") == "too few sentences (c4)"  # type: ignore[arg-type]
        assert reason(f"{good}\n{sentence[:-1]} {{ }}{sentence[-1]}", lang, "c4") == "curly brackets (c4)"  # type: ignore[arg-type]
    assert reason("\n".join([ENGLISH] * 3 + ["Lorem ipsum dolor sit amet."]), "en", "c4") == "placeholder text (c4)"
    assert reason("\n".join([CHINESE] * 3 + ["他住在-{A|zh-hans:台湾;zh-hant:臺灣}-的南部。"]), "zh", "c4") is None
    settings = QualitySettings(rules=("c4",), terminal_punctuation=False)
    assert judge("\n".join(["A heading of five words", *[ENGLISH] * 3]), "en", settings).removed_lines == {}


def test_paragraphs_that_were_wrapped_are_judged_whole() -> None:
    line = "the history of the city is long and well known to all who came"
    paragraph = "\n".join([line] * 3 + [f"and {line}."])
    text = "\n\n".join(f"In {n}, {paragraph}" for n in range(4))
    verdict = judge(text, "en", QualitySettings(rules=("c4", "fineweb")))
    assert (verdict.reason, verdict.text) == (None, text)


def test_fineweb() -> None:
    for lang, short in (("en", 29), ("zh", 9)):
        letters = "的是在山水" if lang == "zh" else "a "
        sentences, word = numbered(lang, 30), letters[0]  # type: ignore[arg-type]
        open_lines = [line[:-1] + word for line in sentences]
        assert reason("\n".join(open_lines[:26] + sentences[26:]), lang, "fineweb") is None  # type: ignore[arg-type]
        assert (
            reason("\n".join(open_lines[:27] + sentences[27:]), lang, "fineweb")  # type: ignore[arg-type]
            == "few lines end as a sentence does (fineweb)"
        )
        brief = [f"{n:02}".rjust(short - 1, word) + "。" for n in range(30)]
        assert reason("\n".join(brief[:20] + sentences[20:]), lang, "fineweb") is None  # type: ignore[arg-type]
        assert reason("\n".join(brief[:21] + sentences[21:]), lang, "fineweb") == "mostly short lines (fineweb)"  # type: ignore[arg-type]
        assert reason("\n".join([*sentences, *sentences[:2]]), lang, "fineweb") is None  # type: ignore[arg-type]
        assert reason("\n".join([*sentences, *sentences[:6]]), lang, "fineweb") == "duplicate lines (fineweb)"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "line",
    [
        "首页 > 新闻 > 更多", "登录 | 注册", "上一篇：今年的天气", "下一篇: 明年的天气", "版权所有 © 2020 某某公司", "沪ICP备11028026号",
        "新闻|体育|财经|娱乐|科技", "隱私政策｜聯絡我們", "www.077678.com", "返回首页", "Home | About us | Contact", "Read more »",
        "Log in / Sign up", "© 2019 Dow Jones. All Rights Reserved", "https://example.org/one/two?three",
    ],
)  # fmt: skip
def test_navigation_lines(line: str) -> None:
    lang = "en" if line.isascii() or line[0] in "©R" else "zh"
    sentences = numbered(lang, 4)  # type: ignore[arg-type]
    verdict = judge("\n".join([*sentences, line]), lang, QualitySettings(rules=("links",)))  # type: ignore[arg-type]
    assert (verdict.reason, verdict.text) == (None, "\n".join(sentences))
    assert verdict.removed_lines.total() == 1


@pytest.mark.parametrize(
    "line",
    ["登录需要先注册一个帐号", "第一回 甄士隐梦幻识通灵", "床前明月光，", "| 年份 | 人口 | 面积 |", "联系我们的时候他已经走了", "Home is where the heart is",
     "See https://example.org for what he said about it all", "Contact with the harbour was lost"],
)  # fmt: skip
def test_lines_that_only_look_like_navigation(line: str) -> None:
    lang: Language = "en" if line.isascii() else "zh"
    text = "\n".join([*numbered(lang, 2), line])
    assert judge(text, lang, QualitySettings(rules=("links",))).text == text


def test_runs_of_short_lines() -> None:
    prose = "\n".join(numbered("zh", 9))
    menu = ["新闻", "体育", "财经", "娱乐", "科技", "汽车", "房产", "教育"]
    settings = QualitySettings(rules=("links",))
    assert judge("\n".join([prose, *menu]), "zh", settings).text == prose
    assert judge("\n".join([prose, *menu[:7]]), "zh", settings).removed_lines == {}
    verse = "\n".join([prose, *(f"{line}，" for line in menu)])
    assert judge(verse, "zh", settings).text == verse
    dated = [f"2020-08-{day:02} 一个没有句号但是很长的新闻标题放在这里" for day in range(1, 10)]
    assert judge("\n".join(dated), "zh", settings).reason == "mostly navigation (links)"
    assert judge(
        "\n".join(["Home", "News", "Sport", "Weather", "Shop", "Earth", "Travel", "Culture"]), "en", settings
    ).reason
    spam = "快来看看 www.abcdef.com 和 www.ghijkl.com 还有 www.mnopqr.com 吧。"
    assert judge(spam, "zh", settings).reason == "mostly addresses of the web (links)"


def test_code_and_other_languages() -> None:
    source = "def add(first, second):\n    return first + second\n" * 2
    assert judge(source, "code", QualitySettings(rules=ALL)).reason is None
    assert reason("x", "code", *ALL) == "too short"
    russian = "Сегодня очень хорошая погода, и мы пошли гулять в парк около реки. " * 8
    assert reason(russian, "other", "gopher_quality") is None
    japanese = "今日はとても天気が良いので、みんなで公園へ散歩に行きました。" * 8
    assert reason(japanese, "other", "gopher_quality") is None
    assert reason("好", "zh") is None


def test_reasons_hold_no_numbers_and_have_chinese_names() -> None:
    folder = Path(judge.__code__.co_filename).parent
    found = {name for file in folder.glob("*.py")
             for name in re.findall(r"\"([\w -]+ \((?:gopher_\w+|c4|fineweb|links|perplexity)\))\"", file.read_text("utf-8"))}  # fmt: skip
    assert len(found) > 20
    for name in found:
        assert not re.search(r"\d", name.partition(" (")[0]), name
        assert re.match(r"[\u4e00-\u9fff]|J", Writer("zh").reason(name)), name


@given(st.text(max_size=200), st.sampled_from(["zh", "en", "other", "und", "code"]))
def test_any_text_is_judged_and_lines_are_only_taken_out(text: str, lang: Language) -> None:
    verdict = judge(text, lang, QualitySettings(rules=("links", "c4"), min_sentences=0))
    assert set(verdict.text.split("\n")) <= {*text.split("\n"), ""}
    judge(text, lang, QualitySettings(rules=ALL, min_words=1, min_sentences=0))


@pytest.mark.parametrize(
    ("name", "rules", "most"),
    [
        ("chinese_novels", ALL, 0.01),
        ("gutenberg_en", ALL, 0.0),
        ("clue_corpus_small_sample", ("links", "gopher_repetition"), 0.04),
    ],
)
def test_good_text_passes(data_root: Path, name: str, rules: tuple[Rule, ...], most: float) -> None:
    texts = [item.text for file in list_files(data_root / name)[0] for item in read_file(file, CorpusSettings())
             if isinstance(item, Document)]  # fmt: skip
    settings = QualitySettings(rules=rules)
    dropped = sum(judge(text, guess_language(text), settings).reason is not None for text in texts)
    assert dropped <= most * len(texts)


def test_junk_falls(data_root: Path) -> None:
    pytest.importorskip("trafilatura", reason="the extra 'corpus' is not installed")
    files, _ = list_files(data_root / "warc")
    texts = [item.text for file in files if file.name.endswith("warcfile.warc.gz") for item in read_file(file, CorpusSettings())
             if isinstance(item, Document)]  # fmt: skip
    chinese = [text for text in texts if guess_language(text) == "zh"]
    assert len(chinese) >= 10
    passed = [text for text in chinese if judge(text, "zh", QualitySettings(rules=ALL)).reason is None]
    assert len(passed) <= 3
