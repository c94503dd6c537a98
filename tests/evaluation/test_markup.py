"""Escaping by default."""

from __future__ import annotations

import html
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.evaluation.markup import Html, element, join, printable, raw


class Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(markup: str) -> Texts:
    reader = Texts()
    reader.feed(markup)
    reader.close()
    return reader


@settings(deadline=None, max_examples=100)
@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_any_text_stays_text(text):
    page = parsed(element("p", text, title=text))
    assert [tag for tag, _ in page.tags] == ["p"]
    assert page.text == printable(text)
    assert page.tags[0][1] == {"title": printable(text)}
    page.text.encode("utf-8")


def test_payloads_make_no_element(payloads):
    assert len(payloads) > 20
    for payload in payloads:
        markup = element("div", "x", payload, data_name=payload)
        assert [tag for tag, _ in parsed(markup).tags] == ["div"], payload


def test_the_parser_would_see_an_element():
    assert [tag for tag, _ in parsed(element("div", raw("<script>1</script>"))).tags] == ["div", "script"]


def test_markup_is_kept_and_text_joined():
    assert join(["<", element("b", "x"), None], ", ") == "&lt;, <b>x</b>"
    assert element("p", element("b", "中文")) == "<p><b>中文</b></p>"
    assert isinstance(element("p"), Html)


def test_attributes():
    assert element("a", "x", cls="k", aria_label="y", for_="z", hidden=True, title=None, open=False) == (
        '<a class="k" aria-label="y" for="z" hidden>x</a>'
    )
    assert element("meta", charset="utf-8") == '<meta charset="utf-8">'
    assert element("rect", element("title", "t"), x="0") == '<rect x="0"><title>t</title></rect>'


def test_control_and_direction_characters_are_shown():
    assert printable("a\x00\x1b[31m\x7f\u202e\ud800b\n\t") == "a␀␛[31m␡\ufffd\ufffdb\n\t"
    assert printable("普通文本 plain") == "普通文本 plain"
    assert html.unescape(element("i", "a\x00")) == "<i>a␀</i>"
