"""The tokenizer of a pretraining story: trained on its training split, or one that is there already."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hanmo.core.errors import ModelError
from hanmo.corpora.documents import read_documents
from hanmo.corpora.sources.files import list_files
from hanmo.models.hub import find_model
from hanmo.stories.recipe import PretrainRecipe
from hanmo.tokenizers.bpe import END_OF_TEXT, train_bpe
from hanmo.tokenizers.infilling import FIM_TOKENS, infill_tokens
from hanmo.tokenizers.opening import open_tokenizer
from hanmo.tokenizers.tokenizer import Tokenizer
from hanmo.tokenizers.training_data import hash_file, refuse_training_text

__all__ = ["refuse_tokenizer_of_corpus", "run_tokenizer"]


def run_tokenizer(recipe: PretrainRecipe, train_file: Path, texts: Iterable[str] | None = None) -> Tokenizer:
    """Train it, and note the hash of the training split; or read the one that the recipe names.

    Args:
        recipe: `model.checkpoint`, `tokenizer.path` or `tokenizer.vocab_size`.
        train_file: documents of the training split.
        texts: those documents' texts, where somebody wants to see them go by.

    Raises:
        DataError: if the named one was trained on a file of the corpus.
        ModelError: if the named one cannot be read, or lacks a token for the end of a text or those for infilling.
    """
    path = _named(recipe)
    if path is None:
        if texts is None:
            texts = (document.text for document in read_documents(train_file))
        special = (END_OF_TEXT,) if recipe.infilling is None else (END_OF_TEXT, *FIM_TOKENS)
        size, max_len = recipe.tokenizer.vocab_size, recipe.model.max_len
        tokenizer = train_bpe(texts, size, special_tokens=special, model_max_length=max_len)
        return tokenizer.with_training_files([hash_file(train_file, train_file.name)])
    tokenizer = open_tokenizer(path)
    if tokenizer.eos_id is None:
        raise ModelError(
            "this tokenizer has no token for the end of a text", where=path,
            remedy="Train one of the kind bpe, unigram or char, or leave tokenizer.path (model.checkpoint) out.",
        )  # fmt: skip
    if recipe.infilling is not None:
        infill_tokens(tokenizer, where=path)
    refuse_tokenizer_of_corpus(tokenizer, recipe)
    return tokenizer


def refuse_tokenizer_of_corpus(tokenizer: Tokenizer, recipe: PretrainRecipe) -> None:
    """Refuse a tokenizer that was trained on a file of the corpus: the held-out part comes from these files.

    Raises:
        DataError: naming the file, and the name under which the tokenizer has learnt from it.
    """
    if recipe.corpus.source != "stdlib" and tokenizer.training_files:
        files = [file.path for file in list_files(recipe.corpus.source)[0]]
        refuse_training_text(tokenizer.training_files, files, tokenizer=_named(recipe))


def _named(recipe: PretrainRecipe) -> str | None:
    """Where the tokenizer is, if it is there already."""
    checkpoint = recipe.model.checkpoint
    return recipe.tokenizer.path if checkpoint is None else str(find_model(checkpoint))
