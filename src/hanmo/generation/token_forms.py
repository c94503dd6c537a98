"""A form over characters as a rule over tokens, of any tokenizer: a token may hold several characters or a part of one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from hanmo.core.errors import ModelError
from hanmo.generation.forms import Form, Place
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["TokenForm", "TokenRow", "token_form"]

_MOST_MASKS = 4096
_MOST_RULES = 16


class _Node:
    """Bytes that tokens begin with: what may come next, and which tokens end here."""

    __slots__ = ("children", "tokens")

    def __init__(self) -> None:
        self.children: dict[int, _Node] = {}
        self.tokens: list[int] = []


_TREES: WeakKeyDictionary[Tokenizer, _Node] = WeakKeyDictionary()
_RULES: WeakKeyDictionary[Tokenizer, dict[Any, TokenForm]] = WeakKeyDictionary()


def token_form(form: Form, tokenizer: Tokenizer, *, eos_ids: Collection[int], vocab_size: int) -> TokenForm:
    """A `TokenForm`, the same object for the same arguments: what it has found out once is of use again."""
    rules = _RULES.setdefault(tokenizer, {})
    key = (form, tuple(eos_ids), vocab_size)
    if key not in rules:
        if len(rules) >= _MOST_RULES:
            rules.clear()
        rules[key] = TokenForm(form, tokenizer, eos_ids=eos_ids, vocab_size=vocab_size)
    return rules[key]


class TokenForm:
    """Which tokens may come where in a form.

    A text is bytes here, as tokens are: characters that are whole, then up to three bytes of one that is not. Tokens are
    kept as a tree of their bytes, of which only branches are followed that the form allows.

    Args:
        form: over characters.
        tokenizer: whose tokens.
        eos_ids: tokens that end a text, allowed where it is whole.
        vocab_size: numbers that the model gives, those without a token included.
    """

    def __init__(self, form: Form, tokenizer: Tokenizer, *, eos_ids: Collection[int], vocab_size: int):
        self.form, self._eos_ids, self._vocab_size = form, sorted(eos_ids), vocab_size
        self._tokenizer = tokenizer
        if tokenizer not in _TREES:
            _TREES[tokenizer] = _tree(tokenizer)
        self._tree = _TREES[tokenizer]
        self._masks: dict[tuple[Place, bytes], Tensor] = {}

    def row(self, prompt: str) -> TokenRow:
        """The beginning of a text.

        Raises:
            ConfigError: if the form counts the prompt, and the prompt does not fit.
        """
        return TokenRow(self, self.form.after(prompt) if self.form.counts_prompt else self.form.start)

    def allowed(self, place: Place, held: bytes) -> Tensor:
        """Which tokens may come after a place and some bytes of a character, (V,) bool.

        Raises:
            ModelError: if none may.
        """
        mask = self._without_history(Place(place.states), held)
        for line in place.lines:
            if line.startswith(place.line):
                mask = self._without(mask, line[len(place.line) :].encode().removeprefix(held))
        if not mask.any():
            raise ModelError(
                "no token of this model goes on in the form that was asked for", where="form",
                remedy="Ask for a form of characters that the tokenizer can write.",
            )  # fmt: skip
        return mask

    def _without_history(self, place: Place, held: bytes) -> Tensor:
        mask = self._masks.get((place, held))
        if mask is None:
            mask = torch.zeros(self._vocab_size, dtype=torch.bool)
            found: list[int] = []
            self._follow(self._tree, place, held, found)
            mask[found] = True
            if not held and self.form.may_end(place):
                mask[self._eos_ids] = True
            if len(self._masks) < _MOST_MASKS:
                self._masks[place, held] = mask
        return mask

    def _without(self, mask: Tensor, rest: bytes) -> Tensor:
        """Without the tokens that complete a line that there is already."""
        node = self._tree
        for number in rest:
            if number not in node.children:
                return mask
            node = node.children[number]
        waiting, found = [node], []
        while waiting:
            node = waiting.pop()
            found += node.tokens
            waiting += node.children.values()
        mask = mask.clone()
        mask[found] = False
        return mask

    def after(self, place: Place, held: bytes, data: bytes) -> tuple[Place, bytes] | None:
        """Place and rest of a character after some more bytes; None if they may not come."""
        for number in data:
            held += bytes([number])
            if len(held) < _length(held[0]):
                if not self._can_become(place, held):
                    return None
                continue
            try:
                char = held.decode("utf-8")
            except UnicodeDecodeError:
                return None
            following = self.form.step(place, char)
            if following is None:
                return None
            place, held = following, b""
        return place, held

    def token_bytes(self, token: int) -> bytes:
        """What a token stands for."""
        return self._tokenizer.token_bytes(token)

    def _follow(self, node: _Node, place: Place, held: bytes, found: list[int]) -> None:
        for number, child in node.children.items():
            following = self.after(place, held, bytes([number]))
            if following is not None:
                found += child.tokens
                self._follow(child, *following, found)

    def _can_become(self, place: Place, held: bytes) -> bool:
        """Whether the bytes are the beginning of a character that the form has here."""
        span = _span(held)
        return span is not None and any(
            low <= span[1] and span[0] <= high for low, high in self.form.ranges(place)
        )  # fmt: skip


class TokenRow:
    """One text on its way. What `Decoding` asks: which tokens may come, and whether it is whole."""

    def __init__(self, rule: TokenForm, place: Place):
        self._rule, self._place, self._held = rule, place, b""

    def allowed(self) -> Tensor:
        """Which tokens may come next, (V,) bool."""
        return self._rule.allowed(self._place, self._held)

    def push(self, token: int) -> None:
        """Take a token that was allowed."""
        following = self._rule.after(self._place, self._held, self._rule.token_bytes(token))
        assert following is not None
        self._place, self._held = following

    @property
    def is_whole(self) -> bool:
        """Whether nothing can follow."""
        return not self._held and self._rule.form.must_end(self._place)


def _tree(tokenizer: Tokenizer) -> Any:
    root = _Node()
    for token in sorted(set(tokenizer.vocabulary().values()) - tokenizer.special_ids):
        node, data = root, tokenizer.token_bytes(token)
        for number in data:
            node = node.children.setdefault(number, _Node())
        if data:
            node.tokens.append(token)
    return root


def _length(first: int) -> int:
    """Bytes of the UTF-8 character that begins so; 1 for what begins none, which decoding then refuses."""
    return 2 if 0xC2 <= first <= 0xDF else 3 if 0xE0 <= first <= 0xEF else 4 if 0xF0 <= first <= 0xF4 else 1


def _span(held: Sequence[int]) -> tuple[int, int] | None:
    """First and last code point whose UTF-8 form begins with these bytes; None if there is none."""
    first, length = held[0], _length(held[0])
    if any(not 0x80 <= number <= 0xBF for number in held[1:]):
        return None
    code = first & (0xFF >> (length + 1))
    for number in held[1:]:
        code = code << 6 | number & 0x3F
    shift = 6 * (length - len(held))
    least = {2: 0x80, 3: 0x800, 4: 0x10000}[length]
    low, high = max(code << shift, least), min((code + 1 << shift) - 1, 0x10FFFF)
    if (low >= 0xD800 and high <= 0xDFFF) or low > high:
        return None
    return low, high
