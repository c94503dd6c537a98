from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.corpora.documents import Document
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.files import SourceFile, read_file
from hanmo.corpora.sources.tweets import normalize_tweet


@pytest.mark.parametrize(
    ("tweet", "expected"),
    [
        ("RT @Ann_B: look https://t.co/aB3?x=1 now", "RT @user: look http now"),
        (".@NASA and @esa's (www.esa.int)", ".@user and @user's (http"),
        ("write to ann.b@example.org", "write to ann.b@example.org"),
        ("转发@张三丰 ：图在http://t.cn/A6x9，很美", "转发@user ：图在http，很美"),
        ("//＠小王-2号：好", "//@user：好"),
        ("@user http", "@user http"),
        ("at 3 @ night", "at 3 @ night"),
    ],
)
def test_names_and_links(tweet: str, expected: str) -> None:
    assert normalize_tweet(tweet) == expected


@given(st.text(alphabet="@a张. -_/:htpsw"))
def test_twice_is_once(text: str) -> None:
    once = normalize_tweet(text)
    assert normalize_tweet(once) == once


@pytest.mark.parametrize("is_on", [False, True])
def test_rows_only_where_it_is_set(tmp_path: Path, is_on: bool) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({"text": "@bob hi"}))
    (document,) = read_file(SourceFile(path, "x.jsonl"), CorpusSettings(normalize_tweets=is_on))
    assert isinstance(document, Document)
    assert document.text == ("@user hi" if is_on else "@bob hi")


@pytest.mark.parametrize(
    ("folder", "key"), [("hate_speech_davidson/labeled_data.csv.gz", "tweet"), ("smp2020_ewect/train.tsv.gz", "text_a")]
)
def test_real_posts(data_root: Path, folder: str, key: str) -> None:
    path = data_root / folder
    settings = CorpusSettings(normalize_tweets=True, text_key=key)
    texts = [x.text for x in read_file(SourceFile(path, path.name), settings) if isinstance(x, Document)]
    assert len(texts) > 5_000
    assert any("@user" in text for text in texts)
    assert not [text for text in texts if re.search(r"https?://\w|(?<![A-Za-z0-9_+\-@＠])@(?!user)\w", text)]
