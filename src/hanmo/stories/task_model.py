"""The untrained model of a task, and its tokenizer: from a checkpoint, or from nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hanmo.core.progress import say
from hanmo.stories.task_recipe import EncoderSection

if TYPE_CHECKING:
    from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["build_encoder", "with_segments"]

_DROPOUT = 0.3


def build_encoder(
    section: EncoderSection,
    texts: Iterable[str],
    *,
    choose: Callable[[Sequence[str]], str],
    head: dict[str, Any],
    seed: int,
    shape: dict[str, Any] | None = None,
    cut: bool = True,
) -> tuple[Any, Tokenizer]:
    """Build it. What is drawn is drawn with the seed.

    Args:
        section: which checkpoint, or which shape.
        texts: to take words from, for a model from nothing.
        choose: from the names of a family's classes to the one that has the head of the task.
        head: settings of the head, such as the labels.
        seed: of the fresh weights.
        shape: further settings of a model from nothing.
        cut: as in `train_words`.

    Raises:
        ConfigError: if the family has no such head.
        ModelError: if the checkpoint cannot be read.
    """
    from hanmo.core.seeds import seed_everything
    from hanmo.models.directory import read_config, read_model
    from hanmo.models.families import FAMILIES, family_of
    from hanmo.models.hub import find_model
    from hanmo.tokenizers.tokenizer import Tokenizer
    from hanmo.tokenizers.words import train_words

    seed_everything(seed)
    if section.checkpoint is not None:
        path = find_model(section.checkpoint)
        config, tokenizer = read_config(path), Tokenizer.load(path)
        name = choose(list(family_of(config).architectures))
        changes = head if section.dropout is None else head | {"dropout_head": section.dropout}
        return read_model(path, architecture=name, changes=changes | _padding(config, tokenizer)), tokenizer
    tokenizer = train_words(
        texts, section.vocab_size, min_count=section.min_count, lowercase=section.lowercase, cut=cut,
        segments=section.encoder == "transformer",
        model_max_length=section.max_len if section.encoder == "transformer" else None,
    )  # fmt: skip
    dropout = _DROPOUT if section.dropout is None else section.dropout
    own: dict[str, Any] = {"vocab_size": tokenizer.vocab_size, "pad_id": tokenizer.pad_id, "dropout": dropout}
    match section.encoder:
        case "bag":
            kind = "hanmo-cnn"
            own |= {"d_embedding": section.d_embedding, "widths": (), "pool": "mean"}
        case "cnn":
            kind = "hanmo-cnn"
            own |= {"d_embedding": section.d_embedding, "d_filters": section.d_hidden, "widths": section.widths}
        case "bilstm":
            kind = "hanmo-bilstm"
            own |= {"d_embedding": section.d_embedding, "d_hidden": section.d_hidden, "n_layers": section.n_layers}
        case "transformer":
            kind = "bert"
            own |= {
                "d_model": section.d_embedding, "n_layers": section.n_layers, "n_heads": section.n_heads,
                "max_len": section.max_len, "dropout_attention": dropout,
            }  # fmt: skip
    family = FAMILIES[kind]
    config = family.config.model_validate(own | (shape or {}) | head)
    model = family.architecture(choose(list(family.architectures))).build(config)
    if section.embeddings is not None:
        from hanmo.stories.embeddings import fill_token_table, load_embeddings

        vectors = load_embeddings(section.embeddings)
        say(fill_token_table(model, tokenizer, vectors, freeze=section.freeze_embeddings, seed=seed).describe())
    return model, tokenizer


def _padding(config: Any, tokenizer: Tokenizer) -> dict[str, Any]:
    """What a checkpoint without padding takes for it, as decoders are published: their head looks for the last token that is
    none. The token that ends a text will do."""
    fill = tokenizer.eos_id if tokenizer.pad_id is None else tokenizer.pad_id
    return {"pad_id": fill} if getattr(config, "pad_id", 0) is None and fill is not None else {}


def with_segments(model: Any, beginnings: Sequence[int], *, where: str) -> Any:
    """The same model with other kinds of segments, to tell it something of each token besides its id.

    Args:
        model: a checkpoint of BERT's kind with a head.
        beginnings: for each kind the one that it begins as.
        where: what asks for them.

    Raises:
        ConfigError: if the model has no segments.
    """
    import torch

    from hanmo.core.errors import ConfigError
    from hanmo.nn.linear import Lookup

    before = getattr(getattr(model.backbone, "embedding", None), "segments", None)
    if before is None:
        raise ConfigError(
            f"a {model.architecture} has no segments, by which it could be told", where=where,
            remedy="Leave it out, or take a checkpoint of BERT's kind.",
        )  # fmt: skip
    table = Lookup(len(beginnings), before.embedding_dim)
    with torch.no_grad():
        table.weight.copy_(before.weight[[min(kind, before.num_embeddings - 1) for kind in beginnings]])
    model.backbone.embedding.segments = table
    model.config = model.backbone.config = model.config.model_copy(update={"n_segments": len(beginnings)})
    return model
