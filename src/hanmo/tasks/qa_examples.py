"""Questions on texts whose answers stand in them: SQuAD 1.1 and 2.0, CMRC 2018. Read, named by their place, and checked
whole before anything is trained on them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from hanmo.core.errors import DataError, FormatError
from hanmo.tasks.json_objects import parse_json
from hanmo.tasks.splits import SplitData, Splits, folded, settle
from hanmo.tasks.tables import problems_error
from hanmo.tasks.text_files import read_text_file

__all__ = ["ANSWER", "NO_ANSWER", "AnswerData", "QaExample", "read_questions", "read_test_questions"]

ANSWER, NO_ANSWER = "answer", "no answer"


class AnswerData(SplitData):
    """Where the questions are: JSON as SQuAD has it, or as CMRC 2018 was first published; also as .gz."""

    apart: Literal["context", "article"] = "context"
    """What is never on two sides where something is set aside: texts, or whole articles."""
    misplaced: Literal["error", "repair", "drop"] = "error"
    """What to do with answers that do not stand where the file says: refuse them, move them to the nearest place where
    they do, or do not learn from them. In dev and test they count as right answers in any case, as they do for the
    official scripts, which look at their text alone."""
    empty: Literal["error", "drop"] = "error"
    """What to do with empty questions, and with those on an empty text."""
    duplicates: Literal["error", "drop"] = "error"
    """What to do with questions whose id another one has: refuse them, or keep the first."""
    rules: Literal["auto", "squad", "cmrc"] = "auto"
    """Whose rules the figures follow: those of SQuAD, or those of CMRC 2018 where answers are Chinese."""


@dataclass(frozen=True, slots=True)
class QaExample:
    """One question on a text."""

    id: str
    question: str
    context: str
    answers: tuple[str, ...]
    """All that are right; none where the text has no answer."""
    spans: tuple[tuple[int, int], ...]
    """From and up to which character those that stand in the text do."""
    article: str
    """What the text is a part of: its title, or its place in the file."""
    where: str
    """File, place in it, and id."""


def read_questions(data: AnswerData, *, seed: int) -> Splits[QaExample]:
    """Read and check everything.

    Args:
        data: where it is.
        seed: chooses what is set aside where there is no `dev`.

    Returns:
        The questions; `labels` say whether training has some without an answer.

    Raises:
        DataError: for answers that are not in their text or not where the file says, empty questions and texts, ids that
            two have, questions that contradict themselves, or texts of training that are in `dev` or `test`; each with
            file, place and id, the first ten. Nothing is left out or moved unless `data` says so, and then it is counted.
        FormatError: for a file that is not such JSON.
    """
    notes: Counter[str] = Counter()
    train = _read(data, data.train, notes)
    dev = _read(data, data.dev, notes) if data.dev is not None else []
    test = _read(data, data.test, notes) if data.test is not None else []
    key = _key(data, [*train, *dev, *test])
    train, dev, test = settle(data, train, dev, test, key=key, seed=seed, notes=notes)
    learned = [example for example in train if example.spans or not example.answers]
    notes["training questions left out because no answer stands in their text"] += len(train) - len(learned)
    if not learned:
        raise DataError("no question is left to learn from", where=data.train)
    labels = (ANSWER, NO_ANSWER) if any(not example.answers for example in learned) else (ANSWER,)
    return Splits.of(learned, dev, test, labels=labels, notes=notes)


def read_test_questions(data: AnswerData, notes: Counter[str]) -> list[QaExample]:
    """Read `test` alone, for a model that is already trained; errors as `read_questions`."""
    assert data.test is not None
    return _read(data, data.test, notes)


def _key(data: AnswerData, examples: Sequence[QaExample]) -> Callable[[QaExample], str]:
    """What makes two questions belong together: their text, or an article, where articles that share a text are one."""
    fold = cache(folded)
    if data.apart == "context":
        return lambda example: fold(example.context)
    one: dict[str, str] = {}

    def first_of(name: str) -> str:
        while one.setdefault(name, name) != name:
            name = one[name]
        return name

    seen: dict[str, str] = {}
    for example in examples:
        other = seen.setdefault(fold(example.context), example.article)
        one[first_of(example.article)] = first_of(other)
    return lambda example: first_of(example.article)


@dataclass(frozen=True, slots=True)
class _Raw:
    """A question as a file has it, checked for its form alone."""

    id: str
    question: str
    context: str
    answers: list[tuple[str, int | None]]
    """Text, and where it stands; None where the file does not say."""
    impossible: bool
    article: str
    where: str


def _read(data: AnswerData, path: str, notes: Counter[str]) -> list[QaExample]:
    problems: list[str] = []
    ids: dict[str, str] = {}
    examples = []
    for raw in _raws(path, problems):
        if not raw.question.strip() or not raw.context.strip():
            notes["empty questions and texts left out"] += data.empty == "drop"
            if data.empty == "error":
                problems.append(f"{raw.where}: an empty {'text' if raw.question.strip() else 'question'}")
        elif raw.id in ids:
            notes["questions left out because another has their id"] += data.duplicates == "drop"
            if data.duplicates == "error":
                problems.append(f"{raw.where}: {ids[raw.id]} has the same id")
        elif (contradiction := _contradiction(raw)) is not None:
            problems.append(f"{raw.where}: {contradiction}")
        else:
            spans = _spans(raw, data.misplaced, notes, problems)
            answers = tuple(text for text, _ in raw.answers)
            examples.append(QaExample(raw.id, raw.question, raw.context, answers, tuple(spans), raw.article, raw.where))
        ids.setdefault(raw.id, raw.where)
    if problems:
        raise problems_error(
            f"{len(problems)} things cannot be used", problems,
            '[data] misplaced = "repair" moves answers to where they stand, "drop" does not learn from them; '
            'empty = "drop" and duplicates = "drop" leave such questions out.',
        )  # fmt: skip
    if not examples:
        raise DataError("there is no question in this file", where=path)
    return examples


def _contradiction(raw: _Raw) -> str | None:
    if raw.impossible and raw.answers:
        return "is_impossible, and yet it has answers"
    if not raw.impossible and not raw.answers:
        return 'no answer, and "is_impossible" does not say so'
    if any(not text.strip() for text, _ in raw.answers):
        return "an empty answer"
    return None


def _spans(raw: _Raw, misplaced: str, notes: Counter[str], problems: list[str]) -> list[tuple[int, int]]:
    """Where its answers stand, each place once, without white space around."""
    found: dict[tuple[int, int], None] = {}
    for text, start in raw.answers:
        if start is None or start < 0 or raw.context[start : start + len(text)] != text:
            text, nearest = _nearest(raw.context, text, start or 0)
            if misplaced == "error" and (start is not None or nearest is None):
                place = "stands nowhere in its text" if nearest is None else f"stands at {nearest}, not at {start}"
                problems.append(f"{raw.where}: the answer {_short(text)} {place}")
                continue
            if nearest is None or (misplaced == "drop" and start is not None):
                where = "nowhere in their text" if nearest is None else "elsewhere than the file says"
                notes[f"answers that stand {where}: not learned"] += 1
                continue
            if start is not None:
                notes["answers moved to the nearest place where they stand"] += 1
            start = nearest
        start += len(text) - len(text.lstrip())
        found[start, start + len(text.strip())] = None
    return list(found)


def _nearest(context: str, text: str, start: int) -> tuple[str, int | None]:
    """A text, if need be without white space around it, and where it stands, as near to `start` as it does."""
    start = max(0, start)
    for form in (text, text.strip()):
        places = [
            place for place in (context.rfind(form, 0, start + len(form)), context.find(form, start)) if place >= 0
        ]
        if places:
            return form, min(places, key=lambda place: abs(place - start))
    return text, None


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "…")


def _raws(path: str, problems: list[str]) -> Iterator[_Raw]:
    """All questions of a file; what has another form is named in `problems`."""
    text = read_text_file(Path(path))
    try:
        content = parse_json(text)
    except ValueError as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else None
        raise FormatError(
            f"not JSON ({error})", where=path if line is None else f"{path}:{line}",
            remedy="Questions are read from one JSON object in the form of SQuAD or CMRC 2018.",
        ) from error  # fmt: skip
    if isinstance(content, dict) and isinstance(content.get("data"), list):
        yield from _squad(content["data"], path, problems)
    elif isinstance(content, list):
        yield from _cmrc(content, path, problems)
    else:
        raise FormatError(
            'neither an object with "data", as SQuAD has it, nor a list of texts, as CMRC 2018 has it', where=path
        )


def _squad(articles: list[Any], path: str, problems: list[str]) -> Iterator[_Raw]:
    for number, article in enumerate(articles):
        place = f"data[{number}]"
        paragraphs = _field(article, "paragraphs", list, f"{path}: {place}", problems)
        title = article.get("title") if isinstance(article, dict) else None
        for inner, paragraph in enumerate(paragraphs or []):
            where = f"{path}: {place}.paragraphs[{inner}]"
            context = _field(paragraph, "context", str, where, problems)
            questions = _field(paragraph, "qas", list, where, problems)
            if context is None or questions is None:
                continue
            name = title if isinstance(title, str) and title else f"{path}: {place}"
            for innermost, question in enumerate(questions):
                yield from _question(question, "id", "question", context, name, f"{where}.qas[{innermost}]", problems)


def _cmrc(texts: list[Any], path: str, problems: list[str]) -> Iterator[_Raw]:
    for number, text in enumerate(texts):
        where = f"{path}: [{number}]"
        context = _field(text, "context_text", str, where, problems)
        questions = _field(text, "qas", list, where, problems)
        if context is None or questions is None:
            continue
        title = text.get("title")
        name = title if isinstance(title, str) and title else where
        for inner, question in enumerate(questions):
            yield from _question(question, "query_id", "query_text", context, name, f"{where}.qas[{inner}]", problems)


def _question(
    question: Any, id_key: str, text_key: str, context: str, article: str, where: str, problems: list[str]
) -> Iterator[_Raw]:
    """The question, if it has the form of one."""
    text = _field(question, text_key, str, where, problems)
    if text is None:
        return
    name = question.get(id_key)
    if isinstance(name, (str, int)) and not isinstance(name, bool):
        where = f"{where} (id {name})"
    elif name is not None:
        problems.append(f"{where}: the id is a {type(name).__name__}")
        return
    given = question.get("answers", [])
    answers = [_answer(answer) for answer in given] if isinstance(given, list) else [None]
    if None in answers:
        problems.append(f'{where}: an answer is neither {{"text": …, "answer_start": …}} nor a text')
        return
    impossible = question.get("is_impossible", False)
    if not isinstance(impossible, bool):
        problems.append(f'{where}: "is_impossible" is a {type(impossible).__name__}')
        return
    known = [answer for answer in answers if answer is not None]
    yield _Raw(str(name) if name is not None else where, text, context, known, impossible, article, where)


def _answer(answer: Any) -> tuple[str, int | None] | None:
    if isinstance(answer, str):
        return answer, None
    if isinstance(answer, Mapping):
        text, start = answer.get("text"), answer.get("answer_start")
        if isinstance(text, str) and isinstance(start, int) and not isinstance(start, bool):
            return text, start
    return None


def _field(value: Any, key: str, kind: type, where: str, problems: list[str]) -> Any:
    """What an object has under a key, or None and a problem."""
    found = value.get(key) if isinstance(value, Mapping) else None
    if isinstance(found, kind):
        return found
    problems.append(f'{where}: there is no {"list" if kind is list else "text"} under "{key}"')
    return None
