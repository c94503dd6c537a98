"""Which of two models answers better, as a judge sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hanmo.core.errors import DataError
from hanmo.metrics.per_example import PerExample, mean_of

if TYPE_CHECKING:
    from hanmo.tasks.language_model import LanguageModel

__all__ = ["Judge", "likelihood_judge", "win_rate", "wins"]

Messages = Sequence[Mapping[str, Any]]
Judge = Callable[[Messages, str, str], float]
"""`judge(messages, first, second)`: 1 if the first answer is the better one, 0 if the second is, 0.5 for a tie."""


def win_rate(judge: Judge, asked: Sequence[Messages], ours: Sequence[str], theirs: Sequence[str]) -> PerExample:
    """Share of questions on which the judge prefers our answer, 0..1; a tie is half a win.

    Each pair is judged in both orders and the mean taken, because judges prefer what they read first (Zheng et al., 2023,
    §3.3).

    Args:
        judge: see `Judge`.
        asked: conversations that end with a question.
        ours: an answer to each.
        theirs: the other model's.

    Raises:
        DataError: for lists of different length, or a verdict outside 0..1.
    """
    if not len(asked) == len(ours) == len(theirs):
        raise DataError(f"{len(asked)} questions, {len(ours)} and {len(theirs)} answers", where="answers")
    verdicts = []
    for messages, one, other in zip(asked, ours, theirs, strict=True):
        both = judge(messages, one, other), 1 - judge(messages, other, one)
        if not all(0 <= verdict <= 1 for verdict in both):
            raise DataError(f"a verdict is outside 0..1: {both}", where="judge")
        verdicts.append(sum(both) / 2)
    return mean_of(verdicts, "win rate")


def likelihood_judge(lm: LanguageModel) -> Judge:
    """A judge that prefers the answer which a third model finds more likely for each of its bytes.

    It is cheap and needs no network, and it likes what is usual: "I don't know." wins often. Take it to see a difference, not
    to call a model good.
    """
    from hanmo.tasks.answer_scores import score_answers
    from hanmo.tokenizers.chat import chat_row

    def judge(messages: Messages, first: str, second: str) -> float:
        found = []
        for answer in (first, second):
            row = chat_row(lm.tokenizer, [*messages, {"role": "assistant", "content": answer}])
            begin = len(chat_row(lm.tokenizer, list(messages)).ids)
            row.learned[:begin] = [False] * begin
            [score] = score_answers(lm.model, [row])
            found.append(score / max(1, len(answer.encode())))
        return wins(found[:1], found[1:])[0]

    return judge


def wins(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """1 where ours is the larger number, 0 where theirs is, 0.5 where they are the same."""
    return [0.5 if one == other else float(one > other) for one, other in zip(ours, theirs, strict=True)]
