"""More training texts than there are: copies in which words were changed, with the label of the text they come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hanmo.core.errors import DataError
from hanmo.tasks.augment_settings import AugmentSettings, Operation
from hanmo.tasks.augment_words import (
    Homophones,
    Words,
    cut_words,
    delete_words,
    insert_words,
    is_han,
    replace_words,
    swap_words,
)
from hanmo.tasks.text_examples import TextExample
from hanmo.text.segment import segment

if TYPE_CHECKING:
    from hanmo.tokenizers.tokenizer import Tokenizer
    from hanmo.vectors.word_vectors import WordVectors

__all__ = ["Augmented", "augment", "known_words", "synonyms"]

_SHOWN = 3
_STREAM = 0xA6
"""Keeps the draws apart from others of the same seed."""


@dataclass(frozen=True, slots=True)
class Augmented:
    """Changed copies."""

    examples: list[TextExample]
    """In the order of the texts that they come from; `where` says which, and what was done."""
    changes: list[tuple[str, str, str]]
    """Of each copy: what was done, the text as it was, and as it is."""
    counts: dict[str, int]
    """How many copies each operation made, and how many could not be made."""

    def describe(self) -> list[str]:
        """The first copies, for a plan: three of different texts."""
        kinds = ", ".join(f"{n:,} {name}" for name, n in self.counts.items())
        first = list({before: (name, before, after) for name, before, after in reversed(self.changes)}.values())[
            -_SHOWN:
        ]
        lines = [f"made of the training texts: {kinds}"]
        for name, before, after in reversed(first):
            lines += [f"  {name}", f"    - {before}", f"    + {after}"]
        return lines


def augment(
    examples: Sequence[TextExample],
    settings: AugmentSettings,
    *,
    seed: int,
    knows: Callable[[str], bool],
    device: str = "auto",
) -> Augmented:
    """Make the copies. The same examples, settings and seed give the same ones.

    Each copy is made by one operation, drawn at random; if it can do nothing to a text, by another. Of a pair of texts one
    is changed. A copy that is no different from its text is not kept, but counted.

    Args:
        examples: training examples, and no others.
        settings: which operations, how many copies, how much is changed.
        seed: of all draws.
        knows: whether the model has a use for a word; no other is put in.
        device: where the masked language model runs.

    Raises:
        DataError: if operations that were asked for can change none of the texts.
    """
    sides = [[cut_words(text) for text in (example.text, example.pair) if text is not None] for example in examples]
    counts = Counter(word for texts in sides for words in texts for word in words.words)
    limit = settings.frequent * counts.total()
    frequent = frozenset(word for word, count in counts.items() if count > limit)
    able = _Changes(settings, counts, frequent, knows, device)
    drafts = []
    for number, texts in enumerate(sides):
        for copy in range(settings.copies):
            rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, _STREAM, number, copy])))
            side = int(rng.integers(len(texts)))
            order = [settings.operations[place] for place in rng.permutation(len(settings.operations))]
            drafts.append((number, side, texts[side], rng, order))
    found = able.change([(words, rng, order) for _, _, words, rng, order in drafts])
    kept: list[TextExample] = []
    changes: list[tuple[str, str, str]] = []
    made: Counter[str] = Counter()
    for (number, side, words, _, _), answer in zip(drafts, found, strict=True):
        example = examples[number]
        if answer is None or answer[1].words == words.words:
            made["copies that could not be made"] += 1
            continue
        operation, text = answer[0], answer[1].text()
        made[f"copies by {operation}"] += 1
        place = f"{example.where} ({operation})"
        before = example.text if side == 0 else example.pair
        changes.append((operation, before or "", text))
        kept.append(replace(example, where=place, **({"text": text} if side == 0 else {"pair": text})))
    if not kept:
        raise DataError(
            f"{', '.join(settings.operations)} can change none of the {len(examples):,} training texts",
            where="[augment] operations",
            remedy="Choose operations that fit the language; lower min_cosine or raise frequent for small data.",
        )
    return Augmented(kept, changes, dict(sorted(made.items())))


class _Changes:
    """All operations, with what they need."""

    def __init__(
        self,
        settings: AugmentSettings,
        counts: Counter[str],
        frequent: frozenset[str],
        knows: Callable[[str], bool],
        device: str,
    ):
        self._settings, self._frequent, self._knows = settings, frequent, knows
        self._choices: dict[str, list[str]] = {}
        if settings.vectors is not None:
            from hanmo.vectors.files import read_vectors

            words = sorted(word for word in counts if word not in frequent)
            self._choices = synonyms(
                read_vectors(settings.vectors),
                words,
                n=settings.neighbours,
                min_cosine=settings.min_cosine,
                knows=knows,
            )
        self._homophones = Homophones({word: n for word, n in counts.items() if is_han(word) and knows(word)})
        self._masked = None
        if settings.checkpoint is not None:
            from hanmo.tasks.augment_masked import MaskedWords

            self._masked = MaskedWords(settings.checkpoint, device=device, n=settings.neighbours)

    def change(
        self, drafts: Sequence[tuple[Words, np.random.Generator, Sequence[Operation]]]
    ) -> list[tuple[str, Words] | None]:
        """Each text changed by the first of the operations that can, and which that was."""
        found: list[tuple[str, Words] | None] = []
        waiting = []
        for number, (words, rng, order) in enumerate(drafts):
            answer = None
            n = max(1, round(self._settings.share * len(words.words)))
            for operation in order:
                if operation == "masked-lm":
                    places = self._replaceable(words, n, rng)
                    if places:
                        waiting.append((number, words, places, rng))
                        break
                elif (changed := self._do(operation, words, n, rng)) is not None:
                    answer = operation, changed
                    break
            found.append(answer)
        if self._masked is not None and waiting:
            from hanmo.tasks.augment_masked import Gaps

            filled = self._masked.fill([Gaps(words, places, rng) for _, words, places, rng in waiting])
            for (number, words, places, _), changed in zip(waiting, filled, strict=True):
                # what the model to be trained does not know is put back
                back = {place: words.words[place] for place in places if not self._knows(changed.words[place])}
                found[number] = "masked-lm", changed.replaced(back)
        return found

    def _do(self, operation: Operation, words: Words, n: int, rng: np.random.Generator) -> Words | None:
        match operation:
            case "synonym":
                return replace_words(words, self._choices, n, rng)
            case "insert":
                return insert_words(words, self._choices, n, rng)
            case "swap":
                return swap_words(words, n, rng)
            case "delete":
                return delete_words(words, n, rng)
            case "homophone":
                return self._homophones.replace(words, self._frequent, n, rng)
            case "masked-lm":
                raise AssertionError(operation)

    def _replaceable(self, words: Words, n: int, rng: np.random.Generator) -> tuple[int, ...]:
        places = [
            place for place, word in enumerate(words.words) if word not in self._frequent and (word.isalpha() or is_han(word))
        ]  # fmt: skip
        if not places:
            return ()
        return tuple(sorted(places[at] for at in rng.choice(len(places), size=min(n, len(places)), replace=False)))


def synonyms(
    vectors: WordVectors, words: Iterable[str], *, n: int, min_cosine: float, knows: Callable[[str], bool]
) -> dict[str, list[str]]:
    """Neighbours that can stand in the place of each word that has any: whole words of the same script, not the word in
    other letters, near enough, and known.

    Neighbours are words that stand in like contexts: antonyms and other kinds of one thing are among them too.
    """
    from hanmo.vectors.neighbours import neighbours_of_words

    looked_up = {}
    for word in words:
        name = next((form for form in (word, word.lower()) if vectors.has_vector(form)), None)
        if name is not None and any(character.isalpha() for character in word):
            looked_up[word] = name
    names = sorted(set(looked_up.values()))
    found = dict(zip(names, neighbours_of_words(vectors, names, n), strict=True))
    choices = {}
    for word, name in looked_up.items():
        kept = [
            other.word
            for other in found[name]
            if other.score >= min_cosine
            and other.word.lower() != word.lower()
            and other.word.isalpha()
            and is_han(other.word) == is_han(word)
            and segment(other.word) == [other.word]
            and knows(other.word)
        ]
        if kept:
            choices[word] = kept
    return choices


def known_words(tokenizer: Tokenizer) -> Callable[[str], bool]:
    """Whether a tokenizer reads a word without its unknown token."""
    unknown = tokenizer.token_id(tokenizer.special_tokens.get("unk_token", ""))
    seen: dict[str, bool] = {}

    def knows(word: str) -> bool:
        if word not in seen:
            seen[word] = unknown not in tokenizer.encode(word)
        return seen[word]

    return knows
