"""`hanmo.pipeline(task, model)`: text in, answers out, with the names, arguments and fields of `transformers.pipeline`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from hanmo.core.errors import ConfigError, ModelError
from hanmo.models.int8 import use_int8
from hanmo.tasks.fill_mask import FillMaskPipeline, MaskFiller
from hanmo.tasks.grader import GradingPipeline
from hanmo.tasks.loaded_model import LoadedModel
from hanmo.tasks.loading import load
from hanmo.tasks.opened import (
    as_answerer,
    as_classifier,
    as_grader,
    as_image_matcher,
    as_language_model,
    as_sentence_encoder,
    as_tagger,
    parts_of,
)
from hanmo.tasks.pipeline import Pipeline
from hanmo.tasks.qa_pipeline import QuestionAnsweringPipeline
from hanmo.tasks.sentence_pipelines import FeaturePipeline, SimilarityPipeline
from hanmo.tasks.tag_pipeline import TagPipeline
from hanmo.tasks.text2text_loading import as_text2text, task_params, translation_params
from hanmo.tasks.text2text_pipeline import Text2TextPipeline, TranslationPipeline
from hanmo.tasks.text_classification_pipeline import TextClassificationPipeline
from hanmo.tasks.text_generation_pipeline import TextGenerationPipeline
from hanmo.tasks.zero_shot import as_guesser
from hanmo.tasks.zero_shot_pipelines import ZeroShotImagePipeline, ZeroShotPipeline

__all__ = ["PIPELINES", "pipeline"]


def _zero_shot(model: Any, path: object) -> Pipeline:
    return ZeroShotPipeline(as_guesser(model, path))


def _filling(model: Any, path: object) -> Pipeline:
    model, tokenizer = parts_of(model, path, "does not guess masked tokens")
    return FillMaskPipeline(MaskFiller(model, tokenizer, where=path))


def _summarization(model: Any, path: object) -> Pipeline:
    writer = as_text2text(model, path)
    return Text2TextPipeline(writer, "summary_text", told=task_params(writer, path, "summarization"))


def _translation(model: Any, path: object, src_lang: str | None = None, tgt_lang: str | None = None) -> Pipeline:
    writer = as_text2text(model, path)
    return TranslationPipeline(writer, src_lang=src_lang, tgt_lang=tgt_lang, told=translation_params(writer, path))


PIPELINES: dict[str, Callable[[Any, object], Pipeline]] = {
    "text-classification": lambda model, path: TextClassificationPipeline(as_classifier(model, path)),
    "sentiment-analysis": lambda model, path: TextClassificationPipeline(as_classifier(model, path)),
    "token-classification": lambda model, path: TagPipeline(as_tagger(model, path)),
    "ner": lambda model, path: TagPipeline(as_tagger(model, path)),
    "pos": lambda model, path: TagPipeline(as_tagger(model, path)),
    "question-answering": lambda model, path: QuestionAnsweringPipeline(as_answerer(model, path)),
    "feature-extraction": lambda model, path: FeaturePipeline(as_sentence_encoder(model, path)),
    "sentence-similarity": lambda model, path: SimilarityPipeline(as_sentence_encoder(model, path)),
    "fill-mask": _filling,
    "grading": lambda model, path: GradingPipeline(as_grader(model, path)),
    "translation": _translation,
    "summarization": _summarization,
    "text2text-generation": lambda model, path: Text2TextPipeline(as_text2text(model, path)),
    "text-generation": lambda model, path: TextGenerationPipeline(as_language_model(model, path)),
    "zero-shot-classification": _zero_shot,
    "zero-shot-image-classification": lambda model, path: ZeroShotImagePipeline(as_image_matcher(model, path)),
}
"""Name of a task → from an opened model and its place to its pipeline."""


def pipeline(
    task: str,
    model: str | Path,
    *,
    adapter: str | Path | None = None,
    device: str | int | torch.device = "auto",
    dtype: str = "float32",
    **options: Any,
) -> Any:
    """A function from texts to answers.

    Args:
        task: a name in `PIPELINES`; "translation_en_to_de" says the languages as well.
        model: a model directory, such as runs/NAME/model, or the name of one on the Hugging Face hub; or an adapter.
        adapter: folder of an adapter of the model.
        device: auto, cpu, cuda, mps; as in `transformers` also a number, of a GPU, or -1 for the CPU.
        dtype: float32, or int8 for an encoder on the CPU: large products in 8 bits (see `hanmo.models.int8`).
        options: of every call (`top_k`, `aggregation_strategy`, `num_beams`, …), which may say otherwise.

    Raises:
        ConfigError: for a task, a dtype or an option that there is not.
        ModelError: for a model that is missing, damaged, or was not trained for the task, or cannot have 8 bits.
    """
    languages = re.fullmatch(r"translation_([\w-]+?)_to_([\w-]+)", task)
    if task not in PIPELINES and languages is None:
        raise ConfigError(f"there is no task {task!r}", where="task", remedy=f"Choose one of {', '.join(PIPELINES)}.")
    if dtype not in ("float32", "int8"):
        raise ConfigError(f"pipelines do not compute in {dtype!r}", where="dtype", remedy="Choose float32 or int8.")
    if isinstance(device, int):
        device = "cpu" if device < 0 else f"cuda:{device}"
    opened = load(model, adapter=adapter, device="cpu" if dtype == "int8" and device == "auto" else str(device))
    if dtype == "int8":
        if type(opened) is not LoadedModel:  # its subclasses write text
            raise ModelError(f"8 bits are for encoders, not for a {type(opened).__name__}", where=model)
        if opened.adapters:
            opened.merge_adapter()
        use_int8(opened.model, where=model)
    where = model if adapter is None else adapter
    if languages is not None:
        found = _translation(opened, where, languages[1], languages[2])
    else:
        found = PIPELINES[task](opened, where)
    found.checked(options)
    found.defaults = options
    return found
