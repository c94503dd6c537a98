from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.corpora.build import build_corpus
from hanmo.corpora.cleaning import clean
from hanmo.corpora.documents import Document
from hanmo.corpora.pii.checksums import is_date, luhn_holds, resident_id_holds
from hanmo.corpora.pii.redact import find_pii, redact
from hanmo.corpora.pii.spans import KINDS, fold, placeholder
from hanmo.corpora.settings import CorpusSettings


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        # e-mail
        ("请发邮件至zhang.san@example.com。", "请发邮件至<EMAIL>。"),
        ("邮箱１２３４５６＠ｑｑ．ｃｏｍ，谢谢", "邮箱<EMAIL>，谢谢"),
        ("Write to <o'brien+news@mail.uni-x.ac.uk>.", "Write to <<EMAIL>>."),
        ("jane [at] example [dot] com or bob(at)example.org", "<EMAIL> or <EMAIL>"),
        ("mail a@b.com.Then call", "mail <EMAIL>.Then call"),
        # telephones
        ("手机13800138000，张三", "手机<PHONE>，张三"),
        ("＋８６ １３８ ００１３ ８０００", "<PHONE>"),
        ("（+86）138-0013-8000/13900139000", "<PHONE>/<PHONE>"),
        ("座机010-65123456转801，(0755)23456789", "座机<PHONE>，<PHONE>"),
        ("电话：65123456；传真 6512-3457", "电话：<PHONE>；传真 <PHONE>"),
        ("Call (415) 555-2671 or 415.555.2672 ext. 12", "Call <PHONE> or <PHONE>"),
        ("phone 4155552671", "phone <PHONE>"),
        ("+44 20 7946 0958 2023 visitors", "<PHONE> 2023 visitors"),
        ("+49 (0)30 1234567, +1 415 555 2671", "<PHONE>, <PHONE>"),
        # resident IDs
        ("身份证号11010519491231002X，住址", "身份证号<CN_ID>，住址"),
        ("李强110105 19491231 002x男", "李强<CN_ID>男"),
        ("旧身份证110105491231002", "旧身份证<CN_ID>"),
        ('{"id": "11010519491231002X"}', '{"id": "<CN_ID>"}'),
        # bank cards
        ("卡号6222021001116245702", "卡号<BANK_CARD>"),
        ("Visa 4111 1111 1111 1111, code 123", "Visa 4111 1111 1111 1111, code 123"),  # two digits only: an example
        ("paid with 4539-1488-0343-6467.", "paid with <BANK_CARD>."),
        ("amex 3782 822463 10005", "amex <BANK_CARD>"),
        # IP
        ("来自114.114.1.114的请求", "来自<IP>的请求"),
        ("192.168.1.10-192.168.1.20:8080", "<IP>-<IP>:8080"),
        ("地址：2408:8000:1010::1，[fe80::1]:443", "地址：<IP>，[<IP>]:443"),
        ("IPv6:2001:db8::ff00:42:8329/64", "IPv6:<IP>/64"),
        # URLs
        ("见https://a.cn/reset?id=3&token=abcdef123。", "见https://a.cn/reset?<URL>。"),
        ("postgres://me:pa55word@db.example.com/x now", "<URL> now"),
        ("www.example.com/cb#access_token=9f8e7d6c5b", "www.example.com/cb#<URL>"),
        ("https://192.0.2.7/?sid=1&password=hunter22", "https://<IP>/?<URL>"),
        # passports
        ("护照号E12345678，持EA1234567号护照入境", "护照号<PASSPORT>，持<PASSPORT>号护照入境"),
        ("passport no. 123456789", "passport no. <PASSPORT>"),
        # plates
        ("京A12345和粤B·D12345", "<PLATE>和<PLATE>"),
        ("一辆沪Ａ－８Ｋ３２１轿车，京A1234警", "一辆<PLATE>轿车，<PLATE>"),
    ],
)
def test_what_is_redacted(text: str, redacted: str) -> None:
    assert redact(text).text == redacted


@pytest.mark.parametrize(
    "text",
    [
        "a@b, q@k.transpose(1, 2), x@w.mT, icon@2x.png, lodash@4.17.21, git@github.com:a/b.git",
        "@user 转发微博//@小明:好 @a_b",
        "订单号13800138000，运单号 13800138000，金额13800138000元，¥13800138000",
        "0.13800138000 13800138000.5 113800138000 13800138000a 20230101-13800138000-001",
        "2024-02-29 12:30:45, 1700000000, 1700000000000, 20240229123045",
        "call me between 9 and 17, rooms 200-300",
        "110105194912310021 110105194913310027 990105194912310020",
        "卡号6222021001116245703 4539148803436468",
        "version 1.2.3.4, v1.2.3.4, 版本号：1.2.3.4, Chrome/120.0.0.0, 第1.2.3.4节, pkg-1.2.3.4",
        "127.0.0.1 0.0.0.0 255.255.255.0 224.0.0.1 ::1 :: 256.1.1.1 1.2.3.4.5 01.2.3.4",
        "1.2.3.4 Overview\n1.4.5.8不能忍",
        "std::cout face::b00c dead::beef a::b 12:30:45 00:1a:2b:3c:4d:5e",
        "https://a.com/13800138000/x.html?page=2&code=200&token=YOUR_TOKEN&key=abc",
        "型号E12345678, order G12345678, 京东A12345b, 新款A4, 云A1",
        "M2.4-2.7.5.5 0 0 1, .jsx-2117794680 { call: x }",
        "550e8400-e29b-41d4-a716-446655440000 d41d8cd98f00b204e9800998ecf8427e",
    ],
)
def test_what_only_looks_like_it(text: str) -> None:
    assert find_pii(text) == ()


def test_spans_point_into_the_text_as_it_was() -> None:
    text = "电话：１３８００１３８０００，e-mail a@b.cn"
    found = redact(text)
    assert [(text[span.start : span.end], span.kind) for span in found.spans] == [
        ("１３８００１３８０００", "phone"),
        ("a@b.cn", "email"),
    ]
    assert found.counts == {"email": 1, "phone": 1}


def test_the_longer_span_wins() -> None:
    assert redact("13800138000@163.com").text == "<EMAIL>"
    assert redact("https://a.cn/?token=abcdef&m=a@b.cn").text == "https://a.cn/?<URL>"
    assert redact("13800138000@163.com", ["phone"]).text == "<PHONE>@163.com"


def test_only_the_kinds_asked_for() -> None:
    assert redact("a@b.cn 13800138000", ["email"]).text == "<EMAIL> 13800138000"
    with pytest.raises(ValueError, match=r"'mail'.*known are url, email"):
        redact("a@b.cn", ["mail"])  # type: ignore[list-item]


FRAGMENT_LIST = (
    "电话 护照 passport version ID 卡 call : ： . - — @ / // :// ? & = token= ( ) （ ） < > <EMAIL> <PHONE> \0 \n + ＋ ＠ "
    "13800138000 １３８ 138 0013 8000 010 65123456 415 555 2671 +44 20 7946 0958 11010519491231002X 110105491231002 "
    "4539148803436467 4539 1488 0343 6467 1.2.3.4 8.8.4.41 2001:db8::1 a@b.com zhang www. https://x.com/ abcdef123456 "
    "E12345678 京A12345 云 A12 转801 ext. \ud800 😀 é"
)
FRAGMENTS = FRAGMENT_LIST.split(" ")
HOSTILE = st.lists(st.sampled_from([*FRAGMENTS, " ", " "]), max_size=24).map("".join)


@given(st.text() | HOSTILE)
def test_redaction_keeps_the_rest_and_is_idempotent(text: str) -> None:
    found = redact(text)
    rest, done = [], 0
    for span in found.spans:
        assert done <= span.start < span.end <= len(text)
        rest += [text[done : span.start], placeholder(span.kind)]
        done = span.end
    assert "".join([*rest, text[done:]]) == found.text
    again = redact(found.text)
    assert again.spans == ()
    assert again.text == found.text
    if not found.spans:
        assert found.text is text


@given(st.text(alphabet=st.characters(categories=["L", "P", "Z", "S"], exclude_characters="@:=")))
def test_text_without_digits_and_marks_is_left(text: str) -> None:
    assert redact(text).text == text


@given(st.text())
def test_folding_keeps_places(text: str) -> None:
    assert len(fold(text)) == len(text)
    assert fold(fold(text)) == fold(text)


HOSTILE_PIECES = ["1", "1 ", "1.", "1-", "138", "13800138000", "13800138000-", "6222 ", "a", "a.", "a@", "a@a.", "@", "a@b.com",
     "://", "a://", "https://a", "https://a.cn/?token=abcdef ", "?a=", "?token=", "www.", "1:", "2001:", "::", "(1", "+1", "+86 138 ", "护照", "护照E1", "passport ", "京A1", "京A12345", "<", "\0", "[at]", "a [at] ", "转1", "１", "－"]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE_PIECES)
def test_hostile_text_takes_linear_time(piece: str) -> None:
    assert _seconds(piece * (200_000 // len(piece))) < 5  # what is quadratic takes a minute or more


def test_a_megabyte_of_hostile_text() -> None:
    assert _seconds("".join(piece * (25_000 // len(piece)) for piece in HOSTILE_PIECES)) < 20


def _seconds(text: str) -> float:
    started = time.process_time()
    redact(text)
    return time.process_time() - started


def test_checksums() -> None:
    assert luhn_holds("4539148803436467")
    assert not luhn_holds("4539148803436476")
    assert resident_id_holds("11010519491231002X")
    assert resident_id_holds("11010519491231002x")
    assert not resident_id_holds("110105194912310020")
    assert resident_id_holds("110105491231002")
    assert not resident_id_holds("110105491331002")
    assert is_date(2000, 2, 29)
    assert not is_date(1900, 2, 29)


LETTER = "亲爱的王芳：我的新号码是13900139000，邮箱wang@example.cn，有事随时联系。今天的会议改到下午三点，地点不变。"


def test_cleaning_redacts_only_where_asked() -> None:
    document = Document(text=LETTER, id="x", source="x")
    assert clean(document, CorpusSettings())[0].text == LETTER
    cleaned, reason = clean(document, CorpusSettings(redact="all"))
    assert reason is None
    assert cleaned.text == LETTER.replace("13900139000", "<PHONE>").replace("wang@example.cn", "<EMAIL>")
    assert cleaned.meta["redacted"] == {"email": 1, "phone": 1}
    code = Document(text='author = "wang@example.cn"\n' * 3, id="x", source="x", meta={"kind": "py"})
    assert clean(code, CorpusSettings(redact=("email",)))[0].text == 'author = "<EMAIL>"\n' * 3


def test_the_corpus_counts_what_was_replaced(tmp_path: Path) -> None:
    rng = random.Random(0)
    for number in range(30):
        words = "".join(rng.choices("天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏", k=200))
        (tmp_path / f"{number}.txt").write_text(f"{words}。电话13{rng.randrange(10**9):09}。", encoding="utf-8")
    settings = CorpusSettings(redact=("phone", "email"), min_chars=100)
    report = build_corpus(tmp_path, tmp_path / "out", settings)
    assert report.redacted == {"phone": 30}
    assert json.loads((tmp_path / "out" / "corpus.json").read_text("utf-8"))["redacted"] == {"phone": 30}


def test_every_kind_has_its_placeholder() -> None:
    assert [placeholder(kind) for kind in KINDS] == [
        "<URL>", "<EMAIL>", "<CN_ID>", "<BANK_CARD>", "<IP>", "<PHONE>", "<PASSPORT>", "<PLATE>"
    ]  # fmt: skip
