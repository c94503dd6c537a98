"""Messages to ids: the one function that training, evaluation and serving share.

A message is untrusted text (a template is untrusted code, see `hanmo.tokenizers.chat_template`). A special token that a
message *writes* (`<|im_end|>`) must not end the turn. A second rendering has a stand-in character for each such string, so
that every special token left in the text is the template's own. If both texts have the same special tokens in a row, the
messages added none and the text is encoded as it is. Otherwise both swap: the template's special tokens get unguessable
aliases, the stand-ins become their plain strings again, and the whole is encoded by a copy of the tokenizer that knows
only the aliases. Normalizers, prefix spaces and merges work as ever.
"""

from __future__ import annotations

import re
import secrets
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any

import tokenizers as hf
from hanmo.core.errors import ConfigError, DataError
from hanmo.tokenizers.chat_template import render_chat, render_marked
from hanmo.tokenizers.tokenizer import Tokenizer, parse_definition

__all__ = ["ChatRow", "chat_ids", "chat_row"]

_STAND_INS = range(0xF0000, 0xFFFFE)  # Plane 15, for private use


@dataclass(frozen=True, slots=True)
class ChatRow:
    """A conversation to learn from."""

    ids: list[int]
    """What `chat_ids` gives without a generation prompt."""
    learned: list[bool]
    """Of each id, whether the assistant wrote it."""


def chat_ids(
    tokenizer: Tokenizer,
    messages: Sequence[Mapping[str, Any]],
    *,
    add_generation_prompt: bool = True,
    variables: Mapping[str, Any] | None = None,
) -> list[int]:
    """Ids of a conversation, special tokens only where the template itself puts them.

    Raises:
        ConfigError: if the tokenizer has no chat template, or this one begins a text twice.
        DataError: if the messages are malformed, or the template treats a special token that a message writes in
            a way in which it cannot be kept plain text.
    """
    template = _template_of(tokenizer)

    def render(these: Sequence[Mapping[str, Any]], these_variables: Mapping[str, Any]) -> str:
        return render_chat(
            these,
            template=template,
            add_generation_prompt=add_generation_prompt,
            special_tokens=tokenizer.special_tokens,
            variables=these_variables,
        )

    return _encode(tokenizer, render(messages, variables or {}), render, messages, variables or {})[0]


def chat_row(
    tokenizer: Tokenizer, messages: Sequence[Mapping[str, Any]], *, variables: Mapping[str, Any] | None = None
) -> ChatRow:
    """A whole conversation as ids, and which of them are learned: those that the template marks by `{% generation %}`.

    Raises:
        ConfigError: as `chat_ids`; for a template without such a mark, or with one that begins or ends inside a token.
        DataError: as `chat_ids`.
    """
    template = _template_of(tokenizer)

    def render(these: Sequence[Mapping[str, Any]], these_variables: Mapping[str, Any]) -> str:
        return render_chat(these, template=template, special_tokens=tokenizer.special_tokens, variables=these_variables)

    text, marked = render_marked(
        messages, template=template, special_tokens=tokenizer.special_tokens, variables=variables
    )
    ids, spans = _encode(tokenizer, text, render, messages, variables or {})
    learned = [False] * len(ids)
    for start, end in marked:
        for place in range(bisect_left(spans, (start, start)), len(spans)):
            first, last = spans[place]
            if first >= end:
                break
            if last > end:
                raise ConfigError(
                    f"the mark of the chat template ends inside the token {tokenizer.decode([ids[place]])!r}",
                    where="chat_template.jinja",
                    remedy="Let {% generation %} end after the token that ends the answer.",
                )
            learned[place] = True
        before = bisect_left(spans, (start, start)) - 1
        if before >= 0 and spans[before][1] > start:
            raise ConfigError(
                f"the mark of the chat template begins inside the token {tokenizer.decode([ids[before]])!r}",
                where="chat_template.jinja",
                remedy="Let {% generation %} begin where the generation prompt ends.",
            )
    return ChatRow(ids, learned)


def _template_of(tokenizer: Tokenizer) -> str:
    if tokenizer.chat_template is None:
        raise ConfigError(
            "this tokenizer has no chat template",
            where="chat_template.jinja",
            remedy="Use a chat model, continue plain text instead, or set one with tokenizer.with_chat_template(...).",
        )
    return tokenizer.chat_template


def _encode(
    tokenizer: Tokenizer,
    text: str,
    render: Callable[[Sequence[Mapping[str, Any]], Mapping[str, Any]], str],
    messages: Sequence[Mapping[str, Any]],
    variables: Mapping[str, Any],
) -> tuple[list[int], list[tuple[int, int]]]:
    """Ids of a rendered text, and the characters of it that each stands for."""
    names = tokenizer.special_names
    stand_ins = _StandIns(names, taken=set(text) | set(_template_of(tokenizer)))
    hidden_messages, hidden_variables = stand_ins.hide(list(messages)), stand_ins.hide(dict(variables))
    hidden = render(hidden_messages, hidden_variables) if stand_ins.strings else text
    if not names or _any_of(names).findall(hidden) == _any_of(names).findall(text):
        [(ids, spans)] = tokenizer.encode_spans([text], allow_special=True)
    elif stand_ins.show(hidden) == text:
        ids, spans = _encode_beside_plain(tokenizer, hidden, stand_ins)
    else:
        raise DataError(
            "a message contains special tokens, and the chat template changes them so that they cannot be kept plain text",
            where="messages",
            remedy=f"Remove them from the messages: {', '.join(sorted(set(stand_ins.strings.values()) & names))}.",
        )
    if tokenizer.bos_id is not None and ids[:2] == [tokenizer.bos_id] * 2:
        raise ConfigError(
            f"the chat template begins the text twice ({tokenizer.bos_token!r})",
            where="chat_template.jinja",
            remedy="Remove one of the two from the template.",
        )
    return ids, spans


class _StandIns:
    """One private-use character for each string in the messages that is, or may grow into, a special token.

    The beginning of a special token at the end of a string counts too, as does its end at the beginning: the
    template may put the other half beside it.
    """

    def __init__(self, names: Set[str], taken: set[str]):
        self.strings: dict[str, str] = {}
        self._characters: dict[str, str] = {}
        self._free = (character for code in _STAND_INS if (character := chr(code)) not in taken)
        heads = {name[:n] for name in names for n in range(1, len(name))}
        tails = {name[n:] for name in names for n in range(1, len(name))}
        self._whole = _any_of(names)
        halves = (rf"\A{_any_of(tails).pattern}", rf"{_any_of(heads).pattern}\Z") if heads else ()
        self._parts = re.compile("|".join((self._whole.pattern, *halves)))

    def hide(self, value: Any) -> Any:
        """`value` with every such string replaced, in mappings and lists too."""
        if isinstance(value, str):
            return self._parts.sub(self._hide_match, value)
        if isinstance(value, Mapping):
            # Templates compare keys and roles with words, so of these only whole special tokens are replaced.
            return {
                self._hide_whole(key): self._hide_whole(item) if key == "role" else self.hide(item)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.hide(item) for item in value]
        return value

    def _hide_whole(self, value: Any) -> Any:
        return self._whole.sub(self._hide_match, value) if isinstance(value, str) else value

    def _hide_match(self, match: re.Match[str]) -> str:
        if match[0] not in self._characters:
            self._characters[match[0]] = character = next(self._free)
            self.strings[character] = match[0]
        return self._characters[match[0]]

    def show(self, text: str) -> str:
        """`text` with the strings back in place of their characters."""
        return text.translate(str.maketrans(self.strings))


def _any_of(strings: Set[str]) -> re.Pattern[str]:
    """A pattern for any of the strings, the longest first, as tokenizers find special tokens; for none, nothing."""
    alternatives = [re.escape(item) for item in sorted(strings, key=len, reverse=True)]
    return re.compile(f"(?:{'|'.join(alternatives)})" if alternatives else r"(?!)")


def _encode_beside_plain(
    tokenizer: Tokenizer, hidden: str, stand_ins: _StandIns
) -> tuple[list[int], list[tuple[int, int]]]:
    """Ids, and the characters of the text as it is shown that each stands for."""
    coder, aliases, originals = _aliased(tokenizer)
    pieces = re.split(f"({_any_of(aliases.keys()).pattern})", hidden)
    written = [aliases.get(piece, stand_ins.show(piece)) for piece in pieces]
    shown = [stand_ins.show(piece) for piece in pieces]
    starts = [0, *accumulate(map(len, written))]
    places = [0, *accumulate(map(len, shown))]

    def place(position: int) -> int:
        piece = max(0, bisect_right(starts, position, hi=len(pieces)) - 1)
        return min(places[piece] + position - starts[piece], places[piece + 1])

    encoding = coder.encode("".join(written), add_special_tokens=False)
    ids = [originals.get(token_id, token_id) for token_id in encoding.ids]
    return ids, [(place(first), place(last)) for first, last in encoding.offsets]


@lru_cache(maxsize=4)
def _aliased(tokenizer: Tokenizer) -> tuple[hf.Tokenizer, dict[str, str], dict[int, int]]:
    """A copy that reads special tokens as plain text but their aliases as tokens; alias by name; id by alias id."""
    coder = parse_definition(tokenizer.definition, "tokenizer.json")
    coder.encode_special_tokens = True
    aliases: dict[str, str] = {}
    originals: dict[int, int] = {}
    for token_id, token in coder.get_added_tokens_decoder().items():
        if token.special:
            alias = aliases[token.content] = f"\U0010fffd{secrets.token_hex(16)}\U0010fffd"
            # Not marked special, or it would be read as plain text like those it stands for.
            coder.add_tokens([hf.AddedToken(alias, lstrip=token.lstrip, rstrip=token.rstrip, normalized=False)])
            number = coder.token_to_id(alias)
            assert number is not None
            originals[number] = token_id
    return coder, aliases, originals
