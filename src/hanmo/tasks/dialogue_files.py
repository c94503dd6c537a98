"""Files of conversations: messages, Alpaca, ShareGPT, `__eou__`, tabs, YAML. Read as they are, each with its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from hanmo.core.errors import DataError, FormatError
from hanmo.tasks.json_objects import read_objects
from hanmo.tasks.text_files import read_text_file

__all__ = ["DialogueForm", "RawDialogue", "read_dialogue_file"]

DialogueForm = Literal["auto", "messages", "alpaca", "sharegpt", "eou", "tabs", "yaml"]
"""
messages: JSON Lines, or a JSON list, of `{"messages": [{"role", "content"}]}`, or of `{"prompt", "completion"}`, texts or lists of messages;
alpaca: of `{"instruction", "input", "output", "system", "history"}`; sharegpt: of `{"conversations": [{"from", "value"}]}`;
eou: a conversation on each line, `__eou__` after each turn (DailyDialog); tabs: a tab between turns; yaml: `conversations`,
a list of lists of turns (ChatterBot), a file or a folder of them. All but folders also as .gz.
"""

_EOU = "__eou__"
_JSON = ("messages", "alpaca", "sharegpt")
_SPEAKERS = {
    "human": "user", "user": "user", "gpt": "assistant", "chatgpt": "assistant", "assistant": "assistant",
    "model": "assistant", "bot": "assistant", "system": "system",
}  # fmt: skip
"""Names of ShareGPT's speakers."""


@dataclass(frozen=True, slots=True)
class RawDialogue:
    """A conversation as a file has it."""

    turns: list[tuple[str, str]]
    """Role and text."""
    where: str
    told: bool
    """Whether the file says who asks and who answers."""


def read_dialogue_file(path: str | Path, form: DialogueForm, problems: list[str]) -> Iterator[RawDialogue]:
    """All conversations of a file or folder; what has another form is named in `problems`.

    Raises:
        DataError: if it cannot be read.
        FormatError: for a file that has no form that is read.
    """
    path = Path(path)
    kind = _ending(path)
    if path.is_dir() or kind in (".yml", ".yaml"):
        if form not in ("auto", "yaml"):
            raise FormatError(f"YAML, and not {form!r}", where=path, remedy='Leave [data] form out, or give "yaml".')
        yield from _yaml_files(path, problems)
        return
    if kind in (".json", ".jsonl"):
        if form not in ("auto", *_JSON):
            raise FormatError(f"JSON, and not {form!r}", where=path, remedy=f"Give one of {', '.join(_JSON)}.")
        for value, where in read_objects(path, problems):
            yield from _from_object(value, form, where, problems)
        return
    if kind not in (".txt", ".tsv"):
        raise FormatError(
            f"no conversations that can be read ({kind or 'no ending'})", where=path,
            remedy="Give .jsonl, .json, .txt, .tsv or .yml (all but the last also as .gz).",
        )  # fmt: skip
    text = read_text_file(path)
    if form in _JSON or form == "yaml":
        raise FormatError(f"lines of text, and not {form!r}", where=path, remedy="Give eou or tabs.")
    mark = _EOU if form == "eou" or (form == "auto" and _EOU in text) else "\t"
    yield from _lines(text, mark, path)


def _ending(path: Path) -> str:
    return next((suffix.lower() for suffix in reversed(path.suffixes) if suffix.lower() != ".gz"), "")


def _lines(text: str, mark: str, path: Path) -> Iterator[RawDialogue]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        turns = line.strip("\r\n ").split(mark)
        if mark == _EOU and not turns[-1].strip():
            turns.pop()
        yield _in_turn(turns, f"{path}:{number}")


def _in_turn(turns: list[str], where: str) -> RawDialogue:
    return RawDialogue(
        [(("user", "assistant")[place % 2], turn) for place, turn in enumerate(turns)], where, told=False
    )


def _from_object(value: dict[str, Any], form: str, where: str, problems: list[str]) -> Iterator[RawDialogue]:
    if form == "auto":
        keys = {"messages": "messages", "prompt": "messages", "conversations": "sharegpt", "instruction": "alpaca"}
        form = next((name for key, name in keys.items() if key in value), "")
    try:
        match form:
            case "messages" if "messages" in value:
                yield RawDialogue(_turns(value["messages"], "messages", "role", "content"), where, told=True)
            case "messages":
                yield RawDialogue(
                    [*_side(value, "prompt", "user"), *_side(value, "completion", "assistant")], where, told=True
                )
            case "sharegpt":
                turns = _turns(value.get("conversations"), "conversations", "from", "value")
                system = [("system", _text(value, "system"))] if value.get("system") else []
                yield RawDialogue(system + [(_SPEAKERS.get(who, who), said) for who, said in turns], where, told=True)
            case "alpaca":
                yield RawDialogue(_alpaca(value), where, told=True)
            case _:
                found = ", ".join(map(repr, list(value)[:6])) or "nothing"
                raise ValueError(f"none of 'messages', 'conversations', 'instruction' and 'prompt'; found {found}")
    except ValueError as error:
        problems.append(f"{where}: {error}")


def _turns(values: Any, key: str, role: str, content: str) -> list[tuple[str, str]]:
    if not isinstance(values, list) or not values:
        raise ValueError(f'"{key}" is no list of messages')
    turns = []
    for number, message in enumerate(values, 1):
        if not isinstance(message, Mapping) or not isinstance(message.get(role), str):
            raise ValueError(f'message {number} has no "{role}"')
        if not isinstance(message.get(content), str):
            raise ValueError(f'message {number} has no text under "{content}"')
        turns.append((message[role], message[content]))
    return turns


def _side(value: Mapping[str, Any], key: str, role: str) -> list[tuple[str, str]]:
    """A text, or messages."""
    if isinstance(value.get(key), list):
        return _turns(value[key], key, "role", "content")
    return [(role, _text(value, key))]


def _text(value: Mapping[str, Any], key: str) -> str:
    if not isinstance(value.get(key), str):
        raise ValueError(f'there is no text under "{key}"')
    return value[key]


def _alpaca(value: dict[str, Any]) -> list[tuple[str, str]]:
    """System, earlier rounds, then the instruction with its input below it, and the output."""
    turns = [("system", _text(value, "system"))] if value.get("system") else []
    history = value.get("history") or []
    if not isinstance(history, list):
        raise ValueError('"history" is no list of rounds')
    for number, round_ in enumerate(history, 1):
        if not (isinstance(round_, list) and len(round_) == 2 and all(isinstance(text, str) for text in round_)):
            raise ValueError(f'round {number} of "history" is no pair of texts')
        turns += [("user", round_[0]), ("assistant", round_[1])]
    asked = _text(value, "instruction")
    if value.get("input"):
        asked = f"{asked}\n\n{_text(value, 'input')}"
    return [*turns, ("user", asked), ("assistant", _text(value, "output"))]


def _yaml_files(path: Path, problems: list[str]) -> Iterator[RawDialogue]:
    files = sorted(file for file in path.rglob("*") if _ending(file) in (".yml", ".yaml")) if path.is_dir() else [path]
    if not files:
        raise DataError("there is no .yml in this folder", where=path)
    for file in files:
        yield from _yaml(file, problems)


def _yaml(path: Path, problems: list[str]) -> Iterator[RawDialogue]:
    """Nodes are read and not values: they know their lines, and a turn that looks like a number is text all the same."""
    import yaml

    try:
        root = yaml.compose(read_text_file(path), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark is not None else path
        raise FormatError(f"not YAML ({getattr(error, 'problem', None) or error})", where=where) from error
    entries = dict(root.value if isinstance(root, yaml.MappingNode) else [])
    found = next((value for key, value in entries.items() if key.value == "conversations"), None)
    if not isinstance(found, yaml.SequenceNode):
        raise FormatError('there is no list under "conversations"', where=path)
    for node in found.value:
        where = f"{path}:{node.start_mark.line + 1}"
        turns = node.value if isinstance(node, yaml.SequenceNode) else []
        if not turns or not all(isinstance(turn, yaml.ScalarNode) for turn in turns):
            problems.append(f"{where}: no list of texts")
        else:
            yield _in_turn([turn.value for turn in turns], where)


assert set(_JSON) < set(get_args(DialogueForm))
