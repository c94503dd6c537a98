from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.core.errors import ConfigError, DataError
from hanmo.tokenizers.streaming import StreamDecoder, cut_at_stop

BYTE = 1
"""Id of the first single-byte token; the tokenizer orders them by their character in the byte alphabet."""

TEXT = st.text(st.sampled_from("ab \n</>天地玄黄。👩\u200d👧𠮷é\ufffd"), max_size=24)
STOPS = st.lists(st.text(st.sampled_from("ab\n</天地👩\u200d"), min_size=1, max_size=5), max_size=4)


@pytest.fixture(scope="session")
def byte_ids(tokenizer) -> dict[int, int]:
    return {tokenizer.token_bytes(i)[0]: i for i in range(BYTE, BYTE + 256)}


def _plain_cut(text: str, stop: list[str]) -> str:
    """Character by character, as the definition says."""
    for end in range(1, len(text) + 1):
        found = [item for item in stop if text[:end].endswith(item)]
        if found:
            return text[: end - max(map(len, found))]
    return text


@given(TEXT, STOPS)
@settings(deadline=None, max_examples=400)
def test_cut_follows_its_definition(text, stop):
    assert cut_at_stop(text, stop)[0] == _plain_cut(text, stop)


@given(st.data(), TEXT, STOPS)
@settings(deadline=None, max_examples=400)
def test_stream_equals_the_cut_text(tokenizer, byte_ids, data, text, stop):
    # Any mixture of learned tokens and single bytes, so that characters split everywhere.
    ids = []
    for token_id in tokenizer.encode(text):
        split = data.draw(st.booleans())
        ids += [byte_ids[byte] for byte in tokenizer.token_bytes(token_id)] if split else [token_id]
    decoder = StreamDecoder(tokenizer, stop)
    parts, seen = [], ""
    for token_id in ids:
        parts.append(decoder.push(token_id))
        seen += parts[-1]
        assert text.startswith(seen)
    parts.append(decoder.finish())
    cut, found = cut_at_stop(text, stop)
    assert "".join(parts) == cut == _plain_cut(text, stop)
    assert decoder.stopped == (found is not None)
    assert decoder.stop_string == found


@given(st.lists(st.integers(0, 255), max_size=24))
@settings(deadline=None, max_examples=400)
def test_any_bytes_come_out_as_the_whole_would(tokenizer, byte_ids, values):
    decoder = StreamDecoder(tokenizer)
    text = "".join(decoder.push(byte_ids[value]) for value in values) + decoder.finish()
    assert text == bytes(values).decode("utf-8", "replace")
    assert text == tokenizer.decode([byte_ids[value] for value in values])


def test_every_han_character_split_at_every_byte(tokenizer, byte_ids):
    decoder = StreamDecoder(tokenizer, ["never"])
    for code in range(0x4E00, 0x9FA6):
        parts = [decoder.push(byte_ids[byte]) for byte in chr(code).encode()]
        assert parts == ["", "", chr(code)]
    assert decoder.finish() == ""


@pytest.mark.parametrize("text", ["👩‍👩‍👧‍👦", "🇨🇳", "𠮷野家", "👍🏽"])
def test_emoji_never_show_a_replacement(tokenizer, byte_ids, text):
    decoder = StreamDecoder(tokenizer)
    parts = [decoder.push(byte_ids[byte]) for byte in text.encode()]
    assert "".join(parts) == text
    assert "\ufffd" not in "".join(parts)


def test_invalid_bytes_come_out_at_once_and_half_a_character_at_the_end(tokenizer, byte_ids):
    decoder = StreamDecoder(tokenizer)
    assert decoder.push(byte_ids[0xFF]) == "\ufffd"
    assert decoder.push(byte_ids[0xE5]) == ""
    assert decoder.push(byte_ids[ord("a")]) == "\ufffda"
    assert decoder.push(byte_ids[0xE5]) == ""
    assert decoder.finish() == "\ufffd"
    assert decoder.finish() == ""


def test_holds_no_more_than_it_must(tokenizer, byte_ids):
    decoder = StreamDecoder(tokenizer, ["</s>"])
    parts = [decoder.push(byte_ids[byte]) for byte in b"a<</b"]
    assert parts == ["a", "", "<", "", "</b"]
    parts = [decoder.push(byte_ids[byte]) for byte in b"</s>more"]
    assert "".join(parts) + decoder.finish() == ""
    assert decoder.stopped


def test_what_was_held_comes_out_at_the_end(tokenizer):
    decoder = StreamDecoder(tokenizer, ["天地人"])
    assert "".join(decoder.push(i) for i in tokenizer.encode("玄天地")) == "玄"
    assert not decoder.stopped
    assert decoder.finish() == "天地"


def test_special_tokens_are_skipped(tokenizer):
    decoder = StreamDecoder(tokenizer, ["天地"])
    ids = [*tokenizer.encode("玄"), tokenizer.eos_id, *tokenizer.encode("黄")]
    assert "".join(decoder.push(i) for i in ids) == "玄黄"


@pytest.mark.parametrize("stop", ["text", [""], [3]])
def test_wrong_stops(tokenizer, stop):
    with pytest.raises(ConfigError):
        StreamDecoder(tokenizer, stop)


def test_unknown_id(tokenizer):
    with pytest.raises(DataError):
        StreamDecoder(tokenizer).push(tokenizer.vocab_size)
