"""Conversations to learn answers from: checked for who speaks when, and named by file and line where they cannot be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from hanmo.tasks.dialogue_files import DialogueForm, RawDialogue, read_dialogue_file
from hanmo.tasks.splits import SplitData, Splits, folded, settle
from hanmo.tasks.tables import usable
from hanmo.text.spacing import tidy_spacing

__all__ = ["Dialogue", "DialogueData", "Message", "read_conversations", "read_dialogues", "wrong_order"]


class DialogueData(SplitData):
    """Where the conversations are. See `hanmo.tasks.dialogue_files` for the forms that are read."""

    form: DialogueForm = "auto"
    """messages, alpaca, sharegpt, eou, tabs, yaml; told by the file if auto."""
    order: Literal["error", "repair", "drop"] = "error"
    """What to do where people speak in the wrong order (an answer first, two questions in a row, a question without an
    answer at the end) or nobody knows who speaks: refuse; put together what one says in a row and leave out what stands
    before the first question and after the last answer; or leave the conversation out."""
    empty: Literal["error", "drop"] = "error"
    """What to do with conversations in which somebody says nothing."""
    spacing: Literal["keep", "tidy"] = "keep"
    """Texts as they are, or without the blanks that tokenized corpora have: "Let ' s go ." and "你 好"."""
    speakers: Literal["second", "both"] = "second"
    """Whose turns are learned where a file does not say who asks: those of the second speaker, or of both, each
    conversation once from either side. Dev and test are always as the second speaker answers."""
    system: str | None = None
    """A system message for the conversations that have none."""


@dataclass(frozen=True, slots=True)
class Message:
    """What somebody says."""

    role: str
    """system, user or assistant."""
    content: str


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One conversation: perhaps a system message, then questions and answers in turn; an answer is last."""

    messages: tuple[Message, ...]
    where: str
    """File and line."""
    told: bool = True
    """Whether the file says who asks and who answers."""

    def plain(self) -> list[dict[str, str]]:
        """Messages as chat templates take them."""
        return [{"role": message.role, "content": message.content} for message in self.messages]


def read_dialogues(data: DialogueData, *, seed: int) -> Splits[Dialogue]:
    """Read and check everything.

    Raises:
        DataError: for unknown roles, roles in the wrong order, empty turns, or conversations of training that are in `dev` or
            `test`; each with file and line, the first ten. Nothing is left out or changed unless `data` says so, and then
            it is counted.
        FormatError: for a file that has no form that is read.
    """
    notes: Counter[str] = Counter()
    train = read_conversations(data, data.train, notes)
    dev = read_conversations(data, data.dev, notes) if data.dev is not None else []
    test = read_conversations(data, data.test, notes) if data.test is not None else []
    fold = cache(folded)

    def key(one: Dialogue) -> tuple[str, ...]:
        return tuple(fold(message.content) for message in one.messages if message.role != "system")

    train, dev, test = settle(data, train, dev, test, key=key, seed=seed, notes=notes)
    if data.speakers == "both":
        train = _from_both_sides(train, notes)
    return Splits.of(train, dev, test, labels=("assistant",), notes=notes)


def wrong_order(messages: Sequence[Message]) -> str | None:
    """What is wrong with who speaks when; None if nothing is."""
    turns = list(messages[1:]) if messages and messages[0].role == "system" else list(messages)
    if not turns:
        return "nobody says anything"
    for place, turn in enumerate(turns):
        expected = ("user", "assistant")[place % 2]
        if turn.role != expected:
            number = place + 1 + len(messages) - len(turns)
            return f"message {number} is of {turn.role!r} where {expected!r} should speak"
    return "there is no answer to the last message" if len(turns) % 2 else None


def read_conversations(data: DialogueData, path: str, notes: Counter[str]) -> list[Dialogue]:
    """Those of one file or folder, checked.

    Args:
        data: how to read them.
        path: file or folder.
        notes: what was changed or left out is counted here.

    Raises:
        DataError: as `read_dialogues`.
        FormatError: for a file that has no form that is read.
    """
    problems: list[str] = []
    found: list[Dialogue] = []
    for raw in read_dialogue_file(path, data.form, problems):
        one = _checked(raw, data, problems, notes)
        if one is not None:
            found.append(one)
    return usable(
        found, problems, where=path,
        remedy='[data] order = "repair" puts turns into order and order = "drop" leaves such conversations out; '
        'empty = "drop" leaves out those with an empty turn.',
    )  # fmt: skip


def _checked(raw: RawDialogue, data: DialogueData, problems: list[str], notes: Counter[str]) -> Dialogue | None:
    tidy = tidy_spacing if data.spacing == "tidy" else str.strip
    messages = [Message(role, tidy(text)) for role, text in raw.turns]
    if not raw.told and len(messages) % 2 and len(messages) > 1:
        # there is no answer to the last turn of such a file
        messages.pop()
        notes["last turns without an answer, left out"] += 1
    if unknown := next((message.role for message in messages if message.role not in _ROLES), None):
        what = f"nobody knows the role {unknown!r}; roles are system, user and assistant"
    elif not all(message.content for message in messages):
        number = next(place for place, message in enumerate(messages, 1) if not message.content)
        if data.empty == "drop":
            notes["conversations with an empty turn, left out"] += 1
            return None
        problems.append(f"{raw.where}: message {number} is empty")
        return None
    else:
        what = wrong_order(messages)
    if what is not None and data.order == "repair" and not unknown:
        messages = _repaired(messages)
        if messages:
            notes["conversations put into order"] += 1
            what = None
    if what is not None:
        if data.order == "error":
            problems.append(f"{raw.where}: {what}")
        else:
            notes["conversations in the wrong order, left out"] += 1
        return None
    if data.system is not None and messages[0].role != "system":
        messages.insert(0, Message("system", data.system))
    return Dialogue(tuple(messages), raw.where, raw.told)


_ROLES = ("system", "user", "assistant")


def _repaired(messages: Sequence[Message]) -> list[Message]:
    """System messages put together in front, then turns; what one says in a row is one turn. Empty if nothing is left."""
    system = "\n".join(message.content for message in messages if message.role == "system")
    turns: list[Message] = []
    for message in messages:
        if message.role == "system" or (not turns and message.role == "assistant"):
            continue
        if turns and turns[-1].role == message.role:
            turns[-1] = replace(turns[-1], content=f"{turns[-1].content}\n{message.content}")
        else:
            turns.append(message)
    if len(turns) % 2:
        turns.pop()
    return ([Message("system", system)] if system and turns else []) + turns


def _from_both_sides(train: list[Dialogue], notes: Counter[str]) -> list[Dialogue]:
    """Each conversation whose file does not say who asks, and beside it the one that its first speaker answers in."""
    found: list[Dialogue] = []
    swap = {"user": "assistant", "assistant": "user"}
    for one in train:
        found.append(one)
        first = 2 if one.messages[0].role == "system" else 1
        rest = [Message(swap[message.role], message.content) for message in one.messages[first:-1]]
        if not one.told and rest:
            found.append(replace(one, messages=(*one.messages[: first - 1], *rest)))
            notes["conversations learned from the other side too"] += 1
    return found
