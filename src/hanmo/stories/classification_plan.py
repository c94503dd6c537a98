"""The plan of a classifier: what it would do, and one training example as the model will see it."""

from __future__ import annotations

from collections import Counter

from hanmo.core.toml import to_toml
from hanmo.stories.classification_recipe import ClassificationRecipe
from hanmo.stories.classify import build_classifier

__all__ = ["describe_classification"]


def describe_classification(recipe: ClassificationRecipe) -> str:
    """Read and check all examples, build the model, train nothing, and say what would happen."""
    from hanmo.batches.padded_rows import PaddedRows
    from hanmo.tasks.text_classification import encode_examples, fills_of
    from hanmo.tasks.text_classifier import OVERLAP
    from hanmo.tasks.text_examples import read_splits

    splits = read_splits(recipe.data, seed=recipe.seed)
    model, tokenizer = build_classifier(recipe, splits)
    kind, max_len = recipe.data.kind, getattr(model.config, "max_len", None)
    rows = encode_examples(splits.train, tokenizer, splits.labels, kind, max_len=max_len, overlap=OVERLAP)
    batches = PaddedRows(
        rows, fills=fills_of(kind, tokenizer.pad_id or 0), batch_size=recipe.batch_size, seed=recipe.seed
    )
    settings = recipe.training.fitted(batches.n_batches)
    length = f"{settings.minutes:g} minutes" if settings.minutes else f"{settings.n_steps:,} steps"
    counts = Counter(
        name for example in splits.train for name in (example.label if kind == "multi" else [example.label])
    )
    shown = "" if kind == "regression" else ", ".join(f"{name} {counts[name]:,}" for name in splits.labels[:20])
    lengths = sorted(len(row["input_ids"]) for row in rows)
    tokens = rows[0]["input_ids"]
    return "\n".join(
        [
            f"examples    {len(splits.train):,} train, {len(splits.dev):,} dev, {len(splits.test):,} test",
            f"labels      {len(splits.labels)}: {shown}" if shown else "labels      numbers",
            f"rows        {len(rows):,} of at most {lengths[-1]} tokens (median {lengths[len(lengths) // 2]})",
            f"model       {model.architecture}, {sum(p.numel() for p in model.parameters()):,} parameters",
            f"training    {length} of {recipe.batch_size * settings.accumulate} rows",
            "",
            f"first example ({splits.train[0].where}), label {splits.train[0].label!r}:",
            "  " + " ".join(tokenizer.decode([token], skip_special=False) or f"<{token}>" for token in tokens),
            "",
            to_toml(recipe.model_dump(mode="json")),
        ]
    )
