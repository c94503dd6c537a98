"""Texts of a given form: which characters may come next, given the text so far.

A `Form` is a regular expression over characters, run as a set of states (Thompson, 1968), so that it knows of any beginning
whether it can become a whole text. Written for decoding: what it rules out is never chosen (`token_forms`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from hanmo.core.errors import ConfigError

__all__ = ["Form", "Place", "parse_form"]

_MOST_STATES = 20_000
_LAST = 0x10FFFF
_HAN = ((0x3007, 0x3007), (0x3400, 0x4DBF), (0x4E00, 0x9FFF))
_CLASSES: dict[str, tuple[tuple[int, int], ...]] = {
    "h": _HAN,
    "d": ((0x30, 0x39),),
    "a": ((0x41, 0x5A), (0x61, 0x7A)),
    "w": ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A), *_HAN),
    "s": ((0x09, 0x0A), (0x20, 0x20), (0x3000, 0x3000)),
}
_ESCAPES = {"n": "\n", "t": "\t"}
_POEM = re.compile(r"(\d{1,2})x(\d{1,2})")

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Place:
    """How far a text has come in its form."""

    states: frozenset[int]
    """Where the expression may be."""
    line: str = ""
    """What stands since the last mark, where lines may not repeat."""
    lines: frozenset[str] = frozenset()
    """Lines before it."""


class Form:
    r"""A regular expression over the whole text.

    Characters stand for themselves; `.` is any but a line end; `\h` a Chinese character, `\d` a digit, `\a` a Latin
    letter, `\w` any of these and `_`, `\s` a blank; `\n` a line end; `[…]` and `[^…]` one of several; `(…|…)` alternatives;
    `{3}`, `{2,5}`, `*`, `+`, `?` repeat. A backslash before any other sign takes its meaning away.

    Args:
        pattern: the expression.
        distinct_lines: whether no run of Chinese characters may stand twice; for lines of one length.
        counts_prompt: whether the prompt is the beginning of the text, or stands before it.

    Raises:
        ConfigError: names the place of what cannot be read.
    """

    def __init__(self, pattern: str, *, distinct_lines: bool = False, counts_prompt: bool = False):
        self.pattern, self.distinct_lines, self.counts_prompt = pattern, distinct_lines, counts_prompt
        builder = _Builder(pattern)
        start, self._end = builder.build()
        self._moves, self._free = builder.moves, builder.free
        self.start = Place(self._closed({start}))

    def step(self, place: Place, char: str) -> Place | None:
        """After one more character; None if it may not come here."""
        code = ord(char)
        found = {
            target
            for state in place.states
            for ranges, target in self._moves.get(state, ())
            if any(low <= code <= high for low, high in ranges)
        }
        if not found:
            return None
        states = self._closed(found)
        if not self.distinct_lines:
            return Place(states)
        if any(low <= code <= high for low, high in _HAN):
            return Place(states, place.line + char, place.lines)
        if place.line in place.lines:
            return None
        return Place(states, "", place.lines | {place.line} if place.line else place.lines)

    def may_end(self, place: Place) -> bool:
        """Whether the text is whole here."""
        return self._end in place.states

    def must_end(self, place: Place) -> bool:
        """Whether nothing can follow."""
        return not any(self._moves.get(state) for state in place.states)

    def ranges(self, place: Place) -> Ranges:
        """Code points, from and to, of the characters that may come, as far as the expression alone knows."""
        return tuple({pair for state in place.states for ranges, _ in self._moves.get(state, ()) for pair in ranges})

    def after(self, text: str) -> Place:
        """The place after a text.

        Raises:
            ConfigError: names the character that does not fit.
        """
        place = self.start
        for number, char in enumerate(text):
            following = self.step(place, char)
            if following is None:
                raise ConfigError(
                    f"{char!r} at character {number + 1} of {text[:60]!r} does not fit the form {self.pattern!r}",
                    where="form", remedy="Give a beginning of this form, or another form.",
                )  # fmt: skip
            place = following
        return place

    def holds(self, text: str) -> bool:
        """Whether a whole text has this form."""
        place: Place | None = self.start
        for char in text:
            place = self.step(place, char)
            if place is None:
                return False
        return self.may_end(place)

    def _closed(self, states: set[int]) -> frozenset[int]:
        waiting = list(states)
        while waiting:
            for target in self._free.get(waiting.pop(), ()):
                if target not in states:
                    states.add(target)
                    waiting.append(target)
        return frozenset(states)


@cache
def parse_form(text: str) -> Form:
    r"""A form as users write it.

    `5x4` is a poem: four lines of five characters, `，` after the odd ones, `。` after the even ones, a line end after
    each pair, no line twice; the prompt is its beginning. Anything else is the expression of what follows the prompt.

    Raises:
        ConfigError: for what is neither.
    """
    poem = _POEM.fullmatch(text)
    if poem is None:
        return Form(text)
    n_chars, n_lines = int(poem[1]), int(poem[2])
    if not n_chars or not n_lines:
        raise ConfigError(f"a poem of {n_lines} lines of {n_chars} characters has no text", where="form")
    lines = [rf"\h{{{n_chars}}}{'，。'[number % 2]}" for number in range(n_lines)]
    pairs = ["".join(lines[first : first + 2]) for first in range(0, n_lines, 2)]
    return Form("\\n".join(pairs), distinct_lines=True, counts_prompt=True)


@dataclass
class _Builder:
    """From an expression to states: moves over characters, and free ones."""

    pattern: str
    moves: dict[int, list[tuple[Ranges, int]]] = field(default_factory=dict)
    free: dict[int, list[int]] = field(default_factory=dict)
    n: int = 0
    at: int = 0

    def build(self) -> tuple[int, int]:
        try:
            first, last = self._alternatives()
        except RecursionError as error:
            raise ConfigError("too many brackets within each other", where="form") from error
        if self.at < len(self.pattern):
            raise self._error(f"{self.pattern[self.at]!r} without its beginning")
        return first, last

    def _error(self, what: str) -> ConfigError:
        return ConfigError(
            f"{what}, at character {self.at + 1} of {self.pattern!r}", where="form",
            remedy="Put a backslash before a sign that stands for itself.",
        )  # fmt: skip

    def _new(self) -> int:
        self.n += 1
        if self.n > _MOST_STATES:
            raise ConfigError(f"more than {_MOST_STATES:,} states", where="form", remedy="Repeat less often.")
        return self.n

    def _link(self, source: int, target: int) -> None:
        self.free.setdefault(source, []).append(target)

    @property
    def _next(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def _alternatives(self) -> tuple[int, int]:
        first, last = self._new(), self._new()
        while True:
            begin, end = self._sequence()
            self._link(first, begin)
            self._link(end, last)
            if self._next != "|":
                return first, last
            self.at += 1

    def _sequence(self) -> tuple[int, int]:
        first = last = self._new()
        while self._next and self._next not in "|)":
            begin, end = self._repeated()
            self._link(last, begin)
            last = end
        return first, last

    def _repeated(self) -> tuple[int, int]:
        start = self.at
        part = self._part()
        least, most, self_end = self._count()
        behind = self.at
        first = last = self._new()
        copies = max(least, most or 0)
        for number in range(copies):
            if number:
                self.at = start
                part = self._part()
            self._link(last, part[0])
            if number >= least:
                self._link(last, self_end := self_end or self._new())
            last = part[1]
        if most is None:  # any number more
            if copies:
                self.at = start
                part = self._part()
            loop = self._new()
            self._link(last, loop)
            self._link(loop, part[0])
            self._link(part[1], loop)
            last = loop
        if self_end:
            self._link(last, self_end)
            last = self_end
        self.at = behind
        return first, last

    def _count(self) -> tuple[int, int | None, int]:
        """Least and most repetitions; None: any number."""
        sign = self._next
        if sign in ("*", "+", "?") and sign:
            self.at += 1
            return {"*": (0, None, 0), "+": (1, None, 0), "?": (0, 1, 0)}[sign]
        found = re.compile(r"\{(\d{1,5})(,(\d{0,5}))?\}").match(self.pattern, self.at)
        if found is None:
            if sign == "{":
                raise self._error("a count that is not {3}, {2,5} or {2,}")
            return 1, 1, 0
        self.at = found.end()
        least = int(found[1])
        most = least if found[2] is None else int(found[3]) if found[3] else None
        if most is not None and most < least:
            raise self._error(f"at least {least} and at most {most}")
        return least, most, 0

    def _part(self) -> tuple[int, int]:
        sign = self._next
        if sign == "(":
            self.at += 1
            inside = self._alternatives()
            if self._next != ")":
                raise self._error("a ( that is not closed")
            self.at += 1
            return inside
        if sign in ("*", "+", "?", "{", "]", "}"):
            raise self._error(f"{sign!r} with nothing before it")
        ranges = self._set() if sign == "[" else self._char()
        first, last = self._new(), self._new()
        self.moves.setdefault(first, []).append((ranges, last))
        return first, last

    def _char(self) -> Ranges:
        sign = self._next
        self.at += 1
        if sign == ".":
            return ((0, 0x09), (0x0B, 0xD7FF), (0xE000, _LAST))
        if sign != "\\":
            return ((ord(sign), ord(sign)),)
        name = self._next
        if not name:
            raise self._error("a backslash at the end")
        self.at += 1
        if name in _CLASSES:
            return _CLASSES[name]
        if name.isalnum() and name not in _ESCAPES:
            raise self._error(f"an unknown \\{name}")
        code = ord(_ESCAPES.get(name, name))
        return ((code, code),)

    def _set(self) -> Ranges:
        self.at += 1
        negated = self._next == "^"
        self.at += negated
        found: list[tuple[int, int]] = []
        while self._next != "]":
            if not self._next:
                raise self._error("a [ that is not closed")
            literal = self._next == "."
            low = ((ord("."), ord(".")),) if literal else self._char()
            self.at += literal
            if self._next == "-" and self.pattern[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                high = self._char()
                if low[0][0] > high[-1][1]:
                    raise self._error("a range that ends before it begins")
                low = ((low[0][0], high[-1][1]),)
            found += low
        self.at += 1
        if not found:
            raise self._error("an empty set")
        return tuple(_complement(found)) if negated else tuple(found)


def _complement(ranges: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """What is in none of them; surrogates are no characters."""
    after = 0
    for low, high in sorted([*ranges, (0xD800, 0xDFFF)]):
        if low > after:
            yield after, low - 1
        after = max(after, high + 1)
    if after <= _LAST:
        yield after, _LAST
