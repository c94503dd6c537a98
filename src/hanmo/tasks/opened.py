"""What `load` has opened as the model of a task."""

from __future__ import annotations

from typing import Any

from hanmo.batches.images import read_image_settings
from hanmo.core.errors import ModelError
from hanmo.models.hub import find_model
from hanmo.tasks.embeddings import SentenceEncoder
from hanmo.tasks.grader import Grader
from hanmo.tasks.image_matcher import ImageMatcher
from hanmo.tasks.language_model import LanguageModel
from hanmo.tasks.loaded_model import LoadedModel
from hanmo.tasks.question_answerer import QuestionAnswerer
from hanmo.tasks.sentence_modules import read_sentence_settings
from hanmo.tasks.tagger import Tagger
from hanmo.tasks.text_classifier import TextClassifier
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = [
    "as_answerer", "as_classifier", "as_grader", "as_image_matcher", "as_language_model", "as_sentence_encoder", "as_tagger", "parts_of",
]  # fmt: skip


def parts_of(opened: Any, where: object, what: str) -> tuple[Any, Tokenizer]:
    """The network of an opened model and its tokenizer.

    Args:
        opened: what `load` gave.
        where: the place that errors name.
        what: a model without a tokenizer does not do: "does not tag words".

    Raises:
        ModelError: for such a model.
    """
    if not isinstance(opened, LoadedModel) or opened.tokenizer is None:
        raise ModelError(f"a {type(opened).__name__} {what}", where=where)
    return opened.model, opened.tokenizer


def as_classifier(opened: Any, where: object) -> TextClassifier:
    """One that tells classes of texts, or numbers. Errors as there; the same for the others below."""
    return TextClassifier(*parts_of(opened, where, "does not tell classes of texts"), where=where)


def as_tagger(opened: Any, where: object) -> Tagger:
    """One that tags words."""
    return Tagger(*parts_of(opened, where, "does not tag words"), where=where)


def as_answerer(opened: Any, where: object) -> QuestionAnswerer:
    """One that points at answers."""
    return QuestionAnswerer(*parts_of(opened, where, "does not point at answers"), where=where)


def as_grader(opened: Any, where: object) -> Grader:
    """One that grades answers."""
    return Grader(*parts_of(opened, where, "does not grade answers"), where=where)


def as_sentence_encoder(opened: Any, where: Any) -> SentenceEncoder:
    """One that makes vectors of texts, in the way that its directory says."""
    model, tokenizer = parts_of(opened, where, "is no encoder of texts")
    told = read_sentence_settings(find_model(where))
    return SentenceEncoder(
        model, tokenizer, pooling=told.pooling, normalize=told.normalize, max_len=told.max_len, where=where
    )


def as_image_matcher(opened: Any, where: Any) -> ImageMatcher:
    """One that tells which text goes with an image, whose directory says what is done to images before."""
    model, tokenizer = parts_of(opened, where, "does not compare images with texts")
    return ImageMatcher(model, tokenizer, read_image_settings(find_model(where)), where=where)


def as_language_model(opened: Any, where: object) -> LanguageModel:
    """One that continues a text."""
    if not isinstance(opened, LanguageModel):
        raise ModelError(f"a {type(opened).__name__} does not continue a text token by token", where=where)
    return opened
