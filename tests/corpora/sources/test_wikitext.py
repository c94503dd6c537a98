from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.corpora.sources.wikitext import wikitext_to_text


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("'''Bold''', ''italic'' and '''''both'''''.", "Bold, italic and both."),
        ("[[Paris]], [[bus]]es, [[Ulm, Germany|Ulm]] and [[:Category:Art|art]]", "Paris, buses, Ulm and art"),
        (
            "a [http://x.org label of it] b [http://x.org] [//y.org two] https://z.org",
            "a label of it b two https://z.org",
        ),
        ('text<ref>{{cite|a=[[b]]}}</ref><ref name=a /> goes<ref group="n">x</ref> on', "text goes on"),
        ("a <!-- b [[c --> d <!-- e", "a d"),
        ("One\n<!-- alone -->\nTwo", "One\nTwo"),
        ("{{Infobox|a={{b|{{c}}}}|d=[[e]]\n|f\n}}Text", "Text"),
        ("a {{unclosed | b", "a unclosed | b"),
        ("a }} b ]] c |} d", "a }} b ]] c |} d"),
        (
            "x {{lang|fr|mot}}, {{convert|12|km|mi}}, {{convert|3|to|5|kg}}, {{nowrap|a b}}",
            "x mot, 12 km, 3 to 5 kg, a b",
        ),
        ("Plato ({{IPAc-en|p}}; {{lang-el|Πλάτων}}; 428 BC), A ({{IPAc}}) b", "Plato (Πλάτων; 428 BC), A b"),
        ("sounds {{x}}, {{x}}, {{x}} and {{IPA|[a]}}", "sounds, and [a]"),
        ("Before\n{| class=a\n|-\n| cell {{x}}\n{|\n| inner\n|}\n|}\nAfter", "Before\n\nAfter"),
        ("[[File:a.jpg|thumb|A [[cat]] and [http://x a]]] Cat [[Category:Cats]] [[de:Katze]]", "Cat"),
        ("__NOTOC__a __FORCETOC__b", "a b"),
        ("x<sup>2</sup> H<sub>2</sub>O 19<sup>th</sup> a<br/>b", "x² H₂O 19th a\nb"),
        ("<math>a_{1}\n + [[b]]</math> and <nowiki>[[no]] ''link''</nowiki>", "$a_{1} + [[b]]$ and [[no]] ''link''"),
        ("a &amp; b&nbsp;c &lt;d&gt; &ndash;", "a & b c <d> –"),
        ("if 1 < 2 and 3 > 2, <notatag> stays", "if 1 < 2 and 3 > 2, <notatag> stays"),
        ("* one\n** two\n# first\n# second\n: indented\n;term", "- one\n  - two\n1. first\n2. second\nindented\nterm"),
        (
            "Intro\n== A ==\n=== Empty ===\n== B ==\nText\n== References ==\n* x\n=== y ===\nz\n== C ==\nEnd",
            "Intro\n\nB\n\nText\n\nC\n\nEnd",
        ),
        ("'''北京'''（{{lang-en|Beijing}}），简称“[[京]]”。", "北京（Beijing），简称“京”。"),
        (
            "-{zh-hans:计算机;zh-hant:電腦}-与-{zh-tw:網路; zh-cn:网络;}-，-{不转换}-，-{H|zh-cn:甲;zh-tw:乙}-完",
            "计算机与网络，不转换，完",
        ),
        ("-{zh-hant:軟體; zh-tw:軟件}--{R|原文}-", "軟體原文"),
        (
            "{{link-en|凯洛格|Kellogg}}与{{tsl|en|Foo||福}}（{{fact}}）。[[文件:甲.jpg|缩略图|[[乙]]]][[分类:城市]]",
            "凯洛格与福。",
        ),
        ("正文。\n\n== 历史 ==\n　　话说天下。\n== 參考文獻 ==\n* 书", "正文。\n\n历史\n\n　　话说天下。"),
        ("a {{{1|b}}} c {{math|x_{1}}} d", "a c x_{1} d"),
        ("{{{{a}}}} b {{-}} c", "b c"),
        ("", ""),
    ],
)
def test_markup(source: str, expected: str) -> None:
    assert wikitext_to_text(source) == expected


@pytest.mark.parametrize("source", ["#REDIRECT [[X]]", "\n# redirect: [[X]]", "#重定向 [[乙]]", "#重新導向[[乙]]"])
def test_redirects(source: str) -> None:
    assert wikitext_to_text(source) is None


def test_local_names_of_files() -> None:
    assert wikitext_to_text("a [[Datei:x.jpg|b]]", hidden_namespaces=["datei"]) == "a"


PIECES = [
    "{{", "}}", "{{{", "}}}", "[[", "]]", "{|", "|}", "\n{|", "\n|}", "-{", "}-", "<ref>", "</ref>", "<ref", "<nowiki>",
    "<!--", "-->", "[http:", "[http://a ", "]", "|", ":", "zh-hans:", "(", ")", "（", "''", "'''", "=", "==", "\n", "\n==",
    "\n#", "\n*", " ", "__", "&lt", "&#", ";", ",", "\x7f", "\x7f0\x7f", "&#127;0&#127;", "a", "汉", "<", ">", "/", "File:",
    "\u3000", "<sup>1",
]  # fmt: skip


@settings(max_examples=400, deadline=1000)
@given(st.lists(st.sampled_from(PIECES), max_size=60))
def test_any_mixture_of_marks(pieces: list[str]) -> None:
    text = wikitext_to_text("".join(pieces))
    assert text is None or "\x7f" not in text


@pytest.mark.parametrize(
    "piece", [*PIECES, "{{a|[[b|", "<ref></ref", "[[a|b ", "\n{|a", "[http:\t", "(;", "<b a", "'' ,", "{{a}}", ", ,"]
)
def test_no_mark_is_slow_when_repeated(piece: str) -> None:
    source = piece * (60_000 // len(piece))
    started = time.process_time()
    for text in (source, "{{" + source, source + "x", "a " + source + "}}]]|}" * 50):
        wikitext_to_text(text)
    assert time.process_time() - started < 2
