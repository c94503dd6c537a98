"""Conversations to rows in which the answers alone are learned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hanmo.core.errors import ConfigError, DataError
from hanmo.tasks.chat_settings import ChatSettings
from hanmo.tasks.dialogue_examples import Dialogue
from hanmo.tasks.tables import problems_error
from hanmo.tokenizers.chat import ChatRow, chat_ids, chat_row
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["EncodedDialogue", "check_template", "encode_dialogues", "ends_of_answers", "shown_row"]

_CHECKED = 16
"""Conversations that are compared with how they will be asked."""


@dataclass(frozen=True, slots=True)
class EncodedDialogue:
    """A conversation, or a part of one, as ids."""

    dialogue: Dialogue
    row: ChatRow
    whole: bool = True
    """Whether nothing is cut off at the end."""


def encode_dialogues(
    dialogues: Sequence[Dialogue], tokenizer: Tokenizer, settings: ChatSettings, *, max_len: int | None
) -> tuple[list[EncodedDialogue], Counter[str]]:
    """Encode them, and treat those that are too long as was asked.

    Args:
        dialogues: to learn from.
        tokenizer: with a chat template.
        settings: what to do with those that are too long.
        max_len: most tokens; any number if None.

    Returns:
        What fits, and how many were dropped, truncated or split.

    Raises:
        ConfigError: for a template that marks nothing to learn.
        DataError: for conversations that are too long where that is an error, and those of which no answer is left; each
            with file, line and length, the first ten.
    """
    found: list[EncodedDialogue] = []
    notes: Counter[str] = Counter()
    problems: list[str] = []
    for dialogue in dialogues:
        one = EncodedDialogue(dialogue, _row(tokenizer, dialogue))
        n = len(one.row.ids)
        if max_len is not None and n > max_len:
            match settings.overlong:
                case "error":
                    problems.append(f"{dialogue.where}: {n} tokens, and room for {max_len}")
                    continue
                case "drop":
                    notes["conversations that are too long, left out"] += 1
                    continue
                case "truncate":
                    notes["conversations that are too long, cut off at the end"] += 1
                    cut = ChatRow(one.row.ids[:max_len], one.row.learned[:max_len])
                    one = EncodedDialogue(dialogue, cut, whole=False)
                case "split":
                    parts, n_lost = _split(dialogue, tokenizer, max_len)
                    notes["conversations that are too long, cut into parts"] += 1
                    notes["questions that are too long with their answer alone, left out"] += n_lost
                    found += parts
                    continue
        if not any(one.row.learned[1:]):
            room = "" if max_len is None else f" within {max_len} tokens"
            problems.append(f"{dialogue.where}: no token of an answer is left{room}")
            continue
        found.append(one)
    if problems:
        raise problems_error(
            f"{len(problems)} conversations do not fit", problems,
            '[chat] overlong = "drop" leaves those that are too long out, "truncate" cuts off their end, "split" cuts '
            "between turns; max_len allows for longer ones.",
        )  # fmt: skip
    if not found:
        raise DataError("no conversation is left to learn from", where="[chat] overlong")
    return found, +notes


def _row(tokenizer: Tokenizer, dialogue: Dialogue) -> ChatRow:
    try:
        return chat_row(tokenizer, dialogue.plain())
    except DataError as error:
        raise DataError(error.what, where=dialogue.where, remedy=error.remedy) from error


def _split(dialogue: Dialogue, tokenizer: Tokenizer, max_len: int) -> tuple[list[EncodedDialogue], int]:
    """Parts of whole rounds that fit, each as long as possible; and how many rounds do not fit alone."""
    head = dialogue.messages[:1] if dialogue.messages[0].role == "system" else ()
    turns = dialogue.messages[len(head) :]
    parts: list[EncodedDialogue] = []
    start = n_lost = 0
    while start < len(turns):
        best: EncodedDialogue | None = None
        for end in range(start + 2, len(turns) + 1, 2):
            part = replace(dialogue, messages=(*head, *turns[start:end]))
            row = _row(tokenizer, part)
            if len(row.ids) > max_len:
                break
            best = EncodedDialogue(part, row)
        if best is None:
            start, n_lost = start + 2, n_lost + 1
        else:
            start += len(best.dialogue.messages) - len(head)
            parts.append(best)
    return parts, n_lost


def check_template(dialogues: Sequence[Dialogue], tokenizer: Tokenizer) -> None:
    """Make sure that a model will be asked as it was taught: the prompt of an answer is what stands before it in the row.

    Raises:
        ConfigError: if it is not.
    """
    for dialogue in dialogues[:_CHECKED]:
        messages = dialogue.plain()
        row = _row(tokenizer, dialogue)
        prompt = chat_ids(tokenizer, messages[:-1], add_generation_prompt=True)
        if row.ids[: len(prompt)] != prompt or not row.learned[len(prompt)] or row.learned[len(prompt) - 1]:
            raise ConfigError(
                "the chat template asks otherwise than it teaches: what add_generation_prompt gives is not what stands before "
                f"the last answer of {dialogue.where}",
                where="chat_template.jinja",
                remedy="Let {% generation %} begin where the generation prompt ends, or give another template.",
            )


def ends_of_answers(rows: Sequence[EncodedDialogue], tokenizer: Tokenizer) -> tuple[int, ...]:
    """The tokens that answers end with, the most frequent first.

    Raises:
        ConfigError: if they are no special tokens, so that a model could not say that it is done.
    """
    counts = Counter(last for one in rows for last in _lasts(one))
    for token in counts:
        if token not in tokenizer.special_ids:
            raise ConfigError(
                f"answers end with {tokenizer.decode([token], skip_special=False)!r}, which is no special token: the model "
                "would not learn to stop",
                where="chat_template.jinja",
                remedy="Let {% generation %} end after the token that ends a turn, such as {{ eos_token }}.",
            )
    return tuple(token for token, _ in counts.most_common())


def _lasts(one: EncodedDialogue) -> Iterator[int]:
    """The last id of each answer that is there whole."""
    after = [*one.row.learned[1:], not one.whole]
    for token, learned, more in zip(one.row.ids, one.row.learned, after, strict=True):
        if learned and not more:
            yield token


def shown_row(one: EncodedDialogue, tokenizer: Tokenizer, *, most: int = 400) -> list[str]:
    """A row as the loss sees it: what is learned between 【 and 】, all else is masked."""
    text, inside = "", False
    run: list[int] = []
    for token, learned in zip(one.row.ids[:most], one.row.learned[:most], strict=True):
        if learned != inside:
            text += tokenizer.decode(run, skip_special=False) + ("【" if learned else "】")
            run, inside = [], learned
        run.append(token)
    text += tokenizer.decode(run, skip_special=False) + ("】" if inside else "")
    return [f"{one.dialogue.where}, as the loss sees it (【learned】, the rest is masked):", *text.split("\n")]
