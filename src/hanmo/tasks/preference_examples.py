"""Pairs of answers to one question, of which people prefer the first: read, checked, named by file and line."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from hanmo.core.errors import DataError
from hanmo.tasks.dialogue_examples import DialogueData, Message, read_conversations, wrong_order
from hanmo.tasks.json_objects import read_objects
from hanmo.tasks.splits import SplitData, Splits, folded, settle
from hanmo.tasks.tables import usable

__all__ = ["PreferenceData", "PreferencePair", "read_preferences", "read_test_preferences"]


class PreferenceData(SplitData):
    """Where the pairs are: JSON Lines, or a JSON list, of `{"prompt", "chosen", "rejected"}`.

    All three are texts, or lists of messages; `chosen` and `rejected` may be an answer as a text also where the prompt is a
    list. Without `prompt` both are whole conversations that differ in their last message alone.
    """

    strings: Literal["text", "user"] = "text"
    """What a prompt that is a text is: the beginning of a text that the answer goes on with, or a message of the user."""
    useless: Literal["error", "drop"] = "error"
    """What to do with pairs that say nothing: an empty answer, or two that are the same."""
    conversations: bool = False
    """The files are conversations instead, in the forms that `task = "dialogue"` reads. Of each comes one pair: its last
    answer, and one that was given in another, drawn at random with a fixed seed."""
    spacing: Literal["keep", "tidy"] = "keep"
    """Of conversations, as `spacing` of a dialogue recipe."""


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """One question with a better and a worse answer."""

    prompt: str | tuple[Message, ...]
    """The beginning of a text, or messages of which the last is the user's."""
    chosen: str
    rejected: str
    where: str
    """File and line."""

    @property
    def asked(self) -> str:
        """The prompt as people read it."""
        if isinstance(self.prompt, str):
            return self.prompt
        return "\n".join(f"{message.role}: {message.content}" for message in self.prompt)


def read_preferences(data: PreferenceData, *, seed: int) -> Splits[PreferencePair]:
    """Read and check everything. What has the same prompt is never on two sides.

    Raises:
        DataError: for what is no such pair, roles in the wrong order, empty or equal answers, or prompts of training that are
            in `dev` or `test`; each with file and line, the first ten; for conversations with one and the same answer.
        FormatError: for a file that is no JSON.
    """
    notes: Counter[str] = Counter()
    read = _made if data.conversations else _read
    train = read(data, data.train, notes)
    dev = read(data, data.dev, notes) if data.dev is not None else []
    test = read(data, data.test, notes) if data.test is not None else []
    fold = cache(folded)
    train, dev, test = settle(data, train, dev, test, key=lambda one: fold(one.asked), seed=seed, notes=notes)
    return Splits.of(train, dev, test, labels=("chosen",), notes=notes)


def read_test_preferences(data: PreferenceData, notes: Counter[str]) -> list[PreferencePair]:
    """Read `test` alone, for a model that is already trained; errors as `read_preferences`."""
    assert data.test is not None
    return (_made if data.conversations else _read)(data, data.test, notes)


def _read(data: PreferenceData, path: str, notes: Counter[str]) -> list[PreferencePair]:
    problems: list[str] = []
    found: list[PreferencePair] = []
    for value, where in read_objects(Path(path), problems):
        try:
            pair = _pair(value, data.strings, where)
        except ValueError as error:
            problems.append(f"{where}: {error}")
            continue
        empty = not pair.chosen.strip() or not pair.rejected.strip()
        if empty or pair.chosen == pair.rejected:
            if data.useless == "drop":
                notes["pairs with an empty answer, or with two that are the same, left out"] += 1
            else:
                problems.append(f"{where}: {'an empty answer' if empty else 'both answers are the same'}")
            continue
        found.append(pair)
    return usable(
        found, problems, where=path,
        remedy='[data] useless = "drop" leaves out pairs with empty or equal answers; mend the others in the file.',
    )  # fmt: skip


def _made(data: PreferenceData, path: str, notes: Counter[str]) -> list[PreferencePair]:
    """Of each conversation its own last answer beside one that answers something else."""
    plain = DialogueData(train=path, order="repair", empty="drop", spacing=data.spacing)
    found = read_conversations(plain, path, notes)
    answers = list(dict.fromkeys(one.messages[-1].content for one in found))
    if len(answers) < 2:
        raise DataError("all answers are the same: there is none to reject", where=path)
    draw, pairs = random.Random(0), []
    for one in found:
        *asked, last = one.messages
        other = draw.choice(answers)
        while other == last.content:
            other = draw.choice(answers)
        pairs.append(PreferencePair(tuple(asked), last.content, other, one.where))
    return pairs


def _pair(value: dict[str, Any], strings: str, where: str) -> PreferencePair:
    missing = [key for key in ("chosen", "rejected") if key not in value]
    if missing:
        raise ValueError(
            f"there is no {' and no '.join(map(repr, missing))}; found {', '.join(map(repr, list(value)[:6]))}"
        )
    prompt = value.get("prompt")
    if isinstance(prompt, str):
        chosen, rejected = (_answer(value[key], key) for key in ("chosen", "rejected"))
        if strings == "text":
            return PreferencePair(prompt, chosen, rejected, where)
        return PreferencePair(_asked([Message("user", prompt)]), chosen, rejected, where)
    if prompt is not None:
        messages = _messages(prompt, "prompt")
        chosen, rejected = (_answer(value[key], key) for key in ("chosen", "rejected"))
        return PreferencePair(_asked(messages), chosen, rejected, where)
    first, second = (_messages(value[key], key) for key in ("chosen", "rejected"))
    if first[:-1] != second[:-1]:
        raise ValueError("without 'prompt', 'chosen' and 'rejected' must differ in their last message alone")
    if (first[-1].role, second[-1].role) != ("assistant", "assistant"):
        raise ValueError("the last message of 'chosen' and of 'rejected' must be the assistant's")
    return PreferencePair(_asked(first[:-1]), first[-1].content, second[-1].content, where)


def _asked(messages: list[Message]) -> tuple[Message, ...]:
    """Messages of a prompt in the right order."""
    if (what := wrong_order([*messages, Message("assistant", "")])) is not None:
        raise ValueError(f"in the prompt, {what}")
    if not all(message.content.strip() for message in messages):
        raise ValueError("a message of the prompt is empty")
    return tuple(messages)


def _messages(value: Any, key: str) -> list[Message]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"{key!r} is no text and no list of messages")
    found = []
    for number, message in enumerate(value, 1):
        if not isinstance(message, Mapping) or not all(isinstance(message.get(k), str) for k in ("role", "content")):
            raise ValueError(f"message {number} of {key!r} has no 'role' and 'content'")
        if message["role"] not in ("system", "user", "assistant"):
            raise ValueError(f"nobody knows the role {message['role']!r}; roles are system, user and assistant")
        found.append(Message(message["role"], message["content"]))
    return found


def _answer(value: Any, key: str) -> str:
    if isinstance(value, str):
        return value
    messages = _messages(value, key)
    if len(messages) != 1 or messages[0].role != "assistant":
        raise ValueError(f"{key!r} is not one message of the assistant")
    return messages[0].content
